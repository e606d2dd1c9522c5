"""Every alarm of the deployed stack: a planted cause, the metric or event that it makes, the
alarm's state, the message in Slack.

An alarm that no cause here sets off fails the test, and so does one whose metric nobody publishes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import deploy
from localcloud.deployment.stack_file import read_stack
from localcloud.iam.access import Principal
from localcloud.protocol.wire import Call, Reply, WireError
from tests.localcloud.conftest import forward
from tests.localcloud.watched import RUN, Watched
from workloads.contract import Upload

ROOT = Path(__file__).parents[2]
PROJECT = "batch-reference"
PREFIX = "monitoring-alarms-"

SOON = {
    "measure_minutes": 1,
    "stuck_minutes": 1,
    "deep_queue_jobs": 1,
    "deep_queue_minutes": 1,
    "at_max_minutes": 1,
    "no_success_hours": 1,
    "running_usd_per_hour": 0.01,
}
BERLIN = ZoneInfo("Europe/Berlin")
# The walk through all alarms puts the clock forward by about two hours, and must not come by the
# hour of the file on its way.
FILE_HOUR = 6 if datetime.now(BERLIN).hour >= 12 else 18
DAILY = {
    "file_by": f"{FILE_HOUR:02}:00",
    "finished_by": f"{FILE_HOUR + 1:02}:00",
    "time_zone": "Europe/Berlin",
}
PIPELINE = {
    "orchestrator": "step-functions",
    "deadline_hours": 1,
    "poll_seconds": 2,
    "daily": DAILY,
}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    section = json.loads(read_stack(ROOT, "local", {}, {}).config[f"{PROJECT}:monitoring"]) | SOON
    with LocalCloud(tmp_path_factory.mktemp("cloud"), images={"*/batch-reference*": ROOT}) as cloud:
        cloud.polls.wait = False  # each beat of the clock looks into two empty queues
        secrets = {f"{PROJECT}:slack-webhook-url": cloud.slack.url}
        config = {
            f"{PROJECT}:monitoring": json.dumps(section),
            f"{PROJECT}:pipeline": json.dumps(PIPELINE),
        }
        made = deploy(ROOT, "local", cloud.client, config=config, secrets=secrets)
        resources = {f"{r.type} {r.name}": dict(r.outputs) for r in made.resources if r.custom}
        alarms = {name: out for name, out in resources.items() if "Alarm " in name}
        labels = {
            out.get("alarmName") or out["name"]: name.partition(PREFIX)[2]
            for name, out in alarms.items()
        }
        assert all(labels.values())
        yield Watched(cloud, dict(made.outputs), resources, labels)


def test_every_alarm_goes_off_and_is_told(watched: Watched) -> None:
    cloud, queues = watched.cloud, list(watched.outputs["queues"])
    functions = {
        name.removesuffix("-dead-letters")
        for name in watched.labels.values()
        if name.endswith("-dead-letters")
    }
    environments = list(watched.outputs["environments"])
    assert len(functions) >= 6
    assert {alarm["AlarmName"] for alarm in watched.described()} == watched.labels.keys()

    # a new stack: nothing has ever succeeded; then something does, and the alarm is over
    watched.wait("ALARM", "no-success")
    watched.submit("postprocess", ["true"])
    watched.wait(
        "OK",
        "no-success",
        "not-measured",
        "stuck-main",
        "at-max-nodes",
        "invalid-nodes",
        "running-cost",
        "full",
        "failing",
    )
    watched.told("Over: No run has finished")

    # functions that fail: on an event, and, where they look at none, on what AWS refuses
    cloud.faults.append(_queues_are_not_read)
    watched.call_all_functions()
    for label in functions:
        watched.wait("ALARM", f"{label}-errors", f"{label}-dead-letters")
    # and what they fail on is lost where the queue does not take it
    cloud.faults.append(_letters_are_not_taken)
    watched.call_all_functions()
    watched.wait("ALARM", *(f"{label}-lost-letters" for label in functions))
    cloud.faults.remove(_letters_are_not_taken)
    cloud.faults.remove(_queues_are_not_read)

    # jobs that fail
    for stage in ("analysis", "analysis", "postprocess"):
        watched.submit(stage, ["false"])
    watched.wait(
        "ALARM",
        *(f"failed-{queue}" for queue in queues),
        "failing",
        "analysis-fails-again",
        "postprocess-failed",
    )

    # jobs that wait: EC2 has no machines
    cloud.batch.withhold_capacity("*")
    stages = ("preprocess", "preprocess", "analysis", "analysis")
    watched.let_wait(*(watched.submit(stage, ["sleep", "300"]) for stage in stages))
    watched.wait(
        "ALARM", *(f"{what}-{queue}" for what in ("stuck", "deep") for queue in queues), "full"
    )
    for queue in watched.outputs["queues"].values():
        assert "AWS had no machine of the instance type" in watched.told(
            f"Queue {queue} is blocked"
        )
    assert cloud.denials == []

    # machines that cannot join
    iam = cloud.client("iam")
    roles = [
        role["RoleName"]
        for role in iam.list_roles()["Roles"]
        if "ec2.amazonaws.com" in json.dumps(role["AssumeRolePolicyDocument"])
    ]
    attached = [
        (role, each["PolicyArn"])
        for role in roles
        for each in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    ]
    for role, policy in attached:
        iam.detach_role_policy(RoleName=role, PolicyArn=policy)
    watched.wait("ALARM", *(f"invalid-{environment}" for environment in environments))
    for role, policy in attached:
        iam.attach_role_policy(RoleName=role, PolicyArn=policy)

    # machines again, and more work than they take
    watched.end_all()
    cloud.batch.advance(61)
    watched.wait("OK", "full", *(f"stuck-{queue}" for queue in queues))
    cloud.batch.withhold_capacity()
    sizes = [{"type": "VCPU", "value": "4"}, {"type": "MEMORY", "value": "4096"}]
    more = [
        watched.submit("preprocess", ["sleep", "300"], resourceRequirements=sizes) for _ in range(7)
    ]
    watched.let_wait(*more, watched.submit("analysis", ["sleep", "300"]))
    watched.wait(
        "ALARM", *(f"at-max-{environment}" for environment in environments), "full", "running-cost"
    )
    assert "The stack costs " in watched.told("The largest environment is nodes with ")
    watched.end_all()

    # nobody looks any more, and nothing succeeds
    clock = watched.resources["aws:cloudwatch/eventRule:EventRule monitoring-measure-calls"]["name"]
    cloud.client("events").disable_rule(Name=clock)
    cloud.batch.advance(2 * 3600)
    watched.wait("ALARM", "not-measured", "no-success")

    _executions_that_end_badly(watched)
    _two_days(watched)

    assert watched.rang == set(watched.labels.values())
    assert watched.calm == set(watched.labels.values()), "an alarm that is always on says nothing"
    _every_metric_is_published(watched)
    _every_alarm_is_told(watched)


def _letters_are_not_taken(call: Call, principal: Principal | None) -> Reply | None:
    """Lambda may not send to the queues of dead letters."""
    if call.service == "sqs" and call.operation == "SendMessage" and principal is not None:
        raise WireError("AccessDeniedException", "planted", status=403)
    return None


def _queues_are_not_read(call: Call, principal: Principal | None) -> Reply | None:
    if (
        call.service == "sqs"
        and principal is not None
        and "redrive" in principal.role_arn
        and call.operation == "ReceiveMessage"
    ):
        raise WireError("InternalFailure", "planted")
    return None


def _executions_that_end_badly(watched: Watched) -> None:
    """Of both machines: by hand, over time, held up for three periods, and, of the day, an input
    that it cannot use.
    """
    cloud, machines = watched.cloud, watched.cloud.client("stepfunctions")
    arns = {"run": watched.outputs["state_machine_arn"], "day": watched.outputs["day_machine_arn"]}

    def begin(arn: str, given: dict[str, str]) -> str:
        started = machines.start_execution(
            stateMachineArn=arn, name=str(uuid4()), input=json.dumps(given)
        )
        return str(started["executionArn"])

    # moto tries even States.Runtime again, which AWS does not: without the retries nothing is
    # waited for
    definition = json.loads(
        machines.describe_state_machine(stateMachineArn=arns["day"])["definition"]
    )
    first = definition["States"][definition["StartAt"]]
    hasty = {
        **definition,
        "States": {**definition["States"], definition["StartAt"]: {**first, "Retry": []}},
    }
    machines.update_state_machine(stateMachineArn=arns["day"], definition=json.dumps(hasty))
    begin(arns["day"], {})
    machines.update_state_machine(stateMachineArn=arns["day"], definition=json.dumps(definition))
    watched.wait("ALARM", "failed-day")
    cloud.transitions_throttled.set()
    given = {"run_id": RUN, "at": "2026-01-31T05:00:00Z"}
    for period in range(3):
        cloud.batch.advance(
            300 if period else 0
        )  # and not after the last: what was stopped counts in the period that is looked at
        for execution in [begin(arn, given) for arn in arns.values()]:
            machines.stop_execution(executionArn=execution)
    for arn in arns.values():
        definition = json.loads(machines.describe_state_machine(stateMachineArn=arn)["definition"])
        machines.update_state_machine(
            stateMachineArn=arn, definition=json.dumps({**definition, "TimeoutSeconds": 1})
        )
        begin(arn, given)
        machines.update_state_machine(stateMachineArn=arn, definition=json.dumps(definition))
    bad = [f"{how}-{machine}" for how in ("timed-out", "aborted", "throttled") for machine in arns]
    watched.wait("ALARM", *bad, "executions")
    cloud.transitions_throttled.clear()
    cloud.batch.advance(1200)
    watched.wait("OK", "failed-day", *bad, "executions")


def _two_days(watched: Watched) -> None:
    """A day without a file, until one comes; its run fails, which is named at the end of the day;
    the next day begins anew.
    """
    cloud = watched.cloud
    day = f"{forward(cloud, FILE_HOUR, BERLIN):%Y%m%d}"
    watched.wait("ALARM", "no-file")
    assert f"There is no file in data/{day}/." in watched.told(f"`{watched.physical('no-file')}`")
    bucket, key = watched.outputs["ingest_bucket"], f"data/{day}/towns.csv"
    etag = cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=b"name,town\n")["ETag"]
    run = Upload(bucket=bucket, key=key, etag=etag).run_id
    watched.wait("OK", "no-file")
    watched.wait("ALARM", "failed-run", "failing")
    watched.told(f"`{run}`")
    assert f"{forward(cloud, FILE_HOUR + 1, BERLIN):%Y%m%d}" == day
    watched.wait("ALARM", "day-unfinished")
    assert f"{run}: failed in preprocess: " in watched.told(
        f"`{watched.physical('day-unfinished')}`"
    )
    forward(cloud, FILE_HOUR, BERLIN)
    watched.wait("ALARM", "no-file")
    watched.wait("OK", "day-unfinished")


def _every_metric_is_published(watched: Watched) -> None:
    now = datetime.now(UTC)
    for alarm in (each for each in watched.described() if "MetricName" in each):
        found = watched.cloud.client("cloudwatch").get_metric_statistics(
            Namespace=alarm["Namespace"],
            MetricName=alarm["MetricName"],
            Dimensions=alarm["Dimensions"],
            StartTime=now - timedelta(hours=1),
            EndTime=datetime.fromtimestamp(watched.cloud.now(), UTC) + timedelta(hours=1),
            Period=86400,
            Statistics=[alarm["Statistic"]],
        )
        assert found["Datapoints"], (
            f"nobody publishes {alarm['Namespace']} {alarm['MetricName']} {alarm['Dimensions']}"
        )


def _every_alarm_is_told(watched: Watched) -> None:
    composites = {
        alarm["AlarmName"]: alarm["AlarmRule"]
        for alarm in watched.described()
        if "AlarmRule" in alarm
    }
    assert len(composites) == 3
    for name, label in watched.labels.items():
        teller = next((each for each, rule in composites.items() if f'"{name}"' in rule), name)
        text = watched.told(f"`{teller}`")
        assert "docs/runbook.md#" in text, label
        section = text.partition("docs/runbook.md#")[2].partition('"')[0].partition("\\")[0]
        assert f'<a id="{section}"></a>' in (ROOT / "docs" / "runbook.md").read_text(), (
            f"the runbook lacks {section}"
        )


def test_an_alarm_that_changes_state_is_told_once_whatever_is_delivered(watched: Watched) -> None:
    function = watched.resources["aws:lambda/function:Function monitoring-alarm"]["name"]

    def deliver(state: str, minute: int) -> str:
        message = {
            "AlarmName": "made-up",
            "AlarmDescription": "Something <happened>\nDo something\nRunbook: here",
            "NewStateValue": state,
            "OldStateValue": "OK",
            "StateChangeTime": f"2026-01-31T02:{minute:02}:00.000+0000",
            "AlarmArn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:made-up",
        }
        payload = json.dumps({"Records": [{"Sns": {"Message": json.dumps(message)}}]})
        answer = json.loads(
            watched.cloud.client("lambda")
            .invoke(FunctionName=function, Payload=payload)["Payload"]
            .read()
        )
        return str(answer.get("outcomes", answer.get("errorType")))

    assert deliver("OK", 0) == "['told already']", "a new alarm is no news"
    assert deliver("ALARM", 1) == "['told']"
    assert deliver("ALARM", 1) == "['told already']"
    watched.cloud.slack.fail_next(1, status=403)
    assert deliver("OK", 2) == "SlackError"
    assert deliver("OK", 2) == "['told']"
    assert deliver("ALARM", 1) == "['told already']"
    texts = [
        json.dumps(message)
        for message in watched.cloud.slack.messages
        if "`made-up`" in json.dumps(message)
    ]
    assert len(texts) == 2
    assert "Something &lt;happened&gt;" in texts[0]
    assert "Over: Something" in texts[1]

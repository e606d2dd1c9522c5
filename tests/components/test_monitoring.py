"""Who hears of failures."""

from __future__ import annotations

import json
import re

import pulumi
import pytest
from moto.sns.utils import FilterPolicyMatcher

from components.monitoring import measuring as measuring_module
from components.prices import job_prices
from config.facts import ec2_facts
from tests.components.program import STACKS, config_of, deploy, deployed
from tests.support.program import ROOT
from workloads import metrics
from workloads.functions.redrive import HIDDEN_SECONDS, SECONDS_FOR_ONE
from workloads.functions.state_items import TELL_LEASE_MS
from workloads.variables import ENV_REDRIVEN

FUNCTION = "aws:lambda/function:Function"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
COMPOSITE = "aws:cloudwatch/compositeAlarm:CompositeAlarm"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"


@pytest.mark.parametrize("stack", STACKS)
def test_failed_jobs_of_all_queues_call_the_notify_function(stack: str) -> None:
    made = deployed(stack)
    pattern = json.loads(
        made.one("aws:cloudwatch/eventRule:EventRule", "monitoring-failures").inputs["eventPattern"]
    )
    queues = [
        queue.outputs["arn"]
        for queue in made.all("aws:batch/jobQueue:JobQueue", count=len(config_of(stack).queues))
    ]
    assert pattern["source"] == ["aws.batch"]
    assert pattern["detail-type"] == ["Batch Job State Change"]
    assert (pattern["detail"]["status"], sorted(pattern["detail"]["jobQueue"])) == (
        ["FAILED"],
        sorted(queues),
    )
    function = made.one(FUNCTION, "monitoring-notify")
    assert function.inputs["handler"] == "workloads.functions.notify.handler"
    assert function.inputs["timeout"] * 1000 < TELL_LEASE_MS, (
        "two invocations never tell Slack at once"
    )
    variables = dict(function.inputs["environment"]["variables"])
    assert json.loads(variables.pop("PIPELINE_STAGE_PRICES")) == job_prices(
        config_of(stack), "us-east-1"
    )
    results = made.one("aws:s3/bucket:Bucket", "storage-results").outputs["bucket"]
    assert variables == {
        "PIPELINE_STACK": stack,
        "PIPELINE_TABLE": made.one("aws:dynamodb/table:Table").outputs["name"],
        "PIPELINE_RESULTS_BUCKET": results,
        "PIPELINE_CONSOLE_URL": (
            f"https://us-east-1.console.aws.amazon.com/s3/object/{results}?region=us-east-1&prefix="
        ),
        "PIPELINE_SLACK_WEBHOOK_SECRET_ARN": (
            made.one("aws:secretsmanager/secret:Secret", "secrets-slack-webhook").outputs["arn"]
        ),
    }


def test_notify_may_read_error_records_and_end_runs() -> None:
    made = deployed("prod")
    statements = {
        s["Sid"]: (s["Action"], s["Resource"])
        for s in made.policy(made.one("aws:iam/rolePolicy:RolePolicy", "monitoring-notify-role"))
    }
    results = made.one("aws:s3/bucket:Bucket", "storage-results").outputs["arn"]
    assert statements["ReadErrorRecords"] == (["s3:GetObject"], [f"{results}/runs/*/errors/*"])
    assert statements["RunStates"] == (
        ["dynamodb:GetItem", "dynamodb:UpdateItem"],
        [made.one("aws:dynamodb/table:Table").outputs["arn"]],
    )
    assert statements["WhatJobsTook"] == (["batch:DescribeJobs"], ["*"])
    table = made.one("aws:dynamodb/table:Table").outputs["arn"]
    assert statements["KeepPages"] == (
        ["s3:GetObject", "s3:PutObject"],
        [f"{results}/index.html", f"{results}/months/*.html"],
    )
    assert statements["FindRuns"] == (
        ["dynamodb:Query"],
        [f"{table}/index/runs-by-claim", f"{table}/index/runs-by-id"],
    )
    assert statements["ReadRunItems"] == (["dynamodb:BatchGetItem"], [table])
    assert statements["TellMissingFromDenied"] == (["s3:ListBucket"], [results])
    own = {"ReadErrorRecords", "TellMissingFromDenied", "RunStates", "WhatJobsTook"}
    own |= {"KeepPages", "FindRuns", "ReadRunItems"}
    assert statements.keys() == own | {"ReadWebhook", "WriteLogs", "KeepDeadLetters"}


def test_mail_is_sent_of_alarms_that_go_off_alone() -> None:
    """The filter in the eyes of moto, for an alarm that was just made, that goes off, and that is
    over.
    """
    subscriptions = deploy("dev", changes={"monitoring": {"emails": ["a@example.com"]}}).all(
        "aws:sns/topicSubscription:TopicSubscription"
    )
    (mail,) = [each.inputs for each in subscriptions if each.inputs["protocol"] == "email"]
    matcher = FilterPolicyMatcher(json.loads(mail["filterPolicy"]), mail["filterPolicyScope"])

    def mailed(before: str, after: str) -> bool:
        message = json.dumps({"AlarmName": "a", "OldStateValue": before, "NewStateValue": after})
        return bool(matcher.matches({}, message))

    assert not mailed("INSUFFICIENT_DATA", "OK")
    assert mailed("OK", "ALARM")
    assert mailed("INSUFFICIENT_DATA", "ALARM")
    assert not mailed("ALARM", "OK"), "Slack tells of ends"


def test_a_look_that_leaves_no_metric_sets_an_alarm_off() -> None:
    """Where a function may not write its log, its metrics are gone with it."""
    alarms = {each.inputs["metricName"]: each.inputs for each in deployed("prod").all(ALARM)}
    for metric in (metrics.LOOKS, metrics.FILES):
        assert alarms[metric]["treatMissingData"] == "breaching"
        assert alarms[metric]["comparisonOperator"] == "LessThanThreshold"
    assert alarms[metrics.FILES]["threshold"] == 0, "no count of files is below it"


@pytest.mark.parametrize("stack", STACKS)
def test_every_function_has_alarms_on_its_errors_and_dead_letters(stack: str) -> None:
    made = deployed(stack)
    topic = made.one("aws:sns/topic:Topic").outputs["arn"]
    queues = {queue.outputs["name"] for queue in made.all("aws:sqs/queue:Queue")}
    functions = {function.outputs["name"] for function in made.all(FUNCTION)}
    assert len(queues) >= len(functions) >= 4
    metrics = ("ApproximateNumberOfMessagesVisible", "DeadLetterErrors", "Errors")
    watched: dict[str, set[str]] = {metric: set() for metric in metrics}
    for alarm in made.all(ALARM):
        if alarm.inputs["namespace"] in {"AWS/SQS", "AWS/Lambda"}:
            watched[alarm.inputs["metricName"]] |= set(alarm.inputs["dimensions"].values())
            assert (alarm.inputs["comparisonOperator"], alarm.inputs["threshold"]) == (
                "GreaterThanThreshold",
                0,
            )
            assert (alarm.inputs["treatMissingData"], alarm.inputs["alarmActions"]) == (
                "notBreaching",
                [topic],
            )
    assert watched == dict(zip(metrics, (queues, functions, functions), strict=True))


@pytest.mark.parametrize("stack", STACKS)
def test_every_alarm_acts_itself_or_by_one_composite_alarm_and_says_what_to_do(stack: str) -> None:
    made = deployed(stack)
    topic = made.one("aws:sns/topic:Topic").outputs["arn"]
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    composites = made.all(
        COMPOSITE, count=2 + (config_of(stack).pipeline.orchestrator == "step-functions")
    )
    used: set[str] = set()
    for alarm in made.all(ALARM):
        rules = [
            each.outputs["alarmRule"]
            for each in composites
            if f'ALARM("{alarm.outputs["name"]}")' in each.outputs["alarmRule"]
        ]
        assert (
            alarm.inputs.get("alarmActions", [])
            == alarm.inputs.get("okActions", [])
            == ([] if rules else [topic])
        )
        assert len(rules) <= 1
        # CloudWatch looks back one day at most, seven where periods have an hour or more
        whole = alarm.inputs["period"] * alarm.inputs["evaluationPeriods"]
        assert whole <= (7 * 86400 if alarm.inputs["period"] >= 3600 else 86400)
    for alarm in [*made.all(ALARM), *composites]:
        what, todo, where = alarm.inputs["alarmDescription"].splitlines()
        assert len(what) <= 150, "Slack cuts a longer headline"
        assert todo.endswith(".")
        used.add(where.removeprefix("Runbook: docs/runbook.md#"))
    sections = set(re.findall(r'<a id="([a-z-]+)"></a>', runbook))
    assert used <= sections
    optional = {"running-cost", "no-file", "day-unfinished", "executions"}
    assert sections - used <= optional, "a section of an alarm that does not exist"


def test_thresholds_reach_the_alarms() -> None:
    wanted = {
        "measure_minutes": 10,
        "stuck_minutes": 45,
        "deep_queue_jobs": 7,
        "deep_queue_minutes": 60,
        "at_max_minutes": 120,
        "failed_jobs": 4,
        "failed_analyses": 3,
        "no_success_hours": 50,
        "running_usd_per_hour": 9.5,
        "runbook_url": "https://wiki.example.com/runbook",
    }
    made = deploy("dev", changes={"monitoring": wanted})
    keys = ("period", "evaluationPeriods", "threshold")
    found = {
        alarm.name.removeprefix("monitoring-alarms-"): tuple(alarm.inputs[key] for key in keys)
        for alarm in made.all(ALARM)
    }
    expected = {
        "stuck-gpu": (600, 1, 2700),
        "deep-gpu": (600, 6, 7),
        "at-max-gpu": (600, 12, 0),
        "failed-gpu": (300, 1, 3),
        "analysis-fails-again": (86400, 1, 2),
        "no-success": (3600, 50, 1),
        "running-cost": (600, 1, 9.5),
        "not-measured": (600, 3, 1),
    }
    assert {label: found[label] for label in expected} == expected
    assert all(
        "\nRunbook: https://wiki.example.com/runbook#" in alarm.inputs["alarmDescription"]
        for alarm in made.all(ALARM)
    )
    clock = made.one("aws:cloudwatch/eventRule:EventRule", "monitoring-measure-calls")
    assert clock.inputs["scheduleExpression"] == "rate(10 minutes)"


def test_a_cost_alarm_without_prices_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = ec2_facts().model_copy(
        update={"prices": ec2_facts().prices.model_copy(update={"region": "eu-west-1"})}
    )
    monkeypatch.setattr(measuring_module, "ec2_facts", lambda: elsewhere)
    with pytest.raises(
        pulumi.RunError,
        match=r"needs the price .* has none of it\. Fix: python scripts/refresh_ec2_facts",
    ):
        deploy("dev", changes={"monitoring": {"running_usd_per_hour": 10}})


def test_a_cost_alarm_names_the_types_without_a_price() -> None:
    types = {"spot-cpu": {"instance_types": ["c6i.xlarge", "c6i.huge"]}}
    with pytest.raises(
        pulumi.RunError,
        match=r"in us-east-1, and config/ec2_facts\.json lacks c6i\.huge\. Fix: corr",
    ):
        deploy("local", changes={"environments": types})


@pytest.mark.parametrize("stack", STACKS)
def test_the_measure_function_knows_all_queues_and_environments_and_only_looks(stack: str) -> None:
    made = deployed(stack)
    told = json.loads(
        made.one(FUNCTION, "monitoring-measure-look").inputs["environment"]["variables"][
            "PIPELINE_MEASURED"
        ]
    )
    queues = {queue.outputs["arn"] for queue in made.all("aws:batch/jobQueue:JobQueue")}
    environments = {
        each.outputs["arn"] for each in made.all("aws:batch/computeEnvironment:ComputeEnvironment")
    }
    assert set(told["queues"].values()) == queues
    assert {each["arn"] for each in told["environments"].values()} == environments
    assert all(each["rates"]["vcpu"] > 0 for each in told["environments"].values())
    role = made.policy(made.one("aws:iam/rolePolicy:RolePolicy", "monitoring-measure-look-role"))
    actions = {
        action
        for each in role
        if each["Sid"] not in {"WriteLogs", "KeepDeadLetters"}
        for action in each["Action"]
    }
    on_fargate = any(
        each.kind.startswith("fargate") for each in config_of(stack).environments.values()
    )
    described = (
        {"batch:DescribeJobs"} if on_fargate else set()
    )  # by what else could it be told what a job there reserves
    assert (
        actions
        == {
            "batch:ListJobs",
            "batch:DescribeComputeEnvironments",
            "batch:GetJobQueueSnapshot",
        }
        | described
    )


@pytest.mark.parametrize("stack", STACKS)
def test_dead_letters_of_the_functions_that_tell_are_tried_again_and_of_no_others(
    stack: str,
) -> None:
    made = deployed(stack)
    notifiers = ("notify", "alarm")
    queues = {
        name: made.one("aws:sqs/queue:Queue", f"monitoring-{name}-dead-letters")
        for name in notifiers
    }
    functions = {name: made.one(FUNCTION, f"monitoring-{name}") for name in notifiers}
    redrive = made.one(FUNCTION, "monitoring-redrive-pass")
    told = json.loads(redrive.inputs["environment"]["variables"][ENV_REDRIVEN])
    assert told == {
        name: {"url": queues[name].outputs["url"], "function": functions[name].outputs["name"]}
        for name in notifiers
    }
    role = {
        each["Sid"]: (each["Action"], each["Resource"])
        for each in made.policy(made.one(ROLE_POLICY, "monitoring-redrive-pass-role"))
    }
    of_messages = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]
    assert role.pop("DeadLetters") == (
        of_messages,
        [queues[name].outputs["arn"] for name in notifiers],
    )
    assert role.pop("CallFunctions") == (
        ["lambda:InvokeFunction"],
        [functions[name].outputs["arn"] for name in notifiers],
    )
    assert role.keys() == {"WriteLogs", "KeepDeadLetters"}
    assert all(each.inputs["timeout"] < SECONDS_FOR_ONE for each in functions.values())
    assert redrive.inputs["timeout"] == HIDDEN_SECONDS, "no message is received twice in one pass"
    clock = made.one("aws:cloudwatch/eventRule:EventRule", "monitoring-redrive-clock")
    minutes = int(re.fullmatch(r"rate\((\d+) minutes\)", clock.inputs["scheduleExpression"])[1])  # type: ignore[index]
    shortest = min(
        alarm.inputs["period"]
        for alarm in made.all(ALARM)
        if alarm.inputs["namespace"] in {"AWS/SQS", "AWS/Lambda"}
    )
    assert redrive.inputs["timeout"] < minutes * 60 < shortest, (
        "an alarm lasts as long as its cause"
    )


def _is_of_one(title: str) -> bool:
    return title.startswith(("Jobs of queue ", "vCPUs of environment "))


@pytest.mark.parametrize("stack", STACKS)
def test_the_dashboard_shows_metrics_that_somebody_publishes(stack: str) -> None:
    made = deployed(stack)
    widgets = json.loads(made.one("aws:cloudwatch/dashboard:Dashboard").inputs["dashboardBody"])[
        "widgets"
    ]
    alarms = {alarm.outputs["arn"] for alarm in [*made.all(ALARM), *made.all(COMPOSITE)]}
    assert set(widgets[0]["properties"]["alarms"]) == alarms
    own = {
        value for name, value in vars(metrics).items() if name.isupper() and isinstance(value, str)
    }
    own |= {metrics.jobs_metric(status) for status in metrics.QUEUE_STATES}
    shown = [row for widget in widgets[1:] for row in widget["properties"]["metrics"]]
    assert len(shown) > 30
    assert {row[1] for row in shown if row[0] == metrics.NAMESPACE} <= own
    # a queue more leaves the others at their positions, by which a diff compares
    of_one = [_is_of_one(widget["properties"]["title"]) for widget in widgets]
    assert of_one == sorted(of_one)
    places = [(widget["x"], widget["y"]) for widget in widgets]
    assert len(places) == len(set(places))
    queries = made.all("aws:cloudwatch/queryDefinition:QueryDefinition")
    groups = {group.outputs["name"] for group in made.all("aws:cloudwatch/logGroup:LogGroup")}
    assert all(set(query.inputs["logGroupNames"]) <= groups for query in queries)


def test_alarms_can_publish_to_the_encrypted_topic() -> None:
    made = deployed("prod")
    topic, key = made.one("aws:sns/topic:Topic"), made.one("aws:kms/key:Key")
    assert topic.inputs["kmsMasterKeyId"] == key.outputs["arn"]
    assert key.inputs["enableKeyRotation"] is True
    own = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    alarms = {"Service": "cloudwatch.amazonaws.com"}
    publish = made.policy(made.one("aws:sns/topicPolicy:TopicPolicy"))
    plain_http = {"Bool": {"aws:SecureTransport": "false"}}
    assert [(s["Effect"], s["Principal"], s["Action"], s["Condition"]) for s in publish] == [
        ("Allow", alarms, ["sns:Publish"], own),
        ("Deny", "*", ["sns:Publish"], plain_http),
    ]
    encrypt = next(s for s in made.policy(key) if s["Sid"] == "Alarms")
    assert (encrypt["Principal"], encrypt["Action"], encrypt["Condition"]) == (
        alarms,
        ["kms:Decrypt", "kms:GenerateDataKey*"],
        own,
    )


def test_one_subscription_for_each_address() -> None:
    addresses = ["a@example.com", "b@example.com"]
    made = deploy("dev", changes={"monitoring": {"emails": addresses}})
    function = made.one(FUNCTION, "monitoring-alarm").outputs["arn"]
    found = [(s.inputs["protocol"], s.inputs["endpoint"]) for s in made.all(SUBSCRIPTION, count=3)]
    assert sorted(found) == [*(("email", address) for address in addresses), ("lambda", function)]
    assert (
        made.one(SUBSCRIPTION, "monitoring-alarm-topic").inputs["topic"]
        == made.one("aws:sns/topic:Topic").outputs["arn"]
    )

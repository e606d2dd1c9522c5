"""`doctor`, `rightsize`, `drift` and `refresh` on a deployed stack, in the in-memory AWS: well,
then with one thing planted after the other.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from cli import pulumi as pulumi_cli
from cli import refresh, service
from cli.doctor import command as doctor
from cli.doctor import drift
from cli.doctor.checks import examine
from cli.doctor.patient import Patient
from cli.errors import ExitCode
from cli.rightsize import command as rightsize
from cli.schema import document_schema
from cli.service import Endpoint
from cli.target import Target
from cli.why.account import Account
from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import deploy
from localcloud.deployment.engine.checkpoint import checkpoint
from tests.support.documents import validated
from workloads.contract import STAGES, Run
from workloads.records import StageRecord, Used

ROOT = Path(__file__).parents[2]
_AS_IT_CAME = "after-call.*.*"
"""Before botocore's own handlers, whose names are less deep, decode what is in an answer."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cloud")


@pytest.fixture(scope="module")
def at(folder: Path) -> Iterator[tuple[LocalCloud, Target]]:
    with LocalCloud(folder, images={}) as cloud:
        secrets = {"batch-reference:slack-webhook-url": cloud.slack.url}
        made = deploy(ROOT, "local", cloud.client, secrets=secrets)
        state = checkpoint(
            made.state,
            exports=made.outputs,
            settings={"region": cloud.region},
            passphrase=pulumi_cli.PASSPHRASE,
        )
        (folder / "stack.json").write_text(state)
        yield (
            cloud,
            Target(
                outputs=made.outputs,
                endpoint_url=cloud.endpoint_url,
                credentials=cloud.deployer.credentials,
            ),
        )


def errors(at: tuple[LocalCloud, Target]) -> dict[str, str]:
    """Check -> the errors that it found."""
    cloud, target = at
    account = Account(client=target.client, outputs=target.outputs, now=cloud.now)
    found: dict[str, str] = {}
    for each in examine(Patient(account)):
        if each.level == "error":
            assert each.fix
            found[each.check] = f"{found.get(each.check, '')} {each.what}".strip()
    return found


class Denying:
    """Clients of a cloud that are denied some operations.

    An answer is asked for once: two hundred looks at a stack that stays as it is would be
    thousands of calls.
    """

    def __init__(self, cloud: LocalCloud) -> None:
        self._client = cloud.client
        self.denied = {"*"}
        self.asked: set[str] = set()
        self._clients: dict[str, Any] = {}
        self._answers: dict[tuple[str, ...], Any] = {}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            events = self._client(service).meta.events
            events.register("before-call", self._before)
            events.register(_AS_IT_CAME, self._after)
            self._clients[service] = self._client(service)
        return self._clients[service]

    def end(self) -> None:
        """The cloud keeps its clients."""
        for made in self._clients.values():
            made.meta.events.unregister("before-call", self._before)
            made.meta.events.unregister(_AS_IT_CAME, self._after)

    def _before(self, model: Any, params: Any, context: dict[str, Any], **_: Any) -> Any:
        operation = f"{model.service_model.service_name}.{model.name}"
        self.asked.add(operation)
        if self.denied & {"*", operation}:
            raise ClientError({"Error": {"Code": "AccessDeniedException"}}, model.name)
        context["question"] = operation, params["url"], str(params["body"])
        return deepcopy(self._answers.get(context["question"]))

    def _after(self, http_response: Any, parsed: Any, context: dict[str, Any], **_: Any) -> None:
        if http_response.status_code < 300 and "Body" not in parsed:
            self._answers[context["question"]] = (
                HttpAnswer(http_response.status_code),
                deepcopy(parsed),
            )


@dataclass(frozen=True)
class HttpAnswer:
    """What botocore asks an answer for."""

    status_code: int


def test_what_aws_does_not_tell_is_a_warning_and_nothing_else(
    at: tuple[LocalCloud, Target],
) -> None:
    cloud, target = at
    aws = Denying(cloud)

    def findings(*denied: str) -> dict[str, set[str]]:
        aws.denied = set(denied)
        account = Account(client=aws.client, outputs=target.outputs, now=cloud.now)
        found: dict[str, set[str]] = {"ok": set(), "warning": set(), "error": set()}
        for each in examine(Patient(account)):
            found[each.level].add(each.what)
        return found

    try:
        nothing = findings("*")
        assert (nothing["ok"], nothing["error"]) == (set(), set())
        assert len(nothing["warning"]) > 5
        well = findings()
        assert len(aws.asked) > 15
        for operation in sorted(aws.asked):
            found = findings(operation)
            assert found["error"] <= well["error"], operation
            assert found["ok"] <= well["ok"], operation
            assert found != well, operation
    finally:
        aws.end()


# the rehearsal pushes no images, and its jobs need none
ALWAYS = {"jobs"}


def test_a_healthy_stack_has_no_error(
    at: tuple[LocalCloud, Target], capsys: pytest.CaptureFixture[str]
) -> None:
    target = at[1]
    assert set(errors(at)) <= ALWAYS
    console = Console(file=io.StringIO(), width=100)
    doctor.show(console, target, as_json=False)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for words in ("none of ", "is VALID and ENABLED", "US dollars of the month", "are ACTIVE"):
        assert words in text
    assert "not seen" not in text
    doctor.show(console, target, as_json=True)
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, document_schema("doctor"))
    assert len(document["findings"]) > 15


def plant_dead_letter(cloud: LocalCloud, outputs: dict[str, Any]) -> None:
    url = outputs["dead_letter_queues"]["notify"]["url"]
    cloud.client("sqs").send_message(QueueUrl=url, MessageBody="{}")


def plant_function_error(cloud: LocalCloud, outputs: dict[str, Any]) -> None:
    cloud.client("cloudwatch").put_metric_data(
        Namespace="AWS/Lambda",
        MetricData=[
            {
                "MetricName": "Errors",
                "Dimensions": [{"Name": "FunctionName", "Value": outputs["notify_function"]}],
                "Value": 3,
            }
        ],
    )


def plant_no_concurrency(cloud: LocalCloud, outputs: dict[str, Any]) -> None:
    cloud.client("lambda").put_function_concurrency(
        FunctionName=outputs["submit_function"], ReservedConcurrentExecutions=0
    )


def plant_alarm(cloud: LocalCloud, outputs: dict[str, Any]) -> None:
    alarms = cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    name = next(a["AlarmName"] for a in alarms if outputs["alarm_topic_arn"] in a["AlarmActions"])
    cloud.client("cloudwatch").set_alarm_state(
        AlarmName=name, StateValue="ALARM", StateReason="planted"
    )


def plant_invalid_environment(cloud: LocalCloud, outputs: dict[str, Any]) -> None:
    found = cloud.batch.store.environment(outputs["environments"]["nodes"])
    assert found is not None
    found.status, found.status_reason = "INVALID", "planted"


def plant_disabled_queue(cloud: LocalCloud, outputs: dict[str, Any]) -> None:
    cloud.client("batch").update_job_queue(jobQueue=outputs["queues"]["main"], state="DISABLED")


def plant_deleted_secret(cloud: LocalCloud, outputs: dict[str, Any]) -> None:
    for secret in cloud.client("secretsmanager").list_secrets()["SecretList"]:
        cloud.client("secretsmanager").delete_secret(SecretId=secret["ARN"])


def plant_spent_budget(cloud: LocalCloud, outputs: dict[str, Any]) -> None:
    sts, budgets = cloud.client("sts"), cloud.client("budgets")
    account = sts.get_caller_identity()["Account"]
    (budget,) = budgets.describe_budgets(AccountId=account)["Budgets"]
    cloud.spend(budget["BudgetName"], float(budget["BudgetLimit"]["Amount"]) + 1)


def plant_missing_log_group(cloud: LocalCloud, outputs: dict[str, Any]) -> None:
    cloud.client("logs").delete_log_group(logGroupName=outputs["log_groups"]["analysis"])


@pytest.fixture(scope="module")
def seen() -> dict[str, str]:
    """What the test before has found, after which nothing was planted."""
    return {}


@pytest.mark.parametrize(
    ("plant", "check", "words"),
    [
        (plant_dead_letter, "letters", "1 event of"),
        (plant_function_error, "functions", "failed 3 of"),
        (plant_no_concurrency, "functions", "reserved concurrency is 0"),
        (plant_alarm, "alarms", "is in ALARM: planted"),
        (plant_invalid_environment, "compute", "nodes is INVALID: planted"),
        (plant_disabled_queue, "queues", "main is disabled"),
        (plant_spent_budget, "budget", "101.00 of 100.00 US dollars"),
        (plant_missing_log_group, "log groups", "of analysis does not exist"),
        (plant_deleted_secret, "secrets", "about to be deleted"),
    ],
)
def test_what_is_wrong_is_found(
    at: tuple[LocalCloud, Target],
    seen: dict[str, str],
    plant: Callable[[LocalCloud, dict[str, Any]], None],
    check: str,
    words: str,
) -> None:
    before = seen or errors(at)
    assert words not in before.get(check, "")
    plant(at[0], dict(at[1].outputs))
    now = errors(at)
    assert words in now[check]
    seen.update(now)


# ---- rightsize -----------------------------------------------------------------------------------


def test_rightsize_reads_the_records_and_writes_the_file(
    at: tuple[LocalCloud, Target], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud, target = at
    used = Used(
        source="cgroup",
        memory_mib=700,
        cpu_seconds=30,
        mean_cpus=0.5,
        peak_cpus=0.8,
        disk_mib=10,
        gpus=0,
        gpu_percent=None,
        gpu_memory_mib=None,
    )
    for day in range(1, 8):
        run = Run(f"202601{day:02d}-sales-0123456789ab")
        item = {
            **{name: {"S": value} for name, value in run.state_key.items()},
            "run_id": {"S": run.run_id},
            "state": {"S": "SUCCEEDED"},
            "first_claimed_ms": {"N": str(int((cloud.now() - day * 86_400) * 1000))},
        }
        cloud.client("dynamodb").put_item(TableName=target.outputs["table"], Item=item)
        for stage in STAGES:
            record = StageRecord(
                stage=stage,
                run_id=run.run_id,
                started_at="",
                seconds=600.0,
                attempt=1,
                job_id="j",
                details={"input_bytes": day * 1_000_000},
                used=used,
            )
            cloud.client("s3").put_object(
                Bucket=target.outputs["results_bucket"],
                Key=run.stage_record_key(stage),
                Body=record.to_json(),
            )
    file = tmp_path / "Pulumi.local.yaml"
    before = (ROOT / "Pulumi.local.yaml").read_text()
    file.write_text(before)
    err = Console(file=io.StringIO())
    said = Console(file=io.StringIO(), width=120)
    asked: dict[str, Any] = {"margin_percent": 20, "runs": 200}
    rightsize.show(said, err, target, apply_to=None, as_json=False, **asked)
    assert file.read_text() == before
    text = said.file.getvalue()  # type: ignore[attr-defined]
    assert "-      memory_mib: 4096" in text
    assert "+      memory_mib: 1024" in text
    rightsize.show(said, err, target, apply_to=file, as_json=True, **asked)
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, document_schema("rightsize"))
    assert document["applied"] is True
    assert document["saves_usd_a_month"] > 0
    assert document["stages"][0]["changes"] == {
        "jobs.preprocess.memory_mib": 1024,
        "jobs.preprocess.vcpus": 1.0,
    }
    changed = file.read_text()
    assert changed.splitlines()[0] == before.splitlines()[0]  # comments stay
    assert len(changed.splitlines()) == len(before.splitlines())
    rightsize.show(said, err, target, apply_to=file, as_json=False, **asked)
    assert said.file.getvalue().rstrip().endswith("nothing to change")  # type: ignore[attr-defined]


# ---- drift ---------------------------------------------------------------------------------------


def test_drift_and_refresh_of_the_rehearsal_say_what_was_changed_by_hand(
    at: tuple[LocalCloud, Target],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cloud, target = at
    up = Endpoint(
        pid=os.getpid(),
        started=0.0,
        stack="local",
        url=cloud.endpoint_url,
        access_key=cloud.deployer.access_key,
        secret=cloud.deployer.secret,
        account_id=cloud.account_id,
        job_path="",
        images=(),
        containers="",
        limits_not_enforced=(),
        roles={},
        outputs=target.outputs,
        pulumi={"checkpoint": str(folder / "stack.json")},
    )
    monkeypatch.setattr(service, "running", lambda: up)
    queue = target.outputs["queues"]["main"]
    cloud.client("batch").update_job_queue(jobQueue=queue, priority=77, state="ENABLED")
    console = Console(file=io.StringIO())
    assert drift.show(console, "", as_json=True) == ExitCode.NOT_READY
    found = validated("drift", capsys.readouterr().out)["differences"]
    assert {"update": ["priority"]} in [
        {each["operation"]: each["properties"]} for each in found if each["name"] == "queues-main"
    ]
    refresh.run(console, as_json=True)
    changed = validated("refresh", capsys.readouterr().out)
    assert {"priority": "update"} in [each["paths"] for each in changed]

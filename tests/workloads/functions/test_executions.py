"""Runs of the state machine: begun once whatever is repeated, ended once whichever event comes
first.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from tests.workloads.functions.metrics_table import (
    aws_with_table,
    metrics_table,
    webhook_secret,
)
from tests.workloads.functions.slack_server import slack_server
from workloads import contract
from workloads.contract import ContractError, Run, Upload
from workloads.functions import executions, notify, submit
from workloads.functions.states import RunStates
from workloads.variables import (
    ENV_DEADLINE_HOURS,
    ENV_INPUT_VERSION_ID,
    ENV_RESULTS_BUCKET,
    ENV_STATE_MACHINE_ARN,
)

UPLOAD = Upload(bucket="ingest", key="data/20260131/Sales EU.csv", etag="0123", version_id="v1")
RUN = Run(UPLOAD.run_id)
DEFINITION = json.dumps(
    {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 1, "End": True}}}
)
CONTEXT = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A state machine that moto keeps without executing it."""
    environ = {ENV_DEADLINE_HOURS: "24", ENV_RESULTS_BUCKET: "results"}
    with aws_with_table(monkeypatch, environ), slack_server() as server:
        webhook_secret(monkeypatch, server.url)
        role = "arn:aws:iam::123456789012:role/r"
        arn = boto3.client("stepfunctions").create_state_machine(
            name="m", definition=DEFINITION, roleArn=role
        )["stateMachineArn"]
        monkeypatch.setenv(ENV_STATE_MACHINE_ARN, arn)
        yield arn


def _upload(*, again: bool = False) -> dict[str, Any]:
    found = {"key": UPLOAD.key, "etag": UPLOAD.etag, "version-id": UPLOAD.version_id}
    detail = {
        "bucket": {"name": UPLOAD.bucket},
        "object": found,
        **({"again": True} if again else {}),
    }
    return submit.handler({"detail": detail}, CONTEXT)


def _ended(
    machine: str,
    status: str = "FAILED",
    *,
    attempt: int = 1,
    start_ms: int | None = None,
    **changes: Any,
) -> dict[str, Any]:
    name = RUN.execution_name(attempt)
    detail = {
        "executionArn": f"{machine.replace(':stateMachine:', ':execution:')}:{name}",
        "stateMachineArn": machine,
        "name": name,
        "status": status,
        "startDate": int(time.time() * 1000) if start_ms is None else start_ms,
        "input": json.dumps(
            {
                "run_id": RUN.run_id,
                "environment": [{"Name": "PIPELINE_INPUT_KEY", "Value": UPLOAD.key}],
            }
        ),
        **changes,
    }
    event = {
        "source": "aws.states",
        "detail-type": "Step Functions Execution Status Change",
        "region": "eu-west-1",
        "detail": detail,
    }
    return notify.handler(event, None)


def _state() -> dict[str, Any]:
    return RunStates(metrics_table()).get(RUN)


def _executions(machine: str) -> list[str]:
    found = boto3.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    return sorted(each["name"] for each in found)


def test_one_execution_for_each_upload_however_often_its_event_comes(machine: str) -> None:
    first = _upload()
    assert first["outcome"] == "submitted"
    assert [_upload()["outcome"] for _ in range(3)] == ["exists"] * 3
    assert _executions(machine) == [RUN.execution_name()]
    execution = boto3.client("stepfunctions").describe_execution(executionArn=first["execution"])
    given = json.loads(execution["input"])
    assert given["run_id"] == RUN.run_id
    assert given["key"] == RUN.state_key
    assert given["jobs"]["analysis"] == RUN.job_name("analysis")
    assert {"Name": ENV_INPUT_VERSION_ID, "Value": "v1"} in given["environment"]
    state = _state()
    assert (state["state"], state["jobs"], state["attempt"], state["execution_arn"]) == (
        "SUBMITTED",
        {},
        1,
        first["execution"],
    )


def test_whoever_takes_over_after_a_crash_starts_nothing_new(
    machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as planted:
        planted.setattr(RunStates, "write_execution", crash)
        with pytest.raises(KeyboardInterrupt):
            _upload()
    assert _state()["state"] == "CLAIMED"
    later = time.time() + 300
    monkeypatch.setattr(submit, "time", SimpleNamespace(time=lambda: later, sleep=lambda _: None))
    assert _upload()["outcome"] == "submitted"
    assert _executions(machine) == [RUN.execution_name()]
    assert _state()["state"] == "SUBMITTED"


def test_an_ended_run_begins_again_only_where_somebody_says_so(machine: str) -> None:
    _upload()
    assert _upload(again=True)["outcome"] == "exists", "it has not ended"
    assert (
        _ended(machine, error="Batch.ClientException", cause="queue is disabled")["outcome"]
        == "failed"
    )
    assert "queue is disabled" in _state()["failure"]["error"]
    old = int(_state()["ended_ms"]) - 1
    assert _upload()["outcome"] == "exists"

    assert _upload(again=True)["outcome"] == "submitted"

    state = _state()
    assert (state["state"], state["attempt"], state["jobs"]) == ("SUBMITTED", 2, {})
    assert "failure" not in state
    assert _executions(machine) == [RUN.execution_name(), RUN.execution_name(2)]
    assert _ended(machine, "ABORTED", start_ms=old)["outcome"] == "ended already", (
        "an event of the first attempt"
    )
    assert _state()["state"] == "SUBMITTED"


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        ("TIMED_OUT", None, "an hour after its deadline"),
        ("ABORTED", None, "somebody stopped the execution"),
        ("FAILED", "DeadlineExceeded", "was not done by"),
        ("FAILED", "Batch.BatchException", "could not go on"),
    ],
)
def test_each_end_is_told_once(machine: str, status: str, error: str | None, says: str) -> None:
    _upload()
    began = int(time.time() * 1000) - 1000
    results = [
        _ended(machine, status, start_ms=began, error=error, cause="it was not done by noon")[
            "outcome"
        ]
        for _ in range(2)
    ]
    assert results == ["failed", "ended already"]
    state = _state()
    assert says in state["failure"]["error"]
    assert state["told_at"]


def test_ends_of_which_others_tell_change_nothing(machine: str) -> None:
    _upload()
    assert _ended(machine, error=contract.JOB_FAILED_ERROR)["outcome"] == "ignored"
    assert _ended(machine, "SUCCEEDED")["outcome"] == "ignored"
    job = {
        "jobId": "j",
        "status": "FAILED",
        "tags": {contract.RUN_ID_TAG: RUN.run_id, contract.FALLBACK_TAG: "follows"},
    }
    assert notify.handler({"source": "aws.batch", "detail": job}, None)["outcome"] == "fallback"
    assert _state()["state"] == "SUBMITTED"


@pytest.mark.parametrize("attempt", [1, 2, 17])
def test_names_of_executions_fit_and_differ(attempt: int) -> None:
    runs = [
        Run(Upload(bucket="b", key=f"data/20260131/{'x' * 70}.csv", etag=etag).run_id)
        for etag in ("1", "2")
    ]
    names = {run.execution_name(attempt) for run in runs} | {
        run.execution_name(attempt + 1) for run in runs
    }
    assert len(names) == 4
    assert max(map(len, names)) <= 80
    assert RUN.execution_name() == RUN.run_id


def test_a_deadline_that_is_no_number_is_said(
    machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert machine
    monkeypatch.setenv(ENV_DEADLINE_HOURS, "soon")
    with pytest.raises(ContractError, match="expected a number of hours"):
        executions.Settings.from_env()

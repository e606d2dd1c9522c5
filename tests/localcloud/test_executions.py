"""Executions of state machines begin and end when the call that starts or stops them is answered,
as on AWS, whatever the threads do.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.stepfunctions.parser.asl.component.program.program import Program
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField

from localcloud.deployment.provider import Provider
from localcloud.services.execution_waits import PACE
from tests.localcloud.conftest import Stage, until
from tests.localcloud.deploying import REGION

ENDS = {"ExecutionAborted", "ExecutionFailed", "ExecutionSucceeded", "ExecutionTimedOut"}
WAITS = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 300, "End": True}}}
TURNS = {
    "StartAt": "A",
    "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"}},
}


class Machine:
    """A state machine and its executions."""

    def __init__(self, stage: Stage, definition: dict[str, Any]) -> None:
        self.stage, self.client = stage, stage.client("stepfunctions")
        role = stage.role("states.amazonaws.com")
        made = self.client.create_state_machine(
            name=stage.name("machine"), definition=json.dumps(definition), roleArn=role
        )
        self.arn = made["stateMachineArn"]

    def start(self) -> str:
        return str(
            self.client.start_execution(
                stateMachineArn=self.arn, name=self.stage.name("execution")
            )["executionArn"]
        )

    def status(self, execution: str) -> str:
        return str(self.client.describe_execution(executionArn=execution)["status"])

    def history(self, execution: str) -> list[str]:
        return [
            event["type"]
            for event in self.client.get_execution_history(executionArn=execution)["events"]
        ]

    def counted(self, metric: str) -> int:
        now = datetime.now(UTC)
        found = self.stage.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/States",
            MetricName=metric,
            Dimensions=[{"Name": "StateMachineArn", "Value": self.arn}],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=86400,
            Statistics=["Sum"],
        )
        return int(sum(point["Sum"] for point in found["Datapoints"]))


def _late(monkeypatch: pytest.MonkeyPatch, owner: type, method: str) -> None:
    """The interpreter's threads come to a method late, as on a busy machine."""
    original = getattr(owner, method)

    def late(self: Any, env: Any) -> None:
        time.sleep(0.05)
        original(self, env)

    monkeypatch.setattr(owner, method, late)


FOUND = {
    "jobs": [{"id": "a", "container": {"code": 137}}, {"id": "b", "container": {}}],
    "names": {"first": 1},
}
PATHS = {
    # path: what it gives
    "$.jobs[*].container.code": [137],
    "$.jobs[*].id": ["a", "b"],
    "$.jobs[*].container.reason": [],
    "$.jobs[?(@.id == 'b')].id": ["b"],
    "$.jobs[0:1].container.code": [137],
    "$..code": [137],
    "$.names.*": [1],
    "$.jobs[0].container.code": 137,
    "$.names.first": 1,
}


def test_a_path_that_may_name_several_values_gives_a_list(stage: Stage) -> None:
    given = {f"at{number}.$": path for number, path in enumerate(PATHS)}
    states = {
        "Found": {"Type": "Pass", "Result": FOUND, "Next": "Read"},
        "Read": {"Type": "Pass", "Parameters": given, "End": True},
    }
    machine = Machine(stage, {"StartAt": "Found", "States": states})
    execution = machine.start()
    until(lambda: machine.status(execution) != "RUNNING")
    output = machine.client.describe_execution(executionArn=execution)["output"]
    assert dict(zip(PATHS, json.loads(output).values(), strict=True)) == PATHS


@pytest.mark.parametrize(("owner", "method"), [(Program, "eval"), (CommonStateField, "_set_next")])
def test_what_is_stopped_is_aborted_with_the_answer_and_counted_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, owner: type, method: str
) -> None:
    _late(monkeypatch, owner, method)
    machine = Machine(stage, TURNS)
    for number in range(1, 4):
        execution = machine.start()
        stopped = machine.client.stop_execution(executionArn=execution)
        assert machine.status(execution) == "ABORTED"
        assert stopped["stopDate"] is not None
        assert machine.counted("ExecutionsAborted") == number
        until(
            lambda: machine.history(execution)[-1] in ENDS,  # noqa: B023
            what=lambda: machine.history(execution),  # noqa: B023
        )
        assert machine.history(execution)[-1] == "ExecutionAborted"
        assert machine.status(execution) == "ABORTED"
    assert machine.counted("ExecutionsAborted") == 3
    assert machine.counted("ExecutionsFailed") == 0


def test_a_second_stop_and_a_stop_after_the_end_change_nothing(stage: Stage) -> None:
    machine = Machine(stage, {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
    execution = machine.start()
    until(lambda: machine.status(execution) == "SUCCEEDED", what=lambda: machine.status(execution))
    machine.client.stop_execution(executionArn=execution)
    assert machine.status(execution) == "SUCCEEDED"
    waiting = Machine(stage, WAITS)
    execution = waiting.start()
    for _ in range(2):
        waiting.client.stop_execution(executionArn=execution)
    assert waiting.status(execution) == "ABORTED"
    assert (machine.counted("ExecutionsSucceeded"), machine.counted("ExecutionsAborted")) == (1, 0)
    assert waiting.counted("ExecutionsAborted") == 1


def test_a_machine_is_deleting_until_its_executions_come_to_another_state(stage: Stage) -> None:
    first: dict[str, Any] = {"Type": "Wait", "Seconds": 10, "Next": "Wait"}
    states: dict[str, Any] = {"First": first, "Wait": {"Type": "Succeed"}}
    machine = Machine(stage, {"StartAt": "First", "States": states})
    execution = machine.start()
    assert machine.status(execution) == "RUNNING"
    described = machine.client.describe_state_machine(stateMachineArn=machine.arn)
    machine.client.delete_state_machine(stateMachineArn=machine.arn)
    machine.client.delete_state_machine(stateMachineArn=machine.arn)
    now = machine.client.describe_state_machine(stateMachineArn=machine.arn)
    assert (described["status"], now["status"]) == ("ACTIVE", "DELETING")
    assert machine.status(execution) == "RUNNING"
    with pytest.raises(ClientError, match="StateMachineDeleting"):
        machine.start()
    with pytest.raises(ClientError, match="StateMachineDeleting"):
        machine.client.update_state_machine(stateMachineArn=machine.arn, definition="{}")
    with pytest.raises(ClientError, match="StateMachineDeleting"):
        machine.client.create_state_machine(
            name=described["name"],
            definition=described["definition"],
            roleArn=described["roleArn"],
        )
    provider = Provider(client=stage.client, config={"aws:region": REGION}, preview=False)
    made = SimpleNamespace(id=machine.arn, inputs={}, outputs={})
    provider.delete("aws:sfn/stateMachine:StateMachine", made)  # comes back when it is gone
    assert machine.counted("ExecutionsAborted") == 1
    with pytest.raises(ClientError, match="StateMachineDoesNotExist"):
        machine.client.describe_state_machine(stateMachineArn=machine.arn)


def test_a_machine_without_executions_is_gone_at_once(stage: Stage) -> None:
    machine = Machine(stage, {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
    execution = machine.start()
    until(lambda: machine.status(execution) == "SUCCEEDED")
    machine.client.delete_state_machine(stateMachineArn=machine.arn)
    with pytest.raises(ClientError, match="StateMachineDoesNotExist"):
        machine.client.describe_state_machine(stateMachineArn=machine.arn)


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine keeps the time of another zone."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("tokyo")
def test_a_wait_lasts_a_part_of_its_seconds_and_until_its_moment(stage: Stage) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=3)
    states = {
        "Wait": {"Type": "Wait", "Seconds": 5, "Next": "Until"},
        "Until": {"Type": "Wait", "Timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ"), "End": True},
    }
    machine = Machine(stage, {"StartAt": "Wait", "States": states})
    began = time.monotonic()
    execution = machine.start()
    until(lambda: "WaitStateExited" in machine.history(execution), what="the wait does not end")
    assert time.monotonic() - began >= 5 * PACE
    until(lambda: machine.status(execution) == "SUCCEEDED", what="the moment does not come")
    assert datetime.now(UTC) >= moment.replace(microsecond=0)

"""What moto's interpreter of state machines lacks: calls under the machine's role, the casing of
AWS integrations, times, events, metrics.

moto executes Amazon States Language, but in it the conversion between the names of Step Functions
(`JobName`) and of the SDK (`jobName`) is empty (getmoto/moto#10076), every call is signed alike,
and nobody hears that an execution has ended, nor counts it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

from botocore import xform_name
from botocore.session import get_session
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.component.state.choice.comparison.operator.implementations.is_operator import (  # noqa: E501
    IsTimestamp,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service as service_task,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_aws_sdk as sdk_task,
)
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

from localcloud.moto.state import AwsState
from localcloud.services import execution_speed, execution_waits, json_paths, map_runs
from localcloud.services.execution_ends import ExecutionEnds
from localcloud.services.execution_jobs import ExecutionJobs
from localcloud.services.execution_logs import log_end
from localcloud.services.machine_deletions import MachineDeletions

RoleClient = Callable[[str, str, str], Any]
"""(service, role ARN, service principal) -> boto3 client of a role."""
Publish = Callable[[str, str, list[str], dict[str, Any]], None]
"""(source, detail type, resources, detail): sends an event to the default bus in the background."""

_STATES: Final = "states.amazonaws.com"
_TASKS: Final = "moto.stepfunctions.parser.asl.component.state.exec.state_task."
_CALLERS: Final = (
    "lambda_eval_utils",
    *(
        f"service.state_task_service_{name}"
        for name in ("aws_sdk", "batch", "dynamodb", "events", "sfn", "sns", "sqs")
    ),
)
"""Modules that make clients."""
Count = Callable[[str, str], None]
"""(state machine ARN, metric): counts one in `AWS/States` (Step Functions developer guide,
"Execution metrics").
"""
_ENDS: Final = {
    "SUCCEEDED": "Succeeded",
    "FAILED": "Failed",
    "TIMED_OUT": "TimedOut",
    "ABORTED": "Aborted",
}
_THROTTLED_SECONDS: Final = 0.05


@contextlib.contextmanager
def interpreter(
    state: AwsState,
    role_client: RoleClient,
    publish: Publish,
    count: Count,
    throttled: threading.Event,
    require: map_runs.Require,
) -> Iterator[None]:
    """Completes moto's interpreter for the time; at the end every execution that still runs is
    stopped.

    While `throttled` is set no execution enters another state, as where an account has used up its
    state transitions.
    """

    def client_for(region: str, service: str, state_credentials: Any = None) -> Any:  # noqa: ARG001 - moto's signature
        return role_client(service, state_credentials.role_arn, _STATES)

    enter = CommonStateField._eval_body  # noqa: SLF001 - no hook

    jobs = ExecutionJobs(lambda role_arn: role_client("batch", role_arn, _STATES))

    def ended(execution: Any) -> None:
        jobs.end(execution)
        log_end(state, execution)
        count(execution.state_machine.arn, f"Executions{_ENDS[execution.exec_status]}")
        publish(
            "aws.states",
            "Step Functions Execution Status Change",
            [execution.exec_arn],
            status_change(execution),
        )
        deletions.ended(execution)

    ends, programs, deletions = ExecutionEnds(ended), _Programs(), MachineDeletions()

    def program(self: Any) -> Any:
        return programs.new(self._evaluation_details.state_machine_details.definition)

    def entered(self: Any, env: Any) -> None:
        ends.entered(env)
        deletions.entered(env)
        _wait_while_throttled(env, throttled, count)
        if env.is_running():
            enter(self, env)

    replaced: list[tuple[Any, str, Any]] = [
        (ExecutionWorker, "_get_evaluation_entrypoint", program),
        (service_task.StateTaskService, "_normalise_parameters", _to_sdk),
        (service_task.StateTaskService, "_normalise_response", _from_sdk),
        *ends.replacements(),
        *deletions.replacements(),
        *jobs.replacements(),
        *map_runs.replacements(require),
        *json_paths.replacements(),
        *execution_waits.replacements(),
        *execution_speed.replacements(),
        (CommonStateField, "_eval_body", entered),
        (IsTimestamp, "string_to_timestamp", staticmethod(_timestamp)),
        # moto has no setting for it
        (sdk_task, "_SERVICE_ERROR_NAMES", {**_error_names(), "batch": "Batch"}),
        *(
            (importlib.import_module(f"{_TASKS}{name}"), "boto_client_for", client_for)
            for name in _CALLERS
        ),
    ]
    originals = [(owner, name, vars(owner)[name]) for owner, name, _ in replaced]
    for owner, name, value in replaced:
        setattr(owner, name, value)
    try:
        yield
    finally:
        jobs.close()
        for running in state.running_executions():
            running.exec_worker.env.set_stop(stop_date=None, error=None, cause=None)
        for owner, name, value in originals:
            setattr(owner, name, value)


def _error_names() -> dict[str, str]:
    """How moto's interpreter spells the services in names of errors."""
    names: dict[str, str] = sdk_task._SERVICE_ERROR_NAMES  # noqa: SLF001
    return names


def _wait_while_throttled(env: Any, throttled: threading.Event, count: Count) -> None:
    """Holds an execution up before it enters a state; ends too where it is stopped meanwhile."""
    if throttled.is_set():
        count(
            env.states.context_object.context_object_data["StateMachine"]["Id"],
            "ExecutionThrottled",
        )
        while throttled.is_set() and env.is_running():
            time.sleep(_THROTTLED_SECONDS)


class _Programs:
    """Parsed definitions: parsing one takes longer than all other work on a short execution, and
    moto does it for each.
    """

    def __init__(self) -> None:
        self._parsed: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def new(self, definition: str) -> Any:
        """A program of one's own, for moto keeps a part of an execution's state in it."""
        with self._lock:
            if definition not in self._parsed:
                program = AmazonStateLanguageParser.parse(definition)[0]
                self._parsed[definition] = pickle.dumps(program)
            parsed = self._parsed[definition]
        return pickle.loads(parsed)  # noqa: S301 - what was pickled here


def _timestamp(text: str) -> datetime | None:
    """An RFC 3339 timestamp; moto takes only those that end in Z, and in its own context object
    they end in +00:00.
    """
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo is not None else None


def status_change(execution: Any) -> dict[str, Any]:
    """The detail of an execution's event (Step Functions developer guide, "EventBridge events for
    execution status changes").
    """
    output = execution.output if execution.exec_status == ExecutionStatus.SUCCEEDED else None
    return {
        "executionArn": execution.exec_arn,
        "stateMachineArn": execution.state_machine.arn,
        "name": execution.name,
        "status": execution.status,
        "startDate": _milliseconds(execution.start_date),
        "stopDate": _milliseconds(execution.stop_date),
        "input": json.dumps(execution.input_data),
        "inputDetails": {"included": True},
        "output": None if output is None else json.dumps(output),
        "outputDetails": None if output is None else {"included": True},
        "error": execution.error,
        "cause": execution.cause,
    }


def _milliseconds(moment: Any) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)


@functools.cache
def _operations(service: str) -> dict[str, Any]:
    """The operations of a service by the names of the SDK's methods."""
    model = get_session().get_service_model(service)
    return {xform_name(name): model.operation_model(name) for name in model.operation_names}


def _operation(task: Any, service: str | None, action: str | None) -> Any:
    name, method = task._get_boto_service_name(service), task._get_boto_service_action(action)  # noqa: SLF001 - overrides look at it too
    return _operations(name).get(method)


def _to_sdk(
    self: Any,
    parameters: Any,
    boto_service_name: str | None = None,
    service_action_name: str | None = None,
) -> None:
    operation = _operation(self, boto_service_name, service_action_name)
    if operation is not None and operation.input_shape is not None:
        self._to_boto_request(parameters, operation.input_shape)


def _from_sdk(
    self: Any,
    response: Any,
    boto_service_name: str | None = None,
    service_action_name: str | None = None,
) -> None:
    operation = _operation(self, boto_service_name, service_action_name)
    if operation is not None and operation.output_shape is not None:
        self._from_boto_response(response, operation.output_shape)

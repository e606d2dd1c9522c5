"""When executions of state machines begin and end: with the answer to the call, as on AWS.

On AWS an execution runs when StartExecution has answered, and is ABORTED when StopExecution has
(Step Functions API reference). moto does both in threads of its own: a stop that comes before the
interpreter has begun fails or is lost, one that falls between two states ends as FAILED, and
what counts the ends comes later than whoever stopped the execution and looks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.program_state import ProgramStopped, ProgramTimedOut
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

_ENDED_EARLY: Final = (ProgramStopped, ProgramTimedOut)


class ExecutionEnds:
    """What replaces moto's own methods.

    Args:
        on_end: Told of every execution that has ended, once, before a call that stopped it answers.
    """

    def __init__(self, on_end: Callable[[Any], None]) -> None:
        self._on_end = on_end
        self._lock = threading.Lock()
        self._starting: dict[str, threading.Event] = {}

    def entered(self, environment: Environment) -> None:
        """Notes that an execution comes to a state: from the first one on it can be stopped."""
        self._begun(environment.states.context_object.context_object_data["Execution"]["Id"])

    def _begun(self, arn: str) -> None:
        if (event := self._starting.get(arn)) is not None:
            event.set()

    def replacements(self) -> list[tuple[Any, str, Any]]:
        """(class, name of the method, function in its place)."""
        moto_start: Any = ExecutionWorker.start
        moto_run: Any = ExecutionWorker._execution_logic  # noqa: SLF001 - no hook
        moto_end, moto_set_error = (
            BaseExecutionWorkerCommunication.terminated,
            Environment.set_error,
        )

        def start(worker: Any) -> None:
            arn = worker._evaluation_details.execution_details.arn  # noqa: SLF001 - no hook
            begun = self._starting[arn] = threading.Event()
            moto_start(worker)
            begun.wait()
            del self._starting[arn]

        def run(worker: Any) -> None:
            try:
                moto_run(worker)
            finally:  # also where it does not come to any state
                self._begun(worker._evaluation_details.execution_details.arn)  # noqa: SLF001 - no hook

        def stop(worker: Any, stop_date: Any, error: str | None, cause: str | None) -> None:
            worker.env.set_stop(stop_date=stop_date, error=error, cause=cause)
            worker._execution_communication.terminated()  # noqa: SLF001 - no hook

        def terminated(communication: Any) -> None:
            with self._lock:
                if communication.execution.exec_status != ExecutionStatus.RUNNING:
                    return  # it was stopped, and its thread comes to its end now
                moto_end(communication)
            self._on_end(communication.execution)

        def set_error(environment: Any, error: Any) -> None:
            # states that find themselves stopped raise errors: these are not how the execution
            # ended
            with environment._state_mutex:  # noqa: SLF001 - no hook
                if not isinstance(environment._program_state, _ENDED_EARLY):  # noqa: SLF001 - no hook
                    moto_set_error(environment, error)

        return [
            (ExecutionWorker, "start", start),
            (ExecutionWorker, "_execution_logic", run),
            (ExecutionWorker, "stop", stop),
            (BaseExecutionWorkerCommunication, "terminated", terminated),
            (Environment, "set_error", set_error),
        ]

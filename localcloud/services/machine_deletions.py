"""Deletions of state machines that have executions: as on AWS the machine is DELETING until the
last one has ended, which is where it comes to its next state.

Step Functions API reference, DeleteStateMachine. moto forgets the machine at once, and what runs
goes on unseen.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from moto.core.exceptions import AWSError
from moto.stepfunctions.models import StepFunctionBackend
from moto.stepfunctions.parser.models import StepFunctionsParserBackend
from moto.stepfunctions.responses import StepFunctionResponse

_RUNNING: Final = "RUNNING"


class StateMachineDeletingError(AWSError):
    """Refuses what would begin with a machine that ends."""

    TYPE = "StateMachineDeleting"
    STATUS = 400

    def __init__(self, arn: str) -> None:
        super().__init__(f"State Machine is being deleted: '{arn}'")


class MachineDeletions:
    """The machines that are DELETING, and what replaces moto's own methods."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deleting: dict[str, Any] = {}  # ARN -> moto's backend that has the machine
        self._delete: Any = StepFunctionBackend.delete_state_machine

    def entered(self, environment: Any) -> None:
        """Ends an execution that comes to another state of such a machine."""
        context = environment.states.context_object.context_object_data
        backend = self._deleting.get(context["StateMachine"]["Id"])
        if backend is not None:
            for execution in _executions(backend, context["StateMachine"]["Id"]):
                if execution.exec_arn == context["Execution"]["Id"]:
                    execution.exec_worker.stop(None, None, None)

    def ended(self, execution: Any) -> None:
        """Takes the machine away after its last execution."""
        arn = execution.state_machine.arn
        with self._lock:
            backend = self._deleting.get(arn)
            if backend is not None and not _running(backend, arn):
                del self._deleting[arn]
                self._delete(backend, arn)

    def replacements(self) -> list[tuple[Any, str, Any]]:
        """(class, name of the method, function in its place)."""
        parser: Any = StepFunctionsParserBackend
        make, start, update = (
            parser.create_state_machine,
            parser.start_execution,
            parser.update_state_machine,
        )
        describe: Any = StepFunctionResponse._describe_state_machine  # noqa: SLF001 - it has no status to set

        def delete(backend: Any, arn: str) -> None:
            with self._lock:
                if _running(backend, arn):
                    self._deleting[arn] = backend
                else:
                    self._delete(backend, arn)

        def created(backend: Any, name: str, *given: Any, **named: Any) -> Any:
            for arn in list(self._deleting):
                if arn.rpartition(":")[2] == name:
                    raise StateMachineDeletingError(arn)
            return make(backend, name, *given, **named)

        def started(backend: Any, state_machine_arn: str, *given: Any, **named: Any) -> Any:
            self._refuse(state_machine_arn)
            return start(backend, state_machine_arn, *given, **named)

        def updated(backend: Any, arn: str, *given: Any, **named: Any) -> Any:
            self._refuse(arn)
            return update(backend, arn, *given, **named)

        def described(response: Any, arn: str) -> Any:
            answer = describe(response, arn)
            if arn in self._deleting:
                answer.result["status"] = "DELETING"
            return answer

        return [
            (StepFunctionBackend, "delete_state_machine", delete),
            (parser, "create_state_machine", created),
            (parser, "start_execution", started),
            (parser, "update_state_machine", updated),
            (StepFunctionResponse, "_describe_state_machine", described),
        ]

    def _refuse(self, arn: str) -> None:
        if arn in self._deleting:
            raise StateMachineDeletingError(arn)


def _executions(backend: Any, arn: str) -> list[Any]:
    """Of a machine; moto gives each execution a copy of it, which has none."""
    return [
        execution
        for machine in list(backend.state_machines)
        if machine.arn == arn
        for execution in list(machine.executions)
    ]


def _running(backend: Any, arn: str) -> bool:
    return any(execution.status == _RUNNING for execution in _executions(backend, arn))

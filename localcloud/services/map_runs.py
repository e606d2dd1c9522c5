"""What the role of a state machine needs for a distributed Map, whose parts are executions of their
own (moto runs them as one).

Step Functions developer guide, "IAM policies for using Distributed Map states": the role starts
executions of its own machine, and looks at them. Stopping them, which the guide names too, is for
map runs that are ended early.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import (
    StatesErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.distributed_iteration_component import (  # noqa: E501
    DistributedIterationComponent,
)

from localcloud.protocol.wire import WireError

Require = Callable[[str, str, str, str], None]
"""(role ARN, session, action, resource): raises WireError where the role lacks the permission."""
_PERMISSIONS: Final = StatesErrorNameType.StatesPermissions


def replacements(require: Require) -> list[tuple[Any, str, Any]]:
    """(class, name of the method, function in its place)."""
    moto_run: Any = DistributedIterationComponent._map_run  # noqa: SLF001 - no hook

    def map_run(component: Any, env: Any, eval_input: Any) -> None:
        role = env.aws_execution_details.role_arn
        machine = env.states.context_object.context_object_data["StateMachine"]["Id"]
        parts = f"{machine.replace(':stateMachine:', ':execution:')}:part"
        try:
            require(role, "states", "states:StartExecution", machine)
            require(role, "states", "states:DescribeExecution", parts)
        except WireError as error:
            failed = {"error": _PERMISSIONS.to_name(), "cause": error.message}
            details: Any = {"executionFailedEventDetails": failed}
            raise FailureEventException(
                FailureEvent(
                    env=env,
                    error_name=StatesErrorName(typ=_PERMISSIONS),
                    event_type=HistoryEventType.ExecutionFailed,
                    event_details=details,
                )
            ) from error
        moto_run(component, env, eval_input)

    return [(DistributedIterationComponent, "_map_run", map_run)]

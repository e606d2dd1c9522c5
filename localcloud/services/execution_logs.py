"""The logs of state machines, which moto does not write: the end of each execution that did not
succeed.

Fields and levels: Step Functions developer guide, "Logging using CloudWatch Logs". Events in the
middle of an execution, which level ERROR and ALL log too, are not written.
"""

from __future__ import annotations

import json
from typing import Any, Final

from localcloud.moto.state import AwsState

_TYPES: Final = {
    "FAILED": "ExecutionFailed",
    "TIMED_OUT": "ExecutionTimedOut",
    "ABORTED": "ExecutionAborted",
}


def log_end(state: AwsState, execution: Any) -> None:
    """Writes the end of moto's execution where its machine logs; where the group is gone the line
    is lost, as on AWS.
    """
    kind = _TYPES.get(execution.exec_status)
    configuration = execution.state_machine.loggingConfiguration or {}
    if kind is None or configuration.get("level", "OFF") == "OFF":
        return
    line = {
        "type": kind,
        "details": {"error": execution.error, "cause": execution.cause},
        "event_timestamp": str(int(execution.stop_date.timestamp() * 1000)),
        "execution_arn": execution.exec_arn,
    }
    for destination in configuration.get("destinations", []):
        arn = destination["cloudWatchLogsLogGroup"]["logGroupArn"]
        group = arn.partition(":log-group:")[2].removesuffix(":*")
        if state.has_log_group(group):
            stream = f"states/{execution.state_machine.name}"
            state.create_log_stream(group, stream)
            state.put_log_lines(group, stream, [json.dumps(line)])

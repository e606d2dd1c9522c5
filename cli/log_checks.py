"""Logs that are not written: whoever may not write one is silent in every other respect, so the
account is asked.

Lambda and Step Functions drop what they cannot write, for want of a permission, of the log group or
of its key, and count nothing. So what ran is compared with what was written since then.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from config.stack import NAMESPACE

if TYPE_CHECKING:
    from cli.questions import Questions

_DAY: Final = timedelta(days=1)
LAG: Final = timedelta(minutes=5)
"""From a call until its log is surely there: what is younger is not judged yet."""
Said = tuple[str, str, str]
"""Who it is about, what is known of its log, and how to mend that; the last is empty where nothing
is wrong.
"""
_MAKE_AGAIN: Final = "pulumi up --refresh makes it again"
_OR_ITS_KEY: Final = (
    ", and a key of the group has to be enabled; pulumi up --refresh restores the role"
)
_VENDED: Final = "/aws/vendedlogs/states"
"""Below it lie the groups of state machines (components/state_machines/machine.py)."""


def of_functions(asked: Questions, *, lag: timedelta = LAG) -> Iterator[Said]:
    """The logs of the functions of the stack. Raises botocore's errors."""
    prefix = f"/{NAMESPACE}/{asked.config.name}/"
    for page in asked.client("lambda").get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            group = (function.get("LoggingConfig") or {}).get("LogGroup", "")
            if group.startswith(prefix):
                yield _of_function(asked, str(function["FunctionName"]), group, lag)


def _of_function(asked: Questions, name: str, group: str, lag: timedelta) -> Said:
    what, end = f"function {name}", datetime.now(UTC) - lag
    points = asked.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Invocations",
        Dimensions=[{"Name": "FunctionName", "Value": name}],
        # CloudWatch begins at a whole minute, and gives 1,440 points in one answer
        StartTime=end - _DAY + timedelta(minutes=1),
        EndTime=end,
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    called = max((point["Timestamp"] for point in points if point["Sum"] > 0), default=None)
    minute = (called or end - _DAY).replace(second=0, microsecond=0)
    written = _written_since(asked, group, minute)
    if written is None:
        return what, f"{_gone(group)}; what it writes is lost", _MAKE_AGAIN
    if called is None:
        return what, "was not called within a day", ""
    calls = sum(int(point["Sum"]) for point in points)
    if written:
        return what, f"was called {calls} times within a day, and its log stands in {group}", ""
    silence = f"since {called:%H:%M} UTC, when the last came, it has written nothing into {group}"
    allow = f"its role has to allow logs:CreateLogStream and logs:PutLogEvents on {group}"
    said = f"was called {calls} times within a day, and {silence}"
    return what, said, f"{allow}{_OR_ITS_KEY}"


def of_machines(asked: Questions, *, lag: timedelta = LAG) -> Iterator[Said]:
    """The logs of the state machines of the stack, which log nothing but failures.

    Raises botocore's errors.
    """
    prefix = f"{_VENDED}/{NAMESPACE}/{asked.config.name}/"
    machines = asked.client("stepfunctions")
    for page in machines.get_paginator("list_state_machines").paginate():
        for each in page["stateMachines"]:
            arn = each["stateMachineArn"]
            logging = machines.describe_state_machine(stateMachineArn=arn).get(
                "loggingConfiguration", {}
            )
            groups = [
                found["cloudWatchLogsLogGroup"]["logGroupArn"].split(":log-group:")[-1]
                for found in logging.get("destinations", [])
            ]
            for group in (found.removesuffix(":*") for found in groups):
                if group.startswith(prefix):
                    yield _of_machine(asked, arn, str(each["name"]), group, lag)


def _of_machine(asked: Questions, arn: str, name: str, group: str, lag: timedelta) -> Said:
    what, end = f"state machine {name}", datetime.now(UTC) - lag
    since = end - _DAY
    failed = asked.client("stepfunctions").list_executions(
        stateMachineArn=arn, statusFilter="FAILED", maxResults=1
    )["executions"]
    ended = [each["stopDate"] for each in failed if since < each["stopDate"] <= end]
    last = max(ended, default=None)
    written = _written_since(asked, group, since if last is None else last - timedelta(minutes=1))
    if written is None:
        return what, f"{_gone(group)}; what it says of failed executions is lost", _MAKE_AGAIN
    if last is None:
        return what, "no execution has failed within a day", ""
    if written:
        return what, f"its last failed execution stands in {group}", ""
    said = f"an execution failed at {last:%H:%M} UTC, and nothing stands in {group}"
    return (
        what,
        said,
        f"its role has to allow what components/state_machines/machine.py says{_OR_ITS_KEY}",
    )


def _gone(group: str) -> str:
    return f"its log group {group} is gone"


def _written_since(asked: Questions, group: str, moment: datetime) -> bool | None:
    """Whether anything stands in a log group since then; None where there is no such group."""
    pages: Any = asked.client("logs").get_paginator("filter_log_events")
    since_ms = int(moment.timestamp() * 1000)
    try:
        # a page may be empty though there is more
        return any(
            page["events"] for page in pages.paginate(logGroupName=group, startTime=since_ms)
        )
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ResourceNotFoundException":
            raise
        return None

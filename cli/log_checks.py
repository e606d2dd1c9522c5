"""Logs that are not written: whoever may not write one is silent in every other respect, so the
account is asked.

Lambda and Step Functions drop what they cannot write, for want of a permission, of the log group or
of its key, and count nothing; the log driver of a container does so once it has its stream. So what
ran is compared with what was written since then, and the keys of the groups are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from config.stack import NAMESPACE
from workloads.contract import FALLBACK_ENDING, STAGES

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
_WITHOUT_KEY: Final = "aws logs disassociate-kms-key --log-group-name {group}"
_KEY_FIXES: Final = {
    "Disabled": "aws kms enable-key --key-id {key}",
    "PendingDeletion": (
        "aws kms cancel-key-deletion --key-id {key} && aws kms enable-key --key-id {key}"
    ),
}
"""By the states of a key (KMS developer guide, "Key states of AWS KMS keys")."""
_MACHINE_RIGHTS: Final = "its role has to allow what components/state_machines/machine.py says"
_WAY_OF_JOBS: Final = (
    "look whether the container agent reaches CloudWatch Logs (NAT, or the endpoint logs with its"
    " policy and security group), and whether the image writes at all"
)
_RESTORE: Final = "; pulumi up --refresh restores the role"
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
    there = _Group(asked, group)
    unusable = there.unusable("what it writes is lost")
    if unusable is not None:
        return what, *unusable
    written = there.written_since(minute)
    if called is None:
        return what, "was not called within a day", ""
    calls = sum(int(point["Sum"]) for point in points)
    if written:
        return what, f"was called {calls} times within a day, and its log stands in {group}", ""
    silence = f"since {called:%H:%M} UTC, when the last came, it has written nothing into {group}"
    allow = f"its role has to allow logs:CreateLogStream and logs:PutLogEvents on {group}"
    said = f"was called {calls} times within a day, and {silence}"
    return what, said, f"{allow}{there.or_its_key}{_RESTORE}"


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
    there = _Group(asked, group)
    unusable = there.unusable("what it says of failed executions is lost")
    if unusable is not None:
        return what, *unusable
    written = there.written_since(since if last is None else last - timedelta(minutes=1))
    if last is None:
        return what, "no execution has failed within a day", ""
    if written:
        return what, f"its last failed execution stands in {group}", ""
    said = f"an execution failed at {last:%H:%M} UTC, and nothing stands in {group}"
    return (
        what,
        said,
        f"{_MACHINE_RIGHTS}{there.or_its_key}{_RESTORE}",
    )


def of_stages(asked: Questions, *, lag: timedelta = LAG) -> Iterator[Said]:
    """The logs of the stages: whether the last job of each within a day wrote anything. One that
    may not make its log stream does not start; this is about what is lost later.

    Raises botocore's errors.
    """
    last = _last_jobs(asked, datetime.now(UTC) - lag)
    for stage in STAGES:
        what, group = f"stage {stage}", f"/{NAMESPACE}/{asked.config.name}/{stage}"
        there = _Group(asked, group)
        unusable = there.unusable("what its jobs write is lost, or they do not start")
        if unusable is not None:
            yield what, *unusable
        elif stage not in last:
            yield what, "no job has run within a day", ""
        elif there.written_since(last[stage]):
            yield what, f"its last job wrote into {group}", ""
        else:
            yield (
                what,
                f"its last job, of {last[stage]:%H:%M} UTC, wrote nothing into {group}",
                f"{_WAY_OF_JOBS}{there.or_its_key}",
            )


def _last_jobs(asked: Questions, end: datetime) -> dict[str, datetime]:
    """When the last job of each stage began that has run and ended within a day."""
    batch, found = asked.client("batch"), dict[str, datetime]()
    since = str(int((end - _DAY).timestamp() * 1000))
    for page in batch.get_paginator("describe_job_queues").paginate():
        for queue in page["jobQueues"]:
            if not asked.tags.items() <= queue.get("tags", {}).items():
                continue
            for jobs in batch.get_paginator("list_jobs").paginate(
                jobQueue=queue["jobQueueArn"],
                filters=[{"name": "AFTER_CREATED_AT", "values": [since]}],
            ):
                for job in jobs["jobSummaryList"]:
                    stage = str(job["jobName"]).removesuffix(FALLBACK_ENDING).rpartition("-")[2]
                    began, ended = _moment(job, "startedAt"), _moment(job, "stoppedAt")
                    if began is not None and ended is not None and ended <= end:
                        found[stage] = max(found.get(stage, began), began)
    return found


def _moment(job: Mapping[str, Any], member: str) -> datetime | None:
    return datetime.fromtimestamp(job[member] / 1000, UTC) if job.get(member) else None


@dataclass(frozen=True)
class _Group:
    """A log group, and the KMS key that somebody may have given it."""

    asked: Questions
    name: str

    @cached_property
    def key(self) -> str | None:
        """ARN of its key, empty where it has none; None where there is no such group."""
        logs = self.asked.client("logs")
        found = logs.describe_log_groups(logGroupNamePrefix=self.name)["logGroups"]
        return next(
            (str(each.get("kmsKeyId", "")) for each in found if each["logGroupName"] == self.name),
            None,
        )

    def unusable(self, lost: str) -> tuple[str, str] | None:
        """Why nothing can be written, with what that means (`lost`), and how to mend it; None where
        nothing stands against it.
        """
        if self.key is None:
            return f"its log group {self.name} is gone; {lost}", _MAKE_AGAIN
        state = self._key_state() if self.key else ""
        if state in ("", "Enabled"):
            return None
        said = f"its log group {self.name} has the KMS key {self.key}, which is {state}; {lost}"
        return said, _KEY_FIXES.get(state, _WITHOUT_KEY).format(key=self.key, group=self.name)

    def written_since(self, moment: datetime) -> bool:
        """Whether anything stands there since then. What its key keeps from being read counts as
        nothing.
        """
        pages: Any = self.asked.client("logs").get_paginator("filter_log_events")
        since_ms = int(moment.timestamp() * 1000)
        try:
            # a page may be empty though there is more
            return any(
                page["events"]
                for page in pages.paginate(logGroupName=self.name, startTime=since_ms)
            )
        except ClientError:
            if not self.key:
                raise
            return False

    @property
    def or_its_key(self) -> str:
        """What else may keep lines from the group."""
        service = f"logs.{self.asked.region}.amazonaws.com"
        return f", and the policy of its KMS key has to let {service} use it" if self.key else ""

    def _key_state(self) -> str:
        """As KMS calls it, or `gone`; empty where KMS does not tell."""
        try:
            answer = self.asked.client("kms").describe_key(KeyId=self.key)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            return "gone" if code == "NotFoundException" else ""
        return str(answer["KeyMetadata"]["KeyState"])

"""`cancel`: ends a run with its execution and all of its jobs."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, Final

from rich.console import Console

from cli import runs_index
from cli.documents import Cancelled
from cli.errors import CliError, ExitCode
from cli.frame import print_json, say
from cli.runs_index import ENDED, Entry
from cli.target import Target
from workloads import operating
from workloads.functions.arrays import describe

_AT_ONCE: Final = 50
"""CancelJobs and TerminateJobs take no more (API reference)."""
_TAKEN_SECONDS: Final = 60.0
_SETTLE_SECONDS: Final = 3.0
"""After which ListJobs shows a job that was being submitted when the run was ended."""
_END_SECONDS: Final = 90.0
"""Jobs have 30 seconds between SIGTERM and SIGKILL, and their states follow."""
_JOB_ENDED: Final = frozenset({"SUCCEEDED", "FAILED"})
_PASSING: Final = frozenset({"ThrottlingException", "ServerException"})


def cancel(console: Console, target: Target, name: str, *, reason: str, as_json: bool) -> int:
    """Ends the run as CANCELLED, tells Slack once, stops its execution, terminates its jobs, and
    waits for their ends.

    May be repeated: what an interrupted one has left is stopped by the next. Of a run that has
    ended otherwise, jobs that are still there are stopped, and its state stays. Raises CliError.
    """
    entry = runs_index.find(target, name)
    before = runs_index.state_item(target, entry.run)
    state = str(before.get("state") or "")
    if state in ENDED and state != "CANCELLED" and not _active(target, entry):
        raise CliError(
            f"run {entry.run_id} has ended as {state}; there is nothing to cancel",
            ExitCode.RUN_FAILED,
        )
    by = caller(target)
    if state not in ENDED:
        _end(target, entry, int(before.get("attempt") or 1), by=by, reason=reason)
    ended = state if state in ENDED else "CANCELLED"
    said = f"cancelled by {by}" + (f": {reason}" if reason else "")
    with console.status("stopping execution and jobs"):
        execution = _stop_execution(target, entry, before, said)
        stopped, left = _stop_jobs(target, entry, said)
    document: Cancelled = {
        "run_id": entry.run_id,
        "state": ended,
        "by": by,
        "execution_stopped": execution,
        "jobs_stopped": sorted(stopped),
        "jobs_still_ending": sorted(left),
    }
    if as_json:
        print_json(document)
    else:
        parts = ["its execution", f"{len(stopped)} jobs"] if execution else [f"{len(stopped)} jobs"]
        say(f"run {entry.run_id} is {ended}; stopped: {' and '.join(parts)}")
        if left:
            say(
                f"still ending: {', '.join(sorted(left))}; `batchref show {entry.run_id}` says when"
            )
    return ExitCode.OK


def caller(target: Target) -> str:
    """Who asks, as AWS knows it: the user, or the session of the role."""
    arn = str(target.client("sts").get_caller_identity()["Arn"])
    return arn.rsplit("/", 1)[-1].rsplit(":", 1)[-1]


def _end(target: Target, entry: Entry, attempt: int, *, by: str, reason: str) -> None:
    """Has the notify function end the run, and waits until it has: jobs that end before would count
    as failures.

    The function is called as by an event, so that Lambda calls it again where Slack is down, and
    the redrive function after that.
    """
    detail = {
        "run_id": entry.run_id,
        "attempt": attempt,
        "request": f"cancel-{uuid.uuid4()}",
        "by": by,
        "reason": reason,
    }
    event = {"detail-type": operating.RUN_CANCELLED_EVENT, "detail": detail}
    target.client("lambda", once=True).invoke(
        FunctionName=target.output("notify_function"),
        InvocationType="Event",
        Payload=json.dumps(event).encode(),
    )
    deadline = time.monotonic() + _TAKEN_SECONDS
    while time.monotonic() < deadline:
        state = runs_index.state_item(target, entry.run).get("state")
        if state == "CANCELLED":
            return
        if state in ENDED:
            raise CliError(
                f"run {entry.run_id} ended as {state} before it could be cancelled",
                ExitCode.RUN_FAILED,
            )
        target.pause(0.3)
    raise CliError(
        f"the notify function did not end run {entry.run_id} within {_TAKEN_SECONDS:g} s; nothing"
        " was stopped: look at its log, and cancel again",
        ExitCode.RUN_FAILED,
    )


def _stop_execution(target: Target, entry: Entry, item: dict[str, Any], said: str) -> bool:
    machine = str(target.outputs.get("state_machine_arn") or "")
    if not machine:
        return False
    # by its name, for a run that is being started has not noted the ARN yet
    name = entry.run.execution_name(int(item.get("attempt") or 1))
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
    client = target.client("stepfunctions")
    try:
        running = bool(client.describe_execution(executionArn=arn)["status"] == "RUNNING")
        if running:
            client.stop_execution(executionArn=arn, error="Cancelled", cause=said[:1000])
    except client.exceptions.ExecutionDoesNotExist:
        return False
    return running


def _stop_jobs(target: Target, entry: Entry, reason: str) -> tuple[set[str], set[str]]:
    """Terminates all jobs of the run, those too that are submitted meanwhile; the ids of those that
    ended so, and of those that have not yet.
    """
    stopped: set[str] = set()
    deadline = time.monotonic() + _END_SECONDS
    quiet = 0
    while True:
        active = _active(target, entry)
        if active - stopped:
            terminate(target, sorted(active - stopped), reason)
            stopped |= active
        quiet = 0 if active else quiet + 1
        if quiet == 2 or time.monotonic() > deadline:
            return stopped, active
        target.pause(_SETTLE_SECONDS if quiet else 1.0)


def _active(target: Target, entry: Entry) -> set[str]:
    """Ids of the jobs of the run that have not ended."""
    return {job["jobId"] for job in jobs_of(target, entry) if job["status"] not in _JOB_ENDED}


def jobs_of(target: Target, entry: Entry) -> list[dict[str, Any]]:
    """Descriptions of all jobs of a run: those that its state item names, and those that the queues
    list under its names.
    """
    batch, item = target.client("batch"), runs_index.state_item(target, entry.run)
    ids = [str(job) for job in (item.get("jobs") or {}).values()]
    ids += [str(item["replaced"])] if item.get("replaced") else []
    for queue in target.output("queues").values():
        pages = batch.get_paginator("list_jobs").paginate(
            jobQueue=queue, filters=[{"name": "JOB_NAME", "values": [f"{entry.run_id}-*"]}]
        )
        # the filter ignores case, names of data sets do not
        ids += [
            str(job["jobId"])
            for page in pages
            for job in page["jobSummaryList"]
            if job["jobName"].startswith(f"{entry.run_id}-")
        ]
    return describe(batch, ids)


def terminate(target: Target, jobs: Sequence[str], reason: str) -> None:
    """Terminates jobs, fifty a call. Raises CliError where AWS does not take one."""
    batch = target.client("batch")
    waiting = list(jobs)
    for attempt in range(6):
        refused: list[dict[str, str]] = []
        for some in _parts(waiting):
            refused += batch.terminate_jobs(jobs=some, reason=reason[:1024])["errors"]
        waiting = [error["job"] for error in refused if error["code"] in _PASSING]
        final = [error for error in refused if error["code"] not in _PASSING]
        if final:
            raise CliError(
                f"AWS Batch did not terminate job {final[0]['job']} ({final[0]['code']}):"
                f" {final[0]['message']}",
                ExitCode.AWS_REFUSED,
            )
        if not waiting:
            return
        time.sleep(0.2 * 2**attempt)
    raise CliError(
        f"AWS Batch is throttled: {len(waiting)} jobs are not terminated; cancel again",
        ExitCode.AWS_REFUSED,
    )


def _parts(jobs: Sequence[str]) -> Iterable[list[str]]:
    return (list(jobs[start : start + _AT_ONCE]) for start in range(0, len(jobs), _AT_ONCE))

"""`pause` and `resume`: the whole pipeline, whose uploads wait, or queues, whose jobs wait. No
deployment is needed for either.

A queue is paused by its compute environments: while they are DISABLED, AWS Batch places no job in
them, and what runs goes on (user guide, "Compute environment parameters"). The queue itself stays
ENABLED: a disabled one refuses jobs, which would fail runs under way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cli import runs_index
from cli.documents import Paused, Resumed
from cli.errors import CliError, ExitCode
from cli.frame import print_json, say
from cli.runs_index import Entry, plain
from cli.stopping import caller
from cli.submitting import begin
from cli.target import Target
from workloads import operating

_QUEUE: Final = "QUEUE#"
"""Beginning of `sk` of the items of paused queues."""
_SETTLE_SECONDS: Final = 1.5
"""After which an index surely holds what was written before (DynamoDB developer guide, "Eventually
consistent reads").
"""


@dataclass(frozen=True, kw_only=True)
class Pause:
    """What is paused, since when, by whom and why."""

    queue: str
    """Name of the queue in the config; empty for the pipeline."""
    since: str
    by: str
    reason: str
    environments: tuple[str, ...] = ()
    """Names of the environments that this pause disabled."""

    def __str__(self) -> str:
        what = f"queue {self.queue}" if self.queue else "the pipeline"
        why = f": {self.reason}" if self.reason else ""
        return f"{what} is paused since {self.since} by {self.by}{why}"


def pauses(target: Target) -> list[Pause]:
    """What is paused now, the pipeline first."""
    found = target.client("dynamodb").query(**asked(target.output("table")))["Items"]
    return of_items(found)


def asked(table: str) -> dict[str, Any]:
    """The query for all pauses."""
    return {
        "TableName": table,
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": {"S": operating.PAUSE_KEY}},
        "ConsistentRead": True,
    }


def of_items(found: Iterable[dict[str, Any]]) -> list[Pause]:
    """Pauses from items as DynamoDB types them."""
    items = [{name: plain(value) for name, value in raw.items()} for raw in found]
    return [
        Pause(
            queue=str(item["sk"]).removeprefix(_QUEUE) if item["sk"].startswith(_QUEUE) else "",
            since=str(item.get("since") or "?"),
            by=str(item.get("by") or "?"),
            reason=str(item.get("reason") or ""),
            environments=tuple(item.get("environments") or ()),
        )
        for item in items
    ]


def pause(target: Target, queues: Sequence[str], *, reason: str, as_json: bool) -> int:
    """Pauses the pipeline, or the queues. Raises CliError."""
    known = {each.queue: each for each in pauses(target)}
    by, since = caller(target), datetime.now(UTC).isoformat(timespec="seconds")
    made: list[Pause] = []
    for name, environments in _wanted(target, queues, known).items():
        if name in known:
            made.append(known[name])
            continue
        for environment in environments:
            _switch(target, environment, "DISABLED")
        each = Pause(
            queue=name, since=since, by=by, reason=reason, environments=tuple(environments)
        )
        _write(target, each)
        made.append(each)
    documents: list[Paused] = [
        {
            "queue": each.queue or None,
            "since": each.since,
            "by": each.by,
            "reason": each.reason or None,
            "environments": list(each.environments),
        }
        for each in made
    ]
    if as_json:
        print_json(documents)
    else:
        for each in made:
            say(str(each))
        say(
            "jobs that run go on; others wait, and Slack may hear that the queue is blocked"
            if queues
            else (
                "uploads wait; runs under way go on (`cancel` ends one, `pause --queue` holds their"
                " jobs)"
            )
        )
    return ExitCode.OK


def resume(target: Target, queues: Sequence[str], *, as_json: bool) -> int:
    """Ends the pause of the pipeline and begins what waits, oldest first; or that of the queues.
    A queue that is disabled, as by the guard of the budget, is enabled.

    Raises CliError.
    """
    known = {each.queue: each for each in pauses(target)}
    physical = _names(target, queues)
    queues, disabled = list(physical), _disabled(target, physical)
    unknown = [name for name in queues if name not in known and name not in disabled]
    if unknown:
        raise CliError(f"queue {unknown[0]} is not paused", ExitCode.RUN_FAILED)
    for name in disabled:
        target.client("batch").update_job_queue(jobQueue=physical[name], state="ENABLED")
    for name in (each for each in queues if each in known):
        held = {
            environment
            for each in known.values()
            if each.queue not in (*queues, "")
            for environment in each.environments
        }
        shared = sorted(held & {*known[name].environments})
        if shared:
            raise CliError(
                f"environment {shared[0]} of queue {name} belongs to another paused queue; resume"
                " both at once",
                ExitCode.USAGE,
            )
        for environment in known[name].environments:
            _switch(target, environment, "ENABLED")
        _delete(target, f"{_QUEUE}{name}")
    begun: list[Entry] = []
    if not queues:
        _delete(target, operating.PAUSE_SORT_KEY)
        begun = _begin_waiting(target)
    document: Resumed = {
        "queues": queues,
        "pipeline": not queues,
        "begun": [entry.run_id for entry in begun],
    }
    if as_json:
        print_json(document)
    elif queues:
        say(f"resumed: {', '.join(queues)}")
    else:
        was = "resumed" if "" in known else "the pipeline was not paused"
        say(f"{was}; uploads that had waited and were begun: {len(begun)}")
    return ExitCode.OK


def _begin_waiting(target: Target) -> list[Entry]:
    """Begins what waits until nothing waits any more; an upload that came while the pause ended is
    in the index a moment later.
    """
    begun: dict[str, Entry] = {}
    quiet = 0
    while quiet < 2:
        waiting = [
            entry
            for entry in reversed(runs_index.newest(target, states=["WAITING"]))
            if entry.run_id not in begun
        ]
        for entry in waiting:
            upload = entry.item["upload"]
            begin(
                target, upload["key"], upload["etag"], version_id=upload.get("version_id") or None
            )
            begun[entry.run_id] = entry
        quiet = 0 if waiting else quiet + 1
        if quiet == 1:
            target.pause(_SETTLE_SECONDS)
    return list(begun.values())


def _wanted(target: Target, queues: Sequence[str], known: dict[str, Pause]) -> dict[str, list[str]]:
    """What to pause, with the environments to disable; the pipeline has none.

    Raises CliError for one that others need.
    """
    if not queues:
        return {"": []}
    names = _names(target, queues)
    described = {each["jobQueueName"]: each for each in _pages(target, "describe_job_queues")}
    of_queue = {
        name: _environments(described.get(physical, {})) for name, physical in names.items()
    }
    mine = {environment for each in of_queue.values() for environment in each}
    for physical, each in described.items():
        shared = sorted(mine & {*_environments(each)})
        paused = [name for name, other in target.output("queues").items() if other == physical]
        if shared and physical not in names.values() and not (paused and paused[0] in known):
            other = f"--queue {paused[0]}" if paused else physical
            raise CliError(
                f"environment {shared[0]} works for the queue {physical} too, whose jobs would wait"
                f" as well; name it as well ({other}) if that is meant",
                ExitCode.USAGE,
            )
    states = {
        each["computeEnvironmentName"]: each["state"]
        for each in _pages(target, "describe_compute_environments")
    }
    return {
        name: [each for each in environments if states.get(each) == "ENABLED"]
        for name, environments in of_queue.items()
    }


def _names(target: Target, queues: Iterable[str]) -> dict[str, str]:
    """Names of the config -> those of AWS; either is understood. Raises CliError."""
    known: dict[str, str] = dict(target.output("queues"))
    found: dict[str, str] = {}
    for given in queues:
        name = next((each for each, physical in known.items() if given in (each, physical)), None)
        if name is None:
            raise CliError(
                f"there is no queue {given}; the stack has {', '.join(sorted(known))}",
                ExitCode.NOT_FOUND,
            )
        found[name] = known[name]
    return found


def _disabled(target: Target, queues: Mapping[str, str]) -> list[str]:
    """Those of the queues, by name, that take no jobs."""
    states = {each["jobQueueName"]: each["state"] for each in _pages(target, "describe_job_queues")}
    return [name for name, physical in queues.items() if states.get(physical) == "DISABLED"]


def _environments(queue: dict[str, Any]) -> list[str]:
    return [
        str(each["computeEnvironment"]).rsplit("/", 1)[-1]
        for each in queue.get("computeEnvironmentOrder", [])
    ]


def _pages(target: Target, operation: str) -> list[dict[str, Any]]:
    key = "jobQueues" if operation == "describe_job_queues" else "computeEnvironments"
    pages = target.client("batch").get_paginator(operation).paginate()
    return [each for page in pages for each in page[key]]


def _switch(target: Target, environment: str, state: str) -> None:
    target.client("batch").update_compute_environment(computeEnvironment=environment, state=state)


def _write(target: Target, pause: Pause) -> None:
    item: dict[str, Any] = {
        "pk": {"S": operating.PAUSE_KEY},
        "sk": {"S": f"{_QUEUE}{pause.queue}" if pause.queue else operating.PAUSE_SORT_KEY},
        "since": {"S": pause.since},
        "by": {"S": pause.by},
        "reason": {"S": pause.reason},
        "environments": {"L": [{"S": name} for name in pause.environments]},
    }
    target.client("dynamodb").put_item(TableName=target.output("table"), Item=item)


def _delete(target: Target, sort_key: str) -> None:
    key = {"pk": {"S": operating.PAUSE_KEY}, "sk": {"S": sort_key}}
    target.client("dynamodb").delete_item(TableName=target.output("table"), Key=key)

"""Following a run through the ordinary AWS API: state item, Batch jobs, nodes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from boto3.dynamodb.types import TypeDeserializer

from workloads.contract import STAGES, Run, Stage
from workloads.run_index import ENDED

_POLL_SECONDS: Final = 0.2


@dataclass(frozen=True, kw_only=True)
class StageStatus:
    """A stage at one moment."""

    stage: Stage
    job_id: str = ""
    status: str = ""
    """Status of the Batch job; empty before it is submitted."""
    reason: str = ""
    nodes: tuple[str, ...] = ()
    """Status of each node of a multi-node job."""
    shards: Mapping[str, int] = field(default_factory=dict)
    """Status -> children of an array job in it; empty for other jobs."""
    seconds: float = 0.0
    """Since the job started running, or from start to stop."""


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """A run at one moment."""

    state: str
    """State in the run's state item; empty before the event has arrived."""
    stages: tuple[StageStatus, ...] = field(
        default_factory=lambda: tuple(StageStatus(stage=stage) for stage in STAGES)
    )
    failure: str = ""


class RunNotStartedError(TimeoutError):
    """No state item appeared in time."""


def follow(
    client: Any,
    batch: Any,
    table: str,
    run: Run,
    *,
    start_seconds: float = 30.0,
    poll_seconds: float = _POLL_SECONDS,
) -> Iterator[RunStatus]:
    """Yields the status of a run again and again until it has ended.

    Args:
        client: DynamoDB client.
        batch: Batch client.
        table: metrics table.
        run: the run.
        start_seconds: how long to wait for the run to begin.
        poll_seconds: pause between looks.

    Raises:
        RunNotStartedError: the submit function has not claimed the run in time.
    """
    deadline = time.monotonic() + start_seconds
    while True:
        status = look(client, batch, table, run)
        if not status.state and time.monotonic() > deadline:
            raise RunNotStartedError(
                f"run {run.run_id} did not begin within {start_seconds:g} s; look at the log of the"
                " submit function"
            )
        yield status
        if status.state in ENDED and all(
            stage.status in ENDED for stage in status.stages if stage.job_id
        ):
            return
        time.sleep(poll_seconds)


def look(client: Any, batch: Any, table: str, run: Run) -> RunStatus:
    """The status of a run now."""
    key = {name: {"S": value} for name, value in run.state_key.items()}
    found = client.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})
    item = {name: TypeDeserializer().deserialize(value) for name, value in found.items()}
    ids: dict[Stage, str] = item.get("jobs", {})
    jobs = (
        {job["jobId"]: job for job in batch.describe_jobs(jobs=list(ids.values()))["jobs"]}
        if ids
        else {}
    )
    stages = tuple(_stage(batch, stage, jobs.get(ids.get(stage, ""))) for stage in STAGES)
    failure: dict[str, Any] = item.get("failure", {})
    return RunStatus(
        state=item.get("state", ""), stages=stages, failure=str(failure.get("error", ""))
    )


def _stage(batch: Any, stage: Stage, job: dict[str, Any] | None) -> StageStatus:
    if job is None:
        return StageStatus(stage=stage)
    started, stopped = job.get("startedAt"), job.get("stoppedAt")
    seconds = ((stopped or time.time() * 1000) - started) / 1000 if started else 0.0
    return StageStatus(
        stage=stage,
        job_id=job["jobId"],
        status=job["status"],
        reason=job.get("statusReason", ""),
        nodes=_nodes(batch, job),
        shards={
            status: count
            for status, count in (job.get("arrayProperties") or {}).get("statusSummary", {}).items()
            if count
        },
        seconds=max(seconds, 0.0),
    )


def _nodes(batch: Any, job: dict[str, Any]) -> tuple[str, ...]:
    count = job.get("nodeProperties", {}).get("numNodes", 0)
    if not count or job["status"] not in {"STARTING", "RUNNING"}:
        return ()
    children = batch.describe_jobs(jobs=[f"{job['jobId']}#{index}" for index in range(count)])[
        "jobs"
    ]
    return tuple(child["status"] for child in children)

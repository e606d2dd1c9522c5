"""How the containers of a run's stages began: what was before their work, by their records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from botocore.exceptions import ClientError

from cli.documents import StageBeginning, StageJob
from cli.target import Target
from workloads import formats
from workloads.contract import STAGES, ContractError, Run
from workloads.records import StageRecord

_TOLD_SECONDS = 1.0
"""Less than this before the work is nothing to tell people of."""


def of_run(target: Target, run: Run, stages: Sequence[StageJob]) -> Iterator[StageBeginning]:
    """Of each job of the run that has ended well and whose record tells."""
    for job in stages:
        if job["status"] != "SUCCEEDED":
            continue
        record = _record(target, run, job)
        if record is None or record.beginning is None:
            continue
        began = record.beginning
        yield {
            "stage": job["stage"],
            "job_id": job["job_id"],
            "waited_seconds": _between(job["created_at"], began.pull_started_at),
            "pull_seconds": began.pull_seconds,
            "start_seconds": began.start_seconds,
        }


def note(beginning: StageBeginning) -> str:
    """For people; empty where nothing is worth a word."""
    pulled, started = beginning["pull_seconds"], beginning["start_seconds"]
    if pulled + started < _TOLD_SECONDS:
        return ""
    return (
        f"before that {formats.duration(pulled)} of pulling and {formats.duration(started)} of"
        " starting"
    )


def _record(target: Target, run: Run, job: StageJob) -> StageRecord | None:
    (stage,) = (each for each in STAGES if each == job["stage"])
    try:
        found = target.client("s3").get_object(
            Bucket=target.output("results_bucket"), Key=run.stage_record_key(stage)
        )
        record = StageRecord.from_json(found["Body"].read())
    except (ClientError, ContractError):
        return None
    # of an array job a child has written it
    return record if record.job_id.partition(":")[0].partition("#")[0] == job["job_id"] else None


def _between(earlier: str | None, later: str) -> float | None:
    if earlier is None:
        return None
    seconds = (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
    return round(max(seconds, 0.0), 3)

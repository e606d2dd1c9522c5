"""What past runs used: the stage records in the results bucket, and the runs that ended for want of
memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from cli import runs_index
from cli.target import Target
from workloads.contract import STAGES, ContractError, Run, Stage
from workloads.records import StageRecord, Used

_THREADS: Final = 16
_NO_MEMORY: Final = re.compile(r"more memory than|no more memory|out of memory", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Point:
    """A stage of one run that was measured."""

    run_id: str
    input_mb: float
    """Of the upload, 10^6 bytes; 0 where its record does not say."""
    seconds: float
    used: Used


@dataclass(frozen=True, kw_only=True)
class Past:
    """What is known of past runs, the newest first."""

    points: dict[Stage, list[Point]]
    unmeasured: dict[Stage, int]
    """Records without figures, as of older versions, or with figures that cannot be true."""
    without_memory: dict[Stage, int]
    """Runs that ended in a stage for want of memory."""
    runs_a_month: float


def past_runs(target: Target, *, most: int) -> Past:
    """Reads the records of the newest runs. Raises botocore's errors."""
    entries = runs_index.newest(target, most=most)
    ended = [entry for entry in entries if entry.state == "SUCCEEDED"]
    bucket, client = str(target.output("results_bucket")), target.client("s3")

    def read(asked: tuple[Run, Stage]) -> StageRecord | None:
        run, stage = asked
        try:
            body = client.get_object(Bucket=bucket, Key=run.stage_record_key(stage))["Body"].read()
            return StageRecord.from_json(body)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"NoSuchKey", "404"}:
                raise
        except ContractError:
            pass  # of another version, or damaged: it tells nothing
        return None

    wanted = [(entry.run, stage) for entry in ended for stage in STAGES]
    with ThreadPoolExecutor(_THREADS) as pool:
        records = dict(zip(wanted, pool.map(read, wanted), strict=True))
    points: dict[Stage, list[Point]] = {stage: [] for stage in STAGES}
    unmeasured = dict.fromkeys(STAGES, 0)
    for entry in ended:
        first = records[entry.run, "preprocess"]
        size = _megabytes((first.details if first else {}).get("input_bytes"))
        for stage in STAGES:
            record = records[entry.run, stage]
            if record is None:
                continue
            if record.used is None or not _sensible(record, record.used):
                unmeasured[stage] += 1
                continue
            points[stage].append(
                Point(run_id=entry.run_id, input_mb=size, seconds=record.seconds, used=record.used)
            )
    return Past(
        points=points,
        unmeasured=unmeasured,
        without_memory=_without_memory(entries),
        runs_a_month=_runs_a_month([entry.claimed_ms for entry in entries]),
    )


def _megabytes(found: Any) -> float:
    """0 for what is no size."""
    whole = isinstance(found, int | float) and math.isfinite(found) and found > 0
    return float(found) / 1e6 if whole else 0.0


def _sensible(record: StageRecord, used: Used) -> bool:
    """Whether its figures can be true: JSON as Python reads it knows numbers that are none."""
    figures = (record.seconds, used.memory_mib, used.peak_cpus)
    return all(math.isfinite(each) and each >= 0 for each in figures) and used.memory_mib > 0


def _without_memory(entries: Sequence[runs_index.Entry]) -> dict[Stage, int]:
    found = dict.fromkeys(STAGES, 0)
    for entry in entries:
        failure = entry.item.get("failure") or {}
        stage = failure.get("stage")
        if stage in found and _NO_MEMORY.search(str(failure.get("error") or "")):
            found[stage] += 1
    return found


def _runs_a_month(claimed_ms: Sequence[int]) -> float:
    """By the time between the oldest and the newest; runs within one day count as a day's."""
    moments = [each / 1000 for each in claimed_ms if each]
    if not moments:
        return 0.0
    newest = max(*moments, datetime.now(UTC).timestamp())
    days = max((newest - min(moments)) / 86_400, 1.0)
    return len(moments) / days * 30

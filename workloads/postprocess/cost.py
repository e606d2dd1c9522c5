"""What the run took and cost: measured seconds of each stage times the price of the machines that
it reserves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from workloads.contract import STAGES, Stage
from workloads.functions.losses import Reclaimed
from workloads.records import StageRecord


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """One stage of the run; None where a figure is not known."""

    stage: Stage
    started_at: str | None
    seconds: float | None
    """Run time in seconds; of an array job the mean of its shards."""
    attempt: int | None
    job_id: str | None
    usd_per_hour: float | None
    figures: dict[str, object]
    """What the stage said of itself."""
    pull_seconds: float | None = None
    """Of its image, which is no part of `seconds`."""
    start_seconds: float | None = None
    """From the end of the pull to the begin of `seconds`."""

    @property
    def usd(self) -> float | None:
        """Cost of the successful attempt's run time."""
        return (
            None
            if self.seconds is None or self.usd_per_hour is None
            else self.seconds / 3600 * self.usd_per_hour
        )


@dataclass(frozen=True, kw_only=True)
class RunCost:
    """The stages in their order and what they add up to."""

    stages: tuple[StageCost, ...]
    reclaimed: Reclaimed | None = None
    """What of the analysis was lost with its machines; None where nobody asked, or AWS Batch did
    not say.
    """

    @property
    def usd(self) -> float | None:
        """Sum over the stages; None where the cost of one is not known: a sum without it would look
        like the whole.
        """
        parts = [stage.usd for stage in self.stages]
        if self.reclaimed is not None and self.reclaimed.attempts:
            parts.append(self.reclaimed.usd)
        return (
            None
            if any(part is None for part in parts)
            else math.fsum(part for part in parts if part is not None)
        )

    @property
    def note(self) -> str:
        """What the sum leaves out, one sentence."""
        unknown = [stage.stage for stage in self.stages if stage.usd is None]
        if unknown:
            return (
                "The cost of the run is not known: no price or no duration of"
                f" {', '.join(unknown)}."
            )
        lost = self.reclaimed
        if lost is not None and lost.attempts:
            return (
                f"Run time of the last attempt of each stage, and of the analysis {lost}; starting"
                " machines, other attempts, storage and requests are not in it."
            )
        return (
            "Run time of the last attempt of each stage; starting machines, earlier attempts,"
            " storage and requests are not in it."
        )

    @property
    def compute_seconds(self) -> float:
        """Sum of the stages' run times, as far as they are known."""
        return math.fsum(stage.seconds or 0.0 for stage in self.stages)

    @property
    def elapsed_seconds(self) -> float | None:
        """From the start of the first stage to the end of the last, waiting for machines included;
        None where a record is missing.
        """
        starts = [
            datetime.fromisoformat(stage.started_at) for stage in self.stages if stage.started_at
        ]
        last = self.stages[-1]
        if len(starts) < len(self.stages) or last.seconds is None:
            return None
        return (starts[-1] - min(starts)).total_seconds() + last.seconds


def _seconds(record: StageRecord) -> float:
    """Of the stage; of an array job the mean of its shards, whatever part of it they ran at the
    same time: the price is of all of them.
    """
    shards = record.details.get("shard_seconds")
    return math.fsum(shards) / len(shards) if shards else record.seconds


def of_run(
    records: Mapping[Stage, StageRecord],
    usd_per_hour: Mapping[str, float],
    lost: Reclaimed | None = None,
) -> RunCost:
    """Joins records and prices; a stage without a record stays in the list with unknown figures."""
    stages = []
    for stage in STAGES:
        record = records.get(stage)
        stages.append(
            StageCost(
                stage=stage,
                started_at=record.started_at if record else None,
                seconds=_seconds(record) if record else None,
                attempt=record.attempt if record else None,
                job_id=record.job_id if record else None,
                usd_per_hour=usd_per_hour.get(stage),
                figures=record.details if record else {},
                pull_seconds=record.beginning.pull_seconds if record and record.beginning else None,
                start_seconds=(
                    record.beginning.start_seconds if record and record.beginning else None
                ),
            )
        )
    return RunCost(stages=tuple(stages), reclaimed=lost)

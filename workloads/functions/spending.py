"""What a run has cost so far, by the attempts of its jobs: run time times the price of the machines
that the job reserves.

Counted are all attempts, those that failed among them. Not counted are machines that start or idle,
storage and requests. A part that is not known makes the sum unknown: a sum without it would look
like the whole.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from workloads import contract
from workloads.contract import STAGES, Run
from workloads.formats import dollars, duration
from workloads.functions import arrays
from workloads.functions.attempts import run_ms, spans
from workloads.functions.log import log
from workloads.functions.losses import Reclaimed, decimal, reclaimed, together
from workloads.functions.states import RunStates
from workloads.variables import ENV_STAGE_PRICES

_FALLBACK = "fallback"


@dataclass(frozen=True, kw_only=True)
class Spent:
    """One job of the run; of a stage that was begun again with more memory, all of its jobs; or
    the first job of a stage that another one took the place of.
    """

    job: str
    """A stage, or `fallback`."""
    attempts: int
    seconds: float
    """Seconds of all attempts together."""
    usd: float | None
    """Price in US dollars, None where its machines have no known price."""
    reclaimed: Reclaimed
    """What of it was lost with its machines."""

    def __str__(self) -> str:
        tries = f" in {self.attempts} attempts" if self.attempts > 1 else ""
        lost = f", {self.reclaimed} of it" if self.reclaimed.attempts else ""
        return (
            f"{self.job} {duration(self.seconds)}{tries},"
            f" {dollars(self.usd, unknown='cost not known')}{lost}"
        )


@dataclass(frozen=True, kw_only=True)
class Spending:
    """All jobs of a run that have begun."""

    jobs: tuple[Spent, ...]

    @property
    def seconds(self) -> float:
        """Run time of all of them."""
        return math.fsum(job.seconds for job in self.jobs)

    @property
    def usd(self) -> float | None:
        """Cost of all of them, None where one is not known."""
        known = [job.usd for job in self.jobs if job.usd is not None]
        return math.fsum(known) if len(known) == len(self.jobs) else None

    @property
    def reclaimed(self) -> Reclaimed:
        """What was lost with the machines, of all jobs."""
        return together(job.reclaimed for job in self.jobs)

    def attributes(self) -> dict[str, Any]:
        """For the run's state item; `usd` is null where it is not known."""
        return {
            "seconds": decimal(self.seconds),
            "usd": decimal(self.usd),
            "reclaimed": self.reclaimed.attributes(),
            "spent": {
                job.job: {
                    "attempts": job.attempts,
                    "seconds": decimal(job.seconds),
                    "usd": decimal(job.usd),
                }
                for job in self.jobs
            },
        }

    def __str__(self) -> str:
        if not self.jobs:
            return "nothing: no job has begun"
        parts = "; ".join(str(job) for job in self.jobs)
        return (
            f"{dollars(self.usd, unknown='cost not known')} ({parts})"
            if len(self.jobs) > 1
            else parts
        )


def spending_of(
    states: RunStates, run: Run, failed: Mapping[str, Any] | None = None
) -> Spending | None:
    """What a run has cost so far; None, with a line in the log, where AWS does not say.

    Args:
        states: the state items.
        run: the run.
        failed: description of a job of the run as its event has it, which need not stand in the
            state item.
    """
    try:
        item, batch = states.get(run), boto3.client("batch")
        ids = [
            str(job_id)
            for job_id in (
                item.get("replaced"),
                *(each["job_id"] for each in item.get("killed") or ()),
                *(item.get("jobs") or {}).values(),
            )
            if job_id
        ]
        if failed is not None and (parent := arrays.parent_id(str(failed["jobId"]))):
            ids, failed = [*ids, parent], None
        jobs: list[Mapping[str, Any]] = [failed] if failed is not None else []
        jobs += arrays.describe(
            batch, [job_id for job_id in ids if not jobs or job_id != jobs[0]["jobId"]]
        )
        found = _by_job(
            spent for job in jobs if (spent := _spent(job, arrays.machines(batch, job))) is not None
        )
    except (ClientError, BotoCoreError) as error:
        log("cost not known", run_id=run.run_id, reason=str(error))
        return None
    order = [*STAGES, _FALLBACK]
    return Spending(jobs=tuple(sorted(found, key=lambda spent: order.index(spent.job))))


def _by_job(each: Iterable[Spent]) -> list[Spent]:
    """What a stage took in several jobs, one after the other, as one."""
    found: dict[str, Spent] = {}
    for spent in each:
        before = found.get(spent.job)
        found[spent.job] = (
            spent
            if before is None
            else Spent(
                job=spent.job,
                attempts=before.attempts + spent.attempts,
                seconds=before.seconds + spent.seconds,
                usd=None
                if None in (before.usd, spent.usd)
                else (before.usd or 0) + (spent.usd or 0),
                reclaimed=together((before.reclaimed, spent.reclaimed)),
            )
        )
    return list(found.values())


def _spent(job: Mapping[str, Any], machines: Sequence[Mapping[str, Any]]) -> Spent | None:
    """None for a job that is no stage's, or has not begun.

    Of an array the seconds are the mean over its shards, as the price is of all.
    """
    name = str(job.get("jobName") or "")
    stage = (
        _FALLBACK
        if name.endswith(f"-{_FALLBACK}")
        else (job.get("tags") or {}).get(contract.STAGE_TAG)
    )
    now_ms = int(time.time() * 1000)
    attempts = [spans(machine, now_ms) for machine in machines]
    if stage not in (*STAGES, _FALLBACK) or not any(attempts):
        return None
    shards = (job.get("arrayProperties") or {}).get("size") or 1
    seconds = sum(run_ms(of_machine) for of_machine in attempts) / 1000 / shards
    price = _prices().get(str(stage))
    usd = None if price is None else seconds / 3600 * price
    return Spent(
        job=str(stage),
        attempts=max(len(of_machine) for of_machine in attempts),
        seconds=seconds,
        usd=usd,
        reclaimed=reclaimed(machines, None if price is None else price / shards),
    )


def _prices() -> dict[str, float]:
    try:
        return {
            str(job): float(usd)
            for job, usd in json.loads(os.environ.get(ENV_STAGE_PRICES) or "{}").items()
        }
    except (ValueError, TypeError, AttributeError) as error:
        log("prices not known", reason=f"{ENV_STAGE_PRICES}: {error}")
        return {}

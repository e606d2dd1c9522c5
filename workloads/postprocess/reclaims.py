"""What of a run's analysis was lost because AWS took its machines back, as AWS Batch tells it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from workloads.contract import Run
from workloads.functions import arrays
from workloads.functions.losses import Reclaimed, reclaimed, together
from workloads.functions.states import RunStates
from workloads.runtime import env
from workloads.variables import ENV_COUNT_RECLAIMS

log = logging.getLogger(__name__)

_CLIENT: Final = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 4})
"""A figure is not worth a long wait for a service that a network may not lead to."""


@dataclass(frozen=True, kw_only=True)
class Priced:
    """What the jobs of a run cost in an hour, and what was lost of them."""

    usd_per_hour: Mapping[str, float]
    """By stage; of an analysis that went on without Spot, of the machines where it ended."""
    reclaimed: Reclaimed | None
    """None where nobody asks, or AWS does not say."""


def look(run: Run, states: RunStates, usd_per_hour: Mapping[str, float]) -> Priced:
    """Asks AWS Batch, where the job definition says that it is to be asked.

    Args:
        run: the run.
        states: the state items, which name its jobs.
        usd_per_hour: by stage, and of `fallback`.
    """
    if not env.flag(ENV_COUNT_RECLAIMS, default=False):
        return Priced(usd_per_hour=usd_per_hour, reclaimed=None)
    try:
        item = states.get(run)
        first, last = str(item.get("replaced") or ""), (item.get("jobs") or {}).get("analysis")
        batch = boto3.client("batch", config=_CLIENT)
        prices = {first: usd_per_hour.get("analysis")}
        prices[str(last or "")] = usd_per_hour.get("fallback" if first else "analysis")
        lost = together(_lost(batch, job, price) for job, price in prices.items() if job)
    except (ClientError, BotoCoreError) as error:
        log.warning("what Spot took back is not known", extra={"fields": {"reason": str(error)}})
        return Priced(usd_per_hour=usd_per_hour, reclaimed=None)
    if first and "fallback" in usd_per_hour:
        usd_per_hour = {**usd_per_hour, "analysis": usd_per_hour["fallback"]}
    return Priced(usd_per_hour=usd_per_hour, reclaimed=lost)


def _lost(batch: Any, job_id: str, usd_per_hour: float | None) -> Reclaimed:
    job = next(iter(arrays.describe(batch, [job_id])), None)
    if job is None:
        return reclaimed((), usd_per_hour)
    shards = (job.get("arrayProperties") or {}).get("size") or 1
    of_one = None if usd_per_hour is None else usd_per_hour / shards
    return reclaimed(arrays.machines(batch, job), of_one)

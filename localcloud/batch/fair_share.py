"""Order of jobs in a queue with a fair-share policy (User Guide, "Fair-share scheduling policies").

AWS publishes the ingredients, not the formula: usage per share identifier within a decay window, weights (a lower weight gets more), priorities within a
share, and a reservation for shares that are not active yet. The share whose weighted usage is least goes next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from localcloud.batch.records import Job

_SHORTEST_WINDOW: Final = 600.0  # shareDecaySeconds 0 means this, in seconds


@dataclass(frozen=True, kw_only=True)
class Usage:
    """vCPUs that an attempt held, from when to when (None: still running), in seconds of the scheduler's clock."""

    share: str
    vcpus: float
    started: float
    stopped: float | None


def weight(policy: Mapping[str, Any], share: str, active: Iterable[str]) -> float:
    """Weight factor of a share identifier; one prefix entry is divided among the active identifiers that it covers."""
    for entry in policy.get("shareDistribution", []):
        name, factor = entry["shareIdentifier"], float(entry.get("weightFactor", 1.0))
        if name == share:
            return factor
        if name.endswith("*") and share.startswith(name[:-1]):
            return factor * max(1, sum(1 for each in set(active) if each.startswith(name[:-1])))
    return 1.0


def ordered(policy: Mapping[str, Any], jobs: list[Job], usages: Iterable[Usage], now: float) -> list[Job]:
    """Runnable jobs in the order in which the policy wants them placed; only the first is decided on, the usage then changes."""
    window = max(_SHORTEST_WINDOW, float(policy.get("shareDecaySeconds", 0)))
    usages = list(usages)
    active = {job.share or "" for job in jobs} | {usage.share for usage in usages if usage.stopped is None}
    weighted = {share: _usage(usages, share, now, window) * weight(policy, share, active) for share in active}
    oldest = {share: min((job.runnable_since for job in jobs if job.share == share), default=now) for share in active}
    return sorted(
        jobs, key=lambda job: (weighted[job.share or ""], oldest[job.share or ""], job.share or "", -job.priority, job.runnable_since)
    )


def _usage(usages: list[Usage], share: str, now: float, window: float) -> float:
    total = 0.0
    for usage in usages:
        if usage.share != share:
            continue
        if usage.stopped is None:
            total += usage.vcpus * window  # a running job counts as if it went on for the whole window
        age = now - (usage.stopped if usage.stopped is not None else now)
        seconds = (usage.stopped if usage.stopped is not None else now) - usage.started
        total += usage.vcpus * seconds * max(0.0, 1.0 - age / window)
    return total


def available_fraction(policy: Mapping[str, Any], active_shares: int) -> float:
    """Part of an environment's vCPUs that the active shares may use: 1 - (computeReservation / 100) ^ active shares."""
    reservation = float(policy.get("computeReservation", 0)) / 100
    return 1.0 - (reservation**active_shares if reservation else 0.0)

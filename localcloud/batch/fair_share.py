"""Order of jobs in a queue with a fair-share policy (User Guide, "Fair-share scheduling policies").

AWS publishes the ingredients, not the formula: usage per share identifier within a decay window, weights (a lower weight gets more),
priorities within a share, and a reservation for shares that are not active yet. The share whose weighted usage is least goes next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from localcloud.batch.records import Job

_SHORTEST_WINDOW: Final = 600.0  # shareDecaySeconds 0 means this, in seconds
_LONGEST_WINDOW: Final = 604800.0  # the largest shareDecaySeconds


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


class Ledger:
    """What the shares of each queue have used. The caller holds the lock."""

    def __init__(self) -> None:
        self._usages: dict[str, list[Usage]] = {}

    def of(self, queue: str) -> list[Usage]:
        """Usages of a queue."""
        return self._usages.get(queue, [])

    def open(self, job: Job, vcpus: float, now: float) -> None:
        """An attempt starts; jobs without a share are not counted."""
        if job.share:
            kept = [usage for usage in self.of(job.queue.name) if usage.stopped is None or now - usage.stopped < _LONGEST_WINDOW]
            self._usages[job.queue.name] = [*kept, Usage(share=job.share, vcpus=vcpus, started=now, stopped=None)]

    def close(self, job: Job, now: float) -> None:
        """An attempt of the job has ended."""
        usages = self._usages.get(job.queue.name, [])
        for index, usage in enumerate(usages):
            if usage.share == job.share and usage.stopped is None:
                usages[index] = replace(usage, stopped=now)
                return

    def fraction(self, policy: Mapping[str, Any], queue: str, waiting: Iterable[Job]) -> float:
        """Part of an environment's vCPUs that jobs of the queue may use now."""
        active = {job.share for job in waiting} | {usage.share for usage in self.of(queue) if usage.stopped is None}
        return available_fraction(policy, len(active))

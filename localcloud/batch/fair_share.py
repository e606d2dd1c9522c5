"""Order of jobs in a queue with a fair-share policy.

Sources: User Guide, "Fair-share scheduling policies" and "Share identifiers" (the share whose vCPU
usage over time, times its weight factor, is least goes next; a lower weight gets more; priorities
order the jobs within a share; a share is active while it has jobs that have not ended, and until
the decay time after that has passed), and the API reference, FairsharePolicy (a window of at least
ten minutes, recent usage weighs more, the reserved ratio). AWS does not publish how usage decays:
here linearly, to nothing at the end of the window. Nor does it say how a job counts that has just
begun: here as if it had held its vCPUs for the whole window, or all free vCPUs would go to one
share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from localcloud.batch.records import Job

_SHORTEST_WINDOW: Final = 600.0  # shareDecaySeconds 0 means this, in seconds
_LONGEST_WINDOW: Final = 604800.0  # the largest shareDecaySeconds


@dataclass(frozen=True, kw_only=True)
class Usage:
    """vCPUs that an attempt held, from when to when (None: still running), in seconds of the
    scheduler's clock.
    """

    share: str
    vcpus: float
    started: float
    stopped: float | None


def window(policy: Mapping[str, Any]) -> float:
    """For how many seconds an attempt that has ended counts."""
    return max(_SHORTEST_WINDOW, float(policy.get("shareDecaySeconds", 0)))


def weight(policy: Mapping[str, Any], share: str, active: Iterable[str]) -> float:
    """Weight factor of a share identifier; one prefix entry is divided among the active identifiers
    that it covers.
    """
    for entry in policy.get("shareDistribution", []):
        name, factor = entry["shareIdentifier"], float(entry.get("weightFactor", 1.0))
        if name == share:
            return factor
        if name.endswith("*") and share.startswith(name[:-1]):
            return factor * max(1, sum(1 for each in set(active) if each.startswith(name[:-1])))
    return 1.0


def ordered(
    policy: Mapping[str, Any],
    jobs: list[Job],
    usages: Iterable[Usage],
    active: Collection[str],
    now: float,
) -> list[Job]:
    """Runnable jobs in the order in which the policy wants them placed; only the first is decided
    on, the usage then changes.

    Args:
        policy: `fairsharePolicy` of the scheduling policy.
        jobs: the runnable jobs.
        usages: of the queue.
        active: the share identifiers that count as active, those of `jobs` among them.
        now: the scheduler's clock, seconds.
    """
    used: Counter[str] = Counter()
    for usage in usages:
        used[usage.share] += _counted(usage, now, window(policy))  # type: ignore[assignment]
    weighted = {share: used[share] * weight(policy, share, active) for share in active}
    oldest: dict[str, float] = {}
    for job in jobs:
        share = job.share or ""
        oldest[share] = min(oldest.get(share, job.runnable_since), job.runnable_since)
    return sorted(
        jobs,
        key=lambda job: (
            weighted.get(job.share or "", 0.0),
            oldest[job.share or ""],
            job.share or "",
            -job.priority,
            job.runnable_since,
        ),
    )


def _counted(usage: Usage, now: float, span: float) -> float:
    """VCPU seconds."""
    if usage.stopped is None:
        return usage.vcpus * (now - usage.started + span)
    return (
        usage.vcpus * (usage.stopped - usage.started) * max(0.0, 1.0 - (now - usage.stopped) / span)
    )


def available_fraction(policy: Mapping[str, Any], active_shares: int) -> float:
    """Part of an environment's vCPUs that the active shares may use: 1 - (computeReservation / 100)
    ^ active shares.
    """
    reservation = float(policy.get("computeReservation", 0)) / 100
    return 1.0 - (reservation**active_shares if reservation else 0.0)


class Ledger:
    """What the shares of each queue have used, and which of them have jobs.

    The caller holds the lock.
    """

    def __init__(self) -> None:
        self._usages: dict[str, dict[str, Usage]] = {}
        self._jobs: dict[str, Counter[str]] = {}

    def of(self, queue: str) -> list[Usage]:
        """Usages of a queue."""
        return list(self._usages.get(queue, {}).values())

    def enter(self, job: Job) -> None:
        """A job is submitted; jobs without a share are not counted."""
        if job.share:
            self._jobs.setdefault(job.queue.name, Counter())[job.share] += 1

    def leave(self, job: Job) -> None:
        """A job has ended."""
        if job.share:
            self._jobs[job.queue.name][job.share] -= 1

    def open(self, job: Job, vcpus: float, now: float) -> None:
        """An attempt starts."""
        if job.share:
            usages = self._usages.setdefault(job.queue.name, {})
            for key in [
                key
                for key, usage in usages.items()
                if usage.stopped is not None and now - usage.stopped >= _LONGEST_WINDOW
            ]:
                del usages[key]
            usages[_attempt(job)] = Usage(share=job.share, vcpus=vcpus, started=now, stopped=None)

    def close(self, job: Job, now: float) -> None:
        """The attempt of the job has ended that was opened last."""
        if job.share:
            usages = self._usages[job.queue.name]
            usages[_attempt(job)] = replace(usages[_attempt(job)], stopped=now)

    def active(self, policy: Mapping[str, Any], queue: str, now: float) -> set[str]:
        """Share identifiers with jobs that have not ended, or whose last attempt ended within the
        window.
        """
        with_jobs = {
            share for share, count in self._jobs.get(queue, Counter()).items() if count > 0
        }
        span = window(policy)
        recent = {
            usage.share
            for usage in self._usages.get(queue, {}).values()
            if usage.stopped is None or now - usage.stopped < span
        }
        return with_jobs | recent

    def fraction(self, policy: Mapping[str, Any], queue: str, now: float) -> float:
        """Part of an environment's vCPUs that jobs of the queue may use now."""
        return available_fraction(policy, len(self.active(policy, queue, now)))


def _attempt(job: Job) -> str:
    return f"{job.id}@{len(job.attempts)}"

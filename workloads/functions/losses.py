"""Attempts that ended because AWS took their machine away, and not by what the code did.

Three things say so: `Host EC2 (instance i-...) terminated.` (Spot, or a machine that broke), `Your
Spot Task was interrupted.` on Fargate, and the exit code with which the code leaves when EC2 has
said that it takes the machine back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Final

from workloads import contract
from workloads.formats import dollars, duration

_BY_LIMIT: Final = "JobStateTimeLimit"
_TIMED_OUT: Final = "exceeded timeout"


@dataclass(frozen=True, kw_only=True)
class Reclaimed:
    """What was taken back of a job or an array."""

    attempts: int
    jobs: int
    """Shards of an array, or 1, that lost an attempt at least."""
    seconds: float
    """Run time of those attempts, together."""
    usd: float | None
    """Its price, None where that of the machines is not known."""

    def attributes(self) -> dict[str, Any]:
        """For the run's state item."""
        return {
            "attempts": self.attempts,
            "jobs": self.jobs,
            "seconds": decimal(self.seconds),
            "usd": decimal(self.usd),
        }

    def __str__(self) -> str:
        return sentence(asdict(self))


def sentence(found: Mapping[str, Any]) -> str:
    """For people: what `Reclaimed` says, by its fields, as records and state items have them."""
    attempts, jobs = int(found["attempts"]), int(found["jobs"])
    of = f" of {jobs} shards" if jobs > 1 else ""
    cost = dollars(found["usd"], unknown="cost not known")
    return (
        f"{attempts} {'attempt' if attempts == 1 else 'attempts'}{of} taken back by AWS after"
        f" {duration(found['seconds'])}, {cost}"
    )


def together(some: Iterable[Reclaimed]) -> Reclaimed:
    """The sum; its price is unknown where a part's is that lost anything."""
    lost = [each for each in some if each.attempts]
    known = [each.usd for each in lost if each.usd is not None]
    return Reclaimed(
        attempts=sum(each.attempts for each in lost),
        jobs=sum(each.jobs for each in lost),
        seconds=math.fsum(each.seconds for each in lost),
        usd=math.fsum(known) if len(known) == len(lost) else None,
    )


def decimal(value: float | None) -> Decimal | None:
    """As DynamoDB takes it, to the millionth."""
    return None if value is None else Decimal(f"{value:.6f}")


def is_loss(attempt: Mapping[str, Any]) -> bool:
    """Whether an attempt of a description ended so."""
    code = (attempt.get("container") or {}).get("exitCode")
    reason = str(attempt.get("statusReason") or "")
    return code == contract.RECLAIMED_EXIT or reason.startswith(contract.LOST_REASONS)


def ends_elsewhere(job: Mapping[str, Any]) -> bool:
    """Whether a failed job may end well on machines that nobody takes back: it lost its own, was
    never started, or waited for one longer than its queue allows. Nobody ended it, it did not run
    into its timeout, and its code did not end by itself. Of a child of an array the exit code alone
    says that, as it does to the state machine (components/state_machines/ended_jobs.py).

    Args:
        job: as DescribeJobs, or the event of its end, tells it.
    """
    reason = str(job.get("statusReason") or "")
    if _BY_LIMIT in reason:
        return True
    if (
        job.get("isTerminated")
        or job.get("isCancelled")
        or reason.startswith(contract.OWN_STOP)
        or _TIMED_OUT in reason
    ):
        return False
    attempts = job.get("attempts") or []
    last = attempts[-1] if attempts else {"container": job.get("container") or {}}
    code = (last.get("container") or {}).get("exitCode")
    if ":" not in str(job.get("jobId") or "") and reason.startswith(contract.LOST_REASONS):
        return True
    return code is None or code == contract.RECLAIMED_EXIT


def reclaimed(jobs: Iterable[Mapping[str, Any]], usd_per_hour: float | None) -> Reclaimed:
    """What these jobs lost.

    Args:
        jobs: descriptions of plain jobs or of children of an array.
        usd_per_hour: of the machines of one of them.
    """
    lost = [[each for each in job.get("attempts") or [] if is_loss(each)] for job in jobs]
    seconds = math.fsum(
        max(0, int(each["stoppedAt"]) - int(each["startedAt"])) / 1000
        for attempts in lost
        for each in attempts
        if each.get("startedAt") and each.get("stoppedAt")
    )
    return Reclaimed(
        attempts=sum(map(len, lost)),
        jobs=sum(bool(attempts) for attempts in lost),
        seconds=round(seconds, 3),
        usd=None if usd_per_hour is None else seconds / 3600 * usd_per_hour,
    )

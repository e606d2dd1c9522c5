"""What the state item of a run looks like, what it says of a failure, and the rights that are
written in it: to submit the run's jobs, and to tell of its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Self

from workloads.contract import Run, RunState, Stage, Upload
from workloads.functions import forms

ITEM: Final = {
    "state?": forms.TEXT,
    "attempt?": forms.WHOLE,
    "claim_expires_ms?": forms.WHOLE,
    "ended_ms?": forms.WHOLE,
    "tell_until_ms?": forms.WHOLE,
    "jobs?": {"*": forms.TEXT},
    "replaced?": forms.TEXT,
    "killed?": [{"stage": forms.TEXT, "job_id": forms.TEXT, "memory_mib": forms.WHOLE}],
    "failure?": {"job_id?": forms.TEXT, "stage?": forms.TEXT, "error?": forms.TEXT},
    "upload?": {"key?": forms.TEXT},
}
"""The form of a state item, and what a claim adds that can be taken over."""
CLAIMED: Final = {
    "claim_token": forms.TEXT,
    "first_claimed_ms": forms.WHOLE,
    "jobs": {"*": forms.TEXT},
}
"""What an item has besides whose claim can be taken over."""

TELL_LEASE_MS: Final = 90_000
"""How long one invocation has for telling Slack before a repeated event may take over: longer than
the notify function may run, and shorter than the time after which Lambda delivers its event for the
third time.
"""

Standing = Literal["open", "closed", "being told"]
"""Standing of a failure: it may end the run or be told; the run has ended otherwise or all is told;
an invocation has the right to tell of it.
"""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to submit the jobs of a run."""

    run: Run
    token: str
    first_claimed_ms: int
    """When the run was claimed for the first time: jobs of its names that are older belong to an
    earlier try by hand.
    """
    jobs: dict[Stage, str]
    """Jobs that an earlier holder of the claim submitted and wrote down."""
    taken_over: bool
    attempt: int = 1
    """Counts the times that the run was begun: more than one where somebody asked for it again
    after its end, or a job was killed for its memory.
    """
    replaced: str = ""
    """Id of the analysis of a chain that this one takes the place of, in the queue without Spot."""
    killed: tuple[Mapping[str, Any], ...] = ()
    """Jobs of this attempt and those before it that were killed for their memory, see growth.py."""

    @classmethod
    def of(cls, run: Run, item: Mapping[str, Any], *, taken_over: bool) -> Self:
        """The claim that a state item stands for."""
        jobs: Any = item["jobs"]
        return cls(
            run=run,
            token=item["claim_token"],
            first_claimed_ms=int(item["first_claimed_ms"]),
            jobs=dict(jobs),
            taken_over=taken_over,
            attempt=attempt_of(item),
            replaced=str(item.get("replaced") or ""),
            killed=tuple(item.get("killed") or ()),
        )

    @property
    def memory_mib(self) -> dict[str, int]:
        """Stage -> what it asks for in place of what its job definition says."""
        return {str(each["stage"]): int(each["memory_mib"]) for each in self.killed}


class ClaimLostError(RuntimeError):
    """Another invocation took the claim over, or the run ended meanwhile; whoever holds the claim
    must not submit any more.
    """


class UnfinishedError(RuntimeError):
    """What another invocation does for the run is not done yet: the event has to be delivered again
    in case it never is.
    """

    doing: ClassVar[str]

    def __init__(self, run: Run) -> None:
        super().__init__(
            f"run {run.run_id}: another invocation {self.doing}; the event has to be delivered"
            " again"
        )


class NotificationLeasedError(UnfinishedError):
    """Another invocation has the right to tell."""

    doing = "is telling Slack and has not finished"


class SubmissionUnderWayError(UnfinishedError):
    """A job has failed before the invocation that submitted it has noted it."""

    doing = "submits its jobs and has not noted all of them"


def new_item(run: Run, upload: Upload, state: RunState, now_ms: int) -> dict[str, Any]:
    """The first item of a run, without what a claim adds."""
    return {
        **run.state_key,
        "run_id": run.run_id,
        "state": state,
        "first_claimed_ms": now_ms,
        "attempt": 1,
        "upload": {
            "bucket": upload.bucket,
            "key": upload.key,
            "etag": upload.etag,
            "version_id": upload.version_id,
        },
    }


def attempt_of(item: Mapping[str, Any]) -> int:
    """Which time it is that the run was begun."""
    return int(item.get("attempt") or 1)


def standing(item: Mapping[str, Any], job_id: str, *, created_ms: int, now_ms: int) -> Standing:
    """What a state item says of a failure, before anything is asked of AWS Batch: most events of a
    large array change nothing.

    Args:
        item: the state item; empty where there is none.
        job_id: of the job that failed; of an array, the parent's stands for that of any child.
        created_ms: when it was made.
        now_ms: this moment.
    """
    if int(item.get("ended_ms") or -1) < created_ms:
        return "open"
    told_of = str((item.get("failure") or {}).get("job_id") or "")
    if (
        item.get("state") != "FAILED"
        or "told_at" in item
        or job_id not in (told_of, told_of.partition(":")[0])
    ):
        return "closed"
    if int(item.get("tell_until_ms") or 0) < now_ms:
        return "open"
    return "being told" if job_id == told_of else "closed"

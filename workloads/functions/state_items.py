"""What the state item of a run looks like, and the right to submit the run's jobs, which is written
in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

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
    after its end.
    """


class ClaimLostError(RuntimeError):
    """Another invocation took the claim over, or the run ended meanwhile; whoever holds the claim
    must not submit any more.
    """


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

"""A run whose analysis Spot did not let end goes on in the queue without Spot.

Where a state machine runs the stages it decides by itself, and an event of a failed job only says
which job was replaced. In a chain nothing follows a failed job but the failure of the jobs that
wait for it: the notify function asks the submit function to take the run up at its analysis.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

import boto3
from boto3.dynamodb.conditions import Attr

from workloads import contract
from workloads.contract import Run, Stage, Upload
from workloads.functions import arrays, asking
from workloads.functions.log import log
from workloads.functions.losses import ends_elsewhere
from workloads.functions.reasons import explain
from workloads.functions.state_items import Claim, attempt_of
from workloads.functions.states import RunStates
from workloads.variables import ENV_SUBMIT_FUNCTION

Outcome = Literal["fallback"]


def goes_on(
    states: RunStates,
    run: Run,
    job_id: str,
    failed: Mapping[str, Any],
    tags: Mapping[str, str],
) -> Outcome | None:
    """What follows a failed job, and has begun; None where the run ends.

    Args:
        states: the state items.
        run: the run.
        job_id: of the event.
        failed: description of the job that says why; of an array the child that failed first.
        tags: of what was submitted.
    """
    how = tags.get(contract.FALLBACK_TAG)
    parent = arrays.parent_id(job_id)
    nobody_ended = not (failed.get("isTerminated") or failed.get("isCancelled"))
    if how is None:
        return None
    if how == contract.FALLBACK_BY_NOTIFY:
        if not ends_elsewhere(failed):
            return None
        if parent is None and not _ask(states, run, job_id, is_array=failed["jobId"] != job_id):
            return None
    elif how == contract.FALLBACK_AFTER_LOSS and nobody_ended and not ends_elsewhere(failed):
        return None
    else:
        states.replaced(run, parent or job_id)
    log(
        "job failed, fallback follows",
        run_id=run.run_id,
        job_id=job_id,
        error=explain(failed).error,
    )
    return "fallback"


def _ask(states: RunStates, run: Run, job_id: str, *, is_array: bool) -> bool:
    """Asks the submit function, which takes the run up once, whoever asks how often.

    Returns False where that cannot be: a run that was submitted by hand has no upload, and a shard
    whose own code failed would fail again; its own event tells of it.
    """
    found: Mapping[str, Any] = states.get(run).get("upload") or {}
    if not os.environ.get(ENV_SUBMIT_FUNCTION) or not found.get("etag"):
        return False
    if is_array:
        batch = boto3.client("batch")
        failed = [child["jobId"] for child in arrays.children(batch, job_id, "FAILED")]
        if not all(map(ends_elsewhere, arrays.describe(batch, failed))):
            return False
    asking.ask(found, instead_of=job_id)
    return True


def claim(
    states: RunStates,
    run: Run,
    upload: Upload,
    *,
    instead_of: str,
    token: str,
    now_ms: int,
    expires_ms: int,
) -> Claim | str:
    """Takes the right to submit what follows a failed analysis of a chain: the claim, or the run's
    state where there is none to have. The run counts as begun once more, so that its jobs have
    names of their own.

    Args:
        states: the state items.
        run: the run.
        upload: of the run.
        instead_of: id of the analysis that failed.
        token: unique to this invocation.
        now_ms: this moment, milliseconds since the epoch.
        expires_ms: when this invocation is certainly over.
    """
    found = states.get(run)
    state, jobs = str(found.get("state") or ""), dict[Stage, str](found.get("jobs") or {})
    if state == "CLAIMED" and found.get("replaced") == instead_of:
        # the same request, delivered again: as any other claim
        return states.claim(run, upload, token=token, now_ms=now_ms, expires_ms=expires_ms)
    if state != "SUBMITTED" or jobs.get("analysis") != instead_of:
        return state
    changes = {
        "state": "CLAIMED",
        "claim_token": token,
        "claim_expires_ms": expires_ms,
        "first_claimed_ms": now_ms,
        "jobs": {stage: job for stage, job in jobs.items() if stage == "preprocess"},
        "attempt": attempt_of(found) + 1,
        "replaced": instead_of,
    }
    condition = Attr("state").eq("SUBMITTED") & Attr("jobs.analysis").eq(instead_of)
    if not states.update(run, changes, condition, remove=("submitted_at",)):
        return "CLAIMED"
    return Claim.of(run, {**found, **changes}, taken_over=False)

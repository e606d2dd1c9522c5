"""A run whose job was killed for its memory begins again at that stage, with more of it, where the
config says how much (`jobs.<stage>.memory_growth_mib`).

A retry of AWS Batch starts the same container with the same resources (API reference,
RetryStrategy), so more memory takes another job: the notify function sees why the job failed and
asks the submit function, which claims the run anew and submits the stage and those after it, by
jobs or by an execution of the state machine. `ContainerOverrides.resourceRequirements` replaces the
MEMORY of the job definition and leaves its other requirements; a multi-node job takes the same in
`nodeOverrides` (API reference, SubmitJob).

The state item names each job that was killed and what was asked for instead; by that a second event
of the same job is told from the failure of the next one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from boto3.dynamodb.conditions import Attr

from workloads.contract import STAGES, ContractError, Run, Stage, Upload
from workloads.formats import now
from workloads.functions import arrays, asking, clients, forms, slack
from workloads.functions.log import log
from workloads.functions.state_items import CLAIMED, Claim, SubmissionUnderWayError, attempt_of
from workloads.functions.states import RunStates
from workloads.functions.webhook import tell
from workloads.runtime.quoting import quoted
from workloads.variables import ENV_MEMORY_GROWTH

_REASON: Final = "OutOfMemoryError"
"""How ECS's reason begins (ECS developer guide, "Stopped tasks error messages")."""
_MOST_NODES: Final = 1000
"""AWS Batch user guide, service quotas."""
_PATIENCE_SECONDS: Final = 20.0
"""How long an event waits for the submit function to note the job that it is of."""
_POLL_SECONDS: Final = 0.2
_STEPS: Final = {"*": [forms.WHOLE]}
_UNDER_WAY: Final = {
    "upload": {
        "bucket": forms.TEXT,
        "key": forms.TEXT,
        "etag": forms.TEXT,
        "version_id?": forms.TEXT,
    }
}
"""What the state item has of a run that began with an upload."""


def steps(stage: str | None) -> list[int]:
    """What the stage asks for in place of its memory, one after the other, MiB; empty where it is
    not to grow.

    Raises ContractError.
    """
    name = ENV_MEMORY_GROWTH
    found = forms.parsed(os.environ.get(name) or "{}", what=f"environment variable {name}")
    forms.check(found, _STEPS, what=f"environment variable {name}")
    return [int(each) for each in found.get(stage) or []]


def begin_again(
    states: RunStates, run: Run, stage: Stage | None, detail: Mapping[str, Any], job_id: str
) -> dict[str, Any] | None:
    """Asks for the run to begin again with more memory, where its job was killed for want of it.

    Args:
        states: the state items.
        run: the run.
        stage: of the job.
        detail: description of the job, or of the child of an array, that says why.
        job_id: of the job whose event this is; an array begins again when all of it has ended.

    Returns what the handler returns, or None where the failure ends the run: another cause, no more
    steps, or a job that the state item does not name, as one that was submitted by hand. Raises
    SubmissionUnderWayError.
    """
    item, own = states.get(run), arrays.parent_id(job_id) or job_id
    before = item.get("killed") or []
    if own in {each["job_id"] for each in before}:
        log("run begins again already", run_id=run.run_id, job_id=job_id)
        return {"outcome": "begins again", "run_id": run.run_id}
    more = steps(stage)[sum(each["stage"] == stage for each in before) :]
    if not more or not _killed_for_memory(detail, own) or own != _named(states, run, item, stage):
        return None
    if own != job_id:
        log("shard killed for its memory", run_id=run.run_id, job_id=job_id)
        return {"outcome": "the other shards end first", "run_id": run.run_id}
    forms.check(item, _UNDER_WAY, what=f"the state item of run {run.run_id}")
    asking.ask(item["upload"], killed={"stage": stage, "job_id": own})
    log("run begins again with more memory", run_id=run.run_id, stage=stage, memory_mib=more[0])
    return {"outcome": "begins again", "run_id": run.run_id, "memory_mib": more[0]}


def _named(states: RunStates, run: Run, item: Mapping[str, Any], stage: Stage | None) -> str | None:
    """The job of a stage by the state item, which was read before; None where it has none. A job
    may fail while those after it are submitted. Raises SubmissionUnderWayError.
    """
    began = time.monotonic()
    while True:
        found: str | None = (item.get("jobs") or {}).get(stage)
        if found is not None or item.get("state") != "CLAIMED":
            return found
        if time.monotonic() - began >= _PATIENCE_SECONDS:
            raise SubmissionUnderWayError(run)
        time.sleep(_POLL_SECONDS)
        item = states.get(run)


def _killed_for_memory(detail: Mapping[str, Any], job_id: str) -> bool:
    """By the job's own description; of a multi-node job also by those of its nodes, because the
    main node says no more than that one of them was lost.
    """
    if _says_so(detail):
        return True
    if not detail.get("nodeProperties"):
        return False
    nodes = min(int(detail["nodeProperties"].get("numNodes") or 1), _MOST_NODES)
    ids = [f"{job_id}#{node}" for node in range(nodes)]
    return any(_says_so(node) for node in arrays.describe(clients.batch(), ids))


def _says_so(detail: Mapping[str, Any]) -> bool:
    attempts = detail.get("attempts") or []
    last = attempts[-1] if attempts else {}
    containers = (detail.get("container") or {}, last.get("container") or {})
    reasons = [detail.get("statusReason"), last.get("statusReason")]
    reasons += [container.get("reason") for container in containers]
    return any(str(reason or "").startswith(_REASON) for reason in reasons)


@dataclass(frozen=True, kw_only=True)
class Killed:
    """A job that was killed for its memory."""

    stage: Stage
    job_id: str

    @classmethod
    def of(cls, detail: Mapping[str, Any]) -> Self | None:
        """What an event of the submit function says of it; None where that is of another kind.

        Raises ContractError.
        """
        found = detail.get("killed")
        if found is None:
            return None
        for stage in STAGES:
            if stage == found["stage"]:
                return cls(stage=stage, job_id=found["job_id"])
        raise ContractError(
            f"detail.killed.stage is {quoted(found['stage'])}; expected one of {', '.join(STAGES)}"
        )


class GrowingStates(RunStates):
    """The state items, for a run that begins again with more memory."""

    def claim_more(
        self,
        run: Run,
        upload: Upload,
        killed: Killed,
        *,
        token: str,
        now_ms: int,
        expires_ms: int,
    ) -> Claim | str:
        """Takes the claim of a run under way, once for each job that was killed.

        Args:
            run: the run.
            upload: as in claim.
            killed: the job.
            token: as in claim.
            now_ms: as in claim.
            expires_ms: as in claim.

        Returns what claim does. Raises ContractError where the state item has not its form.
        """
        item, stage = self.get(run), killed.stage
        before = list(item.get("killed") or [])
        if any(each["job_id"] == killed.job_id for each in before):
            # this event came again: the claim may have to be taken over
            return self.claim(run, upload, token=token, now_ms=now_ms, expires_ms=expires_ms)
        state = str(item.get("state") or "")  # where there is no such run nobody is at work on it
        more = steps(stage)[sum(each["stage"] == stage for each in before) :]
        if state != "SUBMITTED" or (item.get("jobs") or {}).get(stage) != killed.job_id:
            return state
        if not more:
            raise ContractError(
                f"run {run.run_id}: there is no more memory for {stage} to ask for; the function"
                f" has another {ENV_MEMORY_GROWTH} than the one that asked"
            )
        forms.check(item, CLAIMED, what=f"the state item of run {run.run_id}")
        earlier = STAGES[: STAGES.index(stage)]
        jobs: Any = {each: item["jobs"][each] for each in earlier if each in item["jobs"]}
        entry = {"stage": stage, "job_id": killed.job_id, "memory_mib": more[0], "at": now()}
        changes = {
            "state": "CLAIMED",
            "claim_token": token,
            "claim_expires_ms": expires_ms,
            "jobs": jobs,
            "attempt": attempt_of(item) + 1,
            "killed": [*before, entry],
        }
        condition = Attr("state").eq("SUBMITTED") & Attr(f"jobs.{stage}").eq(killed.job_id)
        if not self.update(run, changes, condition, remove=("execution_arn", "submitted_at")):
            return "CLAIMED"
        return Claim.of(run, {**item, **changes}, taken_over=False)


def tell_more(run: Run, claim: Claim) -> None:
    """Tells Slack that the run goes on, and with how much.

    What Slack does not take is logged and not tried again: the end of the run is told whatever
    comes, and says the same.
    """
    last = claim.killed[-1]
    said = f"the stage {last['stage']} was killed for its memory"
    then = f"it begins again there, with {last['memory_mib']} MiB"
    message = slack.Message(
        text=slack.escape(f"{run.run_id}: {said}; {then}"),
        blocks=(
            slack.header(f"{run.run_id}: more memory"),
            slack.section(slack.escape(f"{said[0].upper()}{said[1:]}; {then}.")),
            slack.context(
                f"Nothing is to do. Where it comes often, raise jobs.{last['stage']}.memory_mib:"
                " what was killed has cost its time."
            ),
        ),
    )
    try:
        tell(message)
    except slack.SlackError as error:
        log("slack not told", run_id=run.run_id, reason=str(error))

"""Lambda function: an uploaded table becomes a run, exactly once per upload: three dependent jobs,
or an execution of the state machine.

S3's events arrive at least once and SubmitJob has no idempotency token, so the state item decides
who submits (see states.py), and every job id is written down before the next job is submitted. An
invocation that dies leaves an expired claim; whoever takes it over looks for the one job that may
have been submitted without being written down, by its name. ListJobs lags behind SubmitJob by
moments, so a claim can be taken over only some time after its holder is certainly gone.
"""

from __future__ import annotations

import random
import time
import uuid
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from workloads import contract
from workloads.contract import STAGES, ContractError, Run, Stage, Upload
from workloads.formats import now
from workloads.functions import clients, executions, forms, going_on, pauses
from workloads.functions.forbidden import tell_forbidden
from workloads.functions.growth import GrowingStates, Killed, tell_more
from workloads.functions.job_targets import JobTargets
from workloads.functions.log import log
from workloads.functions.refused import tell_refused
from workloads.functions.state_items import Claim, ClaimLostError
from workloads.functions.states import RunStates
from workloads.runtime.quoting import escaped, quoted
from workloads.variables import ENV_SHARDS

if TYPE_CHECKING:
    from mypy_boto3_batch.client import BatchClient

_SETTLE_SECONDS: Final = 15.0
"""Time from the last possible SubmitJob of a claim's holder until ListJobs surely shows the job."""
_POLL_SECONDS: Final = 0.5
_STOP_BEFORE_DEADLINE_SECONDS: Final = 3.0
_THROTTLED: Final = frozenset(
    {"TooManyRequestsException", "ThrottlingException", "Throttling", "RequestLimitExceeded"}
)
_SUBMIT_ATTEMPTS: Final = 6
_SUBMISSIONS: Final = ("SubmitJob", "StartExecution")
_FORBIDDEN: Final = "with an explicit deny"
"""Words in every refusal by a Deny (IAM user guide, "Troubleshoot access denied error
messages").
"""

_OBJECT_CREATED: Final = {
    "detail": {
        "bucket": {"name": forms.TEXT},
        "object": {"key": forms.TEXT, "etag": forms.TEXT, "version-id?": forms.TEXT},
        "again?": forms.FLAG,
        "from?": forms.TEXT,
        "instead_of?": forms.TEXT,
        "killed?": {"stage": forms.TEXT, "job_id": forms.TEXT},
    }
}


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Entry point; `event` is EventBridge's `Object Created` of the ingest bucket.

    Returns what was done, for the log and for whoever invokes by hand: `{"outcome", "run_id",
    "state_key", "jobs"}`, or `execution` in place of `jobs`; `state_key` is the key of the run's
    state item. The outcome is `submitted`, `exists`, `claim lost`, `ignored`, `refused`, or while
    the pipeline is paused `waiting` (pauses.py) and for a run that was to begin again `paused`.
    `detail.again`, which S3 never sends, begins a run again that has ended, and `detail.from` names
    the stage that it begins at. `detail.killed` and `detail.instead_of`, which the notify function
    sends, begin a run again under way (growth.py, going_on.py); a pause does not hold it, for the
    run had begun before.

    An object outside data/ is nobody's mistake (others may lie in the bucket), and neither is the
    marker of a folder. What lies in data/ and is no upload is told to Slack once, for somebody
    waits for it; there is no run to fail. Every error is raised: Lambda delivers the event again,
    and then to the dead-letter queue.
    """
    forms.check(event, _OBJECT_CREATED, what="the event")
    bucket, found = event["detail"]["bucket"]["name"], event["detail"]["object"]
    key = found["key"]
    if not contract.concerns_uploads(key):
        log(
            "object ignored",
            bucket=bucket,
            key=key,
            reason="not in data/, or the marker of a folder",
        )
        return {"outcome": "ignored"}
    try:
        upload = Upload(
            bucket=bucket, key=key, etag=found["etag"], version_id=found.get("version-id") or None
        )
        run = Run(upload.run_id)
    except ContractError as error:
        return {
            "outcome": "refused",
            "reason": tell_refused(bucket, key, found["etag"], escaped(str(error))),
        }

    states = GrowingStates(clients.metrics_table())
    settings = executions.Settings.from_env() or JobTargets.from_env()
    first = _first_stage(event["detail"])
    again = event["detail"].get("again") is True
    instead_of = event["detail"].get("instead_of") or ""
    killed = Killed.of(event["detail"])
    held = None if killed or instead_of else pauses.hold(states, run, upload, again=again)
    if held is not None:
        log("run held back by a pause", run_id=run.run_id, key=key, state=held)
        return {"outcome": held.lower(), "run_id": run.run_id, "state_key": run.state_key}
    outcome = _claim(
        states, run, upload, context, again=again, killed=killed, instead_of=instead_of
    )
    if isinstance(outcome, str):
        log("run exists", run_id=run.run_id, state=outcome, key=key)
        return {
            "outcome": "exists",
            "run_id": run.run_id,
            "state_key": run.state_key,
            "state": outcome,
        }
    for killed_stage in (each["stage"] for each in outcome.killed[-1:]):
        # whatever event it is that carries on
        first = next((stage for stage in STAGES if stage == killed_stage), first)
    try:
        begun = _begin(states, outcome, upload, settings, first)
    except ClaimLostError as error:
        log("claim lost", run_id=run.run_id, reason=str(error))
        return {"outcome": "claim lost", "run_id": run.run_id, "state_key": run.state_key}
    except (ClientError, BotoCoreError) as error:
        # the next delivery may go on as soon as ListJobs shows what this one has submitted
        settle = 0.0 if _refused(error) else _SETTLE_SECONDS
        states.shorten(outcome, expires_ms=_now_ms() + int(settle * 1000))
        if _FORBIDDEN in str(error):
            tell_forbidden(run, str(error))
        raise
    log(
        "run submitted",
        run_id=run.run_id,
        key=key,
        attempt=outcome.attempt,
        taken_over=outcome.taken_over,
        **begun,
    )
    if outcome.killed and not instead_of:  # which goes on with the memory that was told of
        tell_more(run, outcome)
    return {"outcome": "submitted", "run_id": run.run_id, "state_key": run.state_key, **begun}


def _first_stage(detail: dict[str, Any]) -> Stage:
    """Where the run begins. Raises ContractError where that is no stage, or the run does not begin
    again.
    """
    if detail.get("instead_of"):
        return "analysis"
    first = detail.get("from") or STAGES[0]
    if first not in STAGES:
        raise ContractError(f"a run begins at {', '.join(STAGES)}; found {quoted(first)}")
    if first != STAGES[0] and detail.get("again") is not True:
        raise ContractError(
            f"only a run that begins again can begin at {first}: what comes before has to be there"
        )
    return STAGES[STAGES.index(first)]


def _begin(
    states: RunStates,
    claim: Claim,
    upload: Upload,
    settings: JobTargets | executions.Settings,
    first: Stage,
) -> dict[str, Any]:
    if isinstance(settings, executions.Settings):
        return {"execution": executions.start(states, claim, upload, settings, first)}
    return {"jobs": _submit_all(states, claim, upload, settings, first)}


def _claim(
    states: GrowingStates,
    run: Run,
    upload: Upload,
    context: Any,
    *,
    again: bool,
    killed: Killed | None,
    instead_of: str,
) -> Claim | str:
    """The claim, or the state of a run that needs nothing more. Waits for another invocation at
    work on the same run.

    Raises RuntimeError where that one does not come to an end in time: if it crashes, this event is
    the one that carries on.
    """
    token = uuid.uuid4().hex
    while True:
        remaining = context.get_remaining_time_in_millis() / 1000
        now_ms = _now_ms()
        expires_ms = now_ms + int((remaining + _SETTLE_SECONDS) * 1000)
        until: dict[str, Any] = {"token": token, "now_ms": now_ms, "expires_ms": expires_ms}
        if instead_of:
            outcome = going_on.claim(states, run, upload, instead_of=instead_of, **until)
        elif killed is not None:
            outcome = states.claim_more(run, upload, killed, **until)
        else:
            outcome = states.claim(run, upload, again=again, **until)
        if outcome != "CLAIMED":
            return outcome
        if remaining < _STOP_BEFORE_DEADLINE_SECONDS:
            raise RuntimeError(
                f"run {run.run_id} is claimed by an invocation that has not ended; the event has to"
                " be delivered again"
            )
        time.sleep(_POLL_SECONDS)


def _submit_all(
    states: RunStates, claim: Claim, upload: Upload, settings: JobTargets, first: Stage
) -> dict[Stage, str]:
    """Submits the jobs from a stage on that are not there yet, each depending on the one before
    it.
    """
    batch = clients.batch()
    jobs = dict(claim.jobs)
    parent: str | None = None
    for stage in STAGES[STAGES.index(first) :]:
        if stage not in jobs:
            request = _request(claim, stage, upload, settings, parent)
            found = _find(batch, claim, request) if claim.taken_over else None
            jobs[stage] = found or _submit(batch, request)
            if stage != STAGES[-1]:  # after which all are there, and one write says so
                states.write_jobs(claim, jobs)
            log(
                "job adopted" if found else "job submitted",
                run_id=claim.run.run_id,
                stage=stage,
                job_id=jobs[stage],
            )
        parent = jobs[stage]
    states.write_jobs(claim, jobs, submitted_at=now())
    return jobs


def _request(
    claim: Claim, stage: Stage, upload: Upload, settings: JobTargets, parent: str | None
) -> dict[str, Any]:
    """The SubmitJob request of a stage."""
    run, target = claim.run, settings.targets[stage]
    name = run.job_name(stage, claim.attempt)
    tags = {contract.RUN_ID_TAG: run.run_id, contract.STAGE_TAG: stage}
    if stage == "analysis" and settings.fallback is not None:
        if claim.replaced:
            name, target = f"{name}{contract.FALLBACK_ENDING}", settings.fallback
        else:
            tags[contract.FALLBACK_TAG] = contract.FALLBACK_BY_NOTIFY
    variables = run.job_environment(upload)
    if stage == "analysis":
        # of this very job, whatever the newest job definition says
        variables[ENV_SHARDS] = str(target.shards)
    overrides: dict[str, Any] = {
        "environment": [{"name": name, "value": value} for name, value in variables.items()]
    }
    if stage in claim.memory_mib:
        more = {"type": "MEMORY", "value": str(claim.memory_mib[stage])}
        overrides["resourceRequirements"] = [more]
    request: dict[str, Any] = {
        "jobName": name,
        "jobQueue": target.queue,
        "jobDefinition": target.definition,
        "tags": tags,
        "propagateTags": True,
    }
    if target.multi_node:
        # a multi-node job takes no containerOverrides, and the node range must repeat the job
        # definition's to the letter
        request["nodeOverrides"] = {
            "nodePropertyOverrides": [
                {"targetNodes": contract.ANALYSIS_TARGET_NODES, "containerOverrides": overrides}
            ]
        }
    else:
        request["containerOverrides"] = overrides
    if target.shards > 1:
        request["arrayProperties"] = {"size": target.shards}
    if target.share_identifier:
        request["shareIdentifier"] = target.share_identifier
    if parent:
        request["dependsOn"] = [{"jobId": parent}]
    return request


def _submit(batch: BatchClient, request: dict[str, Any]) -> str:
    """Submits one job and returns its id; a throttled call, which did nothing for certain, is
    repeated, anything else is raised.
    """
    for attempt in range(1, _SUBMIT_ATTEMPTS + 1):
        try:
            return batch.submit_job(**request)["jobId"]
        except ClientError as error:
            if (
                error.response.get("Error", {}).get("Code") not in _THROTTLED
                or attempt == _SUBMIT_ATTEMPTS
            ):
                raise
            time.sleep(random.uniform(0.1, 0.2) * 2**attempt)  # noqa: S311 - jitter, not a secret
    raise AssertionError  # the loop returns or raises


def _find(batch: BatchClient, claim: Claim, request: dict[str, Any]) -> str | None:
    """The oldest job of the request's very name that was created since the run was claimed."""
    name = request["jobName"]
    pages = batch.get_paginator("list_jobs").paginate(
        jobQueue=request["jobQueue"], filters=[{"name": "JOB_NAME", "values": [name]}]
    )
    oldest = claim.first_claimed_ms - executions.CLOCK_SKEW_MS
    found = [
        (job["createdAt"], job["jobId"])
        for page in pages
        for job in page["jobSummaryList"]
        if job["jobName"] == name and job["createdAt"] >= oldest  # the filter ignores case
    ]
    return min(found)[1] if found else None


def _refused(error: ClientError | BotoCoreError) -> bool:
    """Whether AWS said no to a submission: it has done nothing then, and what was submitted before
    is written down.
    """
    return (
        isinstance(error, ClientError)
        and error.operation_name in _SUBMISSIONS
        and 400 <= error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500) < 500
    )


def _now_ms() -> int:
    return int(time.time() * 1000)

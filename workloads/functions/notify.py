"""Lambda function: a Batch job of a run failed for good; marks the run FAILED and tells Slack,
once.

Triggered by EventBridge's `Batch Job State Change` with status FAILED, which Batch sends after the
last attempt, at least once and in no order. The jobs that waited for the failed one fail too
(`Dependent Job failed`): they say nothing new and are passed over, whichever comes first. Of an
array job the child that failed first speaks, whether its own event comes first or its parent's: the
run ends once. `Batch Job Queue Blocked` comes here too, for a message alone, the ends of executions
of the state machine, which end their runs alike, the findings of a run that postprocess could not
tell, and requests of operators that a run be cancelled.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import boto3
from botocore.exceptions import ClientError

from workloads import contract, operating
from workloads.contract import STAGES, ContractError, Run, Stage
from workloads.functions import arrays, clients, forms, growth, run_messages, slack
from workloads.functions.blocked import tell_blocked
from workloads.functions.cancelling import cancel_run
from workloads.functions.ending import command, fail_and_tell, has_ended, key_and_stack
from workloads.functions.execution_failures import execution_ended
from workloads.functions.going_on import goes_on
from workloads.functions.log import log
from workloads.functions.reasons import Cause, explain, for_run, is_cascade
from workloads.functions.spending import Spending, spending_of
from workloads.functions.states import RunStates
from workloads.functions.succeeded import tell_success
from workloads.variables import ENV_INPUT_KEY, ENV_RESULTS_BUCKET, ENV_RUN_ID, ENV_STACK

_CLOCK_SKEW_MS: Final = 2_000
"""Most difference between the machine that wrote the error record and Batch."""

_OTHERS: Final = {
    "Batch Job Queue Blocked": tell_blocked,
    "Step Functions Execution Status Change": execution_ended,
    contract.RUN_SUCCEEDED_EVENT: tell_success,
    operating.RUN_CANCELLED_EVENT: cancel_run,
}


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Entry point. Returns `{"outcome", "run_id", "error"}` for the log and for whoever invokes by
    hand.

    Raises SlackError, ContractError where the event is not of its form, and botocore's errors:
    Lambda delivers the event again, and then to the dead-letter queue; the run stays FAILED.
    """
    forms.check(event, {"detail-type?": forms.TEXT}, what="the event")
    other = _OTHERS.get(event.get("detail-type") or "")
    if other is not None:
        return other(event)
    forms.check(event, {"region?": forms.TEXT, "detail": forms.JOB}, what="the event")
    detail: dict[str, Any] = event["detail"]
    job_id = detail["jobId"]
    if (
        detail["status"] != "FAILED" or "#" in job_id
    ):  # a node of a multi-node job: the job itself speaks for it
        return {"outcome": "ignored"}
    try:
        run = Run(_run_id(detail))
    except ContractError as error:
        log("job ignored", job_id=job_id, reason=f"the job belongs to no run: {error}")
        return {"outcome": "ignored"}
    states, created_ms = RunStates(clients.metrics_table()), int(detail.get("createdAt") or 0)
    # of an array of thousands every child that fails comes here: one read tells all but the first
    # that there is nothing to do
    if has_ended(states, run, job_id, created_ms=created_ms):
        log("run had ended already", run_id=run.run_id, job_id=job_id)
        return {"outcome": "ended already", "run_id": run.run_id}
    detail, tags, shard = _speaker(detail)
    if is_cascade(detail):
        log(
            "job failed with the one before it",
            run_id=run.run_id,
            job_id=job_id,
            job=detail.get("jobName"),
        )
        return {"outcome": "cascade", "run_id": run.run_id}
    if outcome := goes_on(states, run, job_id, detail, tags):
        return {"outcome": outcome, "run_id": run.run_id}

    more = growth.begin_again(states, run, _stage({**detail, "tags": tags}, run), detail, job_id)
    if more is not None:
        return more
    stage, cause = _cause(run, detail, shard)
    found = key_and_stack(states, run)
    cause = for_run(cause, **found)
    described = {
        **detail,
        "tags": {**(detail.get("tags") or {}), **({contract.STAGE_TAG: stage} if stage else {})},
    }
    return fail_and_tell(
        states,
        run,
        cause,
        lambda spending: failure_message(
            run,
            stage,
            cause,
            detail,
            spending,
            region=str(event.get("region") or ""),
            known=bool(found["key"]),
        ),
        lambda: spending_of(states, run, described),
        created_ms=created_ms,
        stage=stage or "unknown",
        job_id=str(detail["jobId"]),
        job_name=str(detail.get("jobName") or ""),
        status_reason=str(detail.get("statusReason") or ""),
        attempts=len(detail.get("attempts") or []),
    )


def _speaker(detail: dict[str, Any]) -> tuple[dict[str, Any], Mapping[str, str], str]:
    """Description of the job that says why, tags of what was submitted, and the shard's name; of an
    array the first two differ.
    """
    job_id, tags = str(detail["jobId"]), detail.get("tags") or {}
    parent = arrays.parent_id(job_id)
    if parent is not None:
        described = next(iter(arrays.describe(boto3.client("batch"), [parent])), {})
        size = (described.get("arrayProperties") or {}).get("size")
        return detail, described.get("tags") or {}, arrays.shard_name(detail, size)
    child = (
        arrays.notifying_child(boto3.client("batch"), job_id) if arrays.is_parent(detail) else None
    )
    return (
        (detail, tags, "")
        if child is None
        else (child, tags, arrays.shard_name(child, detail["arrayProperties"]["size"]))
    )


def _cause(run: Run, detail: dict[str, Any], shard: str) -> tuple[Stage | None, Cause]:
    """Where a job failed and why: as its stage wrote it down, else as AWS Batch tells it."""
    stage, cause = _stage(detail, run), explain(detail)
    beginning = f"{shard}: " if shard else ""
    try:
        own = _error_record(run, stage, since_ms=_last_start_ms(detail), beginning=beginning)
    except ClientError as error:
        details = error.response.get("Error", {})
        if details.get("Code") not in {"AccessDenied", "403"}:
            raise
        # what AWS Batch says is better than nothing, and whoever reads it has to know that there
        # may be more
        unread = (
            f"{cause.error}; the stage's own words could not be read: {error.operation_name} was"
            f" denied: {details.get('Message')}"
        )
        return stage, Cause(
            error=beginning + unread,
            hint="the notify function's role has to allow it; " + cause.hint,
        )
    return own or (stage, Cause(error=beginning + cause.error, hint=cause.hint))


def failure_message(
    run: Run,
    stage: Stage | None,
    cause: Cause,
    detail: dict[str, Any],
    spending: Spending | None,
    *,
    region: str,
    known: bool,
) -> slack.Message:
    """What failed, which run, why, what to do, what it cost, and where the logs are: of a run that
    is `known`, which an upload began, by our own command.
    """
    what = f"{stage or detail.get('jobName') or 'a job'} failed"
    title = run_messages.title(run, _variable(detail, ENV_INPUT_KEY), what)
    attempts = detail.get("attempts") or []
    facts = [
        ("Stack", slack.code(os.environ.get(ENV_STACK, "?"))),
        ("Run", slack.code(run.run_id)),
        ("Job", slack.code(str(detail["jobId"]))),
        ("Attempts", str(len(attempts))),
        ("Queue", slack.code(str(detail.get("jobQueue") or "").rsplit("/", 1)[-1] or "?")),
        ("Cost so far", slack.escape(str(spending or "not known"))),
    ]
    blocks = [
        slack.header(title),
        *run_messages.explanation(cause),
        slack.fields(facts),
    ]
    logs = _logs(detail)
    if logs:
        shown = (
            command(f"logs {run.run_id}{f' --stage {stage}' if stage else ''}")
            if known
            else _aws_command(*logs, region)
        )
        blocks.append(slack.section(f"*Log*\n{slack.code(shown)}"))
    if region:
        page = f"https://{region}.console.aws.amazon.com/batch/home?region={region}#jobs/detail/{quote(str(detail['jobId']))}"
        blocks.append(slack.context(slack.link(page, "The job in the AWS console")))
    return slack.Message(text=slack.escape(f"{title}: {cause.error}"), blocks=tuple(blocks))


def _aws_command(group: str, stream: str, region: str) -> str:
    """Shows a log stream. get-log-events and not tail, which version 1 of the aws CLI lacks."""
    shown = (
        f"aws logs get-log-events --log-group-name {group} --log-stream-name {stream} --query"
        " 'events[].message' --output text"
    )
    return shown + (f" --region {region}" if region else "")


def _containers(detail: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The containers that a job describes: its only one, or one for each node range."""
    if detail.get("container"):
        yield detail["container"]
    for node_range in (detail.get("nodeProperties") or {}).get("nodeRangeProperties") or []:
        if node_range.get("container"):
            yield node_range["container"]


def _run_id(detail: dict[str, Any]) -> str:
    """The run id by environment, else by tag; empty where the job is not of the pipeline."""
    return _variable(detail, ENV_RUN_ID) or str(
        (detail.get("tags") or {}).get(contract.RUN_ID_TAG) or ""
    )


def _variable(detail: dict[str, Any], name: str) -> str:
    """A variable of the job's environment; empty where it has none."""
    for container in _containers(detail):
        for pair in container.get("environment") or []:
            if pair.get("name") == name:
                return str(pair.get("value") or "")
    return ""


def _stage(detail: dict[str, Any], run: Run) -> Stage | None:
    """The stage by tag, by job name, or, for a job submitted by hand, by the module that its
    command starts.
    """
    tag = (detail.get("tags") or {}).get(contract.STAGE_TAG)
    commands = " ".join(
        str(word) for container in _containers(detail) for word in container.get("command") or []
    )
    for stage in STAGES:
        if tag == stage or detail.get("jobName") == run.job_name(stage):
            return stage
    return next(
        (stage for stage in STAGES if re.search(rf"\bworkloads\.{stage}\b", commands)), None
    )


def _last_start_ms(detail: dict[str, Any]) -> int:
    attempts = detail.get("attempts") or []
    return int(
        (attempts[-1].get("startedAt") if attempts else None) or detail.get("createdAt") or 0
    )


def _error_record(
    run: Run, stage: Stage | None, *, since_ms: int, beginning: str
) -> tuple[Stage, Cause] | None:
    """What the stage itself said when it failed; records that are older or begin otherwise are
    another attempt's or another shard's.
    """
    bucket = contract.require_env(ENV_RESULTS_BUCKET)
    client = boto3.client("s3")
    for candidate in (stage,) if stage else STAGES:
        try:
            record = json.loads(
                client.get_object(Bucket=bucket, Key=run.error_key(candidate))["Body"].read()
            )
            written_ms = int(datetime.fromisoformat(record["at"]).timestamp() * 1000)
            cause = Cause(error=str(record["error"]), hint=str(record.get("hint") or ""))
        except ClientError as error:
            # the role may list the bucket, so that S3 tells missing (404) from denied (403)
            if error.response.get("Error", {}).get("Code") not in {"NoSuchKey", "404"}:
                raise
            continue
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            log("error record unreadable", run_id=run.run_id, stage=candidate, reason=str(error))
            continue
        if written_ms + _CLOCK_SKEW_MS >= since_ms and cause.error.startswith(beginning):
            return candidate, cause
    return None


def _logs(detail: dict[str, Any]) -> tuple[str, str] | None:
    """Log group and stream of the last attempt (of the main node), where one was begun."""
    attempts = detail.get("attempts") or []
    containers = list(_containers(detail))
    last = (attempts[-1].get("container") or {}) if attempts else {}
    stream = last.get("logStreamName") or next(
        (c["logStreamName"] for c in containers if c.get("logStreamName")), None
    )
    if not stream:
        return None
    options = next(
        (
            c["logConfiguration"].get("options") or {}
            for c in containers
            if c.get("logConfiguration")
        ),
        {},
    )
    return str(options.get("awslogs-group") or "/aws/batch/job"), str(stream)

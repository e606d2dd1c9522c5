"""What ended a job: the cause in one sentence, the lines of its log that show it, what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from cli.why.account import AbsentError, Account
from cli.why.demand import containers
from cli.why.model import Cause, Diagnosis
from workloads import contract
from workloads.contract import ContractError, Run
from workloads.functions.reasons import AGAIN, explain, for_run, is_cascade
from workloads.functions.reasons import Cause as Explained
from workloads.variables import ENV_RESULTS_BUCKET, ENV_RUN_ID

_LINES: Final = 400
_SHOWN: Final = 8
_TELLING: Final = re.compile(
    r'"level": '
    r'?"(?:ERROR|CRITICAL)"|\b(?:ERROR|FATAL|CRITICAL|Traceback|Killed|Segmentation '
    r"fault|No space left|out of memory|OutOfMemory)\b"
    r"|\b\w*(?:Error|Exception)\b:",
    re.IGNORECASE,
)
_BY_EXIT_CODE: Final = (1, 2, 69, 70, 72, 74)
"""Exit codes with which a stage says itself what is wrong (workloads/runtime/errors.py)."""


def failed_job(
    account: Account, job: dict[str, Any], examine: Callable[[dict[str, Any]], Diagnosis]
) -> Diagnosis:
    """The diagnosis of a FAILED job.

    Args:
        account: to ask.
        job: as DescribeJobs tells of it.
        examine: gives the diagnosis of another job, on which this one depended or which is its
            child.
    """
    subject = f"job {job['jobId']} ({job['jobName']})"
    speaker = _speaker(account, job)
    if speaker is not None:
        below = examine(speaker)
        why = "because" if is_cascade(job) else "for"
        return Diagnosis(
            **{
                **vars(below),
                "subject": subject,
                "state": "FAILED",
                "verdict": (
                    f"it failed {why} job {speaker['jobId']} ({speaker['jobName']}) "
                    f"did: {below.verdict}"
                    if is_cascade(job)
                    else f"child {speaker['jobId'].rpartition(':')[2]} failed: {below.verdict}"
                ),
            }
        )
    cause = _for_job(explain(job), job, account)
    own = _own_words(account, job)
    log, command = _log(account, job)
    what = f"{own['error']} ({cause.error})" if own else cause.error
    fix = str(own.get("hint") or cause.hint) if own else cause.hint
    attempt = (job.get("attempts") or [{}])[-1]
    container = attempt.get("container") or job.get("container") or {}
    found = container.get("exitCode")
    return Diagnosis(
        subject=subject,
        state="FAILED",
        verdict=what,
        causes=(
            Cause(
                code=_code(job),
                what=what,
                setting=f"jobs.<stage>.{_SETTINGS[_code(job)]}" if _code(job) in _SETTINGS else "",
                found=_number(job, _code(job))
                or (
                    f"exit code {found}"
                    if found is not None
                    else str(container.get("reason") or job.get("statusReason") or "")
                ),
                needed=_needed(_code(job)),
                fix=fix,
            ),
        ),
        log=tuple(log),
        log_command=command,
        unseen=tuple(account.unseen),
    )


UNREACHED: Final = "UNREACHED"
"""The code of a container that could not start because the network kept a service back."""
_SETTINGS: Final = {"MEMORY": "memory_mib", "TIMEOUT": "timeout_minutes", "HOST-LOST": "attempts"}
_CODES: Final = (
    ("TIMEOUT", r"attempt duration exceeded timeout"),
    ("HOST-LOST", r"Host EC2|Spot Task was interrupted"),
    ("TIME-LIMIT", r"JobStateTimeLimit"),
    (UNREACHED, r"dial tcp|net/http: (?:request canceled|TLS handshake timeout)"),
    ("VOLUME", r"mount\.nfs4|Failed to resolve \"fs-|mkdir /lustre"),
    ("PULL", r"CannotPull"),
    ("DISK", r"no space left"),
    ("MEMORY", r"OutOfMemory"),
    ("SECRET", r"unable to (?:pull|retrieve) secret"),
    ("LOG-GROUP", r"log group"),
    ("START", r"CannotStart|CannotCreate|ResourceInitialization|DockerTimeout"),
    ("DEPENDENCY", r"^dependent job"),
)


def _code(job: dict[str, Any]) -> str:
    """The kind of the failure, for programs."""
    attempts = job.get("attempts") or [{}]
    container = attempts[-1].get("container") or job.get("container") or {}
    text = " ".join(
        str(part)
        for part in (
            job.get("statusReason"),
            attempts[-1].get("statusReason"),
            container.get("reason"),
        )
        if part
    )
    code = container.get("exitCode")
    for name, pattern in _CODES:
        if re.search(pattern, text, re.IGNORECASE):
            return name
    if job.get("isTerminated") or job.get("isCancelled"):
        return "ENDED-BY-HAND"
    if code in {137, 72}:
        return "MEMORY"
    if code == 74:
        return "DISK"
    return "EXIT" if code else "ENDED"


def _number(job: dict[str, Any], code: str) -> str:
    """What the job had of what it used up, where that is a number of its own."""
    if code == "MEMORY":
        asked = [
            each["value"]
            for container in containers(job)
            for each in container.get("resourceRequirements") or []
            if each["type"] == "MEMORY"
        ]
        return f"{max(asked, key=float)} MiB" if asked else ""
    if code == "TIMEOUT":
        return f"{(job.get('timeout') or {}).get('attemptDurationSeconds', 0) / 60:g} minutes"
    if code == "HOST-LOST":
        return f"{(job.get('retryStrategy') or {}).get('attempts', 1)} attempts"
    return ""


def _needed(code: str) -> str:
    more = {
        "MEMORY": "more MiB (`rightsize` says how many)",
        "TIMEOUT": "more minutes",
        "HOST-LOST": "more attempts, or On-Demand",
    }
    return more.get(code, "")


def _speaker(account: Account, job: dict[str, Any]) -> dict[str, Any] | None:
    """The job that tells why: the one that a job depended on, or the first failed child of an
    array.
    """
    if is_cascade(job):
        ids = [each["jobId"] for each in job.get("dependsOn") or [] if each.get("jobId")]
        found = account.listed("batch", "describe_jobs", "jobs", jobs=ids) if ids else []
        return next((other for other in found if other["status"] == "FAILED"), None)
    if (job.get("arrayProperties") or {}).get("size"):
        return account.first_child(job["jobId"], "FAILED")
    return None


def _own_words(account: Account, job: dict[str, Any]) -> dict[str, str]:
    """The error record that the stage wrote in this attempt (contract.Run.error_key); empty where
    it wrote none.
    """
    attempts = job.get("attempts") or [{}]
    code = (attempts[-1].get("container") or {}).get("exitCode")
    variables = _variables(job)
    stage = (job.get("tags") or {}).get(contract.STAGE_TAG) or next(
        (each for each in contract.STAGES if str(job["jobName"]).endswith(f"-{each}")), None
    )
    bucket = variables.get(ENV_RESULTS_BUCKET) or account.outputs.get("results_bucket")
    if code not in _BY_EXIT_CODE or not bucket or stage not in contract.STAGES:
        return {}
    try:
        run = Run(_run_id(job))
        answer = account.ask("s3", "get_object", Bucket=bucket, Key=run.error_key(stage))
        record = json.loads(answer["Body"].read()) if answer else {}
    except (ContractError, AbsentError, ValueError):
        return {}
    if not isinstance(record, dict) or not record.get("error"):
        return {}
    return record if _written_in(attempts[-1], str(record.get("at") or "")) else {}


def _for_job(cause: Explained, job: dict[str, Any], account: Account) -> Explained:
    """The same with commands ready to paste; a job that belongs to no run is submitted again."""
    run = _run_id(job)
    if run:
        return for_run(cause, key=run, stack=account.stack)
    hint = cause.hint.replace(f"begin the run again ({AGAIN})", "submit the job again")
    return replace(cause, hint=hint.replace(AGAIN, "submit the job again"))


def _variables(job: dict[str, Any]) -> dict[str, str]:
    return {
        each["name"]: each.get("value", "")
        for container in containers(job)
        for each in container.get("environment") or []
    }


def _run_id(job: dict[str, Any]) -> str:
    """Of the run that a job belongs to; empty for a job of somebody else's.

    Where the variables of a multi-node job, given by overrides, are not shown, its tag has the run.
    """
    tags = job.get("tags") or {}
    return str(_variables(job).get(ENV_RUN_ID) or tags.get(contract.RUN_ID_TAG) or "")


def _written_in(attempt: dict[str, Any], at: str) -> bool:
    """Whether a record is of this attempt: one of an earlier attempt speaks of another failure."""
    try:
        written = datetime.fromisoformat(at).timestamp() * 1000
    except ValueError:
        return False
    return written >= float(attempt.get("startedAt") or 0)


def _log(account: Account, job: dict[str, Any]) -> tuple[list[str], str]:
    """The telling lines of the last attempt's log, and the command that shows all of it."""
    attempts = job.get("attempts") or []
    container = (attempts[-1].get("container") if attempts else None) or job.get("container") or {}
    stream = container.get("logStreamName")
    if not stream:
        tasks = (attempts[-1].get("taskProperties") if attempts else None) or []
        streams = [
            each.get("logStreamName") for task in tasks for each in task.get("containers") or []
        ]
        stream = next((each for each in streams if each), None)
    if not stream:
        return [], ""
    groups = [
        (each.get("logConfiguration") or {}).get("options", {}).get("awslogs-group")
        for each in containers(job)
    ]
    group = next((each for each in groups if each), "/aws/batch/job")
    command = _log_command(account, job, group, stream)
    events = account.listed(
        "logs",
        "get_log_events",
        "events",
        pages=False,
        logGroupName=group,
        logStreamName=stream,
        limit=_LINES,
        startFromHead=False,
    )
    lines = [str(event["message"]).rstrip() for event in events]
    telling = [line for line in lines if _TELLING.search(line)]
    return (telling or lines)[-_SHOWN:], command


def _log_command(account: Account, job: dict[str, Any], group: str, stream: str) -> str:
    """The command that shows all of a job's log: that of its run, where an upload began one."""
    tags = job.get("tags") or {}
    run, stage = str(tags.get(contract.RUN_ID_TAG) or ""), str(tags.get(contract.STAGE_TAG) or "")
    if run and stage in contract.STAGES:
        return account.command(f"logs {run} --stage {stage}")
    return f"aws logs get-log-events --log-group-name {group} --log-stream-name {stream}"

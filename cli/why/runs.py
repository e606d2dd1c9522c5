"""The diagnosis of a run: from its state item to the job that counts, and of a run that has not
begun.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from cli.why.account import AbsentError, Account
from cli.why.held import held
from cli.why.jobs import job_diagnosis
from cli.why.model import Cause, Diagnosis
from workloads.contract import STAGES, Run


def run_diagnosis(account: Account, run: Run) -> Diagnosis:
    """Why a run is where it is."""
    item = _item(account, run)
    subject = f"run {run.run_id}"
    if item is None:
        return _not_begun(account, run, subject)
    found = _begun(account, item, subject)
    grown = (
        f"{each['stage']} was killed for its memory before and begun again with"
        f" {each['memory_mib']} MiB"
        for each in item.get("killed") or ()
    )
    return replace(found, seen=(*found.seen, *grown))


def _begun(account: Account, item: Mapping[str, Any], subject: str) -> Diagnosis:
    state = str(item.get("state") or "CLAIMED")
    if state == "SUCCEEDED":
        return Diagnosis(
            subject=subject, state=state, verdict="it has succeeded", unseen=tuple(account.unseen)
        )
    if state in {"WAITING", "CANCELLED"}:
        return held(account, item, subject, state)
    job = _job(account, item, state)
    if job is not None:
        below = job_diagnosis(account, job)
        stage = next(
            (s for s, i in (item.get("jobs") or {}).items() if i == job["jobId"]), "a stage"
        )
        waits = "" if state == "FAILED" else f" is {job['status']}"
        diagnosis = Diagnosis(
            **{
                **vars(below),
                "subject": subject,
                "state": state,
                "verdict": f"{stage} ({job['jobId']}){waits}: {below.verdict}",
            }
        )
        return _with_execution(account, diagnosis, item) if state != "FAILED" else diagnosis
    failure = item.get("failure") or {}
    if state == "FAILED":
        cause = Cause(
            code="RUN-FAILED",
            what=str(
                failure.get("error") or "the run has failed, and its item does not say of what"
            ),
            setting=str(failure.get("stage") or ""),
            found=str(failure.get("job_id") or ""),
            fix="mend what the sentence names, then begin the run again",
        )
        return Diagnosis(
            subject=subject,
            state=state,
            verdict=cause.what,
            causes=(cause,),
            unseen=tuple(account.unseen),
        )
    if state == "CLAIMED":
        return _claimed(account, item, subject)
    empty = Diagnosis(
        subject=subject,
        state=state,
        verdict="its stages were handed over, and no job of it is there yet",
        unseen=tuple(account.unseen),
    )
    return _with_execution(account, empty, item)


def _item(account: Account, run: Run) -> dict[str, Any] | None:
    key = {name: {"S": value} for name, value in run.state_key.items()}
    answer = account.ask(
        "dynamodb",
        "get_item",
        TableName=str(account.outputs.get("table", "")),
        Key=key,
        ConsistentRead=True,
    )
    found = (answer or {}).get("Item")
    if not found:
        return None
    return {name: TypeDeserializer().deserialize(value) for name, value in found.items()}


def _job(account: Account, item: Mapping[str, Any], state: str) -> dict[str, Any] | None:
    """The job that counts: the one that failed, else the first stage's that has not succeeded."""
    ids = [item["jobs"][stage] for stage in STAGES if stage in (item.get("jobs") or {})]
    if state == "FAILED":
        failed = str((item.get("failure") or {}).get("job_id") or "")
        # an execution that ended without a job stands there by its ARN
        ids = [failed] if failed and not failed.startswith("arn:") else []
    if not ids:
        return None
    found = {
        job["jobId"]: job for job in account.listed("batch", "describe_jobs", "jobs", jobs=ids)
    }
    return next(
        (
            found[each]
            for each in ids
            if each in found and (state == "FAILED" or found[each]["status"] != "SUCCEEDED")
        ),
        None,
    )


def _with_execution(account: Account, diagnosis: Diagnosis, item: Mapping[str, Any]) -> Diagnosis:
    """The same with what has become of the execution of the state machine, where there is one."""
    arn = item.get("execution_arn")
    if not arn:
        return diagnosis
    try:
        execution = account.ask("stepfunctions", "describe_execution", executionArn=arn)
    except AbsentError:
        execution = {"status": "gone"}
    if execution is None or execution["status"] == "RUNNING":
        return diagnosis
    error = str(execution.get("error") or "")
    said = ": ".join(part for part in (error, str(execution.get("cause") or "")) if part)
    cause = Cause(
        code="EXECUTION",
        what=(
            "the execution of the state machine has ended "
            f"({execution['status']}){f': {said}' if said else ''}: no further stage "
            "begins"
        ),
        setting=str(arn),
        found=str(execution["status"]),
        needed="RUNNING",
        fix="terminate what is left of its jobs, then begin the run again",
    )
    return Diagnosis(
        **{**vars(diagnosis), "verdict": cause.what, "causes": (cause, *diagnosis.causes)}
    )


def _claimed(account: Account, item: Mapping[str, Any], subject: str) -> Diagnosis:
    expires = int(item.get("claim_expires_ms") or 0)
    late = account.now() * 1000 > expires
    cause = Cause(
        code="CLAIM",
        weight="blocks" if late else "waits",
        what=(
            "the submit function claimed the run and has not submitted its jobs"
            if late
            else "the submit function is submitting its jobs"
        ),
        setting="submit function",
        found="CLAIMED",
        needed="SUBMITTED",
        fix=(
            "see the log of "
            f"{account.outputs.get('submit_function', 'the submit function')}; its "
            f"event comes again by itself, or by {account.command('replay submit')}"
        ),
    )
    causes = [*_not_allowed(account), cause] if late else [cause]
    return Diagnosis(
        subject=subject,
        state="CLAIMED",
        verdict=causes[0].what,
        causes=tuple(causes),
        unseen=tuple(account.unseen),
    )


# ---- a run that has not begun --------------------------------------------------------------------


def _not_begun(account: Account, run: Run, subject: str) -> Diagnosis:
    causes = [*_not_called(account), *_not_allowed(account), *_dead_letters(account)]
    if not causes:
        causes = [_no_upload(account, run)]
    return Diagnosis(
        subject=subject,
        state="not begun",
        verdict=f"no run of that name has begun: {causes[0].what}",
        causes=tuple(causes),
        unseen=tuple(account.unseen),
    )


def _no_upload(account: Account, run: Run) -> Cause:
    bucket = str(account.outputs.get("ingest_bucket", ""))
    prefix = f"data/{run.date}/"
    found = account.listed("s3", "list_objects_v2", "Contents", Bucket=bucket, Prefix=prefix)
    keys = [each["Key"] for each in found]
    return Cause(
        code="NO-UPLOAD" if not keys else "NO-EVENT",
        what=(
            f"s3://{bucket}/{prefix} holds {len(keys)} objects, and no event of this "
            "one reached the submit function"
            if keys
            else f"there is no upload in s3://{bucket}/{prefix}"
        ),
        setting=f"s3://{bucket}/{prefix}",
        found=", ".join(keys[:3]) or "nothing",
        needed=f"{prefix}<name>.csv",
        fix=(
            f"begin it by hand: {account.command('run ' + keys[0])}"
            if keys
            else "upload the file, which begins the run"
        ),
    )


def _not_called(account: Account) -> list[Cause]:
    """The rules that call the submit function are off (pipeline.enabled), or gone."""
    function = str(account.outputs.get("submit_function", ""))
    try:
        answer = account.ask("lambda", "get_function", FunctionName=function)
    except AbsentError as error:
        return [
            Cause(
                code="NO-FUNCTION",
                what=f"the submit function is gone: {error}",
                setting=function,
                fix="run pulumi up",
            )
        ]
    if answer is None:
        return []
    reserved = account.ask("lambda", "get_function_concurrency", FunctionName=function) or {}
    if reserved.get("ReservedConcurrentExecutions") == 0:
        return [
            Cause(
                code="NO-CONCURRENCY",
                what=f"the submit function {function} may not run: its reserved concurrency is 0",
                setting="ReservedConcurrentExecutions",
                found="0",
                needed="1 or more",
                fix=f"aws lambda delete-function-concurrency --function-name {function}",
            )
        ]
    names = account.listed(
        "events",
        "list_rule_names_by_target",
        "RuleNames",
        TargetArn=answer["Configuration"]["FunctionArn"],
    )
    rules = [rule for name in names if (rule := _rule(account, name)) is not None]
    if rules and not any(rule["State"] == "ENABLED" for rule in rules):
        return [
            Cause(
                code="PIPELINE-DISABLED",
                what=f"the rule {rules[0]['Name']}, which begins runs, is disabled",
                setting="pipeline.enabled",
                found="false",
                needed="true",
                fix=(
                    "set pipeline.enabled to true and run pulumi up; uploads of "
                    f"meanwhile begin by {account.command('backfill')}"
                ),
            )
        ]
    return []


def _rule(account: Account, name: str) -> dict[str, Any] | None:
    try:
        return account.ask("events", "describe_rule", Name=name)
    except AbsentError:
        return None


def _not_allowed(account: Account) -> list[Cause]:
    """A policy denies submissions: the action of the budget attaches one (docs/runbook.md)."""
    function = str(account.outputs.get("submit_function", ""))
    try:
        answer = account.ask("lambda", "get_function", FunctionName=function)
    except AbsentError:
        return []
    role = ((answer or {}).get("Configuration") or {}).get("Role")
    actions = [
        "states:StartExecution" if account.outputs.get("state_machine_arn") else "batch:SubmitJob"
    ]
    result = role and account.ask(
        "iam", "simulate_principal_policy", PolicySourceArn=role, ActionNames=actions
    )
    decisions = [each["EvalDecision"] for each in (result or {}).get("EvaluationResults") or []]
    if "explicitDeny" not in decisions:
        return []
    return [
        Cause(
            code="BUDGET-STOP",
            what=(
                f"a policy denies {actions[0]} to the submit function: the budget is "
                "used up and its action has stopped new runs"
            ),
            setting="budget.monthly_usd",
            found="explicit deny",
            needed="no deny",
            fix=(
                "raise budget.monthly_usd and run pulumi up, reverse the action "
                "(docs/runbook.md, The budget is used up), then "
                f"{account.command('replay submit')}"
            ),
        )
    ]


def _dead_letters(account: Account) -> list[Cause]:
    queue = (account.outputs.get("dead_letter_queues") or {}).get("submit") or {}
    if not queue.get("url"):
        return []
    try:
        answer = account.ask(
            "sqs",
            "get_queue_attributes",
            QueueUrl=queue["url"],
            AttributeNames=["ApproximateNumberOfMessages"],
        )
    except AbsentError:
        return []
    waiting = int(((answer or {}).get("Attributes") or {}).get("ApproximateNumberOfMessages") or 0)
    if not waiting:
        return []
    return [
        Cause(
            code="DEAD-LETTERS",
            what=(
                f"{waiting} event{'s' if waiting > 1 else ''} that the submit function "
                "could not handle lie in its dead-letter queue"
            ),
            setting=str(queue["url"]),
            found=str(waiting),
            needed="0",
            fix=(
                f"see the log of {queue.get('function', 'the submit function')}, mend "
                f"the cause, then {account.command('replay submit')}"
            ),
        )
    ]

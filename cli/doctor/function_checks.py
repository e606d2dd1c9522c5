"""Checks of the functions: their errors, dead letters, secrets, and the rules that call them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cli.doctor.patient import UP, Patient, asked, error, log_group, ok, warning
from cli.questions import Finding
from cli.why.account import AbsentError
from cli.why.starting import denied_actions

_CALLS: Final = {
    "lambda": "lambda:InvokeFunction",
    "states": "states:StartExecution",
    "sqs": "sqs:SendMessage",
}
"""By the service of what a schedule calls, and where it keeps what it cannot deliver."""
_SECRET_VARIABLES: Final = "_SECRET_ARN"  # noqa: S105 - how names of variables end


def functions(patient: Patient) -> Iterator[Finding]:
    """Each function is active, may run, and has had no error within a day."""
    if not patient.functions and patient.account.tells("lambda", "list_functions"):
        yield error("functions", "the stack has no functions", UP)
    for function in patient.functions:
        name = str(function["FunctionName"])
        errors = patient.sum_of_day("AWS/Lambda", "Errors", FunctionName=name)
        throttles = patient.sum_of_day("AWS/Lambda", "Throttles", FunctionName=name)
        calls = patient.sum_of_day("AWS/Lambda", "Invocations", FunctionName=name)
        reserved = asked(patient, "lambda", "get_function_concurrency", FunctionName=name).get(
            "ReservedConcurrentExecutions"
        )
        told = patient.account.tells("cloudwatch", "get_metric_statistics")
        if function.get("State", "Active") not in {"Active", "Inactive"}:
            yield error(
                "functions", f"{name} is {function['State']}: {function.get('StateReason')}", UP
            )
        elif reserved == 0:
            fix = f"aws lambda delete-function-concurrency --function-name {name}"
            yield error("functions", f"{name} may not run: its reserved concurrency is 0", fix)
        elif errors:
            fix = (
                f"aws logs tail {log_group(function)} --since 1d; docs/runbook.md, A function fails"
            )
            yield error(
                "functions", f"{name} failed {errors:g} of {calls:g} times within a day", fix
            )
        elif throttles:
            what = f"{name} was throttled {throttles:g} times within a day"
            yield warning("functions", what, "ask for a higher quota of concurrent executions")
        elif told:
            yield ok("functions", f"{name} was called {calls:g} times within a day, without error")


def dead_letters(patient: Patient) -> Iterator[Finding]:
    """No event lies in a dead-letter queue."""
    known = dict(patient.account.outputs.get("dead_letter_queues") or {})
    by_function = {each["function"]: short for short, each in known.items()}
    for function in patient.functions:
        name = str(function["FunctionName"])
        arn = str((function.get("DeadLetterConfig") or {}).get("TargetArn") or "")
        queue = arn.rpartition(":")[2]
        url = known[by_function[name]]["url"] if name in by_function else ""
        url = url or (
            str(asked(patient, "sqs", "get_queue_url", QueueName=queue).get("QueueUrl", ""))
            if queue
            else ""
        )
        if not url:
            continue
        count = _messages(patient, url)
        if not patient.account.tells("sqs", "get_queue_attributes"):
            return
        replay = (
            f"mend the cause, then {patient.account.command('replay ' + by_function[name])}"
            if name in by_function
            else "docs/runbook.md, Dead letters"
        )
        if count:
            plural = "s" if count > 1 else ""
            yield error("letters", f"{count} event{plural} of {name} could not be handled", replay)
        else:
            yield ok("letters", f"none of {name}")


def _messages(patient: Patient, url: str) -> int:
    answer = asked(
        patient,
        "sqs",
        "get_queue_attributes",
        QueueUrl=url,
        AttributeNames=["ApproximateNumberOfMessages"],
    )
    return int((answer.get("Attributes") or {}).get("ApproximateNumberOfMessages") or 0)


def secrets(patient: Patient) -> Iterator[Finding]:
    """The secrets that functions read exist and have a value."""
    arns = sorted(
        {
            value
            for function in patient.functions
            for key, value in ((function.get("Environment") or {}).get("Variables") or {}).items()
            if key.endswith(_SECRET_VARIABLES) and value
        }
    )
    for arn in arns:
        name = arn.rpartition(":")[2]
        try:
            answer = patient.account.ask("secretsmanager", "describe_secret", SecretId=arn)
        except AbsentError:
            yield error("secrets", f"{name} does not exist", UP)
            continue
        if answer is None:
            continue
        if answer.get("DeletedDate"):
            fix = f"aws secretsmanager restore-secret --secret-id {arn}"
            yield error("secrets", f"{name} is about to be deleted", fix)
        elif not answer.get("VersionIdsToStages"):
            yield error(
                "secrets", f"{name} has no value", "pulumi config set --secret, then pulumi up"
            )
        else:
            yield ok("secrets", f"{name} has a value")
    if not arns and patient.functions:
        what = "no function has a webhook: nobody hears of findings and failures on Slack"
        yield warning(
            "secrets", what, "pulumi config set --secret slack-webhook-url, then pulumi up"
        )


def events(patient: Patient) -> Iterator[Finding]:
    """The rules that call the stack's functions are enabled."""
    for function in patient.functions:
        names = patient.account.listed(
            "events", "list_rule_names_by_target", "RuleNames", TargetArn=function["FunctionArn"]
        )
        for name in names:
            rule = asked(patient, "events", "describe_rule", Name=name)
            if rule.get("State") == "DISABLED":
                submit = function["FunctionName"] == patient.account.outputs.get("submit_function")
                what = f"rule {name} is disabled: {function['FunctionName']} is not called"
                fix = (
                    "set pipeline.enabled to true and run pulumi up, or "
                    f"{patient.account.command('resume')}"
                    if submit
                    else UP
                )
                yield (warning if submit else error)("events", what, fix)


def schedules(patient: Patient) -> Iterator[Finding]:
    """The schedules of the day are enabled, and their role may call and keep what it cannot
    deliver: EventBridge Scheduler tells nobody where it may not.
    """
    targets = {str(each["FunctionArn"]) for each in patient.functions}
    targets.add(str(patient.account.outputs.get("day_machine_arn") or ""))
    listed = patient.account.listed("scheduler", "list_schedules", "Schedules")
    for each in listed:
        if str(each["Target"]["Arn"]) not in targets:
            continue
        name = str(each["Name"])
        found = asked(
            patient, "scheduler", "get_schedule", Name=name, GroupName=str(each["GroupName"])
        )
        target = found.get("Target") or {}
        wanted = [str(target.get("Arn") or "")]
        wanted += [str((target.get("DeadLetterConfig") or {}).get("Arn") or "")]
        denied = [
            f"{action} on {arn}"
            for arn in filter(None, wanted)
            for action in denied_actions(
                patient.account, str(target["RoleArn"]), (_CALLS[arn.split(":")[2]],), arn
            )
        ]
        if found.get("State") == "DISABLED":
            yield error("schedules", f"{name} is disabled: nobody looks at the day", UP)
        elif denied:
            what = f"the role of {name} does not allow {', '.join(denied)}: what it is for is lost"
            yield error("schedules", what, UP)
        elif found:
            yield ok("schedules", f"{name} is enabled, and its role allows what it does")

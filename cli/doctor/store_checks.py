"""Checks of alarms, log groups, buckets and the table."""

from __future__ import annotations

from collections.abc import Iterator

from cli.doctor.patient import UP, Patient, asked, error, log_group, ok, warning
from cli.questions import Finding
from cli.why.account import AbsentError


def alarms(patient: Patient) -> Iterator[Finding]:
    """No alarm of the stack is in ALARM, and their topic has somebody who hears them."""
    topic = str(patient.account.outputs.get("alarm_topic_arn", ""))
    answer = asked(
        patient, "cloudwatch", "describe_alarms", AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    found = [
        alarm
        for alarm in (*(answer.get("MetricAlarms") or []), *(answer.get("CompositeAlarms") or []))
        if topic in (alarm.get("AlarmActions") or [])
    ]
    ringing = [alarm for alarm in found if alarm["StateValue"] == "ALARM"]
    for alarm in ringing:
        what = f"{alarm['AlarmName']} is in ALARM: {alarm.get('StateReason') or 'no reason given'}"
        yield error("alarms", what, str(alarm.get("AlarmDescription") or "docs/runbook.md"))
    if found and not ringing:
        yield ok("alarms", f"none of {len(found)} is in ALARM")
    if not found and patient.account.tells("cloudwatch", "describe_alarms"):
        yield error("alarms", "the stack has no alarms", UP)
    subscribers = patient.account.listed(
        "sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=topic
    )
    waiting = [
        each["Endpoint"] for each in subscribers if each["SubscriptionArn"] == "PendingConfirmation"
    ]
    if waiting:
        what = f"{', '.join(waiting)} has not confirmed the subscription and hears no alarm"
        yield warning("alarms", what, "confirm it by the link in AWS's mail")


def log_groups(patient: Patient) -> Iterator[Finding]:
    """The log groups of stages and functions exist and keep their lines for a time that somebody
    chose.
    """
    of_stages = dict(patient.account.outputs.get("log_groups") or {})
    wanted = {
        **of_stages,
        **{log_group(f).rpartition("/")[2]: log_group(f) for f in patient.functions},
    }
    folders = sorted({f"{group.rpartition('/')[0]}/" for group in wanted.values()})
    there = {
        each["logGroupName"]: each
        for folder in folders
        for each in patient.account.listed(
            "logs", "describe_log_groups", "logGroups", logGroupNamePrefix=folder
        )
    }
    if not patient.account.tells("logs", "describe_log_groups"):
        return
    bad = 0
    for short, group in sorted(wanted.items()):
        if group not in there:
            bad += 1
            yield error(
                "log groups",
                f"{group} of {short} does not exist: what writes there cannot start",
                UP,
            )
        elif not there[group].get("retentionInDays"):
            bad += 1
            yield warning("log groups", f"{group} keeps its lines for ever", UP)
    if not bad and patient.account.tells("lambda", "list_functions"):
        yield ok("log groups", f"all {len(wanted)} exist and have a retention")


def storage(patient: Patient) -> Iterator[Finding]:
    """The buckets are there, and the table with its indexes is ACTIVE."""
    for name in ("ingest_bucket", "intermediate_bucket", "results_bucket"):
        bucket = str(patient.account.outputs.get(name, ""))
        try:
            patient.account.ask("s3", "head_bucket", Bucket=bucket)
        except AbsentError:
            yield error("storage", f"bucket {bucket} does not exist", UP)
    table = str(patient.account.outputs.get("table", ""))
    try:
        answer = patient.account.ask("dynamodb", "describe_table", TableName=table)
    except AbsentError:
        yield error("storage", f"table {table} does not exist", UP)
        return
    if answer is None:
        return
    indexes = answer["Table"].get("GlobalSecondaryIndexes") or []
    states = {
        "the table": answer["Table"]["TableStatus"],
        **{i["IndexName"]: i.get("IndexStatus", "ACTIVE") for i in indexes},
    }
    for what, state in states.items():
        if state != "ACTIVE":
            yield warning(
                "storage", f"{what} of {table} is {state}", "wait: DynamoDB is at work on it"
            )
    if set(states.values()) == {"ACTIVE"}:
        yield ok(
            "storage",
            f"three buckets are there, {table} and its {len(indexes)} indexes are ACTIVE",
        )

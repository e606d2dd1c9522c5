"""Lambda function: a CloudWatch alarm changed its state; tells Slack what, why and what to do.

Called by the SNS topic of the alarms, at least once for each change and in no order. An alarm that
is over is told of where its beginning was. Message format: CloudWatch User Guide, "Notifying users
on alarm changes".
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from workloads import metrics
from workloads.contract import ContractError
from workloads.functions import clients, forms, slack
from workloads.functions.alarm_details import details
from workloads.functions.log import log
from workloads.functions.notification_log import Notification, NotificationLog
from workloads.functions.webhook import tell
from workloads.variables import ENV_STACK

_ALARM: Final = {
    "AlarmName": forms.TEXT,
    "NewStateValue": forms.TEXT,
    "StateChangeTime": forms.TEXT,
    "OldStateValue?": forms.TEXT,
    "NewStateReason?": forms.TEXT,
    "AlarmDescription?": forms.TEXT,
    "AlarmArn?": forms.TEXT,
    "TriggeringChildren?": [{"Arn": forms.TEXT}],
    "Trigger?": {"Namespace?": forms.TEXT, "MetricName?": forms.TEXT, "Period?": forms.WHOLE},
}


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Entry point. Returns `{"outcomes"}`, one for each message: `told`, `told already`, or
    `ignored` where it is not of an alarm.

    Raises SlackError, ContractError where the event is not of its form, and botocore's errors: SNS
    and Lambda deliver again, and then to the dead-letter queue.
    """
    forms.check(event, {"Records": [{"Sns": {"Message": forms.TEXT}}]}, what="the event")
    return {"outcomes": [_handle(str(record["Sns"]["Message"])) for record in event["Records"]]}


def _handle(message: str) -> str:
    try:
        alarm = forms.parsed(message, what="the message")
    except ContractError as error:
        alarm = str(error)
    if not isinstance(alarm, dict) or "AlarmName" not in alarm:
        log("message ignored", reason="it is not of an alarm", message=message[:1000])
        return "ignored"
    forms.check(alarm, _ALARM, what="the message of the alarm")
    notification = Notification(
        pk=f"{metrics.ALARM_KEY_PREFIX}{alarm['AlarmName']}",
        sk="STATE",
        state=alarm["NewStateValue"],
        changed_at=alarm["StateChangeTime"],
    )
    table = clients.metrics_table()
    notification_log = NotificationLog(table)
    if not notification_log.begin(
        notification, only_after=None if notification.state == "ALARM" else "ALARM"
    ):
        log(
            "alarm told already",
            alarm=alarm["AlarmName"],
            state=notification.state,
            changed_at=notification.changed_at,
        )
        return "told already"
    log(
        "alarm changed",
        alarm=alarm["AlarmName"],
        state=notification.state,
        reason=alarm.get("NewStateReason"),
    )
    try:
        tell(
            alarm_message(
                alarm, details=details(alarm, table) if notification.state == "ALARM" else []
            )
        )
    except Exception:
        notification_log.release(notification)
        raise
    notification_log.told(notification)
    return "told"


def alarm_message(alarm: Mapping[str, Any], *, details: Sequence[str] = ()) -> slack.Message:
    """What happened, since when, why, what to do, and where to look.

    The alarm's description has the lines that components/monitoring/alarms.py writes: what, what to
    do, runbook. `details` are sentences on the case.
    """
    name, state = str(alarm["AlarmName"]), str(alarm["NewStateValue"])
    lines = [
        line for line in str(alarm.get("AlarmDescription") or name).splitlines() if line.strip()
    ]
    what, rest = lines[0], lines[1:]
    title = what if state == "ALARM" else f"Over: {what}"
    children = [
        str(child["Arn"]).rsplit(":", 1)[-1] for child in alarm.get("TriggeringChildren") or []
    ]
    blocks = [
        slack.header(title),
        slack.fields(
            [
                ("Stack", slack.code(os.environ.get(ENV_STACK, "?"))),
                ("Alarm", slack.code(name)),
                (
                    "State",
                    (
                        f"{slack.escape(str(alarm.get('OldStateValue') or '?'))} →"
                        f" {slack.escape(state)}"
                    ),
                ),
                ("Since", slack.escape(str(alarm["StateChangeTime"]))),
            ]
        ),
        slack.section(
            "*Why*\n"
            f"{slack.escape(str(alarm.get('NewStateReason') or 'CloudWatch gives no reason'))}"
        ),
    ]
    if details:
        blocks.append(
            slack.section(
                "*Which*\n" + "\n".join(slack.escape(slack.sentence(detail)) for detail in details)
            )
        )
    if children:
        blocks.append(
            slack.section("*Caused by*\n" + "\n".join(slack.code(child) for child in children))
        )
    if rest and state == "ALARM":
        blocks.append(
            slack.section("*What to do*\n" + "\n".join(slack.escape(line) for line in rest))
        )
    arn = str(alarm.get("AlarmArn") or "").split(":")
    if len(arn) > 4:
        page = f"https://{arn[3]}.console.aws.amazon.com/cloudwatch/home?region={arn[3]}#alarmsV2:alarm/{quote(name)}"
        blocks.append(slack.context(slack.link(page, "The alarm in the AWS console")))
    return slack.Message(text=slack.escape(title), blocks=tuple(blocks))

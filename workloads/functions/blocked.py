"""What is told when AWS Batch finds that the job at the front of a queue cannot start.

Batch sends `Batch Job Queue Blocked` with the reason in `statusReason` (AWS Batch User Guide, "Job
queue blocked events").
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from workloads import metrics
from workloads.functions import clients, forms, slack
from workloads.functions.log import log
from workloads.functions.notification_log import Notification, NotificationLog
from workloads.functions.reasons import explain
from workloads.functions.webhook import tell

_BLOCKED: Final = {
    "region?": forms.TEXT,
    "detail": {
        "jobId": forms.TEXT,
        "jobName?": forms.TEXT,
        "jobQueue?": forms.TEXT,
        "statusReason?": forms.TEXT,
    },
}


def tell_blocked(event: dict[str, Any]) -> dict[str, Any]:
    """Tells Slack once for each job (an array is one) and reason. Returns `{"outcome"}`; raises
    SlackError and botocore's errors.

    Raises ContractError where the event is not of its form.
    """
    forms.check(event, _BLOCKED, what="the event")
    detail: dict[str, Any] = event["detail"]
    reason = str(detail.get("statusReason") or "")
    submitted = str(detail["jobId"]).partition(":")[0]
    notification = Notification(
        pk=f"{metrics.BLOCKED_KEY_PREFIX}{submitted}",
        sk=reason.partition(" ")[0] or "UNKNOWN",
        state="BLOCKED",
        changed_at="-",
    )
    notification_log = NotificationLog(clients.metrics_table())
    if not notification_log.begin(notification):
        return {"outcome": "told already"}
    log("queue blocked", job_id=detail["jobId"], queue=detail.get("jobQueue"), reason=reason)
    try:
        tell(blocked_message(detail, region=str(event.get("region") or "")))
    except Exception:
        notification_log.release(notification)
        raise
    notification_log.told(notification)
    return {"outcome": "blocked"}


def blocked_message(detail: dict[str, Any], *, region: str) -> slack.Message:
    """Which queue stands still, behind which job, why, and what to do."""
    queue = str(detail.get("jobQueue") or "").rsplit("/", 1)[-1] or "?"
    cause = explain({"statusReason": detail.get("statusReason")})
    title = f"Queue {queue} is blocked"
    blocks = [
        slack.header(title),
        slack.section(f"*Why*\n{slack.escape(cause.error)}"),
        *([slack.section(f"*What to do*\n{slack.escape(cause.hint)}")] if cause.hint else []),
        slack.fields(
            [
                ("Job at the front", slack.code(str(detail.get("jobName") or "?"))),
                ("AWS Batch says", slack.code(str(detail.get("statusReason") or "nothing"))),
            ]
        ),
    ]
    if region:
        page = f"https://{region}.console.aws.amazon.com/batch/home?region={region}#jobs/detail/{quote(str(detail['jobId']))}"
        blocks.append(slack.context(slack.link(page, "The job in the AWS console")))
    return slack.Message(text=slack.escape(f"{title}: {cause.error}"), blocks=tuple(blocks))

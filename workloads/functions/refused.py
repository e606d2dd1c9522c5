"""What is told of an object that lies where uploads do and is none."""

from __future__ import annotations

from workloads import contract
from workloads.functions import clients, slack
from workloads.functions.log import log
from workloads.functions.notification_log import Notification, NotificationLog
from workloads.functions.webhook import tell


def tell_refused(bucket: str, key: str, etag: str, reason: str) -> str:
    """Says in Slack, once for each content of the object, that it will not be analysed; returns the
    reason.

    Raises SlackError and botocore's errors: a repeated event tells.
    """
    log("upload refused", bucket=bucket, key=key, reason=reason)
    notification = Notification(
        pk=f"{contract.REFUSED_KEY_PREFIX}{bucket}/{key}",
        sk=etag.strip('"'),
        state="REFUSED",
        changed_at="-",
    )
    notification_log = NotificationLog(clients.metrics_table())
    if not notification_log.begin(notification):
        return reason
    message = slack.Message(
        text=f"Upload refused: {slack.escape(reason)}",
        blocks=(
            slack.header("Upload refused"),
            slack.section(slack.escape(reason)),
            slack.context(
                "Nothing was begun. Upload the file again under a key of that form, and delete this"
                " one."
            ),
        ),
    )
    try:
        tell(message)
    except Exception:
        notification_log.release(notification)
        raise
    notification_log.told(notification)
    return reason

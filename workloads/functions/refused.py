"""What is told of an object that lies where uploads do and is none."""

from __future__ import annotations

from workloads import contract
from workloads.functions import clients, slack
from workloads.functions.log import log
from workloads.functions.tellings import Telling, Tellings
from workloads.functions.webhook import tell


def tell_refused(bucket: str, key: str, etag: str, reason: str) -> str:
    """Says in Slack, once for each content of the object, that it will not be analysed; returns the reason.

    Raises SlackError and botocore's errors: a repeated event tells.
    """
    log("upload refused", bucket=bucket, key=key, reason=reason)
    telling = Telling(
        pk=f"{contract.REFUSED_KEY_PREFIX}{bucket}/{key}",
        sk=etag.strip('"'),
        state="REFUSED",
        changed_at="-",
    )
    tellings = Tellings(clients.metrics_table())
    if not tellings.begin(telling):
        return reason
    message = slack.Message(
        text=f"Upload refused: {slack.escape(reason)}",
        blocks=(
            slack.header("Upload refused"),
            slack.section(slack.escape(reason)),
            slack.context(
                "Nothing was begun. Upload the file again under a key of that form, and delete this one."
            ),
        ),
    )
    try:
        tell(message)
    except Exception:
        tellings.not_told(telling)
        raise
    tellings.told(telling)
    return reason

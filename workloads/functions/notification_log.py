"""What Slack was told of, so that a message which is delivered twice, late or out of order is told
once.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from boto3.dynamodb.conditions import Attr
from botocore.exceptions import ClientError

from workloads.formats import now

if TYPE_CHECKING:
    from boto3.dynamodb.conditions import ConditionBase
    from mypy_boto3_dynamodb.service_resource import Table

_LEASE_MS: Final = 90_000
"""How long one invocation has for telling before a repeated message may take over; longer than the
functions' timeouts.
"""


class NotificationLeasedError(RuntimeError):
    """Another invocation has the right to tell this, and has not done it yet; in case it never
    does, the message has to come again.
    """


@dataclass(frozen=True, kw_only=True)
class Notification:
    """Something to tell: `state` of a subject since `changed_at`, which sorts as text."""

    pk: str
    sk: str
    state: str
    changed_at: str


@dataclass(frozen=True)
class NotificationLog:
    """One item of the metrics table for each subject.

    Methods raise botocore's ClientError where DynamoDB refuses for another reason.
    """

    table: Table

    def begin(self, notification: Notification, *, only_after: str | None = None) -> bool:
        """Takes the right to tell.

        Args:
            notification: what is to be told.
            only_after: the state that must have been told before, where the new one is no news
                without it.

        Returns:
            False where this or something newer was told already, or is no news.

        Raises NotificationLeasedError.
        """
        now_ms = int(time.time() * 1000)
        newer: ConditionBase = Attr("changed_at").lt(notification.changed_at)
        news = (
            newer & Attr("state").eq(only_after)
            if only_after is not None
            else Attr("pk").not_exists() | newer
        )
        same = Attr("changed_at").eq(notification.changed_at) & Attr("state").eq(notification.state)
        untold = same & Attr("told_at").not_exists() & Attr("tell_until_ms").lt(now_ms)
        try:
            self.table.update_item(
                Key={"pk": notification.pk, "sk": notification.sk},
                UpdateExpression=(
                    "SET #state = :state, changed_at = :changed, tell_until_ms = :until REMOVE"
                    " told_at"
                ),
                ConditionExpression=news | untold,
                ExpressionAttributeNames={"#state": "state"},
                ExpressionAttributeValues={
                    ":state": notification.state,
                    ":changed": notification.changed_at,
                    ":until": now_ms + _LEASE_MS,
                },
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
                raise
            item = self.table.get_item(
                Key={"pk": notification.pk, "sk": notification.sk}, ConsistentRead=True
            ).get("Item", {})
            if (item.get("state"), item.get("changed_at")) == (
                notification.state,
                notification.changed_at,
            ) and "told_at" not in item:
                raise NotificationLeasedError(
                    f"{notification.pk} {notification.state}: another invocation is telling Slack"
                    " and has not finished"
                ) from error
            return False
        return True

    def told(self, notification: Notification) -> None:
        """Notes that Slack knows, or that the stack has no Slack."""
        self._set(notification, "told_at", now())

    def release(self, notification: Notification) -> None:
        """Gives the right to tell back, so that the next delivery can try again at once."""
        self._set(notification, "tell_until_ms", 0)

    def _set(self, notification: Notification, name: str, value: Any) -> None:
        self.table.update_item(
            Key={"pk": notification.pk, "sk": notification.sk},
            UpdateExpression="SET #name = :value",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":value": value},
        )

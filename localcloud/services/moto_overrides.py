"""What moto does otherwise while a cloud runs: its own methods that are replaced."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from typing import Any

from moto.awslambda import models as moto_lambda
from moto.dynamodb.models.table import SecondaryIndex, Table
from moto.iam.access_control import PermissionResult
from moto.s3 import models as moto_s3
from moto.s3 import notifications as moto_notifications

from localcloud.services import table_queries
from localcloud.services.functions import Functions


@contextlib.contextmanager
def moto_overrides(functions: Functions) -> Iterator[None]:
    """Stops moto from sending S3 notifications, which the front sends, and lets it run functions
    here where it would start Docker.

    moto itself invokes functions for SNS subscriptions, log subscriptions and event source
    mappings; all of it passes `_invoke_lambda`. There are no hooks for any of this.
    """

    def run(function: Any, event: str | None = None) -> tuple[str, bool, str]:
        payload = event if isinstance(event, str) else json.dumps(event)
        result = functions.invoke(function.function_name, payload.encode())
        return result.payload.decode(), result.error is not None, result.log_tail

    def from_topic(
        _: Any, function_name: str, message: str, subject: str | None = None, **_qualifier: Any
    ) -> None:
        record = {
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "Sns": {"Type": "Notification", "Subject": subject, "Message": message},
        }
        functions.invoke_async(function_name, json.dumps({"Records": [record]}).encode())

    def no_opinion(*_: Any) -> PermissionResult:
        return PermissionResult.NEUTRAL

    replaced: list[tuple[Any, str, Any]] = [
        (moto_notifications, "send_event", lambda *_, **__: None),
        (moto_lambda.LambdaFunction, "_invoke_lambda", run),
        # SNS invokes asynchronously, with retries and dead letters; moto within the Publish call,
        # once
        (moto_lambda.LambdaBackend, "send_sns_message", from_topic),
        # moto reads bucket policies without their conditions, and would refuse everything for
        # aws:SecureTransport; access.py evaluates them
        (moto_s3.FakeBucket, "get_permission", no_opinion),
        (Table, "query", table_queries.query),
        (Table, "all_items", table_queries.of_now(Table.all_items)),
        (Table, "has_idx_items", table_queries.of_now(Table.has_idx_items)),
        (SecondaryIndex, "project", table_queries.project),
    ]
    originals = [(owner, name, getattr(owner, name)) for owner, name, _ in replaced]
    for owner, name, value in replaced:
        setattr(owner, name, value)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    try:
        yield
    finally:
        for owner, name, value in originals:
            setattr(owner, name, value)

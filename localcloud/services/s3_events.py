"""S3's event notifications: to EventBridge, functions, queues and topics, as the bucket's
configuration says.

Shapes: S3 User Guide, "Event message structure" and "EventBridge event message structure".
"""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from localcloud.iam.access import Access
from localcloud.moto.state import ACCOUNT_ID, AwsState
from localcloud.protocol.wire import Call, header_value, url_encoded_key
from localcloud.services.eventbridge import EventBus

_S3: Final = "s3.amazonaws.com"
_CREATED: Final = {
    "PutObject": ("ObjectCreated:Put", "PutObject"),
    "CopyObject": ("ObjectCreated:Copy", "CopyObject"),
    "CompleteMultipartUpload": ("ObjectCreated:CompleteMultipartUpload", "CompleteMultipartUpload"),
}
_BY_FORM: Final = ("ObjectCreated:Post", "POST Object")


class StorageEvents:
    """Turns successful S3 calls into notifications."""

    def __init__(
        self,
        state: AwsState,
        access: Access,
        bus: EventBus,
        client: Callable[[str], Any],
        invoke_function: Callable[[str, bytes], None],
    ) -> None:
        self._state = state
        self._access = access
        self._bus = bus
        self._client = client
        self._invoke_function = invoke_function
        # sequencers of one key compare as strings in the order of the events
        self._sequence = itertools.count(int(time.time() * 1000) << 20)

    def after(self, call: Call, headers: list[tuple[str, str]]) -> None:
        """Notifies about a call that succeeded, if it is one that S3 tells about."""
        if call.operation in _CREATED:
            params = {**call.uri_params}
            bucket, key = str(params.get("Bucket", "")), str(params.get("Key", ""))
            version = header_value(headers, "x-amz-version-id")
            self._created(
                bucket,
                key,
                None if version in (None, "null") else version,
                *(_BY_FORM if call.by_form else _CREATED[call.operation]),
            )
        elif call.operation == "DeleteObject":
            marker = header_value(headers, "x-amz-delete-marker") == "true"
            self._deleted(
                str(call.uri_params.get("Bucket", "")),
                str(call.uri_params.get("Key", "")),
                marker=marker,
            )

    def _created(
        self, bucket_name: str, key: str, version: str | None, name: str, reason: str
    ) -> None:
        bucket, item = (
            self._state.bucket(bucket_name),
            self._state.object(bucket_name, key, version),
        )
        if bucket is None or item is None or bucket.notification_configuration is None:
            return
        facts: dict[str, Any] = {
            "key": key,
            "size": item.size,
            "etag": item.etag.strip('"'),
            "sequencer": f"{next(self._sequence):018X}",
        }
        if version:
            facts["version-id"] = version
        self._to_event_bridge(bucket, "Object Created", facts, {"reason": reason})
        self._to_targets(bucket, name, facts)

    def _deleted(self, bucket_name: str, key: str, *, marker: bool) -> None:
        bucket = self._state.bucket(bucket_name)
        if bucket is None or bucket.notification_configuration is None:
            return
        facts = {"key": key, "sequencer": f"{next(self._sequence):018X}"}
        kind = "Delete Marker Created" if marker else "Permanently Deleted"
        self._to_event_bridge(
            bucket, "Object Deleted", facts, {"reason": "DeleteObject", "deletion-type": kind}
        )
        self._to_targets(
            bucket, "ObjectRemoved:DeleteMarkerCreated" if marker else "ObjectRemoved:Delete", facts
        )

    def _to_event_bridge(
        self, bucket: Any, detail_type: str, facts: dict[str, Any], more: dict[str, str]
    ) -> None:
        if bucket.notification_configuration.event_bridge is None:
            return
        detail = {
            "version": "0",
            "bucket": {"name": bucket.name},
            "object": facts,
            "request-id": uuid.uuid4().hex[:16].upper(),
            "requester": ACCOUNT_ID,
            "source-ip-address": "127.0.0.1",
            **more,
        }
        self._bus.publish("aws.s3", detail_type, [f"arn:aws:s3:::{bucket.name}"], detail)

    def _to_targets(self, bucket: Any, name: str, facts: dict[str, Any]) -> None:
        configuration = bucket.notification_configuration
        for kind in ("cloud_function", "queue", "topic"):
            for notification in getattr(configuration, kind):
                if notification.matches(f"s3:{name}", facts["key"]):
                    body = json.dumps(self._record(bucket, name, facts, notification.id))
                    self._bus.submit(
                        lambda kind=kind, arn=notification.arn, body=body: self._send(  # type: ignore[misc]
                            bucket.arn, kind, arn, body
                        )
                    )

    def _record(
        self, bucket: Any, name: str, facts: dict[str, Any], configuration_id: str
    ) -> dict[str, Any]:
        item = {"key": url_encoded_key(facts["key"]), "sequencer": facts["sequencer"]}
        for ours, theirs in (("size", "size"), ("etag", "eTag"), ("version-id", "versionId")):
            if ours in facts:
                item[theirs] = facts[ours]
        record = {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": self._state.region,
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "eventName": name,
            "userIdentity": {"principalId": ACCOUNT_ID},
            "requestParameters": {"sourceIPAddress": "127.0.0.1"},
            "responseElements": {"x-amz-request-id": uuid.uuid4().hex[:16].upper()},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": configuration_id,
                "bucket": {
                    "name": bucket.name,
                    "ownerIdentity": {"principalId": ACCOUNT_ID},
                    "arn": bucket.arn,
                },
                "object": item,
            },
        }
        return {"Records": [record]}

    def _send(self, bucket_arn: str, kind: str, arn: str, body: str) -> None:
        if kind == "cloud_function":
            policy, action = self._state.function_policy(arn), "lambda:InvokeFunction"
        elif kind == "queue":
            policy, action = self._state.queue_policy(arn), "sqs:SendMessage"
        else:
            policy, action = self._state.topic_policy(arn), "sns:Publish"
        if not self._access.service_may(
            policy, service=_S3, action=action, resource=arn, source_arn=bucket_arn
        ):
            return
        if kind == "cloud_function":
            self._invoke_function(arn, body.encode())
        elif kind == "queue":
            sqs = self._client("sqs")
            sqs.send_message(
                QueueUrl=sqs.get_queue_url(QueueName=arn.rsplit(":", 1)[-1])["QueueUrl"],
                MessageBody=body,
            )
        else:
            self._client("sns").publish(
                TopicArn=arn, Message=body, Subject="Amazon S3 Notification"
            )

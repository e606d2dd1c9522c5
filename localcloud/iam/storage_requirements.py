"""Which permissions calls to S3 and DynamoDB need, after the Service Authorization Reference."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from localcloud.iam.requirement import Requirement
from localcloud.moto.state import AwsState
from localcloud.protocol.wire import Call

# ---- S3 ------------------------------------------------------------------------------------------

_S3_OBJECT: Final = {
    "GetObject": "GetObject",
    "HeadObject": "GetObject",
    "GetObjectAttributes": "GetObjectAttributes",
    "PutObject": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "AbortMultipartUpload": "AbortMultipartUpload",
    "ListParts": "ListMultipartUploadParts",
    "DeleteObject": "DeleteObject",
    "RestoreObject": "RestoreObject",
    "SelectObjectContent": "GetObject",
}
_S3_BUCKET: Final = {
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "HeadBucket": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
}
_VERSIONED: Final = ("GetObject", "DeleteObject", "GetObjectTagging", "GetObjectAttributes")


def s3(call: Call, _: AwsState) -> Iterator[Requirement]:
    """What a call to S3 needs."""
    params = call.params
    if call.operation == "ListBuckets":
        yield Requirement(action="s3:ListAllMyBuckets")
        return
    bucket = f"arn:aws:s3:::{params.get('Bucket', '')}"
    if call.operation == "DeleteObjects":
        for each in params.get("Delete", {}).get("Objects", []):
            yield Requirement(action="s3:DeleteObject", resource=f"{bucket}/{each['Key']}")
        return
    if "Key" in params:
        action = _S3_OBJECT.get(call.operation, call.operation)
        if params.get("VersionId") and action in _VERSIONED:
            action = action.replace("Object", "ObjectVersion", 1)
        yield Requirement(action=f"s3:{action}", resource=f"{bucket}/{params['Key']}")
        if source := params.get("CopySource"):
            yield Requirement(
                action="s3:GetObject",
                resource=f"arn:aws:s3:::{str(source).lstrip('/').partition('?')[0]}",
            )
        return
    context: dict[str, str | list[str]] = {}
    for key in ("Prefix", "Delimiter"):
        if call.operation.startswith("List"):
            context[f"s3:{key.lower()}"] = str(params.get(key) or "")
    yield Requirement(
        action=f"s3:{_S3_BUCKET.get(call.operation, call.operation)}",
        resource=bucket,
        context=context,
    )


# ---- DynamoDB ------------------------------------------------------------------------------------


def dynamodb(call: Call, state: AwsState) -> Iterator[Requirement]:
    """What a call to DynamoDB needs, the partition keys that it names among the condition keys."""
    params = call.params

    def table(name: str) -> str:
        return name if name.startswith("arn:") else state.arn("dynamodb", f"table/{name}")

    def context(keys: Iterable[str]) -> dict[str, str | list[str]]:
        found = list(keys)
        return {"dynamodb:leadingkeys": found} if found else {}

    if call.operation in ("BatchGetItem", "BatchWriteItem"):
        for name, asked in params.get("RequestItems", {}).items():
            hash_key = state.partition_key(name)
            keys = context(_values(hash_key, _batched(asked)))
            yield Requirement(
                action=f"dynamodb:{call.operation}", resource=table(name), context=keys
            )
    elif call.operation in ("TransactWriteItems", "TransactGetItems"):
        actions = {
            "Put": "PutItem",
            "Update": "UpdateItem",
            "Delete": "DeleteItem",
            "ConditionCheck": "ConditionCheckItem",
            "Get": "GetItem",
        }
        for item in params.get("TransactItems", []):
            for kind, request in item.items():
                name = request["TableName"]
                keys = context(
                    _values(
                        state.partition_key(name), [request.get("Key") or request.get("Item") or {}]
                    )
                )
                yield Requirement(
                    action=f"dynamodb:{actions[kind]}", resource=table(name), context=keys
                )
    elif "TableName" in params:
        resource = table(params["TableName"])
        if params.get("IndexName"):
            resource = f"{resource}/index/{params['IndexName']}"
        hash_key = state.partition_key(params["TableName"])
        asked_keys = [
            *_values(hash_key, [params.get("Key") or params.get("Item") or {}]),
            *_queried(hash_key, params),
        ]
        yield Requirement(
            action=f"dynamodb:{call.operation}", resource=resource, context=context(asked_keys)
        )
    else:
        yield Requirement(action=f"dynamodb:{call.operation}")


def _values(hash_key: str, items: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The partition keys of items or keys in DynamoDB's form."""
    for item in items:
        if hash_key in item:
            yield str(next(iter(item[hash_key].values())))


def _batched(asked: Any) -> Iterator[dict[str, Any]]:
    """Keys and items of one table's part of a batch."""
    if isinstance(asked, dict):
        yield from asked.get("Keys", [])
        return
    for request in asked:
        yield (
            (request.get("PutRequest") or {}).get("Item")
            or (request.get("DeleteRequest") or {}).get("Key")
            or {}
        )


def _queried(hash_key: str, params: dict[str, Any]) -> Iterator[str]:
    """The partition key that a Query asks for, which it always compares by `=`."""
    names, values = (
        params.get("ExpressionAttributeNames") or {},
        params.get("ExpressionAttributeValues") or {},
    )
    for name, value in re.findall(
        r"([#\w.-]+)\s*=\s*(:\w+)", params.get("KeyConditionExpression") or ""
    ):
        if names.get(name, name) == hash_key and value in values:
            yield str(next(iter(values[value].values())))
    condition = (params.get("KeyConditions") or {}).get(hash_key)
    if condition:
        yield from (str(next(iter(value.values()))) for value in condition["AttributeValueList"])

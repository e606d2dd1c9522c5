"""Which permissions an API call needs: action, resource ARN and condition keys, after the Service
Authorization Reference.

Covers the services that jobs and functions call; for any other, the action is
`<service>:<operation>` on resource `*`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from localcloud.moto.state import ACCOUNT_ID, AwsState, function_name
from localcloud.protocol.wire import Call


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """One permission that a call needs."""

    action: str
    resource: str = "*"
    context: dict[str, str | list[str]] = field(default_factory=dict)


_Rule = Callable[[Call, AwsState], Iterator[Requirement]]


def requirements(call: Call, state: AwsState) -> list[Requirement]:
    """All permissions that the call needs; every one has to be granted.

    Empty for calls that anybody may make.
    """
    rule = _RULES.get(call.service)
    if rule is not None:
        return list(rule(call, state))
    prefix = {"cloudwatch": "cloudwatch", "stepfunctions": "states"}.get(
        call.service, call.signing_name
    )
    return [Requirement(action=f"{prefix}:{call.operation}")]


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


def _s3(call: Call, _: AwsState) -> Iterator[Requirement]:
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


def _dynamodb(call: Call, state: AwsState) -> Iterator[Requirement]:
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


# ---- Batch ---------------------------------------------------------------------------------------


def _batch(call: Call, state: AwsState) -> Iterator[Requirement]:
    params = call.params
    action = f"batch:{call.operation}"
    if call.operation == "SubmitJob":
        queue, definition = params.get("jobQueue", ""), params.get("jobDefinition", "")
        context: dict[str, str | list[str]] = {}
        if params.get("shareIdentifier"):
            context["batch:shareidentifier"] = params["shareIdentifier"]
        yield Requirement(
            action=action,
            resource=(
                queue if queue.startswith("arn:") else state.arn("batch", f"job-queue/{queue}")
            ),
            context=context,
        )
        arn = (
            definition
            if definition.startswith("arn:")
            else state.arn("batch", f"job-definition/{definition}")
        )
        yield Requirement(action=action, resource=arn, context=context)
        if not arn.rsplit(":", 1)[-1].isdigit():
            # submitting without a revision needs both the bare name and the revisions
            yield Requirement(action=action, resource=f"{arn}:*", context=context)
        if params.get("tags"):
            yield Requirement(action="batch:TagResource", resource=state.arn("batch", "job/*"))
    elif call.operation.startswith(("TerminateJob", "CancelJob")):
        # there is no action of the names in the plural: each job needs the right to end it alone
        # (API reference)
        jobs = params.get("jobs") or [params.get("jobId", "")]
        for resource in (state.arn("batch", f"job/{job}") for job in jobs):
            yield Requirement(action=action.removesuffix("s"), resource=resource)
    elif call.operation in ("TagResource", "UntagResource", "ListTagsForResource"):
        yield Requirement(action=action, resource=params.get("resourceArn", "*"))
    elif call.operation in ("UpdateJobQueue", "DeleteJobQueue", "GetJobQueueSnapshot"):
        name = params.get("jobQueue", "")
        yield Requirement(
            action=action,
            resource=name if name.startswith("arn:") else state.arn("batch", f"job-queue/{name}"),
        )
    elif call.operation in ("UpdateComputeEnvironment", "DeleteComputeEnvironment"):
        name = params.get("computeEnvironment", "")
        yield Requirement(
            action=action,
            resource=(
                name
                if name.startswith("arn:")
                else state.arn("batch", f"compute-environment/{name}")
            ),
        )
    else:
        yield Requirement(action=action)


# ---- the rest ------------------------------------------------------------------------------------


def _logs(call: Call, state: AwsState) -> Iterator[Requirement]:
    params = call.params
    group = params.get("logGroupName") or str(params.get("logGroupIdentifier", "")).rpartition(
        "log-group:"
    )[2].removesuffix(":*")
    if call.operation in ("CreateLogStream", "PutLogEvents", "GetLogEvents", "DeleteLogStream"):
        yield Requirement(
            action=f"logs:{call.operation}",
            resource=state.arn(
                "logs", f"log-group:{group}:log-stream:{params.get('logStreamName', '')}"
            ),
        )
    elif group:
        yield Requirement(
            action=f"logs:{call.operation}", resource=state.arn("logs", f"log-group:{group}:*")
        )
    else:
        yield Requirement(action=f"logs:{call.operation}")


def _sqs(call: Call, state: AwsState) -> Iterator[Requirement]:
    name = str(call.params.get("QueueUrl") or call.params.get("QueueName") or "").rsplit("/", 1)[-1]
    action = call.operation.replace("MessageBatch", "Message").replace(
        "VisibilityBatch", "Visibility"
    )
    yield Requirement(action=f"sqs:{action}", resource=state.arn("sqs", name) if name else "*")


def _sns(call: Call, _: AwsState) -> Iterator[Requirement]:
    params = call.params
    resource = params.get("TopicArn") or params.get("TargetArn") or params.get("ResourceArn") or "*"
    yield Requirement(
        action=f"sns:{'Publish' if call.operation == 'PublishBatch' else call.operation}",
        resource=resource,
    )


def _lambda(call: Call, state: AwsState) -> Iterator[Requirement]:
    name = call.params.get("FunctionName")
    action = {"Invoke": "InvokeFunction", "InvokeAsync": "InvokeFunction"}.get(
        call.operation, call.operation
    )
    yield Requirement(
        action=f"lambda:{action}",
        resource=state.arn("lambda", f"function:{function_name(name)}") if name else "*",
    )


def _secretsmanager(call: Call, state: AwsState) -> Iterator[Requirement]:
    secret = call.params.get("SecretId")
    yield Requirement(
        action=f"secretsmanager:{call.operation}",
        resource=state.secret_arn(secret) if secret else "*",
    )


def _kms(call: Call, state: AwsState) -> Iterator[Requirement]:
    key = str(call.params.get("KeyId") or "")
    resource = (
        "*"
        if not key
        else (
            key if key.startswith("arn:") else state.arn("kms", key if "/" in key else f"key/{key}")
        )
    )
    yield Requirement(action=f"kms:{call.operation}", resource=resource)


def _ecr(call: Call, state: AwsState) -> Iterator[Requirement]:
    name = call.params.get("repositoryName")
    yield Requirement(
        action=f"ecr:{call.operation}",
        resource=state.arn("ecr", f"repository/{name}") if name else "*",
    )


def _events(call: Call, state: AwsState) -> Iterator[Requirement]:
    if call.operation != "PutEvents":
        name = call.params.get("Rule") or call.params.get("Name")
        yield Requirement(
            action=f"events:{call.operation}",
            resource=state.arn("events", f"rule/{name}") if name else "*",
        )
        return
    for entry in call.params.get("Entries", []):
        bus = entry.get("EventBusName") or "default"
        context: dict[str, str | list[str]] = {
            "events:source": entry.get("Source", ""),
            "events:detail-type": entry.get("DetailType", ""),
        }
        yield Requirement(
            action="events:PutEvents",
            resource=bus if bus.startswith("arn:") else state.arn("events", f"event-bus/{bus}"),
            context=context,
        )


def _states(call: Call, _: AwsState) -> Iterator[Requirement]:
    resource = call.params.get("stateMachineArn") or call.params.get("executionArn") or "*"
    yield Requirement(action=f"states:{call.operation}", resource=resource)


def _sts(call: Call, _: AwsState) -> Iterator[Requirement]:
    if call.operation == "AssumeRole":
        yield Requirement(action="sts:AssumeRole", resource=call.params.get("RoleArn", "*"))
    elif call.operation not in ("GetCallerIdentity", "GetSessionToken", "GetAccessKeyInfo"):
        yield Requirement(action=f"sts:{call.operation}")


def _cloudwatch(call: Call, state: AwsState) -> Iterator[Requirement]:
    context: dict[str, str | list[str]] = {}
    if call.operation == "PutMetricData" and call.params.get("Namespace"):
        context["cloudwatch:namespace"] = call.params["Namespace"]
    alarms = call.params.get("AlarmNames") or (
        [call.params["AlarmName"]] if call.params.get("AlarmName") else []
    )
    for name in alarms or [None]:
        resource = "*" if name is None else state.arn("cloudwatch", f"alarm:{name}")
        yield Requirement(action=f"cloudwatch:{call.operation}", resource=resource, context=context)


def _ssm(call: Call, state: AwsState) -> Iterator[Requirement]:
    params = call.params
    names = params.get("Names") or [
        name for name in (params.get("Name"), params.get("Path")) if name
    ]
    for name in names or [None]:
        resource = (
            "*"
            if name is None
            else (
                name
                if name.startswith("arn:")
                else state.arn("ssm", f"parameter/{name.lstrip('/')}")
            )
        )
        yield Requirement(action=f"ssm:{call.operation}", resource=resource)


def _iam(call: Call, _: AwsState) -> Iterator[Requirement]:
    role, policy = call.params.get("RoleName"), call.params.get("PolicyArn")
    context: dict[str, str | list[str]] = {"iam:policyarn": policy} if policy else {}
    resource = f"arn:aws:iam::{ACCOUNT_ID}:role/{role}" if role else "*"
    yield Requirement(action=f"iam:{call.operation}", resource=resource, context=context)


_RULES: Final[dict[str, _Rule]] = {
    "s3": _s3,
    "dynamodb": _dynamodb,
    "batch": _batch,
    "logs": _logs,
    "sqs": _sqs,
    "sns": _sns,
    "lambda": _lambda,
    "secretsmanager": _secretsmanager,
    "kms": _kms,
    "ecr": _ecr,
    "events": _events,
    "stepfunctions": _states,
    "sts": _sts,
    "cloudwatch": _cloudwatch,
    "ssm": _ssm,
    "iam": _iam,
}

"""What is read by more than one call, or lies in an answer otherwise than in the inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from localcloud.deployment.provider.calls import ProviderError
from localcloud.deployment.provider.functions import invoke_arn
from localcloud.deployment.provider.lifecycle import is_absent
from localcloud.deployment.provider.messaging import (
    QUEUE_ATTRIBUTES,
    SUBSCRIPTION_ATTRIBUTES,
    TOPIC_ATTRIBUTES,
)
from localcloud.deployment.provider.reading import Actual, Described, Found, Reading, tag_map
from localcloud.deployment.provider.storage import bucket_outputs

# ---- identity ------------------------------------------------------------------------------------


def role_policy(reading: Reading) -> Actual | None:
    """An inline policy; its id is `role:name`."""
    owner, _, name = reading.id.partition(":")
    found = reading.maybe("iam", "GetRolePolicy", RoleName=owner, PolicyName=name)
    if not found:
        return None
    return {"role": owner, "name": name, "policy": json.dumps(found["PolicyDocument"])}


def policy(reading: Reading, found: Found) -> Found:
    """The document of the default version."""
    version = {"PolicyArn": reading.id, "VersionId": found["DefaultVersionId"]}
    document = reading.send("iam", "GetPolicyVersion", **version)["PolicyVersion"]["Document"]
    return {"policy": document}


def attachment(reading: Reading) -> Actual | None:
    """A managed policy on a role; its id is `role/arn`."""
    owner, _, arn = reading.id.partition("/")
    found = reading.maybe("iam", "ListAttachedRolePolicies", RoleName=owner)
    there = {each["PolicyArn"] for each in found.get("AttachedPolicies", [])}
    return {"role": owner, "policyArn": arn} if arn in there else None


def compute_environment(_reading: Reading, found: Found) -> Found:
    """A role of its own; the service-linked one is what AWS takes otherwise."""
    role = str(found.get("serviceRole") or "")
    return {"serviceRole": None if role.endswith("/AWSServiceRoleForBatch") else role or None}


def job_definition(_reading: Reading, found: Found) -> Found:
    """The ARN without the revision."""
    return {"arnPrefix": found["jobDefinitionArn"].rpartition(":")[0]}


def instance_profile(_reading: Reading, found: Found) -> Found:
    """Its role."""
    return {"role": next((each["RoleName"] for each in found["Roles"]), None)}


def key(reading: Reading, _found: Found) -> Found:
    """Policy and rotation."""
    document = reading.send("kms", "GetKeyPolicy", KeyId=reading.id, PolicyName="default")
    rotation = reading.send("kms", "GetKeyRotationStatus", KeyId=reading.id)
    return {
        "keyId": reading.id,
        "policy": document["Policy"],
        "enableKeyRotation": rotation["KeyRotationEnabled"],
        "rotationPeriodInDays": rotation.get("RotationPeriodInDays"),
    }


def secret_version(reading: Reading) -> Actual | None:
    """The value; its id is `arn|version`. What is deleted soon is gone, as the secret itself."""
    arn, _, version = reading.id.partition("|")
    known = reading.maybe("secretsmanager", "DescribeSecret", SecretId=arn)
    if not known or known.get("DeletedDate"):
        return None
    found = reading.maybe("secretsmanager", "GetSecretValue", SecretId=arn, VersionId=version)
    if not found:
        return None
    return {
        "secretId": arn,
        "secretString": found.get("SecretString"),
        "arn": found["ARN"],
        "secretArn": found["ARN"],
        "versionId": found["VersionId"],
        "versionStages": found.get("VersionStages"),
        "hasSecretStringWo": False,
    }


# ---- functions and events ------------------------------------------------------------------------


def function(reading: Reading, found: Found) -> Found:
    """Reserved concurrency and ARNs; variables lie one level deeper than in the inputs."""
    told = reading.send("lambda", "GetFunctionConcurrency", FunctionName=reading.id)
    environment = found.get("Environment")
    return {
        "reservedConcurrentExecutions": told.get("ReservedConcurrentExecutions", -1),
        "environment": {"variables": environment.get("Variables", {})} if environment else None,
        "sourceCodeHash": found["CodeSha256"],
        "qualifiedArn": f"{found['FunctionArn']}:{found['Version']}",
        "invokeArn": invoke_arn(reading.aws, found["FunctionArn"]),
    }


def permission(reading: Reading) -> Actual | None:
    """One statement of a function's policy."""
    owner = str(reading.values["function"])
    found = reading.maybe("lambda", "GetPolicy", FunctionName=owner)
    for each in json.loads(found.get("Policy", "{}")).get("Statement", []):
        if each["Sid"] == reading.id:
            condition = each.get("Condition", {})
            principal = each["Principal"]
            return {
                "function": owner,
                "statementId": reading.id,
                "action": each["Action"],
                "principal": (
                    principal if isinstance(principal, str) else next(iter(principal.values()))
                ),
                "sourceArn": condition.get("ArnLike", {}).get("AWS:SourceArn"),
                "sourceAccount": condition.get("StringEquals", {}).get("AWS:SourceAccount"),
            }
    return None


def event_target(reading: Reading) -> Actual | None:
    """One target of a rule."""
    rule_name, target = str(reading.values["rule"]), reading.values["targetId"]
    bus = reading.values.get("eventBusName") or "default"
    found = reading.maybe("events", "ListTargetsByRule", Rule=rule_name, EventBusName=bus)
    for each in found.get("Targets", []):
        if each["Id"] == target:
            retries, dead = each.get("RetryPolicy"), each.get("DeadLetterConfig")
            return {
                "rule": rule_name,
                "eventBusName": bus,
                "targetId": target,
                "arn": each["Arn"],
                "roleArn": each.get("RoleArn"),
                "input": each.get("Input"),
                "inputPath": each.get("InputPath"),
                "retryPolicy": (
                    retries
                    and {
                        "maximumEventAgeInSeconds": retries.get("MaximumEventAgeInSeconds"),
                        "maximumRetryAttempts": retries.get("MaximumRetryAttempts"),
                    }
                ),
                "deadLetterConfig": dead and {"arn": dead.get("Arn")},
            }
    return None


_SCHEDULE: Final = Described(
    service="scheduler",
    operation="GetSchedule",
    request={"Name": "{schedule}", "GroupName": "{group}"},
)


def schedule(reading: Reading) -> Actual | None:
    """Its id is `group/name`."""
    group, _, name = reading.id.partition("/")
    values = {**reading.values, "schedule": name, "group": group}
    inner = Reading(aws=reading.aws, token=reading.token, id=reading.id, values=values)
    return _SCHEDULE(inner)


def state_machine(_reading: Reading, found: Found) -> Found:
    """Where it logs, without the API's envelopes."""
    logs = found.get("loggingConfiguration") or {}
    destinations = [
        each["cloudWatchLogsLogGroup"]["logGroupArn"] for each in logs.get("destinations", [])
    ]
    plain = {name: logs[name] for name in ("level", "includeExecutionData") if name in logs}
    return {
        "loggingConfiguration": (
            {**plain, "logDestination": next(iter(destinations), None)} if logs else None
        )
    }


# ---- messages ------------------------------------------------------------------------------------


def _named(attributes: Mapping[str, str], table: Mapping[str, str]) -> dict[str, Any]:
    return {name: attributes.get(member) or None for name, member in table.items()}


def queue(reading: Reading) -> Actual | None:
    """A queue, whose settings are attributes."""
    told = reading.maybe("sqs", "GetQueueAttributes", QueueUrl=reading.id, AttributeNames=["All"])
    if not told:
        return None
    tags = reading.send("sqs", "ListQueueTags", QueueUrl=reading.id).get("Tags", {})
    named = _named(told["Attributes"], QUEUE_ATTRIBUTES)
    name = told["Attributes"]["QueueArn"].rpartition(":")[2]
    told = {"arn": told["Attributes"]["QueueArn"], "url": reading.id}
    return {**_own_policy(reading, named), **told, "name": name, "tags": tag_map(tags)}


def _own_policy(reading: Reading, named: dict[str, Any]) -> dict[str, Any]:
    """A policy that stands in a resource of its own is no part of the queue or topic."""
    return named if reading.values.get("policy") else {**named, "policy": None}


def queue_policy(reading: Reading) -> Actual | None:
    """Policy of a queue."""
    names = ["Policy"]
    told = reading.maybe("sqs", "GetQueueAttributes", QueueUrl=reading.id, AttributeNames=names)
    found = told.get("Attributes", {}).get("Policy")
    return {"queueUrl": reading.id, "policy": found} if found else None


def topic(reading: Reading) -> Actual | None:
    """A topic, whose settings are attributes."""
    told = reading.maybe("sns", "GetTopicAttributes", TopicArn=reading.id)
    if not told:
        return None
    tags = reading.send("sns", "ListTagsForResource", ResourceArn=reading.id).get("Tags", [])
    named = _named(told["Attributes"], TOPIC_ATTRIBUTES)
    name = reading.id.rpartition(":")[2]
    own = {"arn": reading.id, "owner": told["Attributes"]["Owner"]}
    return {**_own_policy(reading, named), **own, "name": name, "tags": tag_map(tags)}


def topic_policy(reading: Reading) -> Actual | None:
    """Policy of a topic."""
    told = reading.maybe("sns", "GetTopicAttributes", TopicArn=reading.id)
    found = told.get("Attributes", {}).get("Policy")
    owner = reading.aws.account
    return {"arn": reading.id, "policy": found, "owner": owner} if found else None


def subscription(reading: Reading) -> Actual | None:
    """A subscription, whose settings are attributes."""
    told = reading.maybe("sns", "GetSubscriptionAttributes", SubscriptionArn=reading.id)
    if not told:
        return None
    found = told["Attributes"]
    named = _named(found, SUBSCRIPTION_ATTRIBUTES)
    return {
        **named,
        "topic": found["TopicArn"],
        "protocol": found["Protocol"],
        "endpoint": found["Endpoint"],
        "arn": reading.id,
        "ownerId": found["Owner"],
    }


# ---- storage -------------------------------------------------------------------------------------


def bucket(reading: Reading) -> Actual | None:
    """A bucket: its name and its tags; settings are resources of their own."""
    try:
        reading.send("s3", "HeadBucket", Bucket=reading.id)
    except ProviderError as error:
        if is_absent(error) or "404" in str(error):
            return None
        raise
    tags = reading.maybe("s3", "GetBucketTagging", Bucket=reading.id).get("TagSet", [])
    return {
        "bucket": reading.id,
        "tags": tag_map(tags),
        **bucket_outputs(reading.aws, reading.id),
    }


def versioning(reading: Reading) -> Actual | None:
    """`Disabled` is Terraform's word for a bucket that never had it."""
    told = reading.maybe("s3", "GetBucketVersioning", Bucket=reading.id)
    if not told:
        return None
    return {
        "bucket": reading.id,
        "versioningConfiguration": {"status": told.get("Status", "Disabled")},
    }


def notification(reading: Reading) -> Actual | None:
    """EventBridge, and what is told to functions, queues and topics."""
    told = reading.maybe("s3", "GetBucketNotificationConfiguration", Bucket=reading.id)
    if not told:
        return None
    kinds = {
        "lambdaFunctions": ("LambdaFunctionConfigurations", "lambdaFunctionArn"),
        "queues": ("QueueConfigurations", "queueArn"),
        "topics": ("TopicConfigurations", "topicArn"),
    }
    found: dict[str, Any] = {
        "bucket": reading.id,
        "eventbridge": "EventBridgeConfiguration" in told,
    }
    for name, (member, target) in kinds.items():
        found[name] = [_notified(each, target) for each in told.get(member, [])]
    return found


def _notified(each: Mapping[str, Any], target: str) -> dict[str, Any]:
    rules = each.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    filters = {f"filter{rule['Name'].title()}": rule["Value"] for rule in rules}
    arn = each[f"{target[0].upper()}{target[1:]}"]
    return {"id": each.get("Id"), target: arn, "events": each["Events"], **filters}


def table(reading: Reading, found: Found) -> Found:
    """Keys, recovery, time to live and encryption."""
    keys = {each["KeyType"]: each["AttributeName"] for each in found["KeySchema"]}
    name = {"TableName": reading.id}
    backups = reading.send("dynamodb", "DescribeContinuousBackups", **name)
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    living = reading.send("dynamodb", "DescribeTimeToLive", **name)["TimeToLiveDescription"]
    lives = living["TimeToLiveStatus"] in ("ENABLED", "ENABLING")
    billing = (found.get("BillingModeSummary") or {}).get("BillingMode", "PROVISIONED")
    return {
        "hashKey": keys.get("HASH"),
        "rangeKey": keys.get("RANGE"),
        "billingMode": billing,
        "attributes": [
            {"name": each["AttributeName"], "type": each["AttributeType"]}
            for each in found["AttributeDefinitions"]
        ],
        "globalSecondaryIndexes": [
            {**_index(each), "keySchemas": _keys(each)}
            for each in found.get("GlobalSecondaryIndexes", [])
        ],
        "localSecondaryIndexes": [
            {**_index(each), "rangeKey": _keys(each)[-1]["attributeName"]}
            for each in found.get("LocalSecondaryIndexes", [])
        ],
        "pointInTimeRecovery": {"enabled": recovery["PointInTimeRecoveryStatus"] == "ENABLED"},
        "ttl": {"enabled": lives, "attributeName": living.get("AttributeName")} if lives else None,
        "deletionProtectionEnabled": bool(found.get("DeletionProtectionEnabled")),
    }


def _index(found: Found) -> dict[str, Any]:
    projection = found["Projection"]
    index = {"name": found["IndexName"], "projectionType": projection["ProjectionType"]}
    others = projection.get("NonKeyAttributes")
    return {**index, "nonKeyAttributes": others} if others else index


def _keys(found: Found) -> list[dict[str, str]]:
    return [
        {"attributeName": key["AttributeName"], "keyType": key["KeyType"]}
        for key in found["KeySchema"]
    ]

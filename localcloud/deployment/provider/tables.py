"""DynamoDB tables."""

from __future__ import annotations

from typing import Any, Final

from localcloud.deployment.provider.calls import Call, Naming, handles
from localcloud.deployment.provider.lifecycle import Update

_TYPES: Final = {"hashKey": "HASH", "rangeKey": "RANGE"}


@handles("dynamodb/table:Table", Naming(characters=r"[A-Za-z0-9_.-]"))
def table(call: Call) -> None:
    """Table with its indexes; recovery and time to live are switched on by calls of their own."""
    name, billing = call.take("name"), call.take("billingMode", "PROVISIONED")
    keys = _key_schema({key: call.take(key) for key in _TYPES})
    recovery, ttl, encryption = (
        call.take("pointInTimeRecovery"),
        call.take("ttl"),
        call.take("serverSideEncryption"),
    )
    stream, view, attributes = (
        call.take("streamEnabled"),
        call.take("streamViewType"),
        call.take("attributes") or [],
    )
    read, write = call.take("readCapacity"), call.take("writeCapacity")
    indexes = {
        kind: [_index(call, given, billing) for given in call.take(kind) or []]
        for kind in ("globalSecondaryIndexes", "localSecondaryIndexes")
    }
    optional: dict[str, Any] = {
        "GlobalSecondaryIndexes": indexes["globalSecondaryIndexes"] or None,
        "LocalSecondaryIndexes": indexes["localSecondaryIndexes"] or None,
        "ProvisionedThroughput": (
            {"ReadCapacityUnits": read or 1, "WriteCapacityUnits": write or 1}
            if billing == "PROVISIONED"
            else None
        ),
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": view} if stream else None,
        "SSESpecification": (
            _encryption(encryption) if encryption and encryption.get("enabled") else None
        ),
    }
    created = call.create(
        "dynamodb",
        "CreateTable",
        TableName=name,
        BillingMode=billing,
        KeySchema=keys,
        AttributeDefinitions=_attribute_definitions(attributes),
        **optional,
    )["TableDescription"]
    call.id = name
    if recovery:
        specification: dict[str, Any] = {"PointInTimeRecoveryEnabled": bool(recovery["enabled"])}
        if recovery.get("recoveryPeriodInDays"):
            specification["RecoveryPeriodInDays"] = int(recovery["recoveryPeriodInDays"])
        call.send(
            "dynamodb",
            "UpdateContinuousBackups",
            TableName=name,
            PointInTimeRecoverySpecification=specification,
        )
    if ttl and ttl.get("enabled", True):
        specification = {"Enabled": True, "AttributeName": ttl["attributeName"]}
        call.send(
            "dynamodb", "UpdateTimeToLive", TableName=name, TimeToLiveSpecification=specification
        )
    call.outputs |= {
        "arn": created["TableArn"],
        "streamArn": created.get("LatestStreamArn", ""),
        "streamLabel": created.get("LatestStreamLabel", ""),
    }


def change_table(update: Update) -> None:
    """Protection, recovery and indexes of a DynamoDB table."""
    recovery = update.new("pointInTimeRecovery")
    if recovery is not None:
        specification = {"PointInTimeRecoveryEnabled": bool(recovery["enabled"])}
        update.send(
            "dynamodb",
            "UpdateContinuousBackups",
            TableName=update.id,
            PointInTimeRecoverySpecification=specification,
        )
    if update.has("deletionProtectionEnabled"):
        protected = bool(update.new_or_nothing("deletionProtectionEnabled"))
        update.send(
            "dynamodb", "UpdateTable", TableName=update.id, DeletionProtectionEnabled=protected
        )
    if update.has("globalSecondaryIndexes") or update.has("attributes"):
        _change_indexes(update)


def _change_indexes(update: Update) -> None:
    """Indexes that are gone or differ are deleted, new ones made, a call for each: DynamoDB takes
    one at a time (UpdateTable).
    """
    attributes = update.new("attributes") or update.old.get("attributes") or []
    wanted = _by_name(update.new_or_nothing("globalSecondaryIndexes"))
    before = _by_name(update.old.get("globalSecondaryIndexes"))
    changes = [
        {"Delete": {"IndexName": name}} for name in before if before[name] != wanted.get(name)
    ]
    changes += [
        {"Create": _index(update, wanted[name], str(update.old.get("billingMode")))}
        for name in wanted
        if wanted[name] != before.get(name)
    ]
    for change in changes:
        update.send(
            "dynamodb",
            "UpdateTable",
            TableName=update.id,
            AttributeDefinitions=_attribute_definitions(attributes),
            GlobalSecondaryIndexUpdates=[change],
        )


def _by_name(indexes: list[dict[str, Any]] | None) -> dict[str, dict[str, Any]]:
    return {index["name"]: index for index in indexes or []}


def _key_schema(keys: dict[str, Any]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": _TYPES[kind]} for kind, name in keys.items() if name]


def _attribute_definitions(attributes: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [{"AttributeName": a["name"], "AttributeType": a["type"]} for a in attributes]


def _index(call: Call, given: dict[str, Any], billing: str) -> dict[str, Any]:
    projection = {"ProjectionType": given["projectionType"]}
    if given.get("nonKeyAttributes"):
        projection["NonKeyAttributes"] = given["nonKeyAttributes"]
    # pulumi-aws 7 knows an index's keys both as hashKey and rangeKey and as a list
    keys = [
        call.aws.part("dynamodb", "KeySchemaElement", key) for key in given.get("keySchemas") or []
    ]
    hash_key = given.get("hashKey") or call.values.get("hashKey")
    found: dict[str, Any] = {
        "IndexName": given["name"],
        "KeySchema": keys or _key_schema({"hashKey": hash_key, "rangeKey": given.get("rangeKey")}),
        "Projection": projection,
    }
    if billing == "PROVISIONED" and "readCapacity" in given:
        found["ProvisionedThroughput"] = {
            "ReadCapacityUnits": int(given["readCapacity"]),
            "WriteCapacityUnits": int(given["writeCapacity"]),
        }
    return found


def _encryption(given: dict[str, Any]) -> dict[str, Any]:
    key = given.get("kmsKeyArn")
    return {"Enabled": True, "SSEType": "KMS", **({"KMSMasterKeyId": key} if key else {})}

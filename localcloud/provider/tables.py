"""DynamoDB tables."""

from __future__ import annotations

from typing import Any, Final

from localcloud.provider.calls import Call, Naming, handles

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
        kind: [_index(call, index, billing) for index in call.take(kind) or []]
        for kind in ("globalSecondaryIndexes", "localSecondaryIndexes")
    }
    optional: dict[str, Any] = {
        "GlobalSecondaryIndexes": indexes["globalSecondaryIndexes"] or None,
        "LocalSecondaryIndexes": indexes["localSecondaryIndexes"] or None,
        "ProvisionedThroughput": {"ReadCapacityUnits": read or 1, "WriteCapacityUnits": write or 1}
        if billing == "PROVISIONED"
        else None,
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": view} if stream else None,
        "SSESpecification": _encryption(encryption)
        if encryption and encryption.get("enabled")
        else None,
    }
    created = call.create(
        "dynamodb",
        "CreateTable",
        TableName=name,
        BillingMode=billing,
        KeySchema=keys,
        AttributeDefinitions=[
            {"AttributeName": a["name"], "AttributeType": a["type"]} for a in attributes
        ],
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


def _key_schema(keys: dict[str, Any]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": _TYPES[kind]} for kind, name in keys.items() if name]


def _index(call: Call, index: dict[str, Any], billing: str) -> dict[str, Any]:
    projection = {"ProjectionType": index["projectionType"]}
    if index.get("nonKeyAttributes"):
        projection["NonKeyAttributes"] = index["nonKeyAttributes"]
    # pulumi-aws 7 knows an index's keys both as hashKey and rangeKey and as a list
    keys = [
        call.aws.part("dynamodb", "KeySchemaElement", key) for key in index.get("keySchemas") or []
    ]
    hash_key = index.get("hashKey") or call.values.get("hashKey")
    found: dict[str, Any] = {
        "IndexName": index["name"],
        "KeySchema": keys or _key_schema({"hashKey": hash_key, "rangeKey": index.get("rangeKey")}),
        "Projection": projection,
    }
    if billing == "PROVISIONED" and "readCapacity" in index:
        found["ProvisionedThroughput"] = {
            "ReadCapacityUnits": int(index["readCapacity"]),
            "WriteCapacityUnits": int(index["writeCapacity"]),
        }
    return found


def _encryption(given: dict[str, Any]) -> dict[str, Any]:
    key = given.get("kmsKeyArn")
    return {"Enabled": True, "SSEType": "KMS", **({"KMSMasterKeyId": key} if key else {})}

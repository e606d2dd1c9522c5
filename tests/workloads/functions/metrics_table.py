"""The metrics table as the stack creates it, in an in-memory AWS."""

from __future__ import annotations

from typing import Any

import boto3

from workloads.functions import clients

TABLE = "metrics"


def fresh_table() -> Any:
    """An empty metrics table, and functions that make their clients anew."""
    clients.forget()
    client = boto3.client("dynamodb")
    if TABLE in client.list_tables()["TableNames"]:
        client.delete_table(TableName=TABLE)
    keys: Any = [("pk", "HASH"), ("sk", "RANGE")]
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    return boto3.resource("dynamodb").Table(TABLE)

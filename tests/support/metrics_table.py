"""A metrics table without a deployment, for tests of what reads it."""

from __future__ import annotations

from typing import Any

from cli.target import Target
from workloads import operating
from workloads.contract import Run


def table(name: str) -> dict[str, Any]:
    """CreateTable's parameters, as components/storage.py has them."""
    kinds = {"pk": "S", "sk": "S", **operating.KEYS}
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _keys("pk", "sk"),
        "AttributeDefinitions": [
            {"AttributeName": each, "AttributeType": kind} for each, kind in kinds.items()
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": index,
                "KeySchema": _keys("state", sort_key),
                "Projection": {
                    "ProjectionType": "INCLUDE",
                    "NonKeyAttributes": operating.projected(index),
                },
            }
            for index, sort_key in operating.SORT_KEYS.items()
        ],
    }


def put_run(target: Target, run_id: str, state: str, **attributes: dict[str, Any]) -> None:
    """Writes the state item of a run; `attributes` are typed as DynamoDB has them."""
    key = {name: {"S": value} for name, value in Run(run_id).state_key.items()}
    item = {**key, "run_id": {"S": run_id}, "state": {"S": state}, **attributes}
    target.client("dynamodb").put_item(TableName=target.output("table"), Item=item)


def _keys(partition: str, sort: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ]

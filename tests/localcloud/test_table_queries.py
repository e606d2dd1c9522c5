"""Queries of tables: what is picked out before moto looks gives moto's own answers, page by page,
and does not grow with the table.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import SecondaryIndex, Table

from localcloud.cloud import LocalCloud
from localcloud.moto.state import ACCOUNT_ID
from localcloud.services import table_queries

MOTOS_PROJECT = SecondaryIndex.project
PROJECTIONS: dict[str, Any] = {
    "by-at": {"ProjectionType": "KEYS_ONLY"},
    "with-more": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["more", "map"]},
    "with-all": {"ProjectionType": "ALL"},
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), images={}) as cloud:
        made = cloud.client("dynamodb")
        keys = {"pk": "S", "sk": "S", "state": "S", "at": "N"}
        made.create_table(
            TableName="t",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": kind} for name, kind in keys.items()
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": name,
                    "KeySchema": [
                        {"AttributeName": "state", "KeyType": "HASH"},
                        {"AttributeName": "at", "KeyType": "RANGE"},
                    ],
                    "Projection": projection,
                }
                for name, projection in PROJECTIONS.items()
            ],
        )
        order = random.Random(7)  # noqa: S311 - items, not secrets
        for number in range(60):
            item: dict[str, Any] = {"pk": f"p{order.randrange(4)}", "sk": f"s{number:02d}"}
            if order.random() < 0.8:
                item |= {"state": order.choice(["OPEN", "DONE"]), "at": order.randrange(8)}
            if order.random() < 0.5:
                item |= {"more": Decimal("7.25"), "map": {"a": [1, None, "x"]}, "left": "out"}
            resource(cloud).put_item(Item=item)
        yield resource(cloud)


def resource(cloud: LocalCloud) -> Any:
    make: Any = boto3.resource
    service = make(
        "dynamodb",
        endpoint_url=cloud.endpoint_url,
        region_name=cloud.region,
        **cloud.deployer.credentials,
    )
    return service.Table("t")


def pages(table: Any, **asked: Any) -> list[list[dict[str, Any]]]:
    found: list[list[dict[str, Any]]] = []
    start: dict[str, Any] = {}
    while True:
        page = table.query(**asked, **start)
        found.append(page["Items"])
        if "LastEvaluatedKey" not in page:
            return found
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


QUERIES = st.fixed_dictionaries(
    {
        "KeyConditionExpression": st.sampled_from(
            [
                Key("state").eq("OPEN"),
                Key("state").eq("GONE"),
                Key("state").eq("DONE") & Key("at").gte(3),
                Key("state").eq("DONE") & Key("at").between(2, 5),
            ]
        ),
        "ScanIndexForward": st.booleans(),
        "Limit": st.integers(1, 30),
        "IndexName": st.sampled_from(list(PROJECTIONS)),
    }
) | st.fixed_dictionaries(
    {
        "KeyConditionExpression": st.sampled_from(
            [
                Key("pk").eq("p1"),
                Key("pk").eq("none"),
                Key("pk").eq("p2") & Key("sk").begins_with("s1"),
            ]
        ),
        "ScanIndexForward": st.booleans(),
        "Limit": st.integers(1, 30),
        "FilterExpression": st.sampled_from([Attr("sk").exists(), Attr("at").gt(4)]),
    }
)


@settings(max_examples=40)
@given(asked=QUERIES)
def test_the_pages_are_those_of_moto(table: Any, asked: dict[str, Any]) -> None:
    mine = pages(table, **asked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Table, "query", table_queries._whole_table_query)
        patch.setattr(SecondaryIndex, "project", MOTOS_PROJECT)
        theirs = pages(table, **asked)
    # moto may end a limited index query by an empty page more, where items after the last do not
    # match
    assert [page for page in mine if page] == [page for page in theirs if page]


def test_moto_sees_no_more_than_a_page(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    whole = table_queries._whole_table_query

    def counting(narrowed: Table, **asked: Any) -> Any:
        seen.append(len(narrowed.all_items()))
        return whole(narrowed, **asked)

    monkeypatch.setattr(table_queries, "_whole_table_query", counting)
    table.query(IndexName="by-at", KeyConditionExpression=Key("state").eq("OPEN"), Limit=3)
    table.query(KeyConditionExpression=Key("pk").eq("none"))
    assert seen == [4, 0]


@pytest.mark.parametrize(
    "read",
    [
        lambda table: table.query(
            IndexName="by-at", KeyConditionExpression=Key("state").eq("OPEN")
        ),
        lambda table: table.scan(),
        lambda table: table.scan(IndexName="by-at"),
    ],
    ids=["index", "scan", "scan of an index"],
)
def test_others_may_write_while_a_table_is_read(table: Any, read: Callable[[Any], Any]) -> None:
    items = dynamodb_backends[ACCOUNT_ID]["us-east-1"].tables["t"].items
    partition, over = items[DynamoType({"S": "p1"})], threading.Event()
    item = next(iter(partition.values()))

    def write() -> None:
        new = DynamoType({"S": "new"})
        while not over.is_set():
            partition[new], items[new] = item, {}
            del partition[new], items[new]

    writer, interval = threading.Thread(target=write), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    writer.start()
    try:
        for _ in range(20):
            assert read(table)["Items"]
    finally:
        over.set()
        writer.join()
        sys.setswitchinterval(interval)

"""The items of the metrics table: what numbers become, and what DynamoDB leaves undone."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import boto3
import pytest
from boto3.dynamodb.types import TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from tests.workloads.postprocess import finished_analysis as fa
from tests.workloads.postprocess.conftest import strict
from workloads.contract import Run
from workloads.postprocess import findings, items
from workloads.runtime.errors import StageError


@given(
    st.recursive(
        st.floats() | st.integers() | st.text() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_whatever_the_numbers_are_json_is_strict_and_dynamodb_takes_them(value):
    cleaned = findings.finite({"value": value})
    strict(json.dumps(cleaned, allow_nan=False).encode())
    TypeSerializer().serialize(
        items.decimals({"value": json.loads(json.dumps(cleaned), parse_int=float)})
    )


def test_numbers_at_the_ends_of_dynamodb():
    assert items.decimals([1e-40, 1.5, 1e-300, 1e300, math.nan]) == [
        Decimal("1e-40"),
        Decimal("1.5"),
        Decimal(0),
        None,
        None,
    ]


def test_numbers_that_are_only_kept_have_an_item_without_statistics():
    kept = {
        "name": "id",
        "source_name": "ID",
        "kind": "number",
        "type": "int64",
        "use": "keep",
        "missing": 0,
        "missing_share": 0.0,
    }
    run: dict[str, Any] = {
        "usd": None,
        "compute_seconds": None,
        "elapsed_seconds": 1.0,
        "stages": [],
    }
    nothing: dict[str, Any] = {"table": {}, "drift": {}, "anomalies": None, "remarks": []}
    summary = {
        "name": "t",
        "columns": [kept],
        "run": run,
        "notable": [],
        "digest": "d",
        **nothing,
        "nothing_to_compare": "",
    }
    column, _ = items.of_summary(Run("20260131-sales-0123456789ab"), summary, show_values=True)
    assert (column["column"], column["kind"], column["missing"]) == ("id", "number", 0)
    assert "mean" not in column


def test_what_dynamodb_leaves_unprocessed_is_sent_again(world, monkeypatch):
    rows = [{"pk": "a", "sk": f"{n:03}"} for n in range(60)]
    real = boto3.resource
    calls: list[int] = []

    class Reluctant:
        """Takes ten items at a time."""

        def batch_write_item(self, RequestItems: dict[str, list[Any]]) -> dict[str, Any]:  # noqa: N803
            (name,) = RequestItems
            now, later = RequestItems[name][:10], RequestItems[name][10:]
            calls.append(len(RequestItems[name]))
            real("dynamodb").batch_write_item(RequestItems={name: now})
            return {"UnprocessedItems": {name: later} if later else {}}

    monkeypatch.setattr(boto3, "resource", lambda *_: Reluctant())
    waits: list[float] = []
    assert items.write(fa.TABLE, iter(rows), sleep=waits.append) == 60
    monkeypatch.undo()
    assert calls == [25, 15, 5, 25, 15, 5, 10]
    assert len(waits) == 4


def test_a_throttled_table_is_a_sentence(monkeypatch):
    class Full:
        def batch_write_item(self, RequestItems: dict[str, list[Any]]) -> dict[str, Any]:  # noqa: N803
            return {"UnprocessedItems": RequestItems}

    monkeypatch.setattr(boto3, "resource", lambda *_: Full())
    with pytest.raises(StageError, match="left 1 items unwritten in 8 attempts"):
        items.write("metrics", iter([{"pk": "a", "sk": "b"}]), sleep=lambda _: None)

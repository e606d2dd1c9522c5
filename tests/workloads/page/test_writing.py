"""The page in the bucket: written by several ends at once, from an index that lags, with few
calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import boto3
import pytest

from tests.workloads.functions.metrics_table import TABLE, aws_with_table
from workloads import contract
from workloads.contract import Run
from workloads.functions import clients
from workloads.page import gathering, writing
from workloads.page.render import Page
from workloads.page.rows import Row
from workloads.run_index import Entry, RunIndex
from workloads.runtime import s3
from workloads.variables import ENV_RESULTS_BUCKET, ENV_TABLE

BUCKET = "results"


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with aws_with_table(monkeypatch, {ENV_RESULTS_BUCKET: BUCKET}) as found:
        boto3.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        monkeypatch.setattr(writing, "_FIRST_WAIT_SECONDS", 0.0)
        yield found


MOMENTS = count(1_770_000_000_000, 1000)


def put(table: Any, number: int, state: str = "SUCCEEDED", *, date: str = "20260131") -> Run:
    """A run as its end leaves it."""
    run, now = Run(f"{date}-sales-{number:012x}"), next(MOMENTS)
    item = {**run.state_key, "run_id": run.run_id, "state": state, "first_claimed_ms": now}
    item |= {"attempt": 1, "upload": {"key": f"data/{date}/sales.csv"}}
    if state in {"SUCCEEDED", "FAILED"}:
        item["ended_ms"] = now + 500
    table.put_item(Item=item)
    if state == "SUCCEEDED":
        counts = {"rows": 100 + number, "rejected_rows": number}
        table.put_item(Item={**run.summary_item_key, "run_id": run.run_id, "table": counts})
    return run


def refresh(run: Run) -> str:
    return writing.refresh(run, clients.dynamodb())


def read(key: str = contract.RUNS_PAGE_KEY) -> dict[str, Row]:
    return dict(writing.rows_in(s3.get_bytes(BUCKET, key)))


def test_the_page_tells_of_all_runs_and_their_month_too(table: Any) -> None:
    put(table, 1, date="20251231")
    under_way, failed = put(table, 2, "SUBMITTED"), put(table, 3, "FAILED")
    last = put(table, 4)
    assert refresh(last) == "written"
    found = read()
    assert list(found)[:3] == [last.run_id, failed.run_id, under_way.run_id]
    assert (found[last.run_id].rows, found[last.run_id].rejected) == (104, 4)
    assert found[under_way.run_id].state == "SUBMITTED"
    assert len(read("months/2026-01.html")) == 3
    body = s3.get_bytes(BUCKET, contract.RUNS_PAGE_KEY)
    assert b'href="months/2026-01.html"' in body
    assert b"2025-12.html" not in body, "no link to a page that is not there"
    asked = _asked()
    refresh(last)
    assert len(asked) == 8, "the whole index is one look; then the run itself for two pages"


def test_whoever_loses_the_race_writes_over_what_the_winner_wrote(
    table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The winner does not know of the loser's run: the index does not show it yet."""
    before = put(table, 0)
    refresh(before)
    mine, others = put(table, 1), list[Run]()
    made = Page.html

    def overtaken(page: Page) -> bytes:
        """Between what is read and what is written, another run ends and writes."""
        if not others:
            others.append(put(table, 2, "FAILED"))
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Page, "html", made)
                _index_shows(patch, [])
                assert refresh(others[0]) == "written"
            assert set(read()) == {before.run_id, others[0].run_id}
        return made(page)

    monkeypatch.setattr(Page, "html", overtaken)
    assert refresh(mine) == "written"
    for key in (contract.RUNS_PAGE_KEY, "months/2026-01.html"):
        found = read(key)
        assert set(found) == {before.run_id, mine.run_id, others[0].run_id}
        assert found[mine.run_id].rows == 101


def _index_shows(patch: pytest.MonkeyPatch, entries: list[Entry]) -> None:
    patch.setattr(RunIndex, "by_claim", lambda _, **__: iter(entries))
    patch.setattr(RunIndex, "by_id", lambda _, **__: iter(entries))


def test_who_finds_its_run_on_the_winners_page_writes_nothing(
    table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = put(table, 1), put(table, 2)
    write, calls = s3.put_if_unchanged, []

    def beaten(*args: Any, **more: Any) -> str:
        calls.append(args[1])
        if len(calls) == 1:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(s3, "put_if_unchanged", write)
                refresh(other)
        return write(*args, **more)

    monkeypatch.setattr(s3, "put_if_unchanged", beaten)
    refresh(mine)
    assert calls.count("months/2026-01.html") == 1
    assert set(read()) == {mine.run_id, other.run_id}


def test_an_index_that_lags_takes_nothing_back(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows runs in a state that they have left, or not at all for a moment."""
    first, second = put(table, 1, "SUBMITTED"), put(table, 2, "SUBMITTED")
    lagging = list(RunIndex(client=clients.dynamodb(), table=TABLE).by_claim())
    put(table, 1)
    put(table, 2)
    refresh(first)
    third = put(table, 3)
    for stale in (lagging, []):
        with pytest.MonkeyPatch.context() as patch:
            _index_shows(patch, stale)
            assert refresh(third) == "written"
        for key in (contract.RUNS_PAGE_KEY, "months/2026-01.html"):
            found = read(key)
            states = {run.run_id: found[run.run_id].state for run in (first, third)}
            assert set(states.values()) == {"SUCCEEDED"}, (key, states)
    assert read()[second.run_id].state == "SUCCEEDED", "what an earlier page saw ended has ended"


def test_a_run_that_begins_again_or_is_deleted_is_told_so(table: Any) -> None:
    run, gone = put(table, 1, "FAILED"), put(table, 2)
    refresh(run)
    table.update_item(
        Key=run.state_key,
        UpdateExpression="SET #s = :s, attempt = :two",
        ExpressionAttributeNames={"#s": "state"},
        ExpressionAttributeValues={":s": "SUBMITTED", ":two": 2},
    )
    table.delete_item(Key=gone.state_key)
    refresh(put(table, 3))
    found = read()
    assert (found[run.run_id].state, found[run.run_id].attempt) == ("SUBMITTED", 2)
    assert gone.run_id not in found


def test_a_page_of_many_runs_is_cut_and_costs_few_calls(
    table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "NEWEST", 20)
    monkeypatch.setattr(gathering, "OF_MONTH", 15)
    for number in range(120):
        last = put(table, number, date="20260131" if number % 2 else "20251231")
    refresh(last)
    assert len(read()) == 20
    assert len(read("months/2026-01.html")) == 15
    asked = _asked()
    last = put(table, 121)
    assert refresh(last) == "written"
    keys = [
        key["sk"]["S"]
        for name, params in asked
        if name == "BatchGetItem"
        for key in params["RequestItems"][TABLE]["Keys"]
    ]
    assert sorted(keys) == sorted(2 * [last.state_key["sk"], last.summary_item_key["sk"]])
    assert len(asked) == 16, "six states by either index, and those keys of each page"
    assert next(iter(read())) == last.run_id


def _asked() -> list[tuple[str, Any]]:
    """Operation and parameters of each call of DynamoDB from now on."""
    asked: list[tuple[str, Any]] = []
    clients.dynamodb().meta.events.register(
        "provide-client-params.dynamodb",
        lambda model, params, **_: asked.append((model.name, params)),
    )
    return asked


def test_nothing_that_aws_says_stops_whoever_ends_a_run(
    table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = put(table, 1)
    monkeypatch.setenv(ENV_RESULTS_BUCKET, "nobody-has-this-bucket")
    assert refresh(run).startswith("not written: AWS answered")
    monkeypatch.setenv(ENV_RESULTS_BUCKET, BUCKET)
    monkeypatch.delenv(ENV_TABLE)
    assert "PIPELINE_TABLE is not set" in refresh(run)


def test_a_page_that_somebody_else_put_there_is_replaced(table: Any) -> None:
    s3.put_bytes(BUCKET, contract.RUNS_PAGE_KEY, b"\xff<html>mine</html>")
    run = put(table, 1)
    assert refresh(run) == "written"
    assert set(read()) == {run.run_id}


@pytest.mark.parametrize(
    "odd",
    [
        {"attempt": "x"},
        {"state": "DONE"},
        {"ended_ms": 10**30},
        {"first_claimed_ms": -1},
        {"first_claimed_ms": 10**18},
        {"upload": "x"},
        {"failure": "x"},
        {"usd": "x"},
        {"run_id": "../x"},
    ],
    ids=str,
)
def test_an_odd_item_keeps_no_other_run_from_the_page(table: Any, odd: dict[str, Any]) -> None:
    strange, run = put(table, 1, "FAILED"), put(table, 2)
    item = table.get_item(Key=strange.state_key)["Item"]
    table.put_item(Item={**item, **odd})
    table.put_item(Item={**run.summary_item_key, "table": "x", "drift": ["x"]})
    assert refresh(run) == "written"
    assert read()[run.run_id].rows is None
    body = s3.get_bytes(BUCKET, contract.RUNS_PAGE_KEY)
    assert b"../x" not in body

"""Runs in the table: listed newest first, found by whatever a person calls them, and read by keys,
however many there are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from cli import list_runs, runs_index
from cli.errors import CliError, ExitCode
from cli.list_runs import Wanted
from cli.target import Target
from localcloud.cloud import LocalCloud
from tests.support.metrics_table import put_run, table
from workloads.contract import Run

NEWEST = "20260103-sales-00000000000c"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Two hundred old runs, and a few that differ."""
    with LocalCloud(tmp_path_factory.mktemp("cloud"), images={}) as cloud:
        cloud.client("dynamodb").create_table(**table("runs"))
        made = Target(
            outputs={"region": cloud.region, "table": "runs", "ingest_bucket": "ingest"},
            endpoint_url=cloud.endpoint_url,
            credentials=cloud.deployer.credentials,
        )
        for number in range(200):
            put(made, f"20250101-old-{number:012x}", "SUCCEEDED", begun=number, usd="0.5")
        put(made, "20260101-sales-00000000000a", "SUCCEEDED", begun=2_000, usd="7.25")
        put(made, "20260102-sales-00000000000b", "FAILED", begun=3_000, error="no space left")
        put(made, "20260102-sales-eu-00000000000e", "SUBMITTED", begun=4_000)
        put(made, NEWEST, "CANCELLED", begun=5_000, error="ada cancelled the run")
        # begun before all others of these days, and again after them
        put(made, "20251231-sales-00000000000d", "SUCCEEDED", begun=6_000, usd="2")
        yield made


def put(target: Target, run_id: str, state: str, *, begun: int, **known: str) -> None:
    more: dict[str, Any] = {"usd": {"N": known["usd"]}} if "usd" in known else {}
    if "error" in known:
        more["failure"] = {"M": {"error": {"S": known["error"]}, "stage": {"S": "analysis"}}}
    dataset = Run(run_id).dataset
    key = f"data/{run_id[:8]}/{dataset}.csv"
    put_run(
        target,
        run_id,
        state,
        first_claimed_ms={"N": str(begun)},
        upload={"M": {"key": {"S": key}, "etag": {"S": run_id[-12:]}}},
        **more,
    )


def ids(target: Target, **wanted: Any) -> list[str]:
    options: dict[str, Any] = {"states": (), "dataset": "", "first": "", "last": "", "cost": None}
    read = Wanted.read(**{**options, "most": 20, **wanted})
    return [entry.run_id for entry in list_runs.find(target, read)]


def test_the_newest_come_first_and_filters_hold(target: Target) -> None:
    assert ids(target, most=3) == [
        "20251231-sales-00000000000d",
        NEWEST,
        "20260102-sales-eu-00000000000e",
    ]
    assert ids(target, states=["failed", "CANCELLED"]) == [NEWEST, "20260102-sales-00000000000b"]
    assert ids(target, first="2026-01-02", last="2026-01-02") == [
        "20260102-sales-eu-00000000000e",
        "20260102-sales-00000000000b",
    ]
    assert ids(target, dataset="Sales EU") == ["20260102-sales-eu-00000000000e"]
    assert ids(target, cost=1.5) == ["20251231-sales-00000000000d", "20260101-sales-00000000000a"]
    assert len(ids(target, most=0)) == 205


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"states": ["done"]}, "--state done: give one of waiting, claimed"),
        ({"first": "January"}, "--from is 'January'"),
    ],
)
def test_options_that_are_none_are_one_sentence(options: dict[str, Any], says: str) -> None:
    with pytest.raises(CliError, match=says) as raised:
        ids(Target(outputs={}), **options)
    assert raised.value.code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("name", "run_id"),
    [
        ("last", "20251231-sales-00000000000d"),
        (NEWEST, NEWEST),
        ("20260103", NEWEST),
        ("20260102-sales-e", "20260102-sales-eu-00000000000e"),
        ("data/20260101/sales.csv", "20260101-sales-00000000000a"),
        ("s3://ingest/data/20260101/sales.csv", "20260101-sales-00000000000a"),
    ],
)
def test_a_run_is_found_by_what_people_call_it(target: Target, name: str, run_id: str) -> None:
    assert runs_index.find(target, name).run_id == run_id


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        (
            "20260102",
            ExitCode.USAGE,
            "beginning of 20260102-sales-eu-.*, 20260102-sales-0.*write more",
        ),
        ("20260103-sale-00000000000c", ExitCode.NOT_FOUND, f"near to it: {NEWEST}"),
        ("sales-eu", ExitCode.NOT_FOUND, "near to it: 20260102-sales-eu-"),
        ("nonsense", ExitCode.NOT_FOUND, "no run nonsense; the newest is 20251231-"),
        ("", ExitCode.USAGE, "say which run"),
        ("data/20260101/stock.csv", ExitCode.NOT_FOUND, "`batchref run data/20260101/stock.csv`"),
        ("data/2026/sales.csv", ExitCode.USAGE, "2026 is not a calendar date"),
        ("20260103\x1b[2J", ExitCode.NOT_FOUND, "no run"),
    ],
)
def test_a_run_that_is_none_or_several_is_one_sentence(
    target: Target, name: str, code: ExitCode, says: str
) -> None:
    with pytest.raises(CliError, match=says) as raised:
        runs_index.find(target, name)
    assert raised.value.code == code
    assert "\x1b" not in str(raised.value)


def test_few_items_are_read_however_many_runs_there_are(target: Target) -> None:
    """What keeps both under two seconds with ten thousand runs: a page for each state, and no
    scan.
    """
    read: list[tuple[str, int]] = []
    client = target.client("dynamodb")

    def note(model: Any, parsed: dict[str, Any], **_: Any) -> None:
        read.append((model.name, len(parsed.get("Items", []))))

    client.meta.events.register("after-call.dynamodb", note)
    try:
        ids(target, most=20)
        listed, read[:] = list(read), []
        runs_index.find(target, NEWEST)
        found = list(read)
    finally:
        client.meta.events.unregister("after-call.dynamodb", note)
    assert {name for name, _ in listed} == {"Query"}
    assert len(listed) == len(runs_index.STATES)
    assert sum(count for _, count in listed) <= 105
    assert sum(count for _, count in found) == 1


def test_a_list_fits_the_terminal_and_never_cuts_an_id(
    target: Target, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = Wanted.read(states=(), dataset="", first="", last="", cost=None, most=8)
    for width in (80, 140):
        monkeypatch.setenv("COLUMNS", str(width))
        list_runs.show(Console(), target, wanted, watch=False, as_json=False)
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= width
        assert any(line.startswith("20260102-sales-eu-00000000000e  SUBMITTED") for line in lines)
        assert ("ada cancelled the run" in "\n".join(lines)) == (width == 140)
    list_runs.show(Console(), target, wanted, watch=False, as_json=True)
    assert json.loads(capsys.readouterr().out)[1]["failure"] == "ada cancelled the run"

"""Findings on a terminal: no number is cut, nothing steers the terminal, and rows are named by
their lines.
"""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from cli import show
from cli.follow import RunStatus

WILD = "a\x1b]0;t\x07\u202eb [bold]c[/bold]"


def column(name: str, **changes: Any) -> dict[str, Any]:
    found = {
        "name": name,
        "type": "double",
        "mean": 1_000_000.4,
        "sd": 0.1,
        "minimum": 1_000_000.2,
        "maximum": 1_000_000.6,
        "missing": 0,
        "quantiles": {"0.5": {"value": 1_000_000.4, "bound": 0.0}},
    }
    return {**found, **changes}


def summary(**changes: Any) -> bytes:
    entry = {
        "row": 77,
        "line": 4021,
        "score": 9.5,
        "neighbour_line": 3,
        "identifiers": {"city": WILD, "id": "00501"},
        "columns": [
            {"column": "amount", "value": 1_000_000.6, "neighbour_value": 1_000_000.4, "share": 1.0}
        ],
    }
    found = {
        "table": {
            "rows": 3,
            "rows_read": 4,
            "rejected_rows": 1,
            "rejected": {WILD: 1},
            "columns": 2,
            "number_columns": 2,
        },
        "columns": [
            column("amount"),
            column("id", type="int64", minimum=1e18, maximum=9_000_000_000_000_000.0, sd=1e15),
        ],
        "remarks": [{"code": "x", "column": WILD, "sentence": WILD, "sure": False}],
        "nothing_to_compare": "",
        "notable": [{"column": WILD, "finding": "is odd"}],
        "anomalies": {"complete_rows": 3, "top": [entry]},
        "run": {"stages": [], "usd": None, "cost_note": ""},
        "digest": "0" * 64,
    }
    return json.dumps({**found, **changes}).encode()


def shown(data: bytes, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    show.findings(console, data)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_numbers_are_whole_at_any_width(width):
    text = shown(summary(), width)
    assert "…" not in text
    assert {
        "1,000,000.2",
        "1,000,000.6",
        "1,000,000,000,000,000,000",
        "9,000,000,000,000,000",
    } <= set(text.split())
    assert ("sd and" in text or "sd in the report" in text) is (" sd " not in text)


def test_rows_are_named_by_line_and_identifiers():
    text = shown(summary(), 160)
    for part in ("4,021", "id 00501", "amount 1,000,000.6 beside 1,000,000.4"):
        assert part in text


def test_what_a_file_holds_does_not_steer_the_terminal():
    text = shown(summary(), 200)
    console = Console(file=io.StringIO(), width=100)
    show.failure(console, RunStatus(state="FAILED", failure=WILD))
    show.slack(
        console,
        [
            {
                "text": WILD,
                "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": f"*x*\n{WILD}"}}],
            }
        ],
    )
    assert isinstance(console.file, io.StringIO)
    for printed in (text, console.file.getvalue()):
        assert printed.replace("\n", "").isprintable()
        assert "[bold]" in printed, "it is no markup"


def test_a_table_with_nothing_to_compare_says_so():
    text = shown(
        summary(
            nothing_to_compare="the table has no column of numbers",
            anomalies=None,
            columns=[{"name": "a", "kind": "text"}],
        ),
        80,
    )
    assert "nothing to compare: the table has no column of numbers" in text

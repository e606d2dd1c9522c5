"""What comes from outside is shown as it is: a terminal's markup in a reason, a name or a path
neither styles nor breaks the output.
"""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from cli import frame, live, operate, runs_index, show, submitting
from cli.follow import RunStatus, StageStatus
from cli.target import Target

HOSTILE = "[red]x[/red] [/nonsense] [link=file:///etc]y[/link] :boom:"


def _console(*, terminal: bool = False) -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, width=400, force_terminal=terminal, no_color=True), written


@pytest.mark.parametrize("terminal", [False, True])
def test_reasons_of_aws_batch(terminal: bool) -> None:
    console, written = _console(terminal=terminal)
    stage = StageStatus(stage="analysis", job_id="j", status="FAILED", reason=HOSTILE)
    live.watch(console, [RunStatus(state="FAILED", stages=(stage,), failure=HOSTILE)])
    assert HOSTILE in written.getvalue()


def test_failures_and_denials() -> None:
    console, written = _console()
    show.failure(console, RunStatus(state="FAILED", failure=HOSTILE[:90]))
    show.denials(console, [HOSTILE])
    assert written.getvalue().count("[/nonsense]") == 2


def test_what_a_function_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target: Any = Target(outputs={"ingest_bucket": "b", "submit_function": "f"})
    planned = [("data/20260101/sales.csv", "e"), (f"data/20260101/{HOSTILE}", "e")]
    monkeypatch.setattr(operate, "_uploads", lambda *_: planned)
    monkeypatch.setattr(runs_index, "newest", lambda *_, **__: [])
    monkeypatch.setattr(
        submitting, "begin", lambda *_, **__: {"outcome": HOSTILE, "reason": HOSTILE}
    )
    console, _ = _console()
    days = "2026-01-01", "2026-01-01"
    operate.backfill(console, target, *days, again=False, yes=True, as_json=False)
    assert capsys.readouterr().out.count("[/nonsense]") == 4


def test_findings() -> None:
    console, written = _console()
    summary = {
        "table": {
            "rows": 1,
            "rows_read": 1,
            "rejected_rows": 1,
            "number_columns": 0,
            "columns": 1,
            "rejected": {HOSTILE: 1},
        },
        "digest": HOSTILE[:16],
        "columns": [],
        "remarks": [{"code": "x", "column": HOSTILE, "sentence": HOSTILE, "sure": True}],
        "nothing_to_compare": HOSTILE,
        "notable": [{"column": HOSTILE, "finding": HOSTILE}],
        "anomalies": None,
        "run": {"usd": None, "cost_note": HOSTILE, "stages": [{"stage": HOSTILE, "seconds": 1.0}]},
    }
    show.findings(console, json.dumps(summary).encode())
    assert written.getvalue().count("[/nonsense]") >= 8


@pytest.mark.parametrize("console", [frame.out, frame.err])
def test_no_console_of_the_commands_reads_markup(console: Console) -> None:
    table = Table(HOSTILE)
    table.add_row(HOSTILE)
    with console.capture() as captured:
        console.print(HOSTILE, table)
    shown = "".join(captured.get().split())
    assert [shown.count(each) for each in ("[/nonsense]", "[red]", ":boom:")] == [3, 3, 3]

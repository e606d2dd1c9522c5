"""`runs`: the list of runs, newest first."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli import pausing, runs_index, watching
from cli.documents import RunLine
from cli.errors import CliError, ExitCode
from cli.frame import print_json, say
from cli.jobs import moment
from cli.operate import day
from cli.runs_index import ENDED, STATES, Entry
from cli.target import Target
from workloads import formats, names
from workloads.runtime.quoting import escaped

STYLES: Final = {
    "WAITING": "yellow",
    "CLAIMED": "yellow",
    "SUBMITTED": "cyan",
    "SUCCEEDED": "green",
    "FAILED": "bold red",
    "CANCELLED": "magenta",
}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which runs to list."""

    states: Sequence[str] = STATES
    dataset: str = ""
    first: str = ""
    """Dates as run ids have them, YYYYMMDD; empty for no bound."""
    last: str = ""
    cost: float | None = None
    most: int | None = None

    @classmethod
    def read(
        cls,
        *,
        states: Sequence[str],
        dataset: str,
        first: str,
        last: str,
        cost: float | None,
        most: int,
    ) -> Self:
        """From the options. Raises CliError for a state or a date that is none."""
        unknown = [state for state in states if state.upper() not in STATES]
        if unknown:
            known = ", ".join(STATES).lower()
            raise CliError(f"--state {unknown[0]}: give one of {known}", ExitCode.USAGE)
        return cls(
            states=[state.upper() for state in states] or STATES,
            dataset=names.dataset_of(dataset) if dataset and "--" not in dataset else dataset,
            first=f"{day('--from', first):%Y%m%d}" if first else "",
            last=f"{day('--to', last):%Y%m%d}" if last else "",
            cost=cost,
            most=most or None,
        )

    def takes(self, entry: Entry) -> bool:
        """Whether a run is wanted, apart from state and date, which the index knows."""
        return (not self.dataset or entry.run.dataset == self.dataset) and (
            self.cost is None or (entry.usd or 0.0) > self.cost
        )


def show(console: Console, target: Target, wanted: Wanted, *, watch: bool, as_json: bool) -> None:
    """Prints the runs; with `watch` again and again."""

    def look() -> list[Entry]:
        return find(target, wanted)

    def document(entries: Sequence[Entry]) -> list[RunLine]:
        return [line(entry) for entry in entries]

    if watch:
        watching.watch(
            console,
            look,
            lambda found: _table(found, console.width),
            document=document,
            as_json=as_json,
        )
    elif as_json:
        print_json(document(look()))
    else:
        found = look()
        for pause in pausing.pauses(target):
            say(f"! {pause}")
        console.print(_table(found, console.width) if found else "no such run")


def find(target: Target, wanted: Wanted) -> list[Entry]:
    """The runs, those begun last first."""
    return runs_index.newest(
        target,
        states=wanted.states,
        first=wanted.first,
        last=wanted.last,
        wanted=wanted.takes,
        most=wanted.most,
    )


def line(entry: Entry) -> RunLine:
    """A run as programs get it."""
    item = entry.item
    return {
        "run_id": entry.run_id,
        "state": entry.state,
        "dataset": entry.run.dataset,
        "date": entry.run.date,
        "key": entry.key or None,
        "attempt": int(item.get("attempt") or 1),
        "begun_at": moment(entry.claimed_ms),
        "ended_at": moment(item.get("ended_ms")) if entry.state in ENDED else None,
        "compute_seconds": item.get("seconds"),
        "usd": entry.usd,
        "failure": failure_of(item) if entry.state in {"FAILED", "CANCELLED"} else None,
    }


def failure_of(item: dict[str, Any] | Any) -> str | None:
    """Why a run failed or was cancelled, in one sentence."""
    return str((item.get("failure") or {}).get("error") or "") or None


def _table(entries: Sequence[Entry], width: int) -> Table:
    """The list; what does not fit beside the run ids, which are never cut, is left out: reasons
    first, then cost and attempt.
    """
    now = time.time()
    roomy, wide = width >= 100, width >= 120
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("run", overflow="fold", no_wrap=False)
    table.add_column("state", no_wrap=True)
    table.add_column("begun", no_wrap=True)
    table.add_column("took", no_wrap=True, justify="right")
    if roomy:
        table.add_column("cost", no_wrap=True, justify="right")
    if wide:
        table.add_column("why", overflow="ellipsis", no_wrap=True)
    for entry in entries:
        ended = int(entry.item.get("ended_ms") or 0) if entry.state in ENDED else 0
        end = ended / 1000 or now
        took = formats.duration(max(end - entry.claimed_ms / 1000, 0)) if entry.claimed_ms else ""
        cells = [
            Text(entry.run_id),
            Text(entry.state, style=STYLES.get(entry.state, "")),
            Text((moment(entry.claimed_ms) or "")[:16].replace("T", " ")),
            Text(took),
        ]
        if roomy:
            cells.append(Text("" if entry.usd is None else formats.dollars(entry.usd)))
        if wide:
            why = failure_of(entry.item) or "" if entry.state in {"FAILED", "CANCELLED"} else ""
            cells.append(Text(escaped(why), style="dim"))
        table.add_row(*cells)
    return table

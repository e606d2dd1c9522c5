"""Progress of a run on a terminal: one line per stage that changes in place, or plain lines where
there is no terminal.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from cli.follow import RunStatus, StageStatus
from workloads.runtime.quoting import escaped

_STYLES = {
    "SUCCEEDED": "green",
    "FAILED": "bold red",
    "RUNNING": "cyan",
    "STARTING": "cyan",
    "RUNNABLE": "yellow",
}


def watch(console: Console, statuses: Iterable[RunStatus]) -> RunStatus:
    """Shows each status as it comes; returns the last one."""
    last: RunStatus | None = None
    if console.is_terminal:
        with Live(console=console, refresh_per_second=10) as live:
            for last in statuses:
                live.update(_table(last))
    else:
        seen: dict[str, tuple[str, int]] = {}
        for last in statuses:
            for stage in last.stages:
                now = stage.status, stage.shards.get("SUCCEEDED", 0) + stage.shards.get("FAILED", 0)
                if stage.status and seen.get(stage.stage) != now:
                    seen[stage.stage] = now
                    console.print(
                        f"  {stage.stage:<12} {stage.status}{_note(stage)}",
                        highlight=False,
                        markup=False,
                        emoji=False,
                    )
    if last is None:
        raise RuntimeError("a run has at least one status")
    return last


def _table(status: RunStatus) -> Table:
    table = Table.grid(padding=(0, 2))
    for stage in status.stages:
        running = stage.status in {"STARTING", "RUNNING"} or stage.shards.get("RUNNING", 0) > 0
        mark = (
            Spinner("dots", style="cyan")
            if running
            else Text({"SUCCEEDED": "✔", "FAILED": "✘"}.get(stage.status, "·"))
        )
        seconds = f"{stage.seconds:5.1f} s" if stage.seconds else ""
        table.add_row(
            mark,
            Text(stage.stage, style="bold"),
            Text(stage.status or "waiting", style=_STYLES.get(stage.status, "dim")),
            Text(seconds),
            Text(_note(stage).strip(), style="dim"),
        )
    return table


def _note(stage: StageStatus) -> str:
    if stage.nodes:
        running = sum(node == "RUNNING" for node in stage.nodes)
        return f"  {running} of {len(stage.nodes)} nodes running"
    if stage.shards and stage.status not in {"SUCCEEDED", "FAILED"}:
        done, total = stage.shards.get("SUCCEEDED", 0), sum(stage.shards.values())
        failed = f", {stage.shards['FAILED']} failed" if "FAILED" in stage.shards else ""
        return f"  {done} of {total} shards done, {stage.shards.get('RUNNING', 0)} running{failed}"
    return f"  {escaped(stage.reason)}" if stage.status == "FAILED" and stage.reason else ""

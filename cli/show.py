"""What a run found, what Slack heard and what was refused, on a terminal."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cli.follow import RunStatus
from workloads.postprocess import figures

_COLUMNS = 12
_REMOTE = 5
_MARKUP = re.compile(r"\*(?P<bold>[^*\n]+)\*|`(?P<code>[^`\n]+)`|<[^|>\n]+\|(?P<link>[^>\n]+)>|(?P<plain>&\w+;|.)", re.DOTALL)
_MARKUP_STYLES = {"bold": "bold", "code": "cyan", "link": "underline", "plain": ""}
_WIDTH = 110
"""Of boxes, so that they stay readable on a wide terminal."""


def findings(console: Console, summary_json: bytes) -> None:
    """The table of findings, notable columns and the cost of the run."""
    summary = json.loads(summary_json)
    table = summary["table"]
    head = (
        f" kept of {figures.count(table['rows_read'])}, {figures.count(table['rejected_rows'])} rejected; "
        f"{table['number_columns']} number columns of {table['columns']}; digest {summary['digest'][:16]}"
    )
    console.print(Text.assemble("\n", (f"{figures.count(table['rows'])} rows", "bold"), head))
    for reason, rows in table["rejected"].items():
        console.print(f"  rejected {figures.count(rows)}: {reason}", highlight=False, markup=False, emoji=False)
    console.print(_column_table(summary["columns"]))
    for entry in summary["notable"][:8]:
        console.print(f"  • {entry['column']} {entry['finding']}", highlight=False, markup=False, emoji=False)
    _remote_rows(console, summary.get("anomalies"))
    run = summary["run"]
    per_stage = ", ".join(f"{stage['stage']} {figures.duration(stage['seconds'])}" for stage in run["stages"])
    console.print(Text.assemble("\ncost of this run on AWS  ", (figures.dollars(run["usd"]), "bold"), f"  ({per_stage})"))
    console.print(Text(run["cost_note"], "dim"))


def _column_table(columns: Sequence[dict[str, Any]]) -> Table:
    numbers = [column for column in columns if column["kind"] == "number"]
    more = len(numbers) - _COLUMNS
    table = Table(caption=f"and {more} more in the report" if more > 0 else None, caption_justify="left")
    table.add_column("column", no_wrap=True, max_width=28)
    for name in ("mean", "sd", "min", "median", "max", "missing"):
        table.add_column(name, justify="right")
    for column in numbers[:_COLUMNS]:
        median = column["quantiles"]["0.5"]["value"]
        values = (column["mean"], column["sd"], column["minimum"], median, column["maximum"])
        table.add_row(Text(column["name"]), *(figures.number(value) for value in values), figures.count(column["missing"]))
    return table


def _remote_rows(console: Console, anomalies: dict[str, Any] | None) -> None:
    """The rows farthest from all others, with the columns that put them there; nothing where the analysis did not look for them."""
    if not anomalies or not anomalies["top"]:
        return
    table = Table(title=f"most remote of {figures.count(anomalies['complete_rows'])} rows, exact", title_justify="left")
    table.add_column("row", justify="right")
    table.add_column("distance", justify="right")
    table.add_column("because of")
    for row in anomalies["top"][:_REMOTE]:
        because = ", ".join(f"{column['column']} {figures.number(column['value'])}" for column in row["columns"])
        table.add_row(figures.count(row["row"]), figures.number(row["score"]), Text(because))
    console.print(table)


def failure(console: Console, status: RunStatus) -> None:
    """Why a run failed."""
    console.print(
        Panel(
            Text(status.failure or "the state item gives no reason"),
            title="the run failed",
            border_style="red",
            width=min(_WIDTH, console.width),
        )
    )


def slack(console: Console, messages: Iterable[dict[str, Any]]) -> None:
    """The messages that the webhook got, as text."""
    for message in messages:
        lines = [line for block in message.get("blocks", []) for line in _block_lines(block)] or [message["text"]]
        width = min(_WIDTH, console.width)
        console.print(Panel(_mrkdwn("\n".join(lines)), title="Slack", title_align="left", border_style="magenta", width=width))


def _block_lines(block: dict[str, Any]) -> list[str]:
    texts = [block["text"]["text"]] if "text" in block else []
    texts += [field["text"].replace("\n", " ") for field in block.get("fields", [])]
    texts += [element["text"] for element in block.get("elements", [])]
    return texts


def _mrkdwn(text: str) -> Text:
    """Slack's markup as a terminal shows it: *bold*, `code`, and the words of <links|with words>."""
    shown = Text()
    for part in _MARKUP.finditer(text):
        kind = part.lastgroup or ""
        shown.append(html.unescape(part[kind]), style=_MARKUP_STYLES[kind])
    return shown


def denials(console: Console, refused: Sequence[Any]) -> None:
    """Calls that the deployed policies did not allow; there are none where the roles are right."""
    if refused:
        console.print(Text(f"\n{len(refused)} calls were refused by the deployed policies:", "red"))
        for denial in refused:
            console.print(f"  {denial}", highlight=False, markup=False, emoji=False)
    else:
        console.print("every call of jobs and functions was allowed by the deployed policies; none was refused", style="dim")

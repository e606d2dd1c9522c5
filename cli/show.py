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
from workloads import formats
from workloads.postprocess import figures
from workloads.postprocess.findings import NOTHING_TO_COMPARE
from workloads.postprocess.report import quantile, statistic
from workloads.runtime.quoting import escaped

_COLUMNS = 12
_STATISTICS = ("mean", "sd", "min", "median", "max", "missing")
_LESS_TELLING = ("sd", "median", "mean")
"""Statistics that go first where the terminal is narrow."""
_NAME, _FRAME = 12, 3
"""Characters that the name of a column needs, and that the frame of a table's cell takes."""
_REMOTE = 5
_IDENTIFIERS, _CELL = 4, 40
_MARKUP = re.compile(
    r"\*(?P<bold>[^*\n]+)\*|`(?P<code>[^`\n]+)`|<[^|>\n]+\|(?P<link>[^>\n]+)>|(?P<plain>&\w+;|.)",
    re.DOTALL,
)
_MARKUP_STYLES = {"bold": "bold", "code": "cyan", "link": "underline", "plain": ""}
_WIDTH = 110
"""Largest width of boxes, so that they stay readable on a wide terminal."""


def findings(
    console: Console, summary_json: bytes, *, most: int = _REMOTE, values: bool = False
) -> None:
    """The table of findings, notable columns, remote rows and the cost of the run.

    Args:
        console: where to.
        summary_json: summary.json of the run.
        most: how many remote rows.
        values: whether with all of their cells.
    """
    summary = json.loads(summary_json)
    table = summary["table"]
    head = (
        f" kept of {figures.count(table['rows_read'])}, {figures.count(table['rejected_rows'])}"
        f" rejected; {table['number_columns']} number columns of {table['columns']}; digest"
        f" {summary['digest'][:16]}"
    )
    console.print(Text.assemble("\n", (f"{figures.count(table['rows'])} rows", "bold"), head))
    for reason, rows in table["rejected"].items():
        console.print(
            f"  rejected {figures.count(rows)}: {escaped(reason)}",
            highlight=False,
            markup=False,
            emoji=False,
        )
    for remark in (each for each in summary["remarks"] if each["code"] != NOTHING_TO_COMPARE):
        mark = "  " if remark["sure"] else "! "
        said = f"{remark['column']} {remark['sentence']}".strip()
        console.print(
            mark + escaped(said), highlight=False, markup=False, emoji=False, soft_wrap=True
        )
    if any("mean" in column for column in summary["columns"]):
        console.print(_column_table(summary["columns"], console.width))
    if summary["nothing_to_compare"]:
        console.print(
            f"nothing to compare: {escaped(summary['nothing_to_compare'])}",
            highlight=False,
            markup=False,
            emoji=False,
        )
    for entry in summary["notable"][:8]:
        console.print(
            f"  • {escaped(entry['column'])} {escaped(entry['finding'])}",
            highlight=False,
            markup=False,
            emoji=False,
        )
    _remote_rows(console, summary.get("anomalies"), most, values=values)
    run = summary["run"]
    per_stage = ", ".join(
        f"{stage['stage']} {formats.duration(stage['seconds'])}" for stage in run["stages"]
    )
    console.print(
        Text.assemble(
            "\ncost of this run on AWS  ", (formats.dollars(run["usd"]), "bold"), f"  ({per_stage})"
        )
    )
    console.print(Text(run["cost_note"], "dim"))


def _column_table(columns: Sequence[dict[str, Any]], width: int) -> Table:
    """Statistics of the first number columns.

    A number is never cut: where they do not fit side by side, some are left to the report.
    """
    numbers = [column for column in columns if "mean" in column]
    cells = {
        name: [_column_cell(column, name) for column in numbers[:_COLUMNS]] for name in _STATISTICS
    }
    widths = {name: max(len(text) for text in (name, *texts)) for name, texts in cells.items()}
    left_out = []
    for name in _LESS_TELLING:
        if (
            sum(widths[kept] + _FRAME for kept in _STATISTICS if kept not in left_out)
            + _NAME
            + _FRAME
            > width
        ):
            left_out.append(name)
    more = len(numbers) - _COLUMNS
    notes = [f"{' and '.join(left_out)} in the report"] if left_out else []
    notes += [f"and {more} more columns in the report"] if more > 0 else []
    table = Table(caption="; ".join(notes) or None, caption_justify="left")
    table.add_column("column", overflow="fold", min_width=_NAME, max_width=28)
    shown = [name for name in _STATISTICS if name not in left_out]
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True, min_width=widths[name])
    for index, column in enumerate(numbers[:_COLUMNS]):
        table.add_row(Text(escaped(column["name"])), *(cells[name][index] for name in shown))
    return table


def _column_cell(column: dict[str, Any], name: str) -> str:
    """One statistic of a number column as the report shows it."""
    if name == "missing":
        return figures.count(column["missing"])
    if name == "median":
        return quantile(column, "0.5")
    return statistic(column, {"min": "minimum", "max": "maximum"}.get(name, name))


def _remote_rows(
    console: Console, anomalies: dict[str, Any] | None, rows: int, *, values: bool
) -> None:
    """The rows farthest from all others, with the columns that put them there; nothing where the
    analysis did not look for them.
    """
    if not anomalies or not anomalies["top"]:
        return
    table = Table(
        title=f"most remote of {figures.count(anomalies['complete_rows'])} rows, exact",
        title_justify="left",
    )
    table.add_column("line", justify="right", no_wrap=True)
    table.add_column("distance", justify="right", no_wrap=True)
    table.add_column("which", overflow="fold")
    table.add_column("because of", overflow="fold")
    if values:
        table.add_column("values", overflow="fold")
    for row in anomalies["top"][:rows]:
        which = ", ".join(
            f"{name} {figures.cell(value)[:_CELL]}"
            for name, value in list(row["identifiers"].items())[:_IDENTIFIERS]
        )
        because = ", ".join(f"{part['column']} {figures.pair(part)}" for part in row["columns"])
        table.add_row(
            figures.count(row["line"]),
            figures.number(row["score"]),
            Text(escaped(which)),
            Text(escaped(because)),
            *([Text(escaped(_others(row)))] if values else []),
        )
    console.print(table)


def _others(row: dict[str, Any]) -> str:
    """The cells of a remote row that do not tell which one it is."""
    cells = {name: value for name, value in row["values"].items() if name not in row["identifiers"]}
    return ", ".join(f"{name} {figures.cell(value)}" for name, value in cells.items())


def failure(console: Console, status: RunStatus) -> None:
    """Why a run failed."""
    console.print(
        Panel(
            Text(escaped(status.failure) or "the state item gives no reason"),
            title="the run failed",
            border_style="red",
            width=min(_WIDTH, console.width),
        )
    )


def slack(console: Console, messages: Iterable[dict[str, Any]]) -> None:
    """The messages that the webhook got, as text."""
    for message in messages:
        lines = [line for block in message.get("blocks", []) for line in _block_lines(block)] or [
            message["text"]
        ]
        width = min(_WIDTH, console.width)
        console.print(
            Panel(
                _mrkdwn("\n".join(escaped(line) for text in lines for line in text.split("\n"))),
                title="Slack",
                title_align="left",
                border_style="magenta",
                width=width,
            )
        )


def _block_lines(block: dict[str, Any]) -> list[str]:
    texts = [block["text"]["text"]] if "text" in block else []
    texts += [field["text"].replace("\n", " ") for field in block.get("fields", [])]
    texts += [element["text"] for element in block.get("elements", [])]
    return texts


def _mrkdwn(text: str) -> Text:
    """Slack's markup as a terminal shows it: *bold*, `code`, and the words of <links|with
    words>.
    """
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
            console.print(f"  {escaped(str(denial))}", highlight=False, markup=False, emoji=False)
    else:
        console.print(
            "every call of jobs and functions was allowed by the deployed policies; none was"
            " refused",
            style="dim",
        )

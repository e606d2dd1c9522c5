"""All runs of a page as a table, which a phone shows as cards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from workloads import formats, names
from workloads.operating import PSI_SHIFTED
from workloads.page.rows import Row
from workloads.page.shell import text
from workloads.page.trends import percent

SIGNS: Final = {
    "WAITING": "◌",
    "CLAIMED": "◔",
    "SUBMITTED": "◑",
    "SUCCEEDED": "●",
    "FAILED": "✕",
    "CANCELLED": "⊘",
}
"""Beside the word, so that no state is told by colour alone."""
_COLUMNS: Final = ("Run", "State", "Begun", "Took", "Rows", "Rejected", "Drift", "Cost")
_NUMBERS: Final = frozenset({"Took", "Rows", "Rejected", "Drift", "Cost"})


class _Cell(NamedTuple):
    column: str
    shown: str
    """Markup."""
    value: float | str | None
    """By which rows are sorted."""
    kinds: str = ""
    """Classes of the style."""


def section(rows: Sequence[Row], *, sorted_by: str, up: str, live: bool) -> str:
    """The table with what sorts and searches it.

    Args:
        rows: in the order in which they are shown.
        sorted_by: the column that orders them, descending.
        up: from the page's folder to that of the reports' keys.
        live: whether there is a page of each run.
    """
    title = '<section id="runs" aria-labelledby="runs-title">\n<h2 id="runs-title">All runs</h2>\n'
    if not rows:
        return (
            f"{title}<p>There is none: an upload to <code>data/&lt;YYYYMMDD&gt;/&lt;name&gt;.csv"
            "</code> in the ingest bucket begins one.</p></section>"
        )
    states = [state for state in SIGNS if any(row.state == state for row in rows)]
    options = "".join(f"<option>{state}</option>" for state in states)
    body = "\n".join(_row(row, up=up, live=live) for row in rows)
    return (
        f'{title}<div class="controls"><label>Find <input type="search" id="find"'
        ' placeholder="name, date, reason" autocomplete="off" spellcheck="false"></label>\n'
        f'<label>State <select id="state"><option value="">all</option>{options}</select></label>\n'
        f'<span id="shown" role="status">{count(len(rows), "run")}</span></div>\n'
        '<table class="runs" aria-labelledby="runs-title">\n'
        f'<thead><tr>{_heads(sorted_by)}<th scope="col">Report</th></tr></thead>\n'
        f'<tbody id="rows">\n{body}\n</tbody>\n</table></section>'
    )


def count(number: int, what: str) -> str:
    """`1 run`, `1,200 runs`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def state(name: str) -> str:
    """A state with its sign."""
    return (
        f'<span class="state {name.lower()}"><i aria-hidden="true">{SIGNS[name]}</i>{name}</span>'
    )


def moment(ms: int) -> str:
    """Milliseconds since 1970 as a person reads them, in UTC; a dash for 0."""
    if not ms:
        return formats.DASH
    found = datetime.fromtimestamp(ms / 1000, UTC)
    return f'<time datetime="{found:%Y-%m-%dT%H:%M:%SZ}">{found:%Y-%m-%d %H:%M}</time>'


def _heads(sorted_by: str) -> str:
    return "".join(
        f'<th scope="col"{" class=n" if column in _NUMBERS else ""}'
        f"{' aria-sort=descending' if column == sorted_by else ''}>"
        f'<button type="button">{column}</button></th>'
        for column in _COLUMNS
    )


def _row(row: Row, *, up: str, live: bool) -> str:
    name = text(names.title(row.key) if row.key else row.run.dataset)
    if live:
        name = f'<a href="{up}run/{row.run_id}/">{name}</a>'
    date = f"{row.run.date[:4]}-{row.run.date[4:6]}-{row.run.date[6:]}"
    attempt = f" · attempt {row.attempt}" if row.attempt > 1 else ""
    cells = "".join(
        f'<td data-name="{cell.column}"{_attribute("data-value", cell.value)}'
        f"{_attribute('class', cell.kinds or None)}>{cell.shown}</td>"
        for cell in _cells(row, up=up, live=live)
    )
    return (
        f'<tr id="{row.run_id}"><th scope="row" data-value="{row.run_id}">{name}<small>{date} ·'
        f" {row.run_id[-12:]}{attempt}</small></th>{cells}</tr>"
    )


def _cells(row: Row, *, up: str, live: bool) -> Iterator[_Cell]:
    why = f'<small class="why">{text(row.failure)}</small>' if row.failure else ""
    yield _Cell("State", state(row.state) + why, row.state, "wide" if why else "")
    yield _Cell("Begun", moment(row.begun_ms), row.begun_ms, "begun")
    took = "" if row.seconds is None else formats.duration(row.seconds)
    if live and row.begun_ms and not row.ended:
        took = f'<span data-since="{row.begun_ms}"></span>'
    yield _Cell("Took", took, row.seconds, "n")
    yield _Cell("Rows", "" if row.rows is None else f"{row.rows:,}", row.rows, "n")
    share = row.rejected_share
    rejected = "" if row.rejected is None else f"{row.rejected:,}"
    rejected += f"<small>{percent(share)}</small>" if share else ""
    yield _Cell("Rejected", rejected, share, "n")
    drift = "" if row.psi is None else f"{row.psi:.2f}<small>{text(row.column)}</small>"
    shifted = row.psi is not None and row.psi > PSI_SHIFTED
    yield _Cell("Drift", drift, row.psi, "n drift warn" if shifted else "n drift")
    yield _Cell("Cost", formats.dollars(row.usd, unknown=""), row.usd, "n")
    report = f'<a class="report" href="{up}{row.run.report_key}">report</a>'
    said = f'<span class="unseen"> of {row.run_id}</span>'
    yield _Cell("Report", report.replace("</a>", f"{said}</a>") if row.succeeded else "", None)


def _attribute(name: str, value: float | str | None) -> str:
    return "" if value is None else f' {name}="{value}"'

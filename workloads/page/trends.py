"""How a data set went: rows, rejects, drift and cost of its last runs, a picture each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from workloads import formats
from workloads.operating import PSI_SHIFTED
from workloads.page import charts
from workloads.page.rows import Row
from workloads.page.shell import text

_DATA_SETS: Final = 12
_OPEN: Final = 3
"""Data sets whose trends are seen at once: the table of runs is to be near."""
_BARS: Final = 30


def section(rows: Sequence[Row]) -> str:
    """The trends of the data sets whose runs were begun last; an empty section without any."""
    by_dataset: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (-row.begun_ms, row.run_id)):
        if row.ended:
            by_dataset.setdefault(row.run.dataset, []).append(row)
    if not by_dataset:
        return '<section id="trends"></section>'
    shown = [
        _dataset(name, of_it[:_BARS][::-1])
        for name, of_it in islice(by_dataset.items(), _DATA_SETS)
    ]
    first, others = "\n".join(shown[:_OPEN]), "\n".join(shown[_OPEN:])
    if others:
        what = "data set" if len(shown) == _OPEN + 1 else "data sets"
        cut = "" if len(by_dataset) <= _DATA_SETS else f" of {len(by_dataset) - _OPEN:,}"
        first += (
            f"\n<details><summary>{len(shown) - _OPEN}{cut} more {what}</summary>\n{others}"
            "\n</details>"
        )
    return (
        '<section id="trends" aria-labelledby="trends-title">\n<h2 id="trends-title">Trends'
        f' <span class="soft">{_BARS} runs of a data set at most, the last one right</span></h2>\n'
        f"{first}\n</section>"
    )


def percent(share: float | None) -> str:
    """A share as a percentage with the digits that tell something; empty where there is none."""
    if share is None:
        return ""
    if 0 < share < 0.0001:
        return "< 0.01 %"
    return f"{share * 100:.2f} %" if 0 < share < 0.1 else f"{share * 100:.1f} %"


def _dataset(name: str, rows: Sequence[Row]) -> str:
    """The four pictures; `rows` by time, the last one last."""
    good = [row for row in rows if row.succeeded]
    pictures = (
        _picture(name, "Rows", [row.rows for row in good], lambda value: f"{value:,.0f}"),
        _picture(name, "Rejected", [row.rejected_share for row in good], percent),
        _picture(name, "Drift (PSI)", [row.psi for row in good], "{:.2f}".format, PSI_SHIFTED),
        _picture(name, "Cost", [row.usd for row in rows], formats.dollars),
    )
    return f'<h3>{text(name)}</h3>\n<div class="trends">{"".join(pictures)}</div>'


def _picture(
    dataset: str,
    what: str,
    values: Sequence[float | None],
    shown: Callable[[float], str],
    mark: float | None = None,
) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return (
            f'<figure class="trend"><figcaption>{what} <b>{formats.DASH}</b></figcaption>'
            '<div class="none">nothing to show</div></figure>'
        )
    low, high = shown(min(known)), shown(max(known))
    last = shown(values[-1]) if values[-1] is not None else formats.DASH
    span = low if low == high else f"{low} to {high}"
    count = f"{len(known)} runs" if len(known) > 1 else "one run"
    over = f", a line at {shown(mark)}" if mark is not None else ""
    label = f"{what} of {dataset}: {last} in the last run, {span} in {count}{over}"
    picture = charts.bars(values, label=label, mark=mark)
    return (
        f'<figure class="trend"><figcaption>{what} <b>{text(last)}</b></figcaption>{picture}'
        f"<small>{text(span)}</small></figure>"
    )

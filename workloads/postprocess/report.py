"""report.html: the findings for people, one file that needs no network."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from workloads import formats, page
from workloads.analysis.profile.result import Profile
from workloads.operating import PSI_SHIFTED
from workloads.postprocess import charts, figures
from workloads.postprocess.findings import METRIC_NAMES
from workloads.runtime.quoting import escaped

_STEPS = {
    "open": "reading manifest and footer",
    "plan": "measuring the machine, and predicting from it",
    "read": "waiting for units that are fetched and decoded ahead",
    "profile": "moments and counts of the columns",
    "quantiles": "counting once more where a quantile was not exact",
    "merge": "putting the ranks' profiles together",
    "store": "writing results",
    "scale": "from values to coordinates",
    "pilots": "looking for rows far out",
    "panels": "comparing rows with samples of the table",
    "pairs": "comparing rows with the whole table",
    "exchange": "waiting for rows of other ranks",
    "wait": "waiting for other ranks to finish a slice of work",
    "checkpoint": "storing what is done so far",
    "explain": "values of the most remote rows",
}
"""Step of the analysis -> what its seconds were spent on."""
_HEAT_MAP_COLUMNS = 60
_REJECT_BARS = 20
_REMOTE_ROWS = 25
_IDENTIFIERS = 6
_CELLS = 200
"""Most cells of a farthest row: a report of a table with thousands of columns has to open in a
browser.
"""
_USES = {
    "compare": "rows are compared by it",
    "describe": "described, not compared",
    "keep": "kept as it is",
}
_SIGNS = {
    ",": "comma",
    ";": "semicolon",
    "\t": "tab",
    "|": "vertical bar",
    " ": "blanks",
    ":": "colon",
    '"': "quotation mark",
    "'": "apostrophe",
}
_SIGNS |= {".": "point", "\\": "backslash"}
"""What the dialect may name by a sign that is hard to see."""


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([Path(__file__).parent, Path(page.__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_seen,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": figures.number,
        "count": figures.count,
        "duration": formats.duration,
        "dollars": formats.dollars,
        "size": figures.size,
        "date": figures.date,
        "cell": figures.cell,
        "pair": figures.pair,
        "ordinal": figures.ordinal,
    }
    environment.globals |= {
        "percent": figures.percent,
        "statistic": statistic,
        "quantile": quantile,
        "psi_shifted": PSI_SHIFTED,
        "metric_names": METRIC_NAMES,
        "uses": _USES,
    }
    return environment.get_template("report.html.j2")


def render(summary: dict[str, Any], profile: Profile) -> bytes:
    """The report's bytes.

    Args:
        summary: see findings.build.
        profile: of the same table; its sketch feeds the pictures.
    """
    numbers = [column for column in summary["columns"] if "mean" in column]
    shown = _most_correlated(profile)
    heat_map = (
        charts.heat_map(
            [profile.compared[i] for i in shown], profile.correlation[np.ix_(shown, shown)]
        )
        if len(shown) > 1
        else None
    )
    text = _template().render(
        **summary,
        numbers=numbers,
        dialect=_dialect(summary["source"].get("dialect", {})),
        pictures=charts.histograms(
            profile, {column["name"] for column in numbers if column["constant"]}
        ),
        heat_map=heat_map,
        heat_map_cut=len(shown) == _HEAT_MAP_COLUMNS,
        reject_bars=_REJECT_BARS,
        remote_rows=_REMOTE_ROWS,
        identifiers=_IDENTIFIERS,
        cells=_CELLS,
        steps=_steps(summary["provenance"]["analysis"]),
    )
    return text.encode()


def statistic(column: dict[str, Any], name: str) -> str:
    """Mean, standard deviation, minimum or maximum of a number column, with the digits that tell
    its values apart.
    """
    shown = figures.stored if name in {"minimum", "maximum"} else figures.quantity
    return shown(column[name], spread=column["sd"], whole=column["type"] == "int64")


def quantile(column: dict[str, Any], probability: str) -> str:
    """A quantile of a number column, with no more digits than its bound leaves."""
    found = column["quantiles"][probability]
    spreads = [spread for spread in (column["sd"], found["bound"]) if spread is not None]
    return figures.quantity(
        found["value"], spread=max(spreads, default=None), whole=column["type"] == "int64"
    )


def _seen(value: Any) -> Any:
    """What stands on the page: outside text cannot turn the text around it."""
    return escaped(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _dialect(dialect: dict[str, Any]) -> list[tuple[str, str]]:
    """What was decided about the file as a whole: label and words; what is not there is left
    out.
    """
    return [
        (name.replace("_", " ").capitalize(), _words(value))
        for name, value in dialect.items()
        if value not in (None, "", [], {})
    ]


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " / ".join(_words(each) for each in value)
    return _SIGNS.get(str(value), str(value))


def _steps(analysis: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of the analysis, the longest first, with what they moved and reached."""
    seconds = analysis["seconds"]
    return [
        {
            "name": name,
            "about": _STEPS.get(name, ""),
            "seconds": seconds[name],
            "bytes": analysis["bytes_moved"].get(name) or None,
            "limit": analysis["percent_of_limit"].get(name),
        }
        for name in sorted(seconds, key=lambda name: -seconds[name])
        if name != "total"
    ]


def _most_correlated(profile: Profile) -> list[int]:
    """Columns of the heat map, in table order: all, or those with the strongest correlation to any
    other.
    """
    size = np.abs(np.nan_to_num(profile.correlation))
    np.fill_diagonal(size, 0.0)
    varied = np.flatnonzero(~np.isnan(np.diagonal(profile.correlation)))
    if varied.size > _HEAT_MAP_COLUMNS:
        strongest = np.argsort(-size.max(axis=0)[varied], kind="stable")[:_HEAT_MAP_COLUMNS]
        varied = np.sort(varied[strongest])
    return [int(index) for index in varied]

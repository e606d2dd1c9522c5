"""`compare`: what differs between two runs, area by area."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli import list_runs, runs_index
from cli.documents import Compared, Difference
from cli.errors import ExitCode
from cli.frame import print_json, say
from cli.runs_index import Entry
from cli.target import Target
from workloads import formats
from workloads.postprocess import figures
from workloads.runtime.quoting import escaped

AREAS: Final = (
    "run",
    "file",
    "schema",
    "rows",
    "profile",
    "drift",
    "findings",
    "settings",
    "code",
    "time",
    "cost",
)
_STATISTICS: Final = ("missing", "mean", "sd", "minimum", "maximum")
_RELATIVE: Final = 1e-9
"""Numbers that are nearer to each other are the same: they went through text."""
_SHOWN: Final = 30
"""Differences of one area on a terminal."""
_NAMED: Final = 8
"""How many names one sentence holds."""
_UNSETTLED: Final = ("ranks", "nodes", "backend", "precision")
"""On which machines an analysis ran; its answer does not depend on it."""


def compare(console: Console, target: Target, first: str, second: str, *, as_json: bool) -> int:
    """Prints what differs. Raises CliError where one of them is no run."""
    entries = [runs_index.find(target, name) for name in (first, second)]
    summaries = [_summary(target, entry) for entry in entries]
    found = list(differences(entries[0], entries[1], summaries[0], summaries[1]))
    compared = AREAS if all(summaries) else ("run", "file", "time", "cost")
    document: Compared = {
        "runs": [list_runs.line(entry) for entry in entries],
        "differences": found,
        "same": [area for area in compared if area not in {each["area"] for each in found}],
        "not_compared": [area for area in AREAS if area not in compared],
    }
    if as_json:
        print_json(document)
    else:
        _show(console, document)
    return ExitCode.OK


def differences(
    first: Entry, second: Entry, one: Mapping[str, Any], other: Mapping[str, Any]
) -> Iterator[Difference]:
    """All differences, in the order of AREAS.

    Args:
        first: a run.
        second: another one.
        one: summary of the first; empty where it has none.
        other: of the second.
    """
    yield from _pairs("run", {"state": (first.state, second.state)})
    before, after = first.item.get("upload") or {}, second.item.get("upload") or {}
    yield from _pairs(
        "file",
        {"key": (first.key, second.key), "content": (before.get("etag"), after.get("etag"))},
    )
    if one and other:
        yield from _contents(one, other)
    costs, others = _stages(first, one), _stages(second, other)
    for area, name in (("time", "seconds"), ("cost", "usd")):
        for stage in dict.fromkeys((*costs, *others)):
            values = (costs.get(stage) or {}).get(name), (others.get(stage) or {}).get(name)
            yield from _pairs(area, {stage: values})


def _contents(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Difference]:
    yield from _pairs(
        "file",
        {
            f"dialect: {name}": (
                one["source"]["dialect"].get(name),
                other["source"]["dialect"].get(name),
            )
            for name in dict.fromkeys((*one["source"]["dialect"], *other["source"]["dialect"]))
            if name not in {"preamble", "first_line"}
        },
    )
    columns, others = ({each["name"]: each for each in side["columns"]} for side in (one, other))
    yield from _schema(columns, others)
    table, second = one["table"], other["table"]
    yield from _pairs(
        "rows",
        {name: (table[name], second[name]) for name in ("rows_read", "rows", "rejected_rows")},
    )
    reasons = dict.fromkeys((*table["rejected"], *second["rejected"]))
    yield from _pairs(
        "rows",
        {
            f"rejected: {each}": (table["rejected"].get(each, 0), second["rejected"].get(each, 0))
            for each in reasons
        },
    )
    for name in columns:
        if name in others:
            yield from _pairs(
                "profile",
                {
                    f"{name}: {each}": (columns[name].get(each), others[name].get(each))
                    for each in _STATISTICS
                },
            )
    references = (one["drift"]["reference_run_id"], other["drift"]["reference_run_id"])
    yield from _pairs("drift", {"reference": references})
    yield from _pairs("drift", {"strongest": (_drift(one), _drift(other))})
    yield from _findings(one, other)
    yield from _analysis(one["provenance"]["analysis"], other["provenance"]["analysis"])


def _schema(
    columns: Mapping[str, Mapping[str, Any]], others: Mapping[str, Mapping[str, Any]]
) -> Iterator[Difference]:
    for name in dict.fromkeys((*columns, *others)):
        one, other = columns.get(name), others.get(name)
        if one is None or other is None:
            yield _difference(
                "schema", f"column {name}", one and one["type"], other and other["type"]
            )
        else:
            yield from _pairs(
                "schema", {f"{name}: {each}": (one[each], other[each]) for each in ("type", "use")}
            )


def _findings(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Difference]:
    yield from _pairs("findings", {"digest": (one["digest"], other["digest"])})
    rows = [
        {_row(each): each for each in (side["anomalies"] or {}).get("top", [])}
        for side in (one, other)
    ]
    only = [[name for name in rows[a] if name not in rows[b]] for a, b in ((0, 1), (1, 0))]
    if any(only):
        yield _difference(
            "findings", "remote rows of one alone", _listed(only[0]), _listed(only[1])
        )


def _row(remote: Mapping[str, Any]) -> str:
    """Which row it is, by its identifiers: lines move from file to file."""
    known = ", ".join(
        f"{name} {figures.cell(value)}" for name, value in remote["identifiers"].items()
    )
    return known or f"line {remote['line']}"


def _analysis(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Difference]:
    before, after = _asked(one), _asked(other)
    names = dict.fromkeys((*before, *after))
    yield from _pairs("settings", {name: (before.get(name), after.get(name)) for name in names})
    yield from _pairs(
        "settings",
        {name: (one.get(name), other.get(name)) for name in ("unit_rows", *_UNSETTLED)},
    )
    yield from _pairs("code", {"analysis": (one.get("code_version"), other.get("code_version"))})


def _asked(analysis: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of the search, and the number of neighbours that followed from them."""
    anomaly = analysis.get("anomaly") or {}
    return {**anomaly.get("asked", {}), "neighbours_used": anomaly.get("neighbours_used")}


def _stages(entry: Entry, summary: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Seconds and dollars by stage: of the findings where there are some, else of the state item,
    and of both together `all`.
    """
    run = summary.get("run")
    stages: dict[str, Mapping[str, Any]] = (
        {each["stage"]: each for each in run["stages"]} if run else {}
    )
    whole = {"seconds": entry.item.get("seconds"), "usd": entry.usd}
    return {**stages, "all stages": whole}


def _drift(summary: Mapping[str, Any]) -> str | None:
    strongest = summary["drift"]["strongest"]
    return _listed([str(each.get("column")) for each in strongest]) if strongest else None


def _listed(names: list[str]) -> str | None:
    if not names:
        return None
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return "; ".join(names[:_NAMED]) + more


def _pairs(area: str, values: Mapping[str, tuple[Any, Any]]) -> Iterator[Difference]:
    for what, (one, other) in values.items():
        if not _same(one, other):
            yield _difference(area, what, one, other)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, (int, float)):
        return abs(one - other) <= _RELATIVE * max(abs(one), abs(other))
    return bool(one == other)


def _difference(area: str, what: str, one: Any, other: Any) -> Difference:
    return {"area": area, "what": what, "values": [one, other]}


def _summary(target: Target, entry: Entry) -> dict[str, Any]:
    client = target.client("s3")
    try:
        body = client.get_object(Bucket=target.output("results_bucket"), Key=entry.run.summary_key)[
            "Body"
        ].read()
    except client.exceptions.NoSuchKey:
        return {}
    found: dict[str, Any] = json.loads(body)
    return found


def _show(console: Console, document: Compared) -> None:
    one, other = document["runs"]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", overflow="fold")
    table.add_column("what", overflow="fold")
    for run in (one, other):
        table.add_column(run["run_id"], overflow="fold")
    area, shown_of = "", Counter[str]()
    for each in document["differences"]:
        shown_of[each["area"]] += 1
        if shown_of[each["area"]] > _SHOWN:
            continue
        name = each["area"] if each["area"] != area else ""
        area = each["area"]
        shown = (Text(escaped(_text(value, each["area"]))) for value in each["values"])
        table.add_row(Text(name, style="bold"), Text(escaped(each["what"])), *shown)
    if document["differences"]:
        console.print(table)
    for name, count in shown_of.items():
        if count > _SHOWN:
            say(f"{name}: {count - _SHOWN} more differences (--json has all)")
    if document["same"]:
        say(f"the same: {', '.join(document['same'])}")
    if document["not_compared"]:
        without = " and ".join(
            run["run_id"] for run in document["runs"] if run["state"] != "SUCCEEDED"
        )
        say(
            f"not compared, for there are no findings of {without or 'one of them'}:"
            f" {', '.join(document['not_compared'])}"
        )


def _text(value: Any, area: str) -> str:
    if value is None:
        return formats.DASH
    if area == "time":
        return formats.duration(value)
    if area == "cost":
        return formats.dollars(value)
    return figures.number(value) if isinstance(value, float) else str(value)

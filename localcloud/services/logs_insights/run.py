"""Runs a query of Logs Insights over the events of log groups."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from localcloud.services.logs_insights.language import MOST_ROWS, Aggregate, Row, Step, number

_OWN_TIMES: Final = ("@timestamp", "@ingestionTime")


def row(account: str, group: str, stream: str, event: Any) -> Row:
    """The fields of one event: those of Logs, and what is in its message, where that is a JSON
    object, by dotted names.
    """
    fields: Row = {}
    start = event.message.find("{")
    if start >= 0:
        try:
            found = json.loads(event.message[start:])
        except ValueError:
            found = None
        if isinstance(found, dict):
            _flatten("", found, fields)
    pointer = base64.b64encode(f"{group}/{stream}/{event.event_id}".encode()).decode()
    return fields | {
        "@timestamp": event.timestamp,
        "@ingestionTime": event.ingestion_time,
        "@message": event.message,
        "@logStream": stream,
        "@log": f"{account}:{group}",
        "@ptr": pointer,
    }


def _flatten(prefix: str, value: Any, into: Row) -> None:
    items: Iterable[tuple[Any, Any]]
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        into[prefix] = (
            int(value) if isinstance(value, bool) else value
        )  # Insights shows and compares booleans as 1 and 0
        return
    for name, inner in items:
        _flatten(f"{prefix}.{name}" if prefix else str(name), inner, into)


def run(steps: list[Step], rows: list[Row], limit: int = MOST_ROWS) -> list[list[dict[str, str]]]:
    """The result as GetQueryResults shows it: newest first where the query says nothing else."""
    shown: list[tuple[str, str]] = []
    rows = sorted(rows, key=lambda each: -each["@timestamp"])
    for step in steps:
        if step.command == "fields":
            shown += step.names
            rows = [each | {label: each.get(name) for name, label in step.names} for each in rows]
        elif step.command == "display":
            shown = step.names
        elif step.command == "filter":
            rows = [each for each in rows if step.test is not None and step.test(each)]
        elif step.command == "sort":
            rows = _sorted(step, rows)
        elif step.command == "limit":
            limit = min(limit, step.limit)
        elif step.command == "dedup":
            rows = list(
                {
                    tuple(str(each.get(name)) for name, _ in step.names): each
                    for each in reversed(rows)
                }.values()
            )[::-1]
        else:
            rows, shown = _grouped(step, rows)
    names = [label for _, label in shown] or ["@timestamp", "@message"]
    return [_result(each, names) for each in rows[:limit]]


def _result(fields: Row, names: list[str]) -> list[dict[str, str]]:
    wanted = dict.fromkeys([*names, *(["@ptr"] if "@ptr" in fields else [])])
    return [
        {"field": name, "value": _written(name, fields[name])}
        for name in wanted
        if fields.get(name) is not None
    ]


def _written(name: str, value: Any) -> str:
    if name in _OWN_TIMES or name.startswith("bin("):
        return (
            f"{datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%d %H:%M:%S}.{int(value) % 1000:03d}"
        )
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".") if value == value else ""
    return str(value)


def _sorted(step: Step, rows: list[Row]) -> list[Row]:
    for name, order in reversed(step.names):
        present = [each for each in rows if each.get(name) is not None]
        missing = [each for each in rows if each.get(name) is None]
        if all(number(each[name]) is not None for each in present):
            present.sort(key=lambda each: number(each[name]) or 0.0, reverse=order == "desc")
        else:
            present.sort(key=lambda each: str(each[name]), reverse=order == "desc")
        rows = present + missing
    return rows


def _grouped(step: Step, rows: list[Row]) -> tuple[list[Row], list[tuple[str, str]]]:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for each in rows:
        key = tuple(each.get(name) for name, _ in step.names)
        if step.bin_ms:
            key += (each["@timestamp"] // step.bin_ms * step.bin_ms,)
        groups.setdefault(
            tuple(str(part) if isinstance(part, list | dict) else part for part in key), []
        ).append(each)
    labels = [label for _, label in step.names] + ([step.bin_label] if step.bin_ms else [])
    if not rows and not labels:
        groups[()] = []
    found = []
    for key, members in groups.items():
        figures = {each.label: _figure(each, members) for each in step.aggregates}
        found.append(dict(zip(labels, key, strict=True)) | figures)
    shown = [(label, label) for label in (*labels, *(each.label for each in step.aggregates))]
    return found, shown


def _figure(aggregate: Aggregate, rows: list[Row]) -> Any:
    if aggregate.of == "*":
        return len(rows)
    values = [each[aggregate.of] for each in rows if each.get(aggregate.of) is not None]
    if aggregate.function == "count":
        return len(values)
    if aggregate.function == "count_distinct":
        return len({str(value) for value in values})
    numbers = [found for value in values if (found := number(value)) is not None]
    if not numbers:
        return None
    return {
        "sum": sum(numbers),
        "avg": sum(numbers) / len(numbers),
        "min": min(numbers),
        "max": max(numbers),
    }[aggregate.function]

"""The findings of a run as one JSON value: what summary.json holds, and what table, report and
message are made from.

Every number is finite or null; NaN never leaves this module.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from workloads import names
from workloads.analysis.outliers.result import Anomalies
from workloads.analysis.profile.result import Profile
from workloads.analysis.space.scaling import scaling
from workloads.analysis.space.spectrum import spectrum
from workloads.contract import Run
from workloads.lines import Lines
from workloads.operating import PSI_SHIFTED
from workloads.postprocess.cost import RunCost
from workloads.postprocess.quantiles import settled
from workloads.postprocess.reference import Comparison
from workloads.postprocess.rows import SourceRow
from workloads.records import Manifest

SCHEMA: Final = 2
"""Version of the summary's shape; grows by one when a field changes its meaning or goes away."""
PROBABILITIES: Final = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_FULL_MATRIX_COLUMNS: Final = 200
"""Columns above which the summary holds the strongest pairs only: the matrix would be megabytes of
text.
"""
_STRONGEST_PAIRS: Final = 50
_REASONS: Final = 3
"""Columns that the sentence on nothing to compare gives the reasons of."""
_AXES: Final = 20
_MOST: Final = 0.9
"""Share of the variance that the axes counted in `for_most` hold."""
_NOTABLE_MISSING: Final = 0.2
_NOTABLE_CORRELATION: Final = 0.95
_NOTABLE_SKEWNESS: Final = 10.0
METRIC_NAMES: Final = {
    "euclidean": "Euclidean distance",
    "mahalanobis": "Mahalanobis distance",
    "cosine": "cosine distance",
}
NOTHING_TO_COMPARE: Final = "nothing-to-compare"
"""Code of the remark in which preprocess says so."""


@dataclass(frozen=True, kw_only=True)
class Remote:
    """The most remote rows, with what the file says of them."""

    anomalies: Anomalies
    rows: Mapping[int, SourceRow]
    """Rows by their number: those that are reported."""
    lines: Lines


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What ties the findings to their inputs."""

    manifest_sha256: str
    analysis: dict[str, Any]
    """What `_SUCCESS.json` says."""


def build(
    run: Run,
    manifest: Manifest,
    profile: Profile,
    comparison: Comparison,
    remote: Remote | None,
    cost: RunCost,
    provenance: Provenance,
) -> dict[str, Any]:
    """The summary. Its order of columns is that of the cleaned table."""
    position = {name: index for index, name in enumerate(profile.columns)}
    quantiles = settled(profile, PROBABILITIES)
    columns: list[dict[str, Any]] = []
    for column in manifest.columns:
        entry: dict[str, Any] = {
            **asdict(column),
            "missing_share": column.missing / manifest.rows if manifest.rows else None,
        }
        index = position.get(column.name)
        if index is not None:
            entry |= _statistics(profile, index)
            entry["quantiles"] = {
                f"{p:g}": {
                    "value": float(quantiles.values[q, index]),
                    "bound": float(quantiles.bounds[q, index]),
                }
                for q, p in enumerate(PROBABILITIES)
            }
            entry["drift"] = comparison.by_column.get(column.name)
        columns.append(entry)
    correlation = _correlation(profile)
    summary = {
        "schema": SCHEMA,
        "run_id": run.run_id,
        "dataset": run.dataset,
        "name": names.title(manifest.source["key"]),
        "date": run.date,
        "table": {
            "rows_read": manifest.rows_read,
            "rows": manifest.rows,
            "rejected_rows": sum(manifest.rejected.values()),
            "rejected": dict(
                sorted(manifest.rejected.items(), key=lambda item: (-item[1], item[0]))
            ),
            "columns": len(manifest.columns),
            "number_columns": len(profile.columns),
            "missing_cells": sum(column.missing for column in manifest.columns),
            "complete_rows": profile.complete_rows,
            "infinite_cells": int(profile.moments.infinite.sum()),
        },
        "columns": columns,
        "correlation": correlation,
        "drift": comparison.to_json(),
        "anomalies": None if remote is None else _anomalies(remote),
        "nothing_to_compare": (
            _nothing_to_compare(manifest)
            or ("" if remote is None else remote.anomalies.record.nothing)
        ),
        "remarks": [asdict(remark) for remark in manifest.remarks],
        "notable": _notable(columns, correlation["strongest"]),
        "run": {
            "stages": [{**asdict(stage), "usd": stage.usd} for stage in cost.stages],
            "elapsed_seconds": cost.elapsed_seconds,
            "compute_seconds": cost.compute_seconds,
            "usd": cost.usd,
            "cost_note": cost.note,
            "reclaimed": None if cost.reclaimed is None else asdict(cost.reclaimed),
        },
        "digest": provenance.analysis["digest"],
        "source": manifest.source,
        "provenance": asdict(provenance),
    }
    cleaned: dict[str, Any] = finite(summary)
    return cleaned


def to_json(summary: dict[str, Any]) -> bytes:
    """The bytes of summary.json: strict JSON, keys in the order given."""
    return (json.dumps(summary, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()


def finite(value: Any) -> Any:
    """The same value with every NaN and infinity replaced by None, and NumPy's numbers by Python's.

    Shape is kept.
    """
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if isinstance(value, np.generic):
        return finite(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _anomalies(remote: Remote) -> dict[str, Any]:
    record = remote.anomalies.record
    fields = (
        "excluded",
        "complete_rows",
        "incomplete_rows",
        "undirected_rows",
        "certified_fraction",
        "fallback_rows",
    )
    return {
        "mode": record.asked.anomaly_mode,
        "neighbours": record.neighbours_used,
        "neighbours_asked": record.asked.anomaly_neighbours,
        "scaling": record.asked.anomaly_scaling,
        "metric": record.asked.anomaly_metric,
        **{name: getattr(record, name) for name in fields},
        "columns": len(record.columns),
        "top": [
            {
                "row": row.row,
                "line": remote.rows[row.row].line,
                "score": row.score,
                "neighbour": row.neighbour,
                "neighbour_line": None if row.neighbour is None else remote.lines.of(row.neighbour),
                "identifiers": remote.rows[row.row].identifiers,
                "columns": [asdict(part) for part in row.contributions],
                "values": remote.rows[row.row].values,
            }
            for row in remote.anomalies.rows
        ],
    }


def _nothing_to_compare(manifest: Manifest) -> str:
    """Why no row was compared with another; empty where rows were."""
    if any(column.use == "compare" for column in manifest.columns):
        return ""
    told = next(
        (remark.sentence for remark in manifest.remarks if remark.code == NOTHING_TO_COMPARE), ""
    )
    if told:
        return told
    numbers = [column for column in manifest.columns if column.kind == "number"]
    if not numbers:
        return "the table has no column of numbers"
    shown = "; ".join(f"{column.name}: {column.reason}" for column in numbers[:_REASONS])
    more = f"; and {len(numbers) - _REASONS} more" if len(numbers) > _REASONS else ""
    return f"no column of numbers is fit to compare rows by ({shown}{more})"


def _statistics(profile: Profile, index: int) -> dict[str, Any]:
    return {
        "count": int(profile.moments.count[index]),
        "infinite": int(profile.moments.infinite[index]),
        "mean": float(profile.mean[index]),
        "sd": float(profile.sd[index]),
        "minimum": float(profile.minimum[index]),
        "maximum": float(profile.maximum[index]),
        "skewness": float(profile.skewness[index]),
        "kurtosis": float(profile.kurtosis[index]),
        "autocorrelation": float(profile.autocorrelation[index]),
        "constant": bool(profile.constant[index]),
    }


def _correlation(profile: Profile) -> dict[str, Any]:
    matrix, columns = profile.correlation, profile.compared
    i, j = np.triu_indices(len(columns), k=1)
    sizes = np.abs(matrix[i, j])
    order = np.argsort(-np.where(np.isnan(sizes), -1.0, sizes), kind="stable")[:_STRONGEST_PAIRS]
    strongest = [
        {"a": columns[i[k]], "b": columns[j[k]], "r": float(matrix[i[k], j[k]])}
        for k in order
        if not np.isnan(sizes[k])
    ]
    full = len(columns) <= _FULL_MATRIX_COLUMNS
    return {
        "columns": list(columns),
        "matrix": matrix.tolist() if full else None,
        "strongest": strongest,
        "rows": profile.complete_rows,
        "axes": _axes(profile),
    }


def _axes(profile: Profile) -> dict[str, Any] | None:
    """How many directions the columns that vary really have; None where there are no two such
    columns or no two complete rows.
    """
    chosen = scaling(profile)
    if len(chosen.columns) < 2 or profile.complete_rows < 2:
        return None
    found = spectrum(profile, chosen)
    return {
        "columns": len(chosen.columns),
        "explained": found.explained[:_AXES].tolist(),
        "for_most": int(np.searchsorted(np.cumsum(found.explained), _MOST) + 1),
        "most": _MOST,
        "condition": found.condition,
    }


def _notable(
    columns: list[dict[str, Any]], strongest: list[dict[str, Any]]
) -> list[dict[str, str]]:
    """What a person would want pointed out, one sentence each; the order is that of importance,
    then of the table.
    """
    found: list[tuple[int, str, str]] = []
    for column in columns:
        name, drift = column["name"], column.get("drift") or {}
        psi = drift.get("psi")
        if psi is not None and psi > PSI_SHIFTED:
            found.append((0, name, f"has shifted since the reference run (PSI {psi:.2f})"))
        if column.get("infinite"):
            found.append(
                (
                    1,
                    name,
                    (
                        f"holds {column['infinite']:,} infinite"
                        f" value{'s' if column['infinite'] > 1 else ''}"
                    ),
                )
            )
        if column.get("count") == 0 or column["missing_share"] == 1:
            found.append((2, name, "has no value at all"))
        elif (column["missing_share"] or 0) > _NOTABLE_MISSING:
            found.append((2, name, f"lacks a value in {column['missing_share']:.0%} of the rows"))
        if column.get("constant"):
            found.append((3, name, "has one value only"))
        if abs(column.get("skewness") or 0.0) > _NOTABLE_SKEWNESS:
            found.append(
                (
                    5,
                    name,
                    (
                        f"is very lopsided (skewness {column['skewness']:.0f}): a few values are"
                        " far from all others"
                    ),
                )
            )
    found.extend(
        (
            4,
            pair["a"],
            (
                f"moves {'with' if pair['r'] > 0 else 'against'} {pair['b']} (correlation"
                f" {pair['r']:+.3f})"
            ),
        )
        for pair in strongest
        if abs(pair["r"]) > _NOTABLE_CORRELATION
    )
    return [
        {"column": name, "finding": finding}
        for _, name, finding in sorted(found, key=lambda item: item[0])
    ]

"""findings.parquet: the most remote rows as one flat table, a row each, for programs that read
Parquet.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from workloads.contract import Run
from workloads.postprocess import figures

_FIELDS: Final[tuple[pa.Field[Any], ...]] = (
    pa.field("run_id", pa.string(), nullable=False),
    pa.field("rank", pa.int64(), nullable=False),
    pa.field("line", pa.int64(), nullable=False),
    pa.field("row", pa.int64(), nullable=False),
    pa.field("score", pa.float64()),
    pa.field("neighbour_line", pa.int64()),
    pa.field("neighbour_row", pa.int64()),
    pa.field("because", pa.string()),
    pa.field("because_value", pa.float64()),
    pa.field("because_neighbour_value", pa.float64()),
    pa.field("because_all", pa.string()),
)
"""What every findings.parquet begins with; docs/data.md says what they mean."""
_PARTITIONS: Final = ("dataset_id", "run_date")
"""Names that readers make of the folders; a column of the same name would be read as two."""


def column_names(names: Iterable[str]) -> list[str]:
    """The names that columns of the table have here: their own, with `_in_table` behind where that
    is taken, whatever the case.
    """
    taken = {field.name for field in _FIELDS} | set(_PARTITIONS)
    found = []
    for name in names:
        while name.lower() in taken:
            name += "_in_table"  # noqa: PLW2901 - until it is free
        taken.add(name.lower())
        found.append(name)
    return found


def fields() -> list[pa.Field[Any]]:
    """The columns that stand before those of the table."""
    return list(_FIELDS)


def encode(run: Run, top: list[dict[str, Any]], cells: pa.Table) -> bytes:
    """The file's bytes.

    Args:
        run: the run.
        top: `anomalies.top` of the summary.
        cells: the same rows of the cleaned table, in the same order, all columns.
    """
    first: list[dict[str, Any]] = [next(iter(entry["columns"]), {}) for entry in top]
    columns: list[list[Any]] = [
        [run.run_id] * len(top),
        list(range(1, len(top) + 1)),
        [entry["line"] for entry in top],
        [entry["row"] for entry in top],
        [entry["score"] for entry in top],
        [entry["neighbour_line"] for entry in top],
        [entry["neighbour"] for entry in top],
        [part.get("column") for part in first],
        [part.get("value") for part in first],
        [part.get("neighbour_value") for part in first],
        [
            ", ".join(
                f"{part['column']} {figures.percent(part['share'], 1)}" for part in entry["columns"]
            )
            for entry in top
        ],
    ]
    own = [pa.array(values, field.type) for values, field in zip(columns, _FIELDS, strict=True)]
    theirs = cells.rename_columns(column_names(cells.column_names))
    table = pa.table([*own, *theirs.columns], schema=pa.schema([*_FIELDS, *theirs.schema]))
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()

"""Cleaned tables for tests: Parquet and manifest as the contract wants them, on any bucket."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from workloads.contract import Run
from workloads.records import Column, ColumnUse, Manifest, Unit

FIRST_LINE = 2


def run_of(name: str) -> Run:
    return Run(f"20260131-{name}-{hashlib.sha256(name.encode()).hexdigest()[:12]}")


def lines_object() -> bytes:
    """Every row of a file with a header in its own line."""
    buffer = io.BytesIO()
    pq.write_table(pa.table({"row": [0], "line": [FIRST_LINE]}), buffer)
    return buffer.getvalue()


Columns = npt.NDArray[np.float64] | Sequence[npt.NDArray[np.float64] | npt.NDArray[np.int64]]
"""(columns, rows) of float64, or columns of float64 and int64."""


def write_table(
    run: Run, values: Columns, unit_rows: int, uses: Mapping[int, ColumnUse]
) -> tuple[bytes, Manifest]:
    """Parquet with a text column beside the numbers; row group = unit.

    `uses` are those of columns that rows are not compared by.
    """
    columns, rows = len(values), len(values[0])
    names = [f"c{index}" for index in range(columns)]
    arrays: dict[str, Any] = {"label": pa.array([f"row {i}" for i in range(rows)])}
    arrays |= {
        name: pa.array(column, from_pandas=True) for name, column in zip(names, values, strict=True)
    }  # NaN -> null
    table = pa.table(arrays)
    buffer = io.BytesIO()
    bounds = []
    with pq.ParquetWriter(buffer, table.schema, compression="lz4", use_dictionary=False) as writer:
        for start in range(0, rows, unit_rows):
            before = buffer.tell() or 4
            writer.write_table(table.slice(start, unit_rows), row_group_size=unit_rows)
            bounds.append((start, min(unit_rows, rows - start), before, buffer.tell()))
    data = buffer.getvalue()
    footer = bounds[-1][3] if bounds else 4
    units = tuple(
        Unit(
            index=index,
            rows=count,
            row_offset=start,
            byte_offset=first,
            byte_length=last - first,
            sha256=hashlib.sha256(data[first:last]).hexdigest(),
        )
        for index, (start, count, first, last) in enumerate(bounds)
    )
    missing = [table.column(name).null_count for name in names]
    manifest = Manifest(
        run_id=run.run_id,
        source={},
        rows_read=rows,
        rows=rows,
        rejected={},
        columns=(
            Column(
                name="label",
                source_name="label",
                kind="text",
                type="string",
                missing=0,
                use="keep",
                reason="text",
            ),
            *(
                Column(
                    name=name,
                    source_name=name,
                    kind="number",
                    type=str(table.schema.field(name).type),
                    missing=missing[index],
                    use=uses.get(index, "compare"),
                    reason="numbers",
                )
                for index, name in enumerate(names)
            ),
        ),
        remarks=(),
        unit_rows=unit_rows,
        lines_key=run.lines_key,
        table_key=run.table_key,
        table_bytes=len(data),
        footer_offset=footer,
        units=units,
    )
    return data, manifest

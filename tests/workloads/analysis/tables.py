"""Cleaned tables for tests: Parquet and manifest as the contract wants them, on any bucket."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from workloads.contract import Run
from workloads.records import Column, Manifest, Unit

FIRST_LINE = 2


def run_of(name: str) -> Run:
    return Run(f"20260131-{name}-{hashlib.sha256(name.encode()).hexdigest()[:12]}")


def lines_object() -> bytes:
    """Every row of a file with a header in its own line."""
    buffer = io.BytesIO()
    pq.write_table(pa.table({"row": [0], "line": [FIRST_LINE]}), buffer)
    return buffer.getvalue()


def write_table(run: Run, values: npt.NDArray[np.float64], unit_rows: int) -> tuple[bytes, Manifest]:
    """(columns, rows) as Parquet with a text column beside the numbers; row group = unit."""
    columns, rows = values.shape
    names = [f"c{index}" for index in range(columns)]
    arrays: dict[str, Any] = {"label": pa.array([f"row {i}" for i in range(rows)])}
    arrays |= {name: pa.array(column, pa.float64(), from_pandas=True) for name, column in zip(names, values, strict=True)}  # NaN -> null
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
    missing = np.isnan(values).sum(axis=1)
    manifest = Manifest(
        run_id=run.run_id,
        source={},
        rows_read=rows,
        rows=rows,
        rejected={},
        columns=(
            Column(name="label", source_name="label", kind="text", type="string", missing=0, use="keep", reason="text"),
            *(
                Column(name=name, source_name=name, kind="number", type="double", missing=int(count), use="compare", reason="numbers")
                for name, count in zip(names, missing, strict=True)
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

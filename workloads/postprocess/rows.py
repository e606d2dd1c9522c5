"""Rows of the cleaned table again: their cells in all columns, and the lines of the file that they
came from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workloads.decoding import decoding
from workloads.lines import Lines
from workloads.records import Column, Manifest
from workloads.runtime.errors import StageError
from workloads.runtime.window import Window

_AGAIN: Final = (
    "the cleaned table and its manifest do not belong together; run the preprocess stage again"
)


@dataclass(frozen=True, kw_only=True)
class SourceRow:
    """A row of the table as the file had it."""

    line: int
    """Line of the file, counted from 1, header and all."""
    identifiers: dict[str, Any]
    """Column by which people know the row, rather than compare it -> its cell."""
    values: dict[str, Any]
    """Every column -> its cell: number, text, boolean, ISO 8601 date or time, or None."""


def is_identifier(column: Column) -> bool:
    """Whether a column says which row it is: texts, codes, dates and times, which are kept and not
    analysed.
    """
    return column.use == "keep" and column.kind != "boolean"


def source_rows(
    manifest: Manifest, lines: Lines, cells: pa.Table, ids: Sequence[int]
) -> dict[int, SourceRow]:
    """Rows by their number; `cells` holds them in the order of `ids`, as `read_rows` returns
    them.
    """
    known = [column.name for column in manifest.columns if is_identifier(column)]
    found = {}
    with decoding("the cleaned table", hint=_AGAIN):  # dates may lie outside of Python's
        listed = cells.to_pylist()
    for row, values in zip(ids, listed, strict=True):
        shown = {name: _plain(value) for name, value in values.items()}
        found[row] = SourceRow(
            line=lines.of(row), identifiers={name: shown[name] for name in known}, values=shown
        )
    return found


def read_rows(
    manifest: Manifest, read_range: Callable[[int, int], bytes], ids: Sequence[int]
) -> pa.Table:
    """Rows of the cleaned table with all of their columns, in the order of `ids`.

    Reads the footer and the units that hold them, one at a time.

    Args:
        manifest: what preprocess wrote.
        read_range: reads `length` bytes of the Parquet object from byte `start`, given in this
            order.
        ids: row numbers, from 0, each once.

    Raises:
        StageError: a row is not in the table, or an object is damaged.
    """
    footer = read_range(manifest.footer_offset, manifest.table_bytes - manifest.footer_offset)
    starts = np.array([unit.row_offset for unit in manifest.units], np.int64)
    wanted = np.array(ids, np.int64)
    if any(not 0 <= row < manifest.rows for row in ids):
        raise StageError(
            f"{manifest.table_key} has {manifest.rows} rows; one of {wanted.tolist()} is not among"
            " them",
            hint=_AGAIN,
        )
    places = np.searchsorted(starts, wanted, side="right") - 1
    with decoding(manifest.table_key, hint=_AGAIN):
        metadata = pq.read_metadata(pa.BufferReader(footer))
        parts, order = [metadata.schema.to_arrow_schema().empty_table()], []
        for index in np.unique(places).tolist():
            unit = manifest.units[index]
            data = read_range(unit.byte_offset, unit.byte_length)
            if hashlib.sha256(data).hexdigest() != unit.sha256:
                raise StageError(
                    f"unit {index} of {manifest.table_key} is damaged: its sha256 is not the"
                    " manifest's",
                    hint=_AGAIN,
                )
            stretches = ((unit.byte_offset, data), (manifest.footer_offset, footer))
            source = pa.PythonFile(Window(manifest.table_bytes, stretches), mode="r")
            group = pq.ParquetFile(source, metadata=metadata, pre_buffer=False).read_row_group(
                index, use_threads=False
            )
            here = np.flatnonzero(places == index)
            parts.append(group.take(pa.array(wanted[here] - unit.row_offset, pa.int64())))
            order.append(here)
        found = pa.concat_tables(parts)
        found.validate(
            full=True
        )  # texts that are no UTF-8, dates within days: what no reader checks by itself
        if found.column_names != [column.name for column in manifest.columns]:
            raise ValueError("its columns are not those of the manifest")
    back = np.argsort(np.concatenate(order)) if order else np.zeros(0, np.int64)
    return found.take(pa.array(back, pa.int64()))


def _plain(value: Any) -> Any:
    """A cell as JSON has it."""
    return value.isoformat() if isinstance(value, date | datetime) else value

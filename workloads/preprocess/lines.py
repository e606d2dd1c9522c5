"""Which line of the file each kept row came from, as runs of consecutive lines: small for an
ordinary file, whatever its size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from workloads.preprocess.units import HashingSink, Sink

_SCHEMA: Final = pa.schema(
    [pa.field("row", pa.int64(), nullable=False), pa.field("line", pa.int64(), nullable=False)]
)
_GROUP: Final = 1 << 16
"""Entries held before they are written."""


@dataclass(frozen=True, slots=True)
class LineRuns:
    """Lines of some rows: from row `rows[i]` on, row r stands in line `lines[i] + (r -
    rows[i])`.
    """

    rows: NDArray[np.int64]
    lines: NDArray[np.int64]

    @classmethod
    def of(cls, lines: NDArray[np.int64]) -> LineRuns:
        """The runs of rows that stand in the given lines, one line for each row, ascending."""
        starts = np.flatnonzero(np.diff(lines, prepend=lines[:1] - 2) != 1)
        return cls(starts, lines[starts])


class LineWriter:
    """Writes the Parquet file that `Run.lines_key` names.

    Args:
        sink: Where it goes.
    """

    def __init__(self, sink: Sink) -> None:
        self._writer = parquet.ParquetWriter(
            cast("Any", HashingSink(sink)), _SCHEMA, compression="zstd", use_dictionary=False
        )
        self._pending: list[pa.Table] = []
        self._held = 0
        self._rows = 0
        self._next_line = 0

    def add(self, runs: LineRuns, count: int) -> None:
        """Takes the lines of the next `count` rows; `runs.rows` counts from the first of them."""
        if not count:
            return
        rows, lines = runs.rows + self._rows, runs.lines
        last_row, last_line = int(rows[-1]), int(lines[-1])
        self._rows += count
        if lines[0] == self._next_line:
            rows, lines = rows[1:], lines[1:]
        self._next_line = last_line + (self._rows - last_row)
        if len(rows):
            self._pending.append(pa.table([pa.array(rows), pa.array(lines)], schema=_SCHEMA))
            self._held += len(rows)
        if self._held >= _GROUP:
            self._flush()

    def close(self) -> None:
        """Writes what is left, and the footer."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._pending:
            self._writer.write_table(pa.concat_tables(self._pending).combine_chunks())
        self._pending, self._held = [], 0

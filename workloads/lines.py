"""Which line of the file each row of the cleaned table came from, as preprocess left it
(`Run.lines_key`).
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from workloads.decoding import decoding
from workloads.runtime.errors import StageError

_AGAIN = "the cleaned table and its manifest do not belong together; run the preprocess stage again"

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Runs of rows that stand in consecutive lines."""

    rows: Integers
    """(n,) first row of each run, ascending from 0."""
    lines: Integers
    """(n,) its line, counted from 1."""

    @classmethod
    def from_parquet(cls, data: bytes) -> Lines:
        """Raises StageError where the bytes are something else."""
        with decoding("lines.parquet", hint=_AGAIN):
            # read_table would load pyarrow's data sets first
            table = pq.ParquetFile(io.BytesIO(data)).read(columns=["row", "line"])
            columns = table.column("row"), table.column("line")
            if any(column.type != pa.int64() or column.null_count for column in columns):
                raise ValueError("its columns are not whole numbers")
            rows, lines = (column.to_numpy() for column in columns)
            if rows.size and (
                rows[0] != 0
                or lines[0] < 1
                or any(bool((each[1:] <= each[:-1]).any()) for each in (rows, lines))
            ):
                raise ValueError("its rows or lines do not ascend from the first")
        return cls(rows=rows, lines=lines)

    def of(self, row: int) -> int:
        """The line of a row. Raises StageError where the object knows no such row."""
        return int(self.of_rows(np.array([row], np.int64))[0])

    def of_rows(self, rows: Integers) -> Integers:
        """(n,) the lines of some rows. Raises StageError as `of` does."""
        places = np.searchsorted(self.rows, rows, side="right") - 1
        if places.size and int(places.min()) < 0:
            raise StageError(
                f"lines.parquet does not say where row {int(rows.min())} came from", hint=_AGAIN
            )
        return self.lines[places] + rows - self.rows[places]

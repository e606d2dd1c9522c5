"""Which line of the file each row of the cleaned table came from, as preprocess left it (`Run.lines_key`)."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

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
        try:
            table = pq.read_table(io.BytesIO(data), columns=["row", "line"])
            rows, lines = (table.column(name).to_numpy().astype(np.int64) for name in ("row", "line"))
        except (pa.ArrowException, KeyError, OSError) as error:
            raise StageError(f"lines.parquet cannot be read: {error}", hint=_AGAIN) from error
        return cls(rows=rows, lines=lines)

    def of(self, row: int) -> int:
        """The line of a row. Raises StageError where the object knows no such row."""
        return int(self.of_rows(np.array([row], np.int64))[0])

    def of_rows(self, rows: Integers) -> Integers:
        """(n,) the lines of some rows. Raises StageError as `of` does."""
        places = np.searchsorted(self.rows, rows, side="right") - 1
        if places.size and int(places.min()) < 0:
            raise StageError(f"lines.parquet does not say where row {int(rows.min())} came from", hint=_AGAIN)
        return self.lines[places] + rows - self.rows[places]

"""The cleaned table as the analysis reads it: unit by unit, never whole.

A unit is a row group, a byte range of the Parquet object. Ranges are fetched and decoded by threads
while the caller computes; at most a few units are in memory. Text columns travel with the range,
because its checksum covers them, but are not decoded.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from workloads.analysis.profile.leaf_numpy import Rests
from workloads.analysis.profile.moments import Floats
from workloads.decoding import decoding
from workloads.records import Manifest, Unit
from workloads.runtime.errors import StageError
from workloads.runtime.places import Ranges
from workloads.runtime.window import Window

_HINT: Final = (
    "the cleaned table and its manifest do not belong together; run the preprocess stage again"
)
_DTYPES: Final = {"double": np.float64, "int64": np.int64}
"""Arrow types of the columns that are read."""
_EXACT: Final = 1 << 53
"""Largest whole number up to which float64 holds all of them."""
_AHEAD: Final = 3
"""Units being fetched or waiting: one S3 connection gives some 50 to 90 MB/s, several in flight
keep up with the arithmetic.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class UnitData:
    """A decoded unit."""

    unit: Unit
    values: Floats
    """(columns, rows); NaN where a value is missing."""
    rests: Rests
    """Column -> (rows,) what float64 takes from whole numbers beyond 2^53: a value is the sum of
    both. Columns not named lose nothing.
    """


class Table:
    """The number columns of one cleaned table, of which there may be none.

    Args:
        manifest: What preprocess wrote.
        read_range: Reads `length` bytes of the Parquet object from byte `start`, both given in this
            order.
        copy: Ranges of a copy of the object, which is nearer; a unit that is not there, or is not
            the manifest's, is read from the object.

    Raises:
        StageError: The footer is not what the manifest says.
    """

    def __init__(
        self,
        manifest: Manifest,
        read_range: Callable[[int, int], bytes],
        copy: Ranges | None = None,
    ) -> None:
        self.manifest = manifest
        self._copy = copy
        described = [column for column in manifest.columns if column.use != "keep"]
        self.columns = tuple(column.name for column in described)
        self.compared = np.array(
            [place for place, column in enumerate(described) if column.use == "compare"], np.int64
        )
        """(d',) places among `columns` of those that rows may be compared by."""
        self.whole = tuple(
            place for place, column in enumerate(described) if column.type == "int64"
        )
        """Places of the columns that hold whole numbers, exact up to 2^63."""
        self._read_range = read_range
        self._footer = read_range(
            manifest.footer_offset, manifest.table_bytes - manifest.footer_offset
        )
        with self._decoding("the Parquet footer"):
            self._metadata = pq.read_metadata(pa.BufferReader(self._footer))
        if self._metadata.num_row_groups != len(manifest.units):
            raise StageError(
                f"{manifest.table_key} has {self._metadata.num_row_groups} row groups, but the"
                f" manifest lists {len(manifest.units)} units",
                hint=_HINT,
            )
        with self._decoding("the Parquet footer"):
            schema = self._metadata.schema.to_arrow_schema()
        for name in self.columns:
            place = schema.get_field_index(name)
            found = "missing" if place < 0 else str(schema.field(place).type)
            if found not in _DTYPES:
                raise StageError(
                    f"{manifest.table_key}: column {name!r} is {found}; the analysis reads"
                    f" {', '.join(_DTYPES)}",
                    hint=_HINT,
                )

    def units(self, wanted: Sequence[int]) -> Generator[UnitData]:
        """The units in order, fetched ahead.

        Raises StageError that names the unit where a range is not what the manifest says.
        """
        pending: deque[Future[UnitData]] = deque()
        ahead = iter(wanted)
        pool = ThreadPoolExecutor(_AHEAD, thread_name_prefix="unit-read")
        try:
            for _ in wanted:
                while len(pending) < _AHEAD and (index := next(ahead, None)) is not None:
                    pending.append(pool.submit(self.read_unit, index))
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def read_unit(self, index: int) -> UnitData:
        """Fetch, check and decode one unit. Raises StageError."""
        unit = self.manifest.units[index]
        if not self.columns:
            return UnitData(unit=unit, values=np.empty((0, unit.rows)), rests={})
        data = self._checked(index, unit)
        with self._decoding(f"unit {index}"):
            stretches = ((unit.byte_offset, data), (self.manifest.footer_offset, self._footer))
            source = pa.PythonFile(Window(self.manifest.table_bytes, stretches), mode="r")
            file = pq.ParquetFile(source, metadata=self._metadata, pre_buffer=False)
            table = file.read_row_group(index, columns=list(self.columns), use_threads=False)
        if table.num_rows != unit.rows:
            raise StageError(
                f"unit {index} of {self.manifest.table_key} has {table.num_rows} rows, not"
                f" {unit.rows}",
                hint=_HINT,
            )
        values = np.empty((len(self.columns), unit.rows))
        rests = {}
        for place, name in enumerate(self.columns):
            rest = _copy(table.column(name), values[place])
            if rest is not None:
                rests[place] = rest
        return UnitData(unit=unit, values=values, rests=rests)

    def _checked(self, index: int, unit: Unit) -> bytes:
        """The bytes of a unit that the manifest means."""
        if self._copy is not None:
            near = self._copy.read(unit.byte_offset, unit.byte_length)
            if near is not None and hashlib.sha256(near).hexdigest() == unit.sha256:
                return near
            self._copy.distrust(f"unit {index} is not that of {self.manifest.table_key}")
        data = self._read_range(unit.byte_offset, unit.byte_length)
        if hashlib.sha256(data).hexdigest() != unit.sha256:
            raise StageError(
                f"unit {index} of {self.manifest.table_key} is damaged: its sha256 is not the"
                " manifest's",
                hint=_HINT,
            )
        return data

    @contextmanager
    def _decoding(self, what: str) -> Iterator[None]:
        with decoding(f"{what} of {self.manifest.table_key}", hint=_HINT):
            yield


def _copy(column: Any, target: Floats) -> Floats | None:
    """Copies a column of numbers, null as NaN, and returns what float64 takes from whole numbers
    beyond 2^53 if there are any.

    By its buffers, because ChunkedArray.to_numpy imports pandas first where that is installed.
    """
    start = 0
    dtype = np.dtype(_DTYPES[str(column.type)])
    rest = None
    for chunk in column.chunks:
        validity, data = chunk.buffers()
        place = target[start : start + len(chunk)]
        found: npt.NDArray[Any] = np.frombuffer(
            memoryview(data), dtype, len(chunk), chunk.offset * dtype.itemsize
        )
        place[...] = found
        if dtype.kind == "i" and found.size and max(int(found.max()), -int(found.min())) > _EXACT:
            rest = np.zeros(target.size) if rest is None else rest
            rest[start : start + len(chunk)] = _lost(found, place)
        if chunk.null_count:
            bits = np.unpackbits(np.frombuffer(memoryview(validity), np.uint8), bitorder="little")
            missing = bits[chunk.offset : chunk.offset + len(chunk)] == 0
            place[missing] = np.nan
            if rest is not None:
                rest[start : start + len(chunk)][missing] = 0.0
        start += len(chunk)
    return rest


def _lost(numbers: npt.NDArray[np.int64], rounded: Floats) -> Floats:
    """What rounding took from them, without overflow where it rounded up to 2^63."""
    top = rounded >= 2.0**63
    back = np.where(top, 0.0, rounded).astype(np.int64)
    return np.where(top, numbers - np.iinfo(np.int64).max - 1, numbers - back).astype(np.float64)

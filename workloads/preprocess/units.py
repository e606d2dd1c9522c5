"""The cleaned table: Parquet whose row groups are the analysis units, written unit by unit."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, cast

import pyarrow as pa
from pyarrow import parquet

from workloads.preprocess.columns import INTEGER, NUMBER
from workloads.records import Unit
from workloads.runtime.errors import StageError

if TYPE_CHECKING:
    from types import TracebackType

MAX_UNIT_BYTES: Final = 256 << 20


class Sink(Protocol):
    """Something to write bytes to."""

    def write(self, data: Any, /) -> int | None:
        """Takes all of `data`."""


class HashingSink(io.RawIOBase):
    """A file for Arrow to write to, which counts bytes and keeps their SHA-256.

    Closing it leaves the sink inside open: Arrow closes its files also while an error passes
    through, and only the sink's owner knows whether what was written is whole.
    """

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink
        self._position = 0
        self._digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        """Takes all of `data`."""
        self._sink.write(data)
        self._digest.update(data)
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        """Bytes written so far."""
        return self._position

    def writable(self) -> bool:
        """True."""
        return True

    def discard(self) -> None:
        """Lets everything written from now on vanish."""
        self._sink = io.BytesIO()

    def restart(self) -> str:
        """The digest since the last call, in hexadecimal."""
        digest, self._digest = self._digest.hexdigest(), hashlib.sha256()
        return digest


class UnitWriter:
    """Collects tables and writes a row group whenever a unit is full.

    Numbers are stored plain and uncompressed, so that reading them is copying: the costly machines
    must not wait for a decoder. Other columns are packed with Zstandard. Memory: one unit and the
    table added last.

    Args:
        sink: where the Parquet file goes.
        schema: of all tables.
        unit_rows: rows of every unit but the last.
    """

    def __init__(self, sink: Sink, schema: pa.Schema, *, unit_rows: int) -> None:
        numbers = {field.name for field in schema if field.type in (INTEGER.arrow, NUMBER.arrow)}
        self._schema = schema
        self._unit_rows = unit_rows
        self._sink = HashingSink(sink)
        self._writer = parquet.ParquetWriter(
            cast("Any", self._sink),
            schema,
            compression={name: "none" if name in numbers else "zstd" for name in schema.names},
            use_dictionary=cast(
                "Any", [field.name for field in schema if field.type == pa.string()]
            ),
            write_statistics=[name for name in schema.names if name not in numbers],
            store_schema=False,
        )
        self._sink.restart()  # the magic at the file's beginning belongs to no unit
        self._first_byte = self._sink.tell()
        self._pending: list[pa.Table] = []
        self._pending_rows = 0
        self.units: list[Unit] = []
        self.missing = dict.fromkeys(schema.names, 0)
        """Cells without a value so far, by column."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            # pyarrow writes a footer whenever it lets go of a file; a broken table must not get one
            self._sink.discard()
            self._writer.close()

    @property
    def rows(self) -> int:
        """Rows written so far."""
        return self.units[-1].row_offset + self.units[-1].rows if self.units else 0

    def add(self, table: pa.Table) -> list[pa.Table]:
        """Takes the next rows; returns the units that they completed.

        Raises StageError where a unit outgrows memory.
        """
        self._pending.append(table)
        self._pending_rows += table.num_rows
        done = []
        while self._pending_rows >= self._unit_rows:
            done.append(self._write(self._unit_rows))
        held = sum(part.nbytes for part in self._pending)
        if held > MAX_UNIT_BYTES:
            raise StageError(
                f"{self._pending_rows:,} rows take {held >> 20} MiB; a unit of {self._unit_rows:,}"
                f" may take {MAX_UNIT_BYTES >> 20}",
                hint="lower jobs.preprocess.unit_rows in the stack file",
            )
        return done

    def finish(self) -> list[pa.Table]:
        """Writes the last, shorter unit, if any, and the footer; returns that unit."""
        done = [self._write(self._pending_rows)] if self._pending_rows else []
        self._writer.close()
        return done

    @property
    def size(self) -> int:
        """Bytes written."""
        return self._sink.tell()

    @property
    def footer_offset(self) -> int:
        """First byte after the last row group."""
        return (
            self.units[-1].byte_offset + self.units[-1].byte_length
            if self.units
            else self._first_byte
        )

    def _write(self, rows: int) -> pa.Table:
        pending = pa.concat_tables(self._pending)
        unit = pending.slice(
            0, rows
        ).combine_chunks()  # one chunk, so that the pages do not depend on how the rows arrived
        rest = pending.slice(rows)
        self._pending, self._pending_rows = ([rest] if rest.num_rows else []), rest.num_rows
        offset, row_offset = self.size, self.rows
        self._writer.write_table(unit, row_group_size=rows)
        self.units.append(
            Unit(
                index=len(self.units),
                rows=rows,
                row_offset=row_offset,
                byte_offset=offset,
                byte_length=self.size - offset,
                sha256=self._sink.restart(),
            )
        )
        for name, column in zip(unit.schema.names, unit.columns, strict=True):
            self.missing[name] += column.null_count
        return unit

"""From a block of whole records to typed columns and rejected rows.

Arrow's CSV reader does the work. Where it refuses a cell, that column is read as text from then on and converted by kinds.convert, which
gives the same values and tells which cells are wrong. Blocks are independent of each other: several threads may parse at once.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from workloads.preprocess import kinds
from workloads.preprocess.kinds import ColumnPlan
from workloads.preprocess.lines import LineRuns
from workloads.preprocess.records import QUOTE, Block, Reject, raw_text

IncompleteRows: TypeAlias = Literal["reject", "keep"]
_SHOWN: Final = 80
"""Characters of a cell that are enough to recognise it."""
Mend: TypeAlias = Callable[[Block, Sequence[int]], tuple[Block | None, list[Reject]]]
"""Makes the records at some places of a block, counted without blank ones, as wide as the table; returns those that cannot be.

None in place of the block: none of them can."""
_REFUSED_COLUMN: Final = re.compile(r"In CSV column #(\d+)")


def read_cells(
    data: bytes, *, delimiter: str, decimal: str, types: Mapping[str, pa.DataType], on_ragged: Callable[[int, int], None] | None
) -> pa.Table:
    """Reads whole records of valid UTF-8 as a table of the given columns, in this thread.

    Rows with another number of fields are left out; `on_ragged` is told their place among the records that are not blank, and their number
    of fields. Raises pyarrow.ArrowInvalid where a cell cannot be converted.
    """

    def skip(row: csv.InvalidRow) -> Literal["skip"]:
        if on_ragged is not None and row.number is not None:  # None only with threads
            on_ragged(row.number - 1, row.actual_columns)
        return "skip"

    if not data.strip(b"\r\n"):
        return pa.table({name: pa.array([], kind) for name, kind in types.items()})
    if data.startswith(codecs.BOM_UTF8):
        data = b"\n" + data  # Arrow drops a byte order mark at the beginning, but here it stands in the middle of the file
    return csv.read_csv(
        cast("Any", pa.BufferReader(data)),
        csv.ReadOptions(use_threads=False, column_names=list(types), block_size=len(data) + 1),
        csv.ParseOptions(delimiter=delimiter, newlines_in_values=QUOTE in data, invalid_row_handler=skip),
        csv.ConvertOptions(
            check_utf8=False,
            column_types=dict(types),
            decimal_point=decimal,
            null_values=list(kinds.MISSING),
            true_values=list(kinds.TRUE),
            false_values=list(kinds.FALSE),
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )


@dataclass(frozen=True, slots=True)
class Parsed:
    """A block after parsing."""

    table: pa.Table
    """The rows that were kept, in file order."""
    rejects: list[Reject]
    """The others, by line."""
    lines: LineRuns
    """Where the rows that were kept stand in the file."""


class BlockParser:
    """Parses blocks of one file; safe to call from several threads.

    Args:
        columns: names and kinds, from the dialect.
        delimiter: one ASCII character.
        decimal: decimal sign, `.` or `,`.
        incomplete_rows: what becomes of a row without a value in a number column.
        mend: makes rows of another width fit or rejects them; without it, all are rejected.
    """

    def __init__(
        self, *, columns: Sequence[ColumnPlan], delimiter: str, decimal: str, incomplete_rows: IncompleteRows, mend: Mend | None = None
    ) -> None:
        self._columns = tuple(columns)
        self._delimiter = delimiter
        self._decimal = decimal
        self._incomplete_rows = incomplete_rows
        self._mend = mend
        self._as_text: frozenset[int] = frozenset()
        """Columns in which a cell was refused so far. Which path a column takes does not change the result, so threads need not agree."""

    @property
    def schema(self) -> pa.Schema:
        """Of the tables; number columns take no null where incomplete rows are rejected."""
        nullable = self._incomplete_rows == "keep"
        return pa.schema([pa.field(c.name, c.kind.arrow, nullable=nullable or c.kind is not kinds.NUMBER) for c in self._columns])

    def parse(self, block: Block) -> Parsed:
        """The rows of a block, sorted into those that enter the table and those that do not."""
        return self._parse(block, mend=self._mend)

    def _parse(self, block: Block, *, mend: Mend | None) -> Parsed:
        rejects: list[Reject] = []
        layout = _Layout(block, ord(self._delimiter))
        if not _is_utf8(block.data):
            block = layout.without_undecodable(rejects).block()
            layout = _Layout(block, ord(self._delimiter))

        table, ragged = self._read(block.data)
        if ragged and mend is not None:
            mended, hopeless = mend(block, list(ragged))
            rejects += hopeless
            if mended is not None:
                parsed = self._parse(mended, mend=None)
                return Parsed(parsed.table, sorted([*rejects, *parsed.rejects], key=lambda reject: reject.line), parsed.lines)
        places = np.arange(table.num_rows + len(ragged))
        if ragged:
            found = np.fromiter(ragged, np.int64)
            if mend is None:
                details = [f"{plural(fields, 'field')} instead of {len(self._columns)}" for fields in ragged.values()]
                rejects += layout.reject(found, "wrong number of fields", details)
            places = np.delete(places, found)

        keep = np.ones(table.num_rows, bool)
        columns = [self._typed(table, index, keep, places, layout, rejects) for index in range(len(self._columns))]
        if self._incomplete_rows == "reject":
            for column, plan in zip(columns, self._columns, strict=True):
                if plan.kind is kinds.NUMBER and column.null_count:
                    lacking = keep & ~pc.is_valid(column).to_numpy(zero_copy_only=False)
                    keep &= ~lacking
                    lost = places[lacking]
                    rejects += layout.reject(lost, "incomplete", [f"no value in column '{plan.source_name or plan.name}'"] * len(lost))
        result = pa.Table.from_arrays(columns, schema=self.schema)
        lines = LineRuns.of(layout.lines(places, table.num_rows + len(ragged))[keep])
        if not keep.all():
            result = result.filter(pa.array(keep))
        return Parsed(result, sorted(rejects, key=lambda reject: reject.line), lines)

    def _read(self, data: bytes) -> tuple[pa.Table, dict[int, int]]:
        """The cells of the well-formed rows, and place -> number of fields of the others."""
        while True:
            ragged: dict[int, int] = {}
            as_text = self._as_text  # another thread may add to it meanwhile
            types = {c.name: pa.string() if i in as_text else c.kind.arrow for i, c in enumerate(self._columns)}
            try:
                table = read_cells(data, delimiter=self._delimiter, decimal=self._decimal, types=types, on_ragged=ragged.__setitem__)
            except pa.ArrowInvalid as error:
                refused = _REFUSED_COLUMN.match(str(error))
                if refused is None or int(refused[1]) in as_text:
                    raise
                self._as_text |= {int(refused[1])}
                continue
            overflowing = frozenset(i for i, column in enumerate(table.columns) if column.type == kinds.FLOAT and not _all_finite(column))
            if not overflowing:
                return table, ragged
            self._as_text |= overflowing

    def _typed(
        self, table: pa.Table, index: int, keep: NDArray[np.bool_], places: NDArray[np.int64], layout: _Layout, rejects: list[Reject]
    ) -> kinds.Array:
        """A column in its kind; rows with a wrong cell are taken out of `keep` and rejected, once each."""
        plan = self._columns[index]
        cells = table.column(index).combine_chunks()
        if cells.type == plan.kind.arrow:
            return cells
        converted = kinds.convert(cells, plan.kind, self._decimal)
        new = converted.wrong & keep
        if new.any():
            texts = cast("list[str]", cells.filter(pa.array(new)).to_pylist())
            found = [kinds.reason(text, plan.kind, self._decimal) for text in texts]
            name = plan.source_name or plan.name
            details = [f"column '{name}': '{_shortened(text)}' {sentence}" for text, (_, sentence) in zip(texts, found, strict=True)]
            rejects += layout.reject(places[new], [reason for reason, _ in found], details)
            keep &= ~new
        return converted.values


class _Layout:
    """Where the records of a block that are not blank stand; worked out only when a row is rejected."""

    def __init__(self, block: Block, delimiter: int) -> None:
        self._block = block
        self._delimiter = delimiter
        self._spans: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]] | None = None

    def _starts_ends_lines(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        if self._spans is None:
            self._spans = self._block.spans(self._delimiter)
        return self._spans

    def lines(self, places: NDArray[np.int64], records: int) -> NDArray[np.int64]:
        """Lines of the records at some places, of so many records in all."""
        if self._spans is None and self._one_line_each(records):
            return places + self._block.first_line
        return self._starts_ends_lines()[2][places]

    def _one_line_each(self, records: int) -> bool:
        data = self._block.data
        if self._block.lines is not None:
            return False
        returns = data.count(b"\r")
        ends = data.count(b"\n") if returns == 0 or returns == data.count(b"\r\n") else -1
        return ends + (not data.endswith(b"\n")) == records

    def reject(self, places: NDArray[np.int64], reasons: str | list[str], details: list[str]) -> list[Reject]:
        """The rejections of the records at some places, counted from 0; one reason for all, or one each."""
        starts, ends, lines = (values[places].tolist() for values in self._starts_ends_lines())
        data = self._block.data
        raws = self._block.raws or {}
        each = [reasons] * len(places) if isinstance(reasons, str) else reasons
        return [
            Reject(line, reason, detail, raw_text(raws.get(start) or data[start:end]))
            for start, end, line, reason, detail in zip(starts, ends, lines, each, details, strict=True)
        ]

    def without_undecodable(self, rejects: list[Reject]) -> _Layout:
        """The layout without the records that are not valid UTF-8, which are rejected."""
        starts, ends, lines = self._starts_ends_lines()
        data = self._block.data
        good = np.array([_is_utf8(data[start:end]) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)], bool)
        bad = np.flatnonzero(~good)
        rejects += self.reject(bad, "not valid text", ["the row holds bytes that are not valid UTF-8"] * len(bad))
        rest = _Layout(self._block, self._delimiter)
        rest._spans = starts[good], ends[good], lines[good]
        return rest

    def block(self) -> Block:
        """A block of the records of this layout."""
        starts, ends, lines = self._starts_ends_lines()
        old = self._block
        parts: list[bytes] = []
        raws: dict[int, bytes] = {}
        size = 0
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            if old.raws is not None and start in old.raws:
                raws[size] = old.raws[start]
            parts.append(old.data[start:end])
            size += end - start
        return Block(b"".join(parts), old.first_line, lines=lines, raws=raws)


def plural(count: int, noun: str) -> str:
    """`1 field`, `2 fields`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _all_finite(column: pa.ChunkedArray[Any]) -> bool:
    return pc.all(pc.is_finite(column)).as_py() is not False

"""From a block of whole records to typed columns and rejected rows.

Arrow's CSV reader does the work. Where it refuses a cell, that column is read as text and converted
by `convert`, which gives the same values and tells which cells are wrong. Blocks are independent of
each other: several threads may parse at once.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from workloads.preprocess import missing, survey
from workloads.preprocess.columns import INTEGER, NUMBER, TEXT, Array, IncompleteRows
from workloads.preprocess.convert import FALSE, TRUE, convert, reason
from workloads.preprocess.gaps import no_gaps, pack
from workloads.preprocess.lines import LineRuns
from workloads.preprocess.places import RecordPlaces, is_utf8
from workloads.preprocess.plan import Plan
from workloads.preprocess.records import QUOTE, Block, Reject
from workloads.preprocess.survey import Seen
from workloads.preprocess.tally import mask
from workloads.preprocess.wholes import has_leading_zero, may_underflow
from workloads.runtime.quoting import quoted

compute: Any = pc

_REFUSED_COLUMN: Final = re.compile(r"In CSV column #(\d+)")
_ZERO_FIRST: Final = r"^\s*[+-]?0[0-9xX]"
_OFTEN: Final = 3
"""Blocks in which a column held cells that Arrow refuses, from which on it is read as text at
once.
"""

Mend: TypeAlias = Callable[[Block, Sequence[int]], tuple[Block | None, list[Reject]]]
"""Makes the records at some places of a block, counted without blank ones, as wide as the table;
returns those that cannot be.

None in place of the block: none of them can.
"""


def read_cells(
    data: bytes,
    *,
    delimiter: str,
    decimal: str,
    types: Mapping[str, pa.DataType],
    on_ragged: Callable[[int, int], None] | None,
    only: list[str] | None = None,
) -> pa.Table:
    """Reads whole records of valid UTF-8 as a table of the given columns, in this thread; strings
    as they are, never null.

    Rows with another number of fields are left out; `on_ragged` is told their place among the
    records that are not blank, and their number of fields. `only`: the columns wanted, if not all.
    Raises pyarrow.ArrowInvalid where a cell cannot be converted.
    """

    def skip(row: csv.InvalidRow) -> Literal["skip"]:
        if on_ragged is not None and row.number is not None:  # None only with threads
            on_ragged(row.number - 1, row.actual_columns)
        return "skip"

    if not data[:2].strip(b"\r\n") and not data.strip(b"\r\n"):  # stripping copies
        return pa.table({name: pa.array([], types[name]) for name in only or types})
    if data.startswith(codecs.BOM_UTF8):
        # Arrow drops a byte order mark at the beginning, but here it stands in the middle
        data = b"\n" + data
    return csv.read_csv(
        cast("Any", pa.BufferReader(data)),
        csv.ReadOptions(use_threads=False, column_names=list(types), block_size=len(data) + 1),
        csv.ParseOptions(
            delimiter=delimiter, newlines_in_values=QUOTE in data, invalid_row_handler=skip
        ),
        csv.ConvertOptions(
            check_utf8=False,
            column_types=dict(types),
            include_columns=only,
            decimal_point=decimal,
            null_values=list(missing.SPELLINGS),
            true_values=list(TRUE),
            false_values=list(FALSE),
            strings_can_be_null=False,
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
    seen: Seen


class BlockParser:
    """Parses blocks of one file; safe to call from several threads.

    Args:
        plan: What the columns are.
        delimiter: One ASCII character.
        incomplete_rows: What becomes of a row without a value in a compared or required column.
        show_values: Whether the details of rejected rows may show what a cell holds.
        mend: Makes rows of another width fit or rejects them; without it, all are rejected.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        delimiter: str,
        incomplete_rows: IncompleteRows,
        show_values: bool,
        mend: Mend | None = None,
    ) -> None:
        self._columns = plan.columns
        self._decimal = plan.decimal
        self._delimiter = delimiter
        self._incomplete_rows = incomplete_rows
        self._show_values = show_values
        self._mend = mend
        self._direct = tuple(
            column.decision.spelling.plain and not column.decision.pattern
            for column in plan.columns
        )
        self._refused: Counter[int] = Counter()
        """Column -> blocks in which a cell was refused.

        Which path a column takes does not change the result, so threads need not agree.
        """

    @property
    def schema(self) -> pa.Schema:
        """Of the tables; columns that a complete row needs take no null where incomplete rows are
        rejected.
        """
        keeps = self._incomplete_rows == "keep"
        return pa.schema(
            [pa.field(c.name, c.kind.arrow, nullable=keeps or not c.needed) for c in self._columns]
        )

    def parse(self, block: Block) -> Parsed:
        """The rows of a block, sorted into those that enter the table and those that do not."""
        return self._parse(block, mend=self._mend)

    def _parse(self, block: Block, *, mend: Mend | None) -> Parsed:
        rejects: list[Reject] = []
        records = RecordPlaces(block, ord(self._delimiter))
        if not is_utf8(block.data):
            block = records.without_undecodable(rejects).block()
            records = RecordPlaces(block, ord(self._delimiter))

        table, ragged = self._read(block.data)
        if ragged and mend is not None:
            mended, hopeless = mend(block, list(ragged))
            rejects += hopeless
            if mended is not None:
                parsed = self._parse(mended, mend=None)
                return replace(
                    parsed,
                    rejects=sorted([*rejects, *parsed.rejects], key=lambda reject: reject.line),
                )
        places = np.arange(table.num_rows + len(ragged))
        if ragged:
            found = np.fromiter(ragged, np.int64)
            if mend is None:
                details = [
                    f"{plural(fields, 'field')} instead of {len(self._columns)}"
                    for fields in ragged.values()
                ]
                rejects += records.reject(found, "wrong number of fields", details)
            places = np.delete(places, found)

        keep = np.ones(table.num_rows, bool)
        odd: dict[int, Mapping[str, int]] = {}
        columns = [
            self._typed(table, index, keep, places, records, rejects, odd)
            for index in range(len(self._columns))
        ]
        compared = [
            one
            for one, plan in zip(columns, self._columns, strict=True)
            if plan.decision.use == "compare"
        ]
        with_gaps = any(one.null_count for one in compared)
        gaps = (
            pack([mask(compute.is_valid(one)) for one in compared])
            if with_gaps
            else no_gaps(len(compared))
        )
        if self._incomplete_rows == "reject":
            for column, plan in zip(columns, self._columns, strict=True):
                if plan.needed and column.null_count:
                    lacking = keep & ~mask(compute.is_valid(column))
                    keep &= ~lacking
                    without = places[lacking]
                    rejects += records.reject(
                        without,
                        "incomplete",
                        [f"no value in column {quoted(plan.label)}"] * len(without),
                    )
        result = pa.Table.from_arrays(columns, schema=self.schema)
        lines = LineRuns.of(records.lines(places, table.num_rows + len(ragged))[keep])
        if not keep.all():
            result = result.filter(pa.array(keep))
        seen = Seen(table.num_rows, odd, gaps)
        return Parsed(result, sorted(rejects, key=lambda reject: reject.line), lines, seen)

    def _read(self, data: bytes) -> tuple[pa.Table, dict[int, int]]:
        """The cells of the well-formed rows, typed or as text, and place -> number of fields of the
        others.
        """
        as_text = {
            index
            for index, direct in enumerate(self._direct)
            if not direct or self._refused[index] >= _OFTEN
        }
        as_text |= {
            index
            for index, column in enumerate(self._columns)
            if column.kind is NUMBER and column.decision.spelling.decimal != self._decimal
        }
        while True:
            ragged: dict[int, int] = {}
            types = {
                c.name: pa.string() if i in as_text else c.kind.arrow
                for i, c in enumerate(self._columns)
            }
            try:
                table = read_cells(
                    data,
                    delimiter=self._delimiter,
                    decimal=self._decimal,
                    types=types,
                    on_ragged=ragged.__setitem__,
                )
            except pa.ArrowInvalid as error:
                refused = _REFUSED_COLUMN.match(str(error))
                if refused is None or int(refused[1]) in as_text:
                    raise
                as_text.add(int(refused[1]))
                self._refused[int(refused[1])] += 1
                continue
            unsure = self._misread(table, data)
            if not unsure:
                return table, ragged
            as_text |= unsure

    def _misread(self, table: pa.Table, data: bytes) -> set[int]:
        """Columns in which Arrow's reader took a text for another number, or may have: they are to
        be read as text.
        """
        found = set()
        tiny = may_underflow(data)
        for index, column in enumerate(table.columns):
            if column.type == NUMBER.arrow and (
                compute.all(compute.is_finite(column)).as_py() is False
                or (tiny and compute.any(compute.equal(column, 0.0)).as_py())
            ):
                found.add(index)
        wholes = [
            column.name
            for column, typed in zip(self._columns, table.columns, strict=True)
            if typed.type == INTEGER.arrow and not column.decision.leading_zeros
        ]
        if wholes and has_leading_zero(data, ord(self._delimiter)):
            types = {column.name: pa.string() for column in self._columns}
            texts = read_cells(
                data,
                delimiter=self._delimiter,
                decimal=self._decimal,
                types=types,
                on_ragged=None,
                only=wholes,
            )
            for name in wholes:
                if compute.any(
                    compute.match_substring_regex(texts.column(name), _ZERO_FIRST)
                ).as_py():
                    found.add(table.schema.get_field_index(name))
        return found

    def _typed(
        self,
        table: pa.Table,
        index: int,
        keep: NDArray[np.bool_],
        places: NDArray[np.int64],
        records: RecordPlaces,
        rejects: list[Reject],
        odd: dict[int, Mapping[str, int]],
    ) -> Array:
        """A column in its kind; a wrong cell has no value, and takes its row out of `keep` where
        the row needs one.
        """
        plan = self._columns[index]
        cells = table.column(index).combine_chunks()
        if cells.type == plan.kind.arrow and plan.kind is not TEXT:
            return cells
        converted = convert(cells, plan.decision)
        if plan.unknown:
            present = converted.values.drop_null()
            if len(present):
                odd[index] = survey.count(present)
        if not converted.wrong.any():
            return converted.values
        wrong = cells.filter(pa.array(converted.wrong))
        odd[index] = survey.count(wrong)
        new = converted.wrong & keep
        if plan.needed and self._incomplete_rows == "reject" and new.any():
            texts = cast("list[str]", cells.filter(pa.array(new)).to_pylist())
            found = {text: reason(text, plan.decision) for text in odd[index]}
            details = [
                f"column {quoted(plan.label)}: {quoted(text, values=self._show_values)}"
                f" {found[text][1]}"
                for text in texts
            ]
            rejects += records.reject(places[new], [found[text][0] for text in texts], details)
            keep &= ~new
        return converted.values


def plural(count: int, noun: str) -> str:
    """`1 field`, `2 fields`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")

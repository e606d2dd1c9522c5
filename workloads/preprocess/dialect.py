"""How a CSV file is built: delimiter, header, names of its columns; decided from a sample."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from workloads.preprocess import kinds
from workloads.preprocess.parse import plural, read_cells
from workloads.preprocess.records import Block, blocks
from workloads.preprocess.source import Text
from workloads.runtime.errors import StageError

DELIMITERS: Final = (",", ";", "\t", "|")
MAX_COLUMNS: Final = 4096
_NAMES: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_LOOK_BYTES: Final = 256 << 10
_LOOK_ROWS: Final = 500
_AGREE: Final = 0.25
"""So many of the rows have to be as wide as the header for the header to be believed."""
_NUMBER_LIKE: Final = re.compile(r"\s*[+-]?[0-9]*[.,]?[0-9]+([eE][+-]?[0-9]+)?\s*")


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How the file is to be read; the quote is always the double quotation mark."""

    delimiter: str
    header: bool
    source_names: tuple[str, ...]
    """As in the file; empty where a column has no name."""
    cells: list[kinds.Array] = field(repr=False, compare=False)
    """The sample's cells below the header, as strings (null: missing), column by column."""

    @property
    def delimiter_name(self) -> str:
        """As in a sentence."""
        return _NAMES[self.delimiter]


def detect(text: Text) -> Dialect:
    """Decides the dialect from the sample. Raises StageError where there is no table in it."""
    look = text.sample[:_LOOK_BYTES]
    cut = not text.whole or len(look) < len(text.sample)
    candidates = [candidate for delimiter in DELIMITERS if (candidate := _Candidate.read(look, delimiter, cut=cut))]
    best = max(candidates, key=lambda candidate: candidate.score, default=None)
    if best is None:
        raise StageError(f"the first row is longer than {len(look):,} bytes", hint="is this a CSV file with line breaks?")
    first, width = best.rows[0], best.width
    if len(first) > MAX_COLUMNS:
        raise StageError(
            f"the first row has {len(first):,} fields; at most {MAX_COLUMNS:,} columns are supported",
            hint="split the table, or turn columns into rows",
        )
    if len(best.rows) == 1 and text.whole:
        raise StageError("the file holds a header and no data", hint="at least one row has to follow the header")
    if len(first) != width:
        raise StageError(
            f"the first row has {plural(len(first), 'field')}, but most of the rows after it have {width} "
            f"(delimiter: {_NAMES[best.delimiter]})",
            hint="the first row has to be the header, with one name per column",
        )

    cells = _sample_cells(text, best.delimiter, width)
    found = [kinds.infer(column, ".") for column in cells]
    typed = any(kind is not kinds.TEXT for kind in found)
    header = not (typed and all(kinds.fits(cell, kind, ".") for cell, kind in zip(first, found, strict=True)))
    source_names = tuple(name.strip() for name in first) if header else ("",) * width
    return Dialect(delimiter=best.delimiter, header=header, source_names=source_names, cells=cells)


@dataclass(frozen=True)
class _Candidate:
    """The beginning of the file as it looks with one delimiter."""

    delimiter: str
    rows: list[list[str]]

    @classmethod
    def read(cls, look: bytes, delimiter: str, *, cut: bool) -> _Candidate | None:
        """None where not even one row is complete."""
        rows: list[list[str]] = []
        parser = csv.reader(io.StringIO(look.decode(errors="replace"), newline=""), delimiter=delimiter)
        try:
            for row in parser:
                if row:
                    rows.append(row)
                if len(rows) > _LOOK_ROWS:
                    break
            else:
                if cut and rows:
                    rows.pop()  # the last row may go on after the sample
        except csv.Error:  # a field longer than the csv module takes; the rows before it tell enough
            pass
        return cls(delimiter, rows) if rows else None

    @property
    def width(self) -> int:
        """Fields of a row: as many as the header has, where enough rows agree; else as many as most rows have."""
        counts = Counter(len(row) for row in self.rows[1:] or self.rows)
        header = len(self.rows[0])
        if header > 1 and counts[header] >= counts.total() * _AGREE:
            return header
        return max(counts, key=lambda width: (counts[width], width))

    @property
    def score(self) -> tuple[bool, bool, float, float, int]:
        """More is better: several fields, a header of that many, most rows alike, many cells numbers, many fields."""
        width = self.width
        alike = [row for row in self.rows if len(row) == width]
        cells = [cell for row in alike[1:51] for cell in row]
        numeric = sum(_NUMBER_LIKE.fullmatch(cell) is not None for cell in cells) / max(1, len(cells))
        return width > 1, len(self.rows[0]) == width, round(len(alike) / len(self.rows), 1), numeric, width


def _sample_cells(text: Text, delimiter: str, width: int) -> list[kinds.Array]:
    """The sample's cells below the first row, as strings, column by column; rows of another width are left out."""
    sample = text.sample.decode(errors="replace").encode()
    records = b"".join(part.data for part in blocks(iter([sample]), ord(delimiter)) if isinstance(part, Block))
    table = read_cells(records, delimiter=delimiter, decimal=".", types={str(index): pa.string() for index in range(width)}, on_ragged=None)
    return [column.combine_chunks().slice(1) for column in table.columns]

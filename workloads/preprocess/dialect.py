"""What a CSV file looks like: delimiter, decimal sign, header, names and kinds of its columns; decided from a sample."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from workloads.preprocess import kinds
from workloads.preprocess.kinds import ColumnPlan, Kind
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
_NAME_LENGTH: Final = 100
_NUMBER_LIKE: Final = re.compile(r"\s*[+-]?[0-9]*[.,]?[0-9]+([eE][+-]?[0-9]+)?\s*")


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How the file is to be read; the quote is always the double quotation mark."""

    delimiter: str
    decimal: str
    """`.` or, in files with another delimiter than the comma, `,`."""
    header: bool
    columns: tuple[ColumnPlan, ...]


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
    decimal, found = _kinds(cells, best.delimiter)
    typed = any(kind is not kinds.TEXT for kind in found)
    header = not (typed and all(kinds.fits(cell, kind, decimal) for cell, kind in zip(first, found, strict=True)))
    source_names = [name.strip() for name in first] if header else [""] * width
    names = unique_names(source_names)
    columns = tuple(
        ColumnPlan(name=name, source_name=source, kind=kind) for name, source, kind in zip(names, source_names, found, strict=True)
    )
    if not any(column.kind is kinds.NUMBER for column in columns):
        listed = ", ".join(f"{column.name} ({column.kind.name})" for column in columns[:8]) + (", …" if len(columns) > 8 else "")
        raise StageError(
            f"no column holds numbers: found {listed} with the {_NAMES[best.delimiter]} as delimiter",
            hint="the analysis needs at least one column in which at least three of four values are numbers",
        )
    return Dialect(delimiter=best.delimiter, decimal=decimal, header=header, columns=columns)


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


def _kinds(cells: list[kinds.Array], delimiter: str) -> tuple[str, list[Kind]]:
    """Decimal sign and kinds; a decimal comma needs another delimiter, and has to make more columns numbers than the point does."""
    found = [kinds.infer(column, ".") for column in cells]
    if delimiter == "," or kinds.TEXT not in found:
        return ".", found
    with_comma = [kinds.infer(column, ",") if kind is kinds.TEXT else kind for column, kind in zip(cells, found, strict=True)]
    if with_comma.count(kinds.NUMBER) > found.count(kinds.NUMBER):
        return ",", [kinds.infer(column, ",") for column in cells]
    return ".", found


def unique_names(source_names: Sequence[str]) -> list[str]:
    """snake_case ASCII names, each once: an empty name becomes `column_<number>`, a repeated one gets a number at its end."""
    plain = [_snake_case(name) or f"column_{number}" for number, name in enumerate(source_names, start=1)]
    taken: set[str] = set()
    free = set(plain)
    names: list[str] = []
    for name in plain:
        unique, number = name, 1
        while unique in taken or (number > 1 and unique in free):
            number += 1
            unique = f"{name}_{number}"
        taken.add(unique)
        names.append(unique)
    return names


def _snake_case(name: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", ascii_only)
    snake = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")[:_NAME_LENGTH].strip("_")
    return f"c_{snake}" if snake[:1].isdigit() else snake

"""Rows of files that Arrow's reader does not understand as they stand, written anew so that it
does.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from workloads.preprocess.grammar import Grammar
from workloads.preprocess.records import (
    MAX_RECORD_BYTES,
    UNCLOSED_BYTES,
    Block,
    Reject,
    line_ends,
    raw_text,
)

_BLOCK_BYTES: Final = 2 << 20
_MOST_LINES: Final = 10_000
"""A quoted field with more line breaks than that is a quote that was never closed."""


@dataclass(frozen=True, slots=True)
class Source:
    """A row and where it comes from."""

    line: int
    cells: list[str]
    raw: bytes
    """The record as it stands in the file."""
    odd: bool = False
    """Whether its quotes are: see `Block.odd`."""


def written(cells: Iterable[str], delimiter: str, *, all_quoted: bool = False) -> bytes:
    """A row as one record, else with quotes where it needs them; what was not valid UTF-8 still is
    not.
    """
    target = io.StringIO(newline="")
    csv.writer(
        target,
        delimiter=delimiter,
        quoting=csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL,
        lineterminator="\n",
    ).writerow(cells)
    return target.getvalue().encode(errors="surrogateescape")


def as_block(rows: Iterable[Source], delimiter: str) -> Block:
    """A block of rows, which remembers how they stand in the file."""
    parts, lines, raws, odd, size = [], [], {}, [], 0
    for row in rows:
        if row.odd:
            odd.append(size)
        record = written(row.cells, delimiter)
        parts.append(record)
        lines.append(row.line)
        raws[size] = row.raw
        size += len(record)
    return Block(
        b"".join(parts),
        lines[0],
        np.array(odd, np.int64),
        lines=np.array(lines, np.int64),
        raws=raws,
    )


def from_line(pieces: Iterator[bytes], line: int) -> Iterator[bytes]:
    """What begins with a physical line, counted from 1."""
    missing = line - 1
    carry = b""
    while missing:
        piece = next(pieces, b"")
        if not piece:
            return
        data = carry + piece
        ends = line_ends(data, final=False)
        taken = min(missing, len(ends))
        carry = data[int(ends[taken - 1]) if taken else 0 :]
        missing -= taken
    if carry:
        yield carry
    yield from pieces


class Rewriter:
    """Reads records by a grammar and writes them as comma-separated ones.

    Args:
        grammar: of the file.
        canonical: of what is written.
        width: columns of the table.
        spare: empty fields after them, which are left out.
        first_line: physical line on which the text begins.
        on_unclosed: is told how a text begins in which a quote is not closed where a field ends.
        max_record_bytes: longest record.
    """

    def __init__(
        self,
        grammar: Grammar,
        canonical: Grammar,
        *,
        width: int,
        spare: int,
        first_line: int,
        on_unclosed: Callable[[bytes], None],
        max_record_bytes: int = MAX_RECORD_BYTES,
    ) -> None:
        self._grammar = grammar
        self._delimiter = canonical.delimiter
        self._line = first_line
        self._width, self._spare = width, spare
        self._on_unclosed = on_unclosed
        self._limit = max_record_bytes

    def parts(self, pieces: Iterator[bytes]) -> Iterator[Block | Reject]:
        """Blocks of rewritten records; of a record that is too long or never ends, the first line
        is rejected and reading goes on.
        """
        lines = _Lines(pieces, self._limit)
        waiting: list[Source] = []
        size = 0
        while True:
            reader = self._grammar.reader(lines)
            failed = ""
            try:
                for cells in reader:
                    raw = lines.take()
                    joined = "".join(raw)
                    odd = self._grammar.odd(joined)
                    text = joined.encode(errors="surrogateescape")
                    if odd and (lines.ended or len(raw) > 1):
                        self._on_unclosed(text[:UNCLOSED_BYTES])
                        failed = (
                            "before the end of the file" if lines.ended else "where a field ends"
                        )
                        lines.give_back(raw)
                        break
                    if cells:
                        waiting.append(Source(self._line, self._row(cells), text, odd))
                        size += len(text)
                    self._line += len(raw)
                    if size > _BLOCK_BYTES:
                        yield as_block(waiting, self._delimiter)
                        waiting, size = [], 0
            except (_EndlessRecordError, csv.Error):
                failed = f"within {self._limit:,} bytes"
                lines.give_back(lines.take())
            if waiting:
                yield as_block(waiting, self._delimiter)
                waiting, size = [], 0
            if not failed:
                return
            first = lines.first().encode(errors="surrogateescape")
            detail = f"a quote that opens in this line is not closed {failed}"
            yield Reject(self._line, "quote never closed", detail, raw_text(first))
            self._line += 1

    def _row(self, cells: list[str]) -> list[str]:
        cells = self._grammar.trimmed(cells)
        surplus = len(cells) - self._width
        spare = 0 < surplus <= self._spare and not any(cells[self._width :])
        return cells[: self._width] if spare else cells


class _EndlessRecordError(Exception):
    """A record goes on for too long."""


class _Lines:
    """The physical lines of a text; remembers those of the record that is being read."""

    def __init__(self, pieces: Iterator[bytes], limit: int) -> None:
        self._source = _split(pieces)
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self._size = 0
        self._limit = limit
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._source, None)
        if line is None:
            self.ended = True
            raise StopIteration
        self._taken.append(line)
        self._size += len(line)
        if self._size > self._limit or len(self._taken) > _MOST_LINES:
            raise _EndlessRecordError
        return line

    def take(self) -> list[str]:
        """The lines read since the last call."""
        taken, self._taken, self._size = self._taken, [], 0
        return taken

    def give_back(self, lines: list[str]) -> None:
        """Lines to be read again."""
        self._again.extendleft(reversed(lines))
        self.ended = False

    def first(self) -> str:
        """Takes one line without reading it as a part of a record."""
        return self._again.popleft()


def _split(pieces: Iterator[bytes]) -> Iterator[str]:
    carry = b""
    for piece in pieces:
        data = carry + piece
        whole = int(ends[-1]) if len(ends := line_ends(data, final=False)) else 0
        carry = data[whole:]
        yield from io.StringIO(data[:whole].decode(errors="surrogateescape"), newline="")
    if carry:
        yield from io.StringIO(carry.decode(errors="surrogateescape"), newline="")

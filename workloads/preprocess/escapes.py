r"""Whether a backslash escapes in a file whose beginning did not show it: the rows that only an
escape explains, against those that it would spoil.

RFC 4180 doubles a quote inside of a quoted field; other writers (MySQL's `SELECT … INTO OUTFILE`,
Python's csv module with `doublequote=False`) put a backslash before it. A file of the first kind
holds backslashes too (`"C:\dir\",`), and a damaged row may look like one of the second kind. So all
rows of the file are counted before it is read again.
"""

from __future__ import annotations

import csv
import io
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from workloads.preprocess.grammar import BLANKS, Grammar
from workloads.preprocess.records import Block, Offsets, effective_quotes

_BACKSLASH: Final = ord("\\")
_MYSQL: Final = b"N0"
"""Letters that have a meaning after a backslash where MySQL wrote it: no value, and a zero byte."""

_CERTAIN: Final = 1000
_TIMES: Final = 10


@dataclass(frozen=True, slots=True)
class _Signs:
    """What stands after the backslashes of some rows that are read well without an escape."""

    literal: int = 0
    """Quotes in the middle of a field that none encloses: a writer that doubles quotes would have
    enclosed it.
    """
    spoiled: int = 0
    """Quotes that close a field, delimiters and line ends: an escape would take them away."""
    pairs: int = 0
    """Runs of two and more backslashes, of which an escape would take half away."""
    alone: int = 0
    """Single ones before an ordinary character: what writes pairs for backslashes writes none."""

    def __add__(self, other: _Signs) -> _Signs:
        return _Signs(
            self.literal + other.literal,
            self.spoiled + other.spoiled,
            self.pairs + other.pairs,
            self.alone + other.alone,
        )

    def __sub__(self, other: _Signs) -> _Signs:
        return _Signs(
            self.literal - other.literal,
            self.spoiled - other.spoiled,
            self.pairs - other.pairs,
            self.alone - other.alone,
        )


@dataclass(frozen=True, slots=True)
class Misread:
    """A record, as it stands in the file, that is not as wide as the table or has odd quotes."""

    record: bytes
    line: int
    """On which it begins."""
    below: bytes
    """What follows it: a quote may have ended it too early."""


class LateEscape:
    """Counts for and against an escape while a file is read without; `misread` is safe to call from
    several threads.

    Args:
        grammar: of the file.
        width: columns of the table.
        spare: empty fields that its rows have after the last column.
    """

    def __init__(self, grammar: Grammar, *, width: int, spare: int = 0) -> None:
        self._grammar = grammar
        self._escaped = replace(grammar, escape="\\")
        self._width, self._spare = width, spare
        delimiter = r"[ \t]" if grammar.delimiter == BLANKS else re.escape(grammar.delimiter)
        quote = re.escape(grammar.quote) if grammar.quote else "(?!)"
        self._marked = re.compile(rf"(?<!\\)(?:\\\\)*\\(?:{delimiter}|{quote})")
        after = b" \t" if grammar.delimiter == BLANKS else grammar.delimiter.encode()[:1]
        self._doubled = b"\\" + 2 * grammar.quote.encode()
        self._breaks = np.zeros(256, bool)
        self._breaks[[*after, *b"\r\n"]] = True
        self._off = bool(grammar.escape) or "\\" in grammar.delimiter
        self._lock = threading.Lock()
        self._signs = _Signs()
        self._explained = 0
        self._known: set[int] = set()  # lines of records that are counted as misread already

    @property
    def likely(self) -> bool:
        """Whether an escape explains more rows than it would spoil."""
        return self._explained + self._signs.literal > self._against

    @property
    def certain(self) -> bool:
        """Whether so many rows are explained, and so few spoiled, that the rest need not be read:
        each takes long that is not read well.
        """
        return self._explained >= max(_CERTAIN, _TIMES * self._against)

    @property
    def _against(self) -> int:
        signs = self._signs
        return signs.spoiled + (signs.pairs if signs.alone else 0)

    def read(self, block: Block, delimiter: int) -> None:
        """Counts the records of a block, read well so far as is known yet; costs next to nothing
        where no backslash is among them. `delimiter`: of the block.
        """
        if self._off:
            return
        data = block.data if block.raws is None else b"".join(block.raws.values())
        if b"\\" not in data:
            return
        signs = self._of(data, block.ordinary)
        with self._lock:
            self._signs += signs
        if block.raws is None and self._doubled in data:
            self._swallowed(block, delimiter)

    def _swallowed(self, block: Block, delimiter: int) -> None:
        r"""Counts the records of several lines in which a quote has swallowed rows: an escaped one
        and the one that closes the field (`\""`) look like a doubled one.
        """
        starts, ends, lines = block.spans(delimiter)
        seen = -1
        place = block.data.find(self._doubled)
        while place >= 0:
            number = int(np.searchsorted(ends, place, side="right"))
            record = block.data[starts[number] : ends[number]]
            several = record.find(b"\n") < len(record) - 1
            if number != seen and several and self._explains(record):
                self._count(record, 1)
                self._known.add(int(lines[number]))
            seen = number
            place = block.data.find(self._doubled, place + 1)

    def unclosed(self, beginning: bytes) -> None:
        """Counts a text in which a quote is not closed, of which `read` has seen nothing."""
        if b"\\" in beginning and not self._off and self._explains(beginning):
            with self._lock:
                self._explained += 1

    def misread(self, records: Sequence[Misread]) -> None:
        """Counts records of a block that `read` has counted and that are not as wide as the table
        or whose quotes are odd.
        """
        if self._off:
            return
        left = [one for one in records if b"\\" in one.record and one.line not in self._known]
        for start in range(0, len(left), _CERTAIN):
            if self.certain:
                return
            some = left[start : start + _CERTAIN]
            explained = sum(self._explains(one.record, one.below) for one in some)
            self._count(b"".join(one.record for one in some), explained)

    def _count(self, records: bytes, explained: int) -> None:
        """Counts records as not read well, some of them as explained by an escape."""
        signs = self._of(records, None)
        with self._lock:
            self._signs -= signs
            self._explained += explained

    def _explains(self, record: bytes, below: bytes = b"") -> bool:
        """Whether a record that holds an escape begins with a row of the table's width so; `below`:
        what follows it.
        """
        if self._marked.search(record.decode(errors="surrogateescape")) is None:
            return False
        lines: list[str] = []
        reader = self._escaped.reader(_noted(record, below, lines))
        try:
            cells = self._escaped.trimmed(next(reader, []))
        except csv.Error:  # a field beyond the longest that is read
            return False
        row = "".join(lines)
        wide = len(cells) in (self._width, self._width + self._spare)
        return wide and self._marked.search(row) is not None and not self._escaped.odd(row)

    def _of(self, data: bytes, ordinary: Offsets | None) -> _Signs:
        """What stands in whole records; `ordinary`: their quotes that enclose nothing, if known."""
        codes = np.frombuffer(data, np.uint8)
        places = np.flatnonzero(codes == _BACKSLASH)
        last = np.append(np.diff(places) != 1, True)
        ends = np.flatnonzero(last)
        lengths = np.diff(ends, prepend=-1)
        following = places[ends] + 1
        after = codes[np.minimum(following, len(codes) - 1)]
        after = np.where(following < len(codes), after, np.uint8(ord("\n")))
        odd = lengths % 2 == 1
        breaks = odd & self._breaks[after]
        spoiled, literal = int(breaks.sum()), 0
        quoted = np.zeros(len(after), bool)
        if self._grammar.quote:
            quoted = odd & (after == ord(self._grammar.quote)) & ~breaks
        if quoted.any():
            if ordinary is None:
                ordinary = effective_quotes(data, self._breaks, ord(self._grammar.quote))[1]
            literal = int(np.isin(following[quoted], ordinary, assume_unique=True).sum())
            spoiled += int(quoted.sum()) - literal
        alone = odd & ~breaks & ~quoted & ~np.isin(after, np.frombuffer(_MYSQL, np.uint8))
        return _Signs(literal, spoiled, int((lengths > 1).sum()), int(alone.sum()))


def _noted(record: bytes, below: bytes, lines: list[str]) -> Iterator[str]:
    """The lines of a text, which are noted as they are taken."""
    for part in (record, below):
        for line in io.StringIO(part.decode(errors="surrogateescape"), newline=""):
            lines.append(line)
            yield line

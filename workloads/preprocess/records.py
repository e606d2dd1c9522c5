r"""Finds the records of CSV text: where each begins and ends, and on which physical line, quotes
with line breaks included.

The grammar is that of Python's csv module in its lenient mode and of Arrow's reader: a quote opens
a quoted field only at the beginning of a field; inside, two quotes stand for one; what follows the
closing quote belongs to the field; elsewhere a quote is an ordinary character. Lines end with \n,
\r\n or a lone \r.

Counting quotes tells inside from outside as long as every quote stands where the grammar expects
it; NumPy checks that for all quotes of a block at once, and only the exceptions are walked through
one by one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Offsets: TypeAlias = NDArray[np.int64]

QUOTE: Final = ord('"')
_LF: Final = ord("\n")
_CR: Final = ord("\r")
_BLANK: Final = ord(" ")
MAX_RECORD_BYTES: Final = 16 << 20
RAW_BYTES: Final = 4096
"""Bytes of a rejected row that are kept."""
UNCLOSED_BYTES: Final = 64 << 10
"""Bytes from which it is judged what an unclosed quote means."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that does not enter the table."""

    line: int
    """Physical line of the file on which the row begins, from 1."""
    reason: str
    """One of a few kinds: what is counted."""
    detail: str
    """What exactly is wrong with this row."""
    raw: str
    """The row as it stands in the file, cut after RAW_BYTES."""


@dataclass(frozen=True, slots=True)
class Block:
    """A run of whole records."""

    data: bytes
    first_line: int
    """Physical line on which the data begins."""
    odd: Offsets = field(default_factory=lambda: np.empty(0, np.int64))
    """Quotes that close a field although text follows them, or would open one but for blanks before
    them; beginnings of rewritten records with such ones. They may be meant otherwise.
    """
    lines: Offsets | None = None
    """The physical line of each record that is not blank, where they do not follow from the data:
    records were taken out or rewritten.
    """
    raws: Mapping[int, bytes] | None = None
    """The text of rewritten records as it stands in the file, by where they begin in the data."""
    lengths: Offsets | None = None
    """Lengths of the physical lines with their ends, where they were measured."""
    ordinary: Offsets | None = None
    """Quotes that neither open nor close a field, where they were looked for."""

    def spans(self, delimiter: int) -> tuple[Offsets, Offsets, Offsets]:
        """Beginning, end and physical line of every record that is not blank."""
        ends = record_ends(self.data, delimiter, final=True)
        starts = np.concatenate((np.zeros(min(1, len(ends)), np.int64), ends[:-1]))
        codes = np.frombuffer(self.data, np.uint8)
        filled = ~((codes[starts] == _LF) | (codes[starts] == _CR))
        starts, ends = starts[filled], ends[filled]
        if self.lines is not None:
            return starts, ends, self.lines
        return (
            starts,
            ends,
            self.first_line
            + np.searchsorted(line_ends(self.data, final=True), starts, side="right"),
        )


def raw_text(data: bytes, length: int | None = None) -> str:
    """A rejected row for a person to read; undecodable bytes in hexadecimal.

    `length`: the row's, where data is only its beginning.
    """
    length = len(data) if length is None else length
    text = data[:RAW_BYTES].decode(errors="backslashreplace").rstrip("\r\n")
    return text if length <= RAW_BYTES else f"{text}… ({length:,} bytes)"


def line_ends(data: bytes, *, final: bool) -> Offsets:
    """Offsets just past each line end.

    A carriage return at the very end counts only in final data: a line feed may follow.
    """
    codes = np.frombuffer(data, np.uint8)
    if b"\r" not in data or data.count(b"\r") == data.count(b"\r\n"):
        return np.flatnonzero(codes == _LF) + 1
    following = np.append(codes[1:], np.uint8(0 if final else _LF))
    return np.flatnonzero((codes == _LF) | ((codes == _CR) & (following != _LF))) + 1


def effective_quotes(
    data: bytes, breaks: NDArray[np.bool_], quote: int = QUOTE
) -> tuple[Offsets, Offsets, Offsets]:
    """Offsets of the quotes that open or close a field of whole records; of the ordinary ones,
    which do not; and of the odd ones: after them a field goes on, or only blanks stand before them.

    `breaks`: by byte, whether a field ends before it: the delimiter's and those of line ends.
    """
    codes = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(codes == quote)
    if not len(quotes):
        return quotes, quotes, quotes
    before = np.where(quotes > 0, codes[quotes - 1], _LF)
    after = np.where(quotes < len(codes) - 1, codes[np.minimum(quotes + 1, len(codes) - 1)], _LF)
    starts_field = breaks[before]
    can_open = starts_field | (before == quote)  # the second of two: reopens what the first closed
    can_close = breaks[after] | (after == quote)
    even = np.zeros(len(quotes), bool)
    even[::2] = True
    # where a run of alternating open and close breaks, by whether the run begins at an even or an
    # odd quote
    broken = [
        np.flatnonzero(np.where(even, ~can_open, ~can_close)).tolist(),
        np.flatnonzero(np.where(even, ~can_close, ~can_open)).tolist(),
    ]
    if not broken[0]:
        return quotes, quotes[:0], quotes[:0]

    literal: list[int] = []
    odd: list[int] = []
    run = 0  # first quote of the run; outside of a quoted field before it
    while run < len(quotes):
        if not starts_field[run]:
            literal.append(run)
            if before[run] == _BLANK and _after_blanks(data, int(quotes[run]), breaks):
                odd.append(run)
            run += 1
            continue
        exceptions = broken[run % 2]
        place = bisect_left(exceptions, run + 1)
        if place == len(exceptions):
            break
        exception = exceptions[place]
        if (exception - run) % 2 == 0:
            literal.append(exception)  # outside and not at the beginning of a field
            if before[exception] == _BLANK and _after_blanks(data, int(quotes[exception]), breaks):
                odd.append(exception)
        else:
            odd.append(exception)  # closes the field, and text follows
        run = exception + 1  # outside again either way
    return np.delete(quotes, literal), quotes[literal], quotes[odd]


def _after_blanks(data: bytes, place: int, breaks: NDArray[np.bool_]) -> bool:
    """Whether a field holds nothing but blanks before a place."""
    while place and data[place - 1] == _BLANK:
        place -= 1
    return not place or bool(breaks[data[place - 1]])


def record_ends(data: bytes, delimiter: int, *, final: bool) -> Offsets:
    """Offsets just past the line end of every record of `data`, which begins with a record; blank
    lines count as records here.

    A last record without line end is included only in final data, and only when no quote is open at
    its end.
    """
    return _record_ends(data, line_ends(data, final=final), delimiter, final=final)[0]


def _record_ends(
    data: bytes, ends: Offsets, delimiter: int, *, final: bool
) -> tuple[Offsets, Offsets, Offsets]:
    """Record ends as above, the ordinary quotes, and the odd ones."""
    inside_at_end = False
    ordinary = odd = np.empty(0, np.int64)
    if QUOTE in data:
        breaks = np.zeros(256, bool)
        breaks[[delimiter, _LF, _CR]] = True
        quotes, ordinary, odd = effective_quotes(data, breaks)
        ends = ends[np.searchsorted(quotes, ends) % 2 == 0]
        inside_at_end = len(quotes) % 2 == 1
    if final and not inside_at_end and data and (not len(ends) or ends[-1] != len(data)):
        ends = np.append(ends, len(data))
    return ends, ordinary, odd


def blocks(
    pieces: Iterator[bytes],
    delimiter: int,
    *,
    max_record_bytes: int = MAX_RECORD_BYTES,
    first_line: int = 1,
    on_unclosed: Callable[[bytes], None] = lambda _beginning: None,
) -> Iterator[Block | Reject]:
    """Cuts text into blocks of whole records, in file order, whatever the sizes of the pieces;
    `first_line` is where they begin. `on_unclosed` is told how a text begins in which a quote is
    not closed.

    Of a record that is longer than `max_record_bytes`, or whose quote is never closed, the first
    line is rejected, and reading goes on with the next line. Memory: about `max_record_bytes` and
    two pieces.
    """
    carry = b""
    line = first_line
    more = True
    while more:
        piece = next(pieces, b"")
        more = bool(piece)
        data, carry = carry + piece, b""
        while data:
            lines = line_ends(data, final=not more)
            records, ordinary, odd = _record_ends(data, lines, delimiter, final=not more)
            good, too_long = _within_limit(records, len(data), max_record_bytes)
            if good:
                count = int(np.searchsorted(lines, good, side="right"))
                yield Block(
                    data[:good],
                    line,
                    odd[odd < good],
                    lengths=np.diff(lines[:count], prepend=0),
                    ordinary=ordinary[ordinary < good],
                )
                line += count
                data = data[good:]
            if not data:
                break
            if more and not too_long:
                carry = data
                break
            on_unclosed(data[:UNCLOSED_BYTES])
            lost, data, more = _first_line(data, pieces, more=more)
            yield _unreadable(lost, line, max_record_bytes, too_long=too_long)
            line += 1


def _within_limit(ends: Offsets, length: int, limit: int) -> tuple[int, bool]:
    """Where the records before the first overlong one end, and whether there is an overlong one
    (perhaps not complete yet).
    """
    if length <= limit:
        return (int(ends[-1]) if len(ends) else 0), False
    starts = np.concatenate(([0], ends))
    sizes = np.diff(np.append(starts, length))
    long = np.flatnonzero(sizes > limit)
    return (int(starts[long[0]]), True) if len(long) else (int(starts[-1]), False)


@dataclass(frozen=True, slots=True)
class _Line:
    """A physical line, of which only the beginning is kept."""

    head: bytes
    length: int


def _first_line(data: bytes, pieces: Iterator[bytes], *, more: bool) -> tuple[_Line, bytes, bool]:
    """Takes the first physical line off, reading on without keeping it; returns it, what follows
    it, and whether pieces may follow.
    """
    head, length = b"", 0
    while True:
        ends = line_ends(data, final=not more)
        if len(ends):
            taken = int(ends[0])
        elif more:
            taken = len(data) - data.endswith(b"\r")  # a \n may follow
        else:
            taken = len(data)
        head += data[: min(taken, max(0, RAW_BYTES - len(head)))]
        length += taken
        data = data[taken:]
        if len(ends) or not more:
            return _Line(head, length), data, more
        piece = next(pieces, b"")
        more = bool(piece)
        data += piece


def _unreadable(line: _Line, number: int, limit: int, *, too_long: bool) -> Reject:
    raw = raw_text(line.head, line.length)
    if too_long and line.length > limit:
        return Reject(number, "row too long", f"the row is longer than {limit:,} bytes", raw)
    where = f"within {limit:,} bytes" if too_long else "before the end of the file"
    return Reject(
        number, "quote never closed", f"a quote that opens in this line is not closed {where}", raw
    )

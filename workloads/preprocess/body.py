"""The rows of a table: the text below its header, cut into records as wide as the table; what is no
row of it is taken out and told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

import numpy as np

from workloads.preprocess.asides import in_apostrophes, without_marks
from workloads.preprocess.dialect import Dialect
from workloads.preprocess.escapes import LateEscape
from workloads.preprocess.footers import footer
from workloads.preprocess.mender import Mender
from workloads.preprocess.oddities import Oddities
from workloads.preprocess.ragged import RaggedRule
from workloads.preprocess.records import (
    MAX_RECORD_BYTES,
    Block,
    Offsets,
    Reject,
    blocks,
    raw_text,
)
from workloads.preprocess.rewrite import Rewriter, Source, from_line
from workloads.preprocess.spare import without_spare
from workloads.records import Remark

_LAST_ROWS: Final = 12


class Body:
    """Cuts the text of one file into blocks of rows; `mend` is safe to call from several threads.

    Args:
        dialect: of the file.
        max_record_bytes: longest record.
    """

    def __init__(self, dialect: Dialect, *, max_record_bytes: int = MAX_RECORD_BYTES) -> None:
        self._dialect = dialect
        self._limit = max_record_bytes
        self._separator = ord(dialect.separator)
        self._rule = RaggedRule(
            dialect.grammar if dialect.grammar.plain else dialect.canonical,
            dialect.structure.profiles,
        )
        self._width = dialect.structure.width
        self._headers = dialect.headers
        self._oddities = Oddities()
        self.escape = LateEscape(
            dialect.grammar, width=dialect.structure.width, spare=dialect.structure.spare
        )
        """What speaks for a backslash that escapes, in all rows read so far."""
        self._mender = Mender(dialect, self._rule, self._oddities, self.escape)
        self._second_table: int | None = dialect.structure.end_line

    def parts(self, pieces: Iterator[bytes]) -> Iterator[Block | Reject]:
        """Blocks and rejected rows in file order, from the whole text of the file."""
        structure = self._dialect.structure
        for row, what in structure.between:
            yield Reject(
                row.line,
                what,
                f"the row below the header is no row of the table ({what})",
                self._dialect.joined(row.cells),
            )
        waiting: Block | None = None
        ended = False
        unmarked = without_marks(pieces, partial(self._oddities.count, "mark"))
        for part in self._cut(from_line(unmarked, structure.body_line)):
            if isinstance(part, Reject):
                if waiting is not None:
                    yield waiting
                    waiting = None
                yield part
                continue
            block, ended = self._ended(part)
            if block.data:
                if waiting is not None:
                    yield waiting
                self.escape.read(block, self._separator)
                block, rejects = self._cleared(block)
                yield from rejects
                self._count_apostrophes(block)
                waiting = block
            if ended or self.escape.certain:
                break
        if waiting is not None:
            block, rejects = self._without_footer(waiting)
            yield block
            yield from rejects

    def _cut(self, pieces: Iterator[bytes]) -> Iterator[Block | Reject]:
        first = self._dialect.structure.body_line
        if self._dialect.grammar.plain:
            return blocks(
                pieces,
                self._separator,
                max_record_bytes=self._limit,
                first_line=first,
                on_unclosed=self.escape.unclosed,
            )
        return Rewriter(
            self._dialect.grammar,
            self._dialect.canonical,
            width=self._width,
            spare=self._dialect.structure.spare,
            first_line=first,
            on_unclosed=self.escape.unclosed,
            max_record_bytes=self._limit,
        ).parts(pieces)

    def _ended(self, block: Block) -> tuple[Block, bool]:
        """The part of a block that belongs to the first table, and whether that ends in it."""
        end = self._second_table
        if end is None:
            end = self._after_gap(block)
        if end is None:
            return block, False
        starts, _, lines = block.spans(self._separator)
        cut = int(np.searchsorted(lines, end))
        if cut == len(lines):
            return block, False
        self._second_table = end
        kept = None if block.lines is None else block.lines[:cut]
        return (
            Block(
                block.data[: int(starts[cut])],
                block.first_line,
                block.odd[block.odd < starts[cut]],
                kept,
                block.raws,
            ),
            True,
        )

    def _after_gap(self, block: Block) -> int | None:
        """The line of the header of another table after a gap; only what follows blank lines is
        looked at.
        """
        if self._no_line_of(block, self._width + 1):  # as long as a line of delimiters with its end
            return None
        data = block.data
        starts, ends, lines = block.spans(self._separator)
        for number in (np.flatnonzero(np.diff(lines) > 1) + 1).tolist():
            following = [
                self._mender.cells(data[starts[n] : ends[n]])
                for n in range(number, min(number + 5, len(starts)))
            ]
            title = self._width > 1 and sum(1 for cell in following[0] if cell.strip()) == 1
            if self._dialect.begins_table(following[title:]):
                return int(lines[number])
        return None

    @staticmethod
    def _no_line_of(block: Block, longest: int) -> bool:
        """Whether every line of a block is known to be longer than that."""
        return (
            block.lengths is not None
            and bool(len(block.lengths))
            and int(block.lengths.min()) > longest
        )

    def _cleared(self, block: Block) -> tuple[Block, list[Reject]]:
        """A block without blank rows, repeated headers, comments and the fields after the last
        column, and with odd quotes read.
        """
        if self._dialect.structure.spare and block.lines is None:
            block = without_spare(block, self._dialect)
        if not self._suspect(block) or not block.data.strip(b"\r\n"):
            return block, []
        spans = block.spans(self._separator)
        starts, ends, lines = spans
        gone = self._no_rows(block.data, starts, ends)
        odd = np.unique(np.searchsorted(ends, block.odd, side="right")).tolist()
        if not gone and not odd:
            return block, []
        changed, rejects = self._mender.settled(
            block, spans, [number for number in odd if number not in gone]
        )
        for number, what in gone.items():
            changed[number] = []
            if what == "blank":
                self._oddities.count("blank")
            else:
                raw = raw_text(block.data[starts[number] : ends[number]])
                rejects.append(Reject(int(lines[number]), what, f"the row is a {what}", raw))
        return self._spliced(block, spans, changed), sorted(rejects, key=lambda reject: reject.line)

    def _suspect(self, block: Block) -> bool:
        """Whether a block may hold a record that is no row; cheap, for nearly every block of nearly
        every file is without.
        """
        if len(block.odd) or not self._no_line_of(block, self._width + 1):
            return True
        data, comment = block.data, self._dialect.comment.encode()
        if block.lengths is None or (comment and comment in data):
            return True
        if not self._no_line_of(block, 4 * self._width) and b'\n""' in data:
            return True
        for header in self._headers:
            alike = (block.lengths == len(header) + 1) | (block.lengths == len(header) + 2)
            if (b"\n" in header or bool(alike.any())) and header in data:
                return True
        return False

    def _no_rows(self, data: bytes, starts: Offsets, ends: Offsets) -> dict[int, str]:
        """Place -> what it is, of the records that are blank, the header once more, or a
        comment.
        """
        gone: dict[int, str] = {}
        blank = (
            self._dialect.separator.encode() + b'" \t\r\n\x1a'
        )  # the last is how DOS ended text files
        headers, comment = self._headers, self._dialect.comment.encode()
        longest = max(4 * self._width + 4, *(len(header) + 2 for header in headers), 0)
        codes = np.frombuffer(data, np.uint8)
        look = ends - starts <= longest
        if comment:
            look |= codes[starts] == comment[0]
        for number in np.flatnonzero(look).tolist():
            record = data[starts[number] : ends[number]]
            if not record.strip(blank):
                gone[number] = "blank"
            elif record.rstrip(b"\r\n") in headers:
                gone[number] = "repeated header"
            elif comment and record.startswith(comment):
                gone[number] = "comment"
        return gone

    def _count_apostrophes(self, block: Block) -> None:
        """Counts the rows with fields in apostrophes where these do not enclose fields."""
        separator = self._dialect.separator.encode()
        if self._dialect.grammar.quote == "'":
            return
        if not (places := in_apostrophes(block.data, separator)):
            return
        starts, ends, lines = block.spans(self._separator)
        for number in np.unique(np.searchsorted(ends, places, side="right")).tolist():
            cells = self._mender.cells(block.data[starts[number] : ends[number]])
            if any(len(cell) > 1 and cell[0] == cell[-1] == "'" for cell in cells):
                self._oddities.count("apostrophes", line=int(lines[number]))

    def _without_footer(self, block: Block) -> tuple[Block, list[Reject]]:
        """The last block without the notes and totals at its end."""
        if self._width < 2 or not block.data.strip(b"\r\n"):
            return block, []
        spans = block.spans(self._separator)
        starts, ends, lines = spans
        rejects: list[Reject] = []
        changed: dict[int, list[Source]] = {}
        for number in range(len(starts) - 1, max(0, len(starts) - 1 - _LAST_ROWS), -1):
            record = block.data[starts[number] : ends[number]]
            what = footer(self._mender.cells(record), record, self._dialect.structure, self._rule)
            if what is None:
                break
            changed[number] = []
            rejects.insert(
                0,
                Reject(
                    int(lines[number]),
                    what,
                    f"the row at the end of the file is a {what}",
                    raw_text(record),
                ),
            )
        return (self._spliced(block, spans, changed), rejects) if changed else (block, [])

    def mend(self, block: Block, places: Sequence[int]) -> tuple[Block | None, list[Reject]]:
        """A block in which the records at `places`, counted without blank ones, have the table's
        width or are rejected.

        None in place of the block where none of them is kept: without them it is right as it is.
        """
        spans = block.spans(self._separator)
        changed, rejects = self._mender.settled(block, spans, places)
        return (self._spliced(block, spans, changed) if any(changed.values()) else None), rejects

    def _spliced(
        self,
        block: Block,
        spans: tuple[Offsets, Offsets, Offsets],
        changed: dict[int, list[Source]],
    ) -> Block:
        """A block in which some records are replaced by others, or by none."""
        starts, _, lines = spans
        parts: list[bytes] = []
        where: list[Offsets] = []
        raws: dict[int, bytes] = {}
        size = taken = 0
        old = block.raws or {}
        for number in [*sorted(changed), len(starts)]:
            begin = int(starts[taken]) if taken < len(starts) else len(block.data)
            stop = int(starts[number]) if number < len(starts) else len(block.data)
            kept = block.data[begin:stop]
            raws |= {key + size - begin: value for key, value in old.items() if begin <= key < stop}
            parts.append(kept)
            where.append(lines[taken:number])
            size += len(kept)
            if number == len(starts):
                break
            if kept and not kept.endswith((b"\n", b"\r")):
                parts.append(b"\n")
                size += 1
            for row in changed[number]:
                written = self._dialect.written(row.cells)
                raws[size] = row.raw
                parts.append(written)
                where.append(np.array([row.line], np.int64))
                size += len(written)
            taken = number + 1
        return Block(b"".join(parts), block.first_line, lines=np.concatenate(where), raws=raws)

    def remarks(self) -> list[Remark]:
        """What was met in the rows, once all were read."""
        return self._oddities.remarks(self._second_table)

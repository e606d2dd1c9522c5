"""Reads the records that are not as wide as the table or whose quotes are odd; what is no row is
rejected.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Final

from workloads.preprocess.dialect import Dialect
from workloads.preprocess.escapes import LateEscape, Misread
from workloads.preprocess.oddities import Oddities
from workloads.preprocess.ragged import Mended, RaggedRule
from workloads.preprocess.records import Block, Offsets, Reject, raw_text
from workloads.preprocess.rewrite import Source

_BELOW_BYTES: Final = 4096


class Mender:
    """Mends or rejects records one by one; safe to call from several threads.

    Args:
        dialect: of the file.
        rule: by which records of blocks are mended.
        oddities: where it is counted what was done.
        escape: is told of every record.
    """

    def __init__(
        self, dialect: Dialect, rule: RaggedRule, oddities: Oddities, escape: LateEscape
    ) -> None:
        self._dialect, self._rule = dialect, rule
        self._oddities, self._escape = oddities, escape
        self._width = dialect.structure.width
        self._as_written = (
            rule
            if dialect.grammar.plain
            else RaggedRule(dialect.grammar, dialect.structure.profiles)
        )

    def cells(self, record: bytes) -> list[str]:
        """The cells of a record of a block."""
        grammar = (
            self._dialect.canonical if not self._dialect.grammar.plain else self._dialect.grammar
        )
        return next(grammar.reader(io.StringIO(record.decode(errors="replace"), newline="")), [])

    def settled(
        self, block: Block, spans: tuple[Offsets, Offsets, Offsets], places: Sequence[int]
    ) -> tuple[dict[int, list[Source]], list[Reject]]:
        """Place -> the rows in place of the record there, for each of `places`, counted without
        blank records; and what is no row.
        """
        starts, ends, lines = spans
        changed: dict[int, list[Source]] = {}
        rejects: list[Reject] = []
        raws = block.raws or {}
        records = [block.data[starts[number] : ends[number]] for number in places]
        as_in_file = [
            raws.get(int(starts[number]), record)
            for number, record in zip(places, records, strict=True)
        ]
        self._escape.misread(
            [
                Misread(
                    raw, int(lines[number]), block.data[ends[number] : ends[number] + _BELOW_BYTES]
                )
                for number, raw in zip(places, as_in_file, strict=True)
                if b"\\" in raw
            ]
        )
        if self._escape.certain:
            return {}, []  # the file is read again, and nothing of this reading is kept
        for number, record, raw in zip(places, records, as_in_file, strict=True):
            changed[number] = self._rows(record, raw, int(lines[number]), rejects)
        return changed, rejects

    def _rows(self, record: bytes, raw: bytes, line: int, rejects: list[Reject]) -> list[Source]:
        """The rows of a record that is not as wide as the table or whose quotes are odd; what is
        none goes to `rejects`.
        """
        text = record.decode(errors="surrogateescape")
        cells = self.cells(record)
        odd = len(cells) == self._width  # why else would it be asked about
        found: tuple[list[str], Mended] | None = None
        physical = io.StringIO(text, newline="").readlines()
        if len(physical) == 1:
            found = self._reread(raw.decode(errors="surrogateescape"), cells)
            if found is None and not odd:
                found = self._rule.mend(cells) or self._rule.otherwise_written(text)
        elif not odd or not self._rule.fits(cells):
            if not (singles := self._line_by_line(physical, line)):
                found = self._rule.mend(cells)
            else:
                good = [row for row in singles if isinstance(row, Source)]
                rejects += [row for row in singles if isinstance(row, Reject)]
                return good
        else:
            found = cells, "quote"
        if found is not None:
            self._oddities.count(found[1], line=line)
            return [Source(line, found[0], raw)]
        if not any(cell.strip(" \t\x1a") for cell in cells):
            self._oddities.count("blank")
            return []
        fields = f"{len(cells):,} field{'' if len(cells) == 1 else 's'} instead of {self._width:,}"
        detail = fields if len(cells) != self._width else "its quotes do not enclose whole fields"
        rejects.append(Reject(line, "wrong number of fields", detail, raw_text(raw)))
        return []

    def _reread(self, line: str, cells: list[str]) -> tuple[list[str], Mended] | None:
        """A row of one line with quotes, read so that it fits the columns; else, where the line
        gives as many fields as there are columns, so that no character is lost.
        """
        quote = self._dialect.grammar.quote
        if not quote or quote not in line:
            return None
        found = self._as_written.reread(line)
        if found is not None or len(cells) != self._width:
            return found
        loose = self._as_written.loose(line)
        return cells if self._rule.fits(cells) or loose is None else loose, "quote"

    def _line_by_line(self, lines: Sequence[str], first: int) -> list[Source | Reject]:
        """Each line of a record as a row of its own, where a quote swallowed several rows; nothing
        where fewer than half are rows.
        """
        result: list[Source | Reject] = []
        how: list[tuple[str, int]] = []
        for number, line in enumerate(lines, start=first):
            raw = line.encode(errors="surrogateescape")
            cells = self._rule.read(line.rstrip("\r\n"))
            if cells is not None and self._rule.fits(cells):
                if self._dialect.canonical.odd(line):
                    how.append(("quote", number))
                result.append(Source(number, cells, raw))
                continue
            found = self._rule.reread(line) or self._rule.otherwise_written(line)
            if found is None:
                result.append(
                    Reject(
                        number,
                        "wrong number of fields",
                        "a quote that opens in this row or one before it is not closed",
                        raw_text(raw),
                    )
                )
            else:
                how.append((found[1], number))
                result.append(Source(number, found[0], raw))
        if 2 * sum(isinstance(row, Source) for row in result) < len(result):
            return []
        for what, number in how:
            self._oddities.count(what, line=number)
        return result

"""The rule for rows of another width than the table's, and for rows whose quotes or delimiters are
not as in the rest of the file.

A row is mended only in ways that leave no choice and give a row like the others: a short one of at
least two fields gets empty ones at its end, of a long one empty fields are left out, a quote that
breaks the row is read as an ordinary character, a row written with another delimiter is read with
that. The mended row must not contradict what its columns hold elsewhere (numbers, dates, addresses,
a pattern such as `MG-8769`). Everything else is rejected by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, Literal, TypeAlias

from workloads.preprocess.grammar import Grammar
from workloads.preprocess.shapes import ColumnProfile

Mended: TypeAlias = Literal["padded", "cut", "quote", "delimiter"]
_MOST_QUOTES: Final = 64
_STAND_IN: Final = "\ufdd0"
"""A character that no text holds (Unicode reserves it), in place of a quote that is an ordinary
character.
"""
_OTHERS: Final = (",", ";", "\t", "|", " ")


class RaggedRule:
    """Mends single rows.

    Args:
        grammar: of the file.
        profiles: of the table's columns.
    """

    def __init__(self, grammar: Grammar, profiles: Sequence[ColumnProfile]) -> None:
        self._grammar = grammar
        self._profiles = profiles
        self._width = len(profiles)
        self._typed = [number for number, profile in enumerate(profiles) if profile.typed]

    def mend(self, cells: list[str]) -> tuple[list[str], Mended] | None:
        """A row of the table's width from one of another; None where there is none, or more than
        one, that fits.
        """
        missing = self._width - len(cells)
        if missing > 0:
            padded = cells + [""] * missing
            return (padded, "padded") if len(cells) > 1 and self.fits(padded) else None
        cut = self._cut(cells, -missing)
        return None if cut is None else (cut, "cut")

    def fits(self, cells: Sequence[str]) -> bool:
        """Whether a row is as wide as the table and contradicts none of its columns."""
        return len(cells) == self._width and not any(
            map(ColumnProfile.contradicts, self._profiles, cells)
        )

    def _fits_but_for_quotes(self, cells: Sequence[str]) -> bool:
        return self.fits(cells) or self.fits(
            [cell.replace(self._grammar.quote, "") for cell in cells]
        )

    def _cut(self, cells: list[str], surplus: int) -> list[str] | None:
        """The row without `surplus` empty fields: those at its end, or those that stand where no
        other row has an empty one.
        """
        if not any(cell.strip() for cell in cells[-surplus:]):
            bare = cells[:-surplus]
            if self.fits(bare) and not self._gaps(bare):
                return bare
        if surplus == 1:
            empty = [number for number, cell in enumerate(cells) if not cell.strip()]
            candidates = [cells[:number] + cells[number + 1 :] for number in empty[:64]]
            return self._only([row for row in candidates if self.fits(row)])
        bare = cells[:-surplus]
        return (
            bare if not any(cell.strip() for cell in cells[-surplus:]) and self.fits(bare) else None
        )

    def _gaps(self, cells: Sequence[str]) -> int:
        """Empty fields in columns that always have a value."""
        return sum(
            profile.filled and not cell.strip()
            for profile, cell in zip(self._profiles, cells, strict=True)
        )

    def _only(self, rows: Iterable[list[str]]) -> list[str] | None:
        """The one row that has the fewest gaps; None where two different ones have."""
        ranked = sorted(rows, key=self._gaps)
        if not ranked or (
            len(ranked) > 1
            and ranked[1] != ranked[0]
            and self._gaps(ranked[1]) == self._gaps(ranked[0])
        ):
            return None
        return ranked[0]

    def reread(self, line: str) -> tuple[list[str], Mended] | None:
        """A row from a single line whose quotes are not as in the rest of the file; None where it
        makes no sense either.
        """
        body = line.rstrip("\r\n")
        loose = self.loose(body)
        if loose is not None and self._fits_but_for_quotes(loose):
            return loose, "quote"
        literal = self._only(
            [
                row
                for row in with_one_literal_quote(self._grammar, body)
                if self._fits_but_for_quotes(row)
            ]
        )
        return None if literal is None else (literal, "quote")

    def loose(self, line: str) -> list[str] | None:
        """The row of a line in which a quote closes a field only where that ends; None where it is
        not as wide as the table.
        """
        cells = self._grammar.loose(line)
        return cells if cells is not None and len(cells) == self._width else None

    def otherwise_written(self, line: str) -> tuple[list[str], Mended] | None:
        """A row from a single line that is written with another quote or delimiter than the rest;
        None where there is none that fits.
        """
        body = line.rstrip("\r\n")
        if "'" in body and self._grammar.quote == '"':
            cells = self.read(body, replace(self._grammar, quote="'"))
            if cells is not None and self.fits(cells):
                return cells, "quote"
        if len(self._typed) < 2 or self._grammar.delimiter == " ":
            return None
        for delimiter in _OTHERS:
            if delimiter != self._grammar.delimiter and body.count(delimiter) >= self._width - 1:
                cells = self.read(body, replace(self._grammar, delimiter=delimiter))
                if cells is not None and self.fits(cells) and not self._gaps(cells):
                    return cells, "delimiter"
        return None

    def read(self, line: str, grammar: Grammar | None = None) -> list[str] | None:
        """The cells of one line; None where a quote stays open at its end."""
        return _single(self._grammar if grammar is None else grammar, line)


def with_one_literal_quote(grammar: Grammar, line: str) -> Iterator[list[str]]:
    """Readings of a line in each of which one quote at the beginning of a field is an ordinary
    character.
    """
    quote = grammar.quote
    place = -1
    for _ in range(_MOST_QUOTES if quote else 0):
        place = line.find(quote, place + 1)
        if place < 0:
            return
        if place and line[place - 1] not in (grammar.delimiter[-1:], " ", "\t"):
            continue
        changed = line[:place] + _STAND_IN + line[place + 1 :]
        for cells in (_single(grammar, changed), grammar.loose(changed)):
            if cells is not None:
                yield [cell.replace(_STAND_IN, quote) for cell in cells]


def _single(grammar: Grammar, line: str) -> list[str] | None:
    reader = grammar.reader([line + "\n", "\n"])
    cells = grammar.trimmed(next(reader, []))
    return cells if reader.line_num == 1 else None  # type: ignore[attr-defined]  # typeshed's return type of csv.reader is private

"""Rows of the sample, and which lines of a file are what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from workloads.preprocess.shapes import ColumnProfile


@dataclass(frozen=True, slots=True)
class Row:
    """A record of the sample."""

    line: int
    cells: list[str]

    @property
    def filled(self) -> int:
        """Cells with a value."""
        return sum(1 for cell in self.cells if cell.strip())

    @property
    def bare(self) -> list[str]:
        """The cells without the empty ones at the end."""
        last = len(self.cells)
        while last and not self.cells[last - 1].strip():
            last -= 1
        return self.cells[:last]


@dataclass(frozen=True, kw_only=True)
class Structure:
    """Which lines are what."""

    names: tuple[str, ...]
    """One per column of the table; empty where the file gives none."""
    header: tuple[Row, ...]
    """The rows the names come from; none where the file has no header."""
    preamble: tuple[Row, ...]
    """What stands before them."""
    between: tuple[tuple[Row, str], ...]
    """Rows between header and table that are neither, with what they are."""
    body_line: int
    """The first line of the table's rows."""
    end_line: int | None
    """Where a second table begins."""
    width: int
    spare: int
    """Empty fields that rows have after the last column."""
    profiles: tuple[ColumnProfile, ...] = field(repr=False)
    notes: tuple[tuple[str, str, bool], ...]
    """(code, sentence, sure) of what was decided."""


def profiles_of(body: Sequence[Sequence[str]], width: int) -> list[ColumnProfile]:
    """What the cells of each column look like."""
    return [ColumnProfile.of([row[number] for row in body]) for number in range(width)]

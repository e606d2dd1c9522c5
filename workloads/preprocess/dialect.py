"""How a CSV file is built: grammar, header, names of its columns, and what else stands in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from workloads.preprocess import structure as structures
from workloads.preprocess.columns import Array
from workloads.preprocess.grammar import Grammar
from workloads.preprocess.layout import Row, Structure
from workloads.preprocess.records import Block
from workloads.preprocess.rewrite import Source, as_block, written
from workloads.records import Remark

_PREAMBLE_LINES: Final = 50
_PREAMBLE_LENGTH: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How the file is to be read."""

    grammar: Grammar
    structure: Structure
    source_names: tuple[str, ...]
    """Names as in the file; empty where a column has no name."""
    preamble: tuple[str, ...]
    """Lines before the header that are no part of the table."""
    comment: str
    """What lines begin with that are none of the table's; empty where none were seen."""
    remarks: tuple[Remark, ...]
    cells: list[Array] = field(default_factory=list, repr=False, compare=False)
    """The sample's cells below the header, as strings (empty: no value), column by column."""

    @property
    def delimiter(self) -> str:
        """As in the file: one or several characters, or `blanks` for runs of blanks."""
        return self.grammar.delimiter

    @property
    def delimiter_name(self) -> str:
        """As in a sentence."""
        return self.grammar.delimiter_name

    @property
    def quote(self) -> str:
        """As in the file; empty where quotes are ordinary characters."""
        return self.grammar.quote

    @property
    def escape(self) -> str:
        """A backslash, or nothing."""
        return self.grammar.escape

    @property
    def header(self) -> bool:
        """Whether the file names its columns."""
        return bool(self.structure.header)

    def facts(self) -> dict[str, Any]:
        """For the manifest: JSON values only."""
        return {
            "delimiter": self.delimiter,
            "quote": self.quote,
            "escape": self.escape,
            "header": self.header,
            "header_rows": len(self.structure.header),
            "header_line": self.structure.header[-1].line if self.structure.header else None,
            "first_line": self.structure.body_line,
            "preamble": [line[:_PREAMBLE_LENGTH] for line in self.preamble[:_PREAMBLE_LINES]],
        }

    @property
    def canonical(self) -> Grammar:
        """Of the blocks that are made from the file."""
        return self.grammar if self.grammar.plain else Grammar(",")

    @property
    def separator(self) -> str:
        """Delimiter of these blocks."""
        return self.canonical.delimiter

    @property
    def headers(self) -> tuple[bytes, ...]:
        """The last header row as a record of a block, with quotes where it needs them, and with
        quotes around all; none where there is none or it is too common to look for.
        """
        if not self.structure.header or self.structure.width < 2:
            return ()
        names = self.structure.header[-1].cells[: self.structure.width]
        return tuple(
            written(names, self.separator, all_quoted=all_quoted).rstrip(b"\n")
            for all_quoted in (False, True)
        )

    def written(self, cells: Sequence[str]) -> bytes:
        """A row as a record of a block."""
        return written(cells, self.separator)

    def block(self, rows: Sequence[Source]) -> Block:
        """Rows as a block."""
        return as_block(rows, self.separator)

    def joined(self, cells: Sequence[str]) -> str:
        """A row for a person to read."""
        return self.written(cells).decode(errors="replace").rstrip("\n")

    def begins_table(self, rows: Sequence[Sequence[str]]) -> bool:
        """Whether the first of some rows after a gap is the header of another table."""
        if len(rows) < 2 or not rows[0]:
            return False
        following = [Row(0, list(cells)) for cells in rows if cells]
        profiles, width = self.structure.profiles, self.structure.width
        typed = [number for number, profile in enumerate(profiles) if profile.typed]
        names = {tuple(cell.strip() for cell in row.cells) for row in self.structure.header}
        if tuple(cell.strip() for cell in rows[0]) in names:
            return False
        return structures.is_header(following[0], following[1:], profiles, typed, width, gap=True)

"""Which lines of a file are what: title lines, header rows, units, the table, and a second table after it; decided from the first rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from workloads.preprocess.shapes import ColumnProfile, shape
from workloads.runtime.quoting import quoted

_PROFILED: Final = 400
_TINY: Final = 4
_FEW: Final = 30
"""With fewer rows nearly all are looked at; else neither the first, which may be names, nor the last, which may be totals or notes."""
_EARLIER: Final = 0.25
"""A run of rows of one width before all those of the commonest is a table of its own from this share of their number on."""
_UNIT: Final = re.compile(
    r"[\[(]?(?:[%‰°µμ]\S*|°?[CFK]|deg\w*|[kMGmµμnc]?(?:m|g|s|l|L|A|V|W|Pa|Hz|J|N|mol|bar|B|eV|ohm|Wh|b|y)\d?|hPa|ppmv?|ppb|psu|PSU|rad|min|h|hr|hrs|d|day|days"
    r"|yr|year|years|dB|lux|USD|EUR|GBP|usd|eur|count|counts|number|none|unitless|n/?a|-|int(?:eger)?|float|double|str(?:ing)?|text|date(?:time)?|bool(?:ean)?|numeric|\w+(?:[*/·.^]\w+[-+]?\d*)+|\w+\^-?\d+)[\])]?"
)
_RULE: Final = re.compile(r"[-+=:|_ ]{2,}")
_NAME_LIKE: Final = re.compile(r"[^\W\d].*")
_YEARS: Final = re.compile(r"(?:1[6-9]|20|21)[0-9]{2}")


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


def structure_of(rows: Sequence[Row]) -> Structure:
    """Decides from the records of the sample, blank ones included; at least one has a value."""
    filled = [row for row in rows if row.filled]
    width = _width(filled)
    start = _first_of_table(filled, width)
    end_line = _second_table(rows, filled, start, width)
    if end_line is not None:
        second = next(number for number, row in enumerate(filled) if row.line >= end_line)
        if second - start < _EARLIER / 2 * (
            len(filled) - second
        ):  # too little for a table: lines about the file, as wide by chance
            start, width = second, len(filled[second].cells)
            end_line = _second_table(rows, filled, start, width)
    table = [row for row in filled[start:] if end_line is None or row.line < end_line]
    width = _width(table)
    spare, columns = _spare(table, width)
    body = [
        row.cells
        for row in table
        if len(row.cells) in (width, columns) and len(row.bare) <= columns <= len(row.cells)
    ]
    several = [cells for cells in body if sum(1 for cell in cells if cell.strip()) > 1]
    body = several if columns > 2 and several else body
    body = body or [
        row.cells + [""] * (columns - len(row.cells)) for row in table if len(row.bare) <= columns
    ]
    return _Head(filled[:start], table, columns, spare, body).decide(end_line)


def _width(rows: Sequence[Row]) -> int:
    """Fields of most rows, or of an earlier table of its own; of as many as there are of two widths, the larger."""
    widths = [len(row.cells) for row in rows]
    counts = Counter(widths)
    commonest = max(counts, key=lambda width: (counts[width], width))
    begins = widths.index(commonest)
    earlier = Counter(widths[:begins])
    for width, count in earlier.most_common(1):
        if (
            width > 1
            and count >= max(3, _EARLIER * counts[commonest])
            and count >= 0.9 * counts[width]
        ):
            return width
    return commonest


def _first_of_table(filled: Sequence[Row], width: int) -> int:
    """Index of the first row that belongs to the table: what stands before it has one field or few."""
    if width == 1 or 2 * sum(len(row.bare) > 1 for row in filled) < len(filled):
        return 0
    for index, row in enumerate(filled):
        if len(row.bare) == 1 and (width > 2 or len(row.cells) == 1) and index + 1 < len(filled):
            continue  # a title
        if len(row.cells) == width or _near(row, filled[index + 1 :], width):
            return index
    return 0


def _near(row: Row, following: Sequence[Row], width: int) -> bool:
    """Whether a row of another width may be the table's header: no gap below, names for more than half of the columns, no values."""
    names = [cell for cell in row.bare if cell.strip()]
    if (
        not following
        or following[0].line > row.line + 1
        or all(len(other.cells) != width for other in following[:5])
    ):
        return False
    enough = 2 * len(names) > len(following[0].bare)
    return enough and not any(shape(cell) in ("number", "date", "time") for cell in names)


def _second_table(rows: Sequence[Row], filled: Sequence[Row], start: int, width: int) -> int | None:
    """The line on which another table begins: after a gap, or where all rows from a header on have another width or other types.

    What stands below a row says nothing of the table above it, so the columns are judged by the rows above, where these are not too few.
    """
    everything = [
        row.cells for row in filled[start + 1 : start + _PROFILED] if len(row.cells) == width
    ]
    above: list[list[str]] = []
    judged = 0
    profiles: list[ColumnProfile] = []
    typed: list[int] = []
    gap: int | None = None
    seen = 0
    lines = {row.line for row in filled[start:]}
    first_line = filled[start].line
    own = [cell.strip() for cell in filled[start].cells]
    usable = [row for row in rows if row.line >= first_line]
    for place, row in enumerate(usable):
        if row.line not in lines:
            gap = row.line + 1
            continue
        if gap is not None and len(row.bare) == 1 and width > 1:
            continue  # a title
        after = [other for other in usable[place + 1 : place + 4] if other.line in lines]
        seen += 1
        if seen > 2 and after and _is_named(row) and [cell.strip() for cell in row.cells] != own:
            if len(above) > judged or not profiles:
                profiles, judged = (
                    _profiles(above[-_PROFILED:] if len(above) >= _TINY else everything, width),
                    2 * len(above),
                )
                typed = [number for number, profile in enumerate(profiles) if profile.typed]
            enough = gap is not None or sum(_alike(cells, profiles, typed) for cells in above) > 1
            if enough and is_header(row, after, profiles, typed, width, gap=gap is not None):
                return gap or row.line
        if seen > 1 and len(row.cells) == width:
            above.append(row.cells)
        gap = None
    return None


def _alike(cells: Sequence[str], profiles: Sequence[ColumnProfile], typed: Sequence[int]) -> bool:
    return all(shape(cells[number]) == profiles[number].shape for number in typed)


def _is_named(row: Row) -> bool:
    """Whether a row may be one of names: at least two texts, and no gap between them."""
    names = [cell for cell in row.bare if cell.strip()]
    return (
        len(names) >= 2
        and len(names) == len(row.bare)
        and all(shape(cell) == "text" for cell in names)
    )


def is_header(
    row: Row,
    after: Sequence[Row],
    profiles: Sequence[ColumnProfile],
    typed: Sequence[int],
    width: int,
    *,
    gap: bool,
) -> bool:
    """Whether a row in the middle is the header of another table."""
    names = [cell for cell in row.bare if cell.strip()]
    if not _is_named(row):
        return False
    if len(row.cells) != width:
        alike = all(len(other.cells) == len(row.cells) for other in after)
        return alike and len(set(names)) == len(names) and (gap or len(after) > 1)
    if not typed:
        return False
    return all(profiles[number].contradicts(row.cells[number]) for number in typed) and (
        gap or len(typed) > 1
    )


def _profiles(body: Sequence[Sequence[str]], width: int) -> list[ColumnProfile]:
    return [ColumnProfile.of([row[number] for row in body]) for number in range(width)]


def _spare(table: Sequence[Row], width: int) -> tuple[int, int]:
    """Empty fields after the last column in most rows, and how many columns the table has."""
    first, rest = table[0], table[1:] or table
    bare = max((len(row.bare) for row in rest if len(row.cells) == width), default=width)
    named = len(first.bare)
    reached = max((len(row.bare) for row in rest if len(row.bare) <= named), default=0)
    columns = max(bare, reached, min(named, width), 1)
    return max(0, width - columns), columns


class _Head:
    """Tells header, units and the like from rows of the table."""

    def __init__(
        self,
        before: Sequence[Row],
        table: Sequence[Row],
        columns: int,
        spare: int,
        body: list[list[str]],
    ) -> None:
        self.before, self.table, self.columns, self.spare = (
            list(before),
            list(table),
            columns,
            spare,
        )
        sample = (
            body[1 : len(body) - (len(body) > _TINY)]
            if len(body) < _FEW
            else body[8 : min(8 + _PROFILED, len(body) - 3)]
        )
        self.profiles = _profiles(
            [row[:columns] for row in sample] or [row[:columns] for row in body], columns
        )
        self.notes: list[tuple[str, str, bool]] = []
        self.between: list[tuple[Row, str]] = []

    def decide(self, end_line: int | None) -> Structure:
        heads = self._header_like()
        preamble = [*self.before]
        heads = self._without_metadata(heads, preamble)
        if not heads and self.spare:  # without names, nothing says that an empty last field is none
            self._keep_spare()
        header = self._sorted_out(heads)
        names = self._names(header)
        self._note(header, names)
        rest = self.table[len(preamble) - len(self.before) + len(header) + len(self.between) :]
        last = self.table[-1].line if self.table else 1
        body_line = rest[0].line if rest else last + 1
        return Structure(
            names=tuple(names),
            header=tuple(header),
            preamble=tuple(preamble),
            between=tuple(self.between),
            body_line=body_line,
            end_line=end_line,
            width=self.columns,
            spare=self.spare,
            profiles=tuple(self.profiles),
            notes=tuple(self.notes),
        )

    def _keep_spare(self) -> None:
        self.profiles += [ColumnProfile.of([""])] * self.spare
        self.columns, self.spare = self.columns + self.spare, 0

    def _note(self, header: Sequence[Row], names: Sequence[str]) -> None:
        """Says where names and columns do not match."""
        if self.spare:
            some = f"{self.spare:,} empty fields after the last column were left out"
            one = "an empty field after the last column was left out"
            self.notes.append(("spare-fields", one if self.spare == 1 else some, True))
        if not header:
            return
        given = [cell.strip() for cell in header[-1].bare]
        unnamed = [number for number, name in enumerate(names, start=1) if not name]
        if len(given) > self.columns:
            left = ", ".join(map(quoted, given[self.columns :][:5]))
            self.notes.append(
                (
                    "surplus-names",
                    f"the header has {len(given):,} names for {self.columns:,} columns; left out: {left}",
                    False,
                )
            )
        elif len(header[-1].cells) > self.columns + self.spare:
            self.notes.append(
                ("surplus-names", "a delimiter at the end of the header was left out", True)
            )
        if unnamed:
            which = ", ".join(map(str, unnamed[:10])) + (", …" if len(unnamed) > 10 else "")
            plural = "column" if len(unnamed) == 1 else "columns"
            self.notes.append(
                ("columns-without-name", f"the header has no name for {plural} {which}", False)
            )

    def _header_like(self) -> list[Row]:
        """The first rows, as long as they look like names rather than like the rows below."""
        heads: list[Row] = []
        for row in self.table[:6]:
            evidence = self._evidence(row)
            if evidence < 0 or (
                heads and (evidence <= 0.5 or not self._strong(row) or not _all_names(row))
            ):
                break
            if not heads and evidence == 0 and not self._looks_like_names(row):
                break
            heads.append(row)
        return heads

    def _evidence(self, row: Row) -> float:
        """Above 0 where a row looks like names, below where it looks like the other rows."""
        total = 0.0
        years = [cell.strip() for cell in row.cells if cell.strip() and shape(cell) == "number"]
        as_years = all(_YEARS.fullmatch(cell) for cell in years) or self._counted(row)
        for cell, profile in zip(row.cells, self.profiles, strict=False):
            value = cell.strip()
            if not value:
                continue
            if profile.typed:
                kind = shape(value)
                if kind == "missing":
                    total += 0.25 if value[:1].isalpha() else 0.0
                elif kind != profile.shape:
                    total += 1.0
                elif not as_years or not _outside(value, profile) or kind != "number":
                    total -= 1.0
                else:
                    total += 0.5
            elif profile.pattern is not None:
                total += 0.5 if profile.contradicts(value) else -0.5
            elif value in profile.values and len(profile.values) > 1:
                total -= 0.5
            elif shape(value) in ("number", "date", "time", "address"):
                total -= 0.25
        return total

    def _counted(self, row: Row) -> bool:
        """Whether the numbers of a row count its columns, 0, 1, 2 …, above numbers that are not whole."""
        numbers = [
            (cell.strip(), profile)
            for cell, profile in zip(row.cells, self.profiles, strict=False)
            if shape(cell) == "number"
        ]
        counted = [cell for cell, _ in numbers]
        begins = counted[0] if counted else ""
        if (
            len(counted) < 3
            or begins not in ("0", "1")
            or counted != [str(int(begins) + step) for step in range(len(counted))]
        ):
            return False
        return all(
            2 * sum(value.isdigit() for value in profile.values) < len(profile.values)
            for _, profile in numbers
        )

    def _strong(self, row: Row) -> bool:
        """Whether a further row differs from the table's in a column of numbers or dates, and agrees in none."""
        pairs = [
            (cell, profile)
            for cell, profile in zip(row.cells, self.profiles, strict=False)
            if profile.typed and cell.strip()
        ]
        alike = [(cell, profile) for cell, profile in pairs if shape(cell) == profile.shape]
        years = all(
            _YEARS.fullmatch(cell.strip()) and _outside(cell.strip(), profile)
            for cell, profile in alike
        )
        return years and (bool(alike) or any(profile.contradicts(cell) for cell, profile in pairs))

    def _looks_like_names(self, row: Row) -> bool:
        """Whether a row of words without a sign for or against it is taken for the header."""
        names = [cell.strip() for cell in row.bare]
        return len(set(names)) == len(names) and all(
            shape(name) == "text" and _NAME_LIKE.match(name) for name in names
        )

    def _without_metadata(self, heads: list[Row], preamble: list[Row]) -> list[Row]:
        """Takes off first rows that tell of the file: with numbers among words, above a full row of names; or with a blank line below."""
        while (
            len(heads) > 1 and heads[1].line > heads[0].line + 1 and not _units(heads[1], heads[0])
        ):
            preamble.append(heads.pop(0))
        while len(heads) > 1 and any(
            shape(cell) == "number" and not _YEARS.fullmatch(cell.strip())
            for cell in heads[0].cells
        ):
            second = heads[1].bare
            if (
                len(second) < self.columns
                or not all(cell.strip() for cell in second)
                or any(shape(cell) == "number" for cell in second)
            ):
                break
            preamble.append(heads.pop(0))
        return heads

    def _sorted_out(self, heads: list[Row]) -> list[Row]:
        """The rows that give the names; the others are set aside with what they are."""
        if not heads:
            return []
        header = [heads[0]]
        for row in heads[1:]:
            above = header[-1]
            mine = [cell.strip() for cell in row.cells]
            if mine == [cell.strip() for cell in above.cells]:
                self.between.append((row, "repeated header"))
            elif all(_RULE.fullmatch(cell) for cell in mine if cell):
                self.between.append((row, "ruled line"))
            elif _units(row, above):
                self.between.append((row, "units row"))
            elif not self.between:
                header.append(row)
            else:
                self.between.append((row, "further header row"))
        return header

    def _names(self, header: Sequence[Row]) -> list[str]:
        names = [""] * self.columns
        for index, row in enumerate(header):
            cells = [cell.strip() for cell in row.cells]
            if len(cells) > self.columns and len(cells) - self.columns == cells.count(""):
                cells = [cell for cell in cells if cell]  # a delimiter too many between the names
            cells = cells[: self.columns]
            cells += [""] * (self.columns - len(cells))
            if index + 1 < len(header):
                for number in range(1, self.columns):
                    cells[number] = cells[number] or cells[number - 1]
            names = [
                " ".join(part for part in (name, cell) if part)
                for name, cell in zip(names, cells, strict=True)
            ]
        return names


def _all_names(row: Row) -> bool:
    """Whether every cell may be a name or a unit: none is a value, none begins with a digit, years apart."""
    cells = [cell.strip() for cell in row.cells if cell.strip()]
    return all(
        _YEARS.fullmatch(cell)
        or _UNIT.fullmatch(cell)
        or (shape(cell) in ("text", "missing") and not cell[0].isdigit())
        for cell in cells
    )


def _outside(year: str, profile: ColumnProfile) -> bool:
    """Whether a column whose name may be a year, or a number in a row, holds other numbers than that."""
    years = sum(_YEARS.fullmatch(value) is not None for value in profile.values)
    return 2 * years < len(profile.values) and year not in profile.values


def _units(row: Row, names: Row) -> bool:
    """Whether most cells are units of measurement, below a row of names."""
    cells = [cell.strip() for cell in row.cells if cell.strip()]
    like = sum(_UNIT.fullmatch(cell) is not None for cell in cells)
    above = [cell.strip() for cell in names.bare]
    return (
        2 * like >= len(cells) > 0
        and all(above)
        and 2 * sum(_UNIT.fullmatch(cell) is not None for cell in above) <= len(above)
    )

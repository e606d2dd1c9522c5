"""Tells the rows that name the columns, their units and the like from the rows of the table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from workloads.preprocess.layout import Row, Structure, profiles_of
from workloads.preprocess.shapes import ColumnProfile, shape
from workloads.runtime.quoting import quoted

_PROFILED: Final = 400
_TINY: Final = 4
_FEW: Final = 30
"""Number of rows: with fewer nearly all are looked at; else neither the first, which may be names,
nor the last, which may be totals or notes.
"""
_UNIT: Final = re.compile(
    r"[\[(]?(?:[%‰°µμ]\S*|°?[CFK]|deg\w*|[kMGmµμnc]?(?:m|g|s|l|L|A|V|W|Pa|Hz|J|N|mol|bar|B|eV|ohm|Wh|b|y)\d?|hPa|ppmv?|ppb|psu|PSU|rad|min|h|hr|hrs|d|day|days"
    r"|yr|year|years|dB|lux|USD|EUR|GBP|usd|eur|count|counts|number|none|unitless|n/?a|-|int(?:eger)?|float|double|str(?:ing)?|text|date(?:time)?|bool(?:ean)?|numeric|\w+(?:[*/·.^]\w+[-+]?\d*)+|\w+\^-?\d+)[\])]?"
)
_RULE: Final = re.compile(r"[-+=:|_ ]{2,}")
_NAME_LIKE: Final = re.compile(r"[^\W\d].*")
_YEARS: Final = re.compile(r"(?:1[6-9]|20|21)[0-9]{2}")


class Head:
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
        self.profiles = profiles_of(
            [row[:columns] for row in sample] or [row[:columns] for row in body], columns
        )
        self.notes: list[tuple[str, str, bool]] = []
        self.between: list[tuple[Row, str]] = []

    def decide(self, end_line: int | None) -> Structure:
        """What each row is; `end_line` is where a second table begins."""
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
                    (
                        f"the header has {len(given):,} names for {self.columns:,} columns; left"
                        f" out: {left}"
                    ),
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
        """Whether the numbers of a row count its columns, 0, 1, 2 …, above numbers that are not
        whole.
        """
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
        """Whether a further row differs from the table's in a column of numbers or dates, and
        agrees in none.
        """
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
        """Takes off first rows that tell of the file: with numbers among words, above a full row of
        names; or with a blank line below.
        """
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
    """Whether every cell may be a name or a unit: none is a value, none begins with a digit, years
    apart.
    """
    cells = [cell.strip() for cell in row.cells if cell.strip()]
    return all(
        _YEARS.fullmatch(cell)
        or _UNIT.fullmatch(cell)
        or (shape(cell) in ("text", "missing") and not cell[0].isdigit())
        for cell in cells
    )


def _outside(year: str, profile: ColumnProfile) -> bool:
    """Whether a column whose name may be a year, or a number in a row, holds other numbers than
    that.
    """
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

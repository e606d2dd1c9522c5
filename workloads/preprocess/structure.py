"""Which lines of a file are what: title lines, header rows, units, the table, and a second table
after it; decided from the first rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from workloads.preprocess.header import Head
from workloads.preprocess.layout import Row, Structure, profiles_of
from workloads.preprocess.shapes import ColumnProfile, shape

_PROFILED: Final = 400
_TINY: Final = 4
_EARLIER: Final = 0.25
"""A run of rows of one width before all those of the commonest is a table of its own from this
share of their number on.
"""


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
    return Head(filled[:start], table, columns, spare, body).decide(end_line)


def _width(rows: Sequence[Row]) -> int:
    """Fields of most rows, or of an earlier table of its own; of as many as there are of two
    widths, the larger.
    """
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
    """Index of the first row that belongs to the table: what stands before it has one field or
    few.
    """
    if width == 1 or 2 * sum(len(row.bare) > 1 for row in filled) < len(filled):
        return 0
    for index, row in enumerate(filled):
        if len(row.bare) == 1 and (width > 2 or len(row.cells) == 1) and index + 1 < len(filled):
            continue  # a title
        if len(row.cells) == width or _near(row, filled[index + 1 :], width):
            return index
    return 0


def _near(row: Row, following: Sequence[Row], width: int) -> bool:
    """Whether a row of another width may be the table's header: no gap below, names for more than
    half of the columns, no values.
    """
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
    """The line on which another table begins: after a gap, or where all rows from a header on have
    another width or other types.

    What stands below a row says nothing of the table above it, so the columns are judged by the
    rows above, where these are not too few.
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
                    profiles_of(above[-_PROFILED:] if len(above) >= _TINY else everything, width),
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


def _spare(table: Sequence[Row], width: int) -> tuple[int, int]:
    """Empty fields after the last column in most rows, and how many columns the table has."""
    first, rest = table[0], table[1:] or table
    bare = max((len(row.bare) for row in rest if len(row.cells) == width), default=width)
    named = len(first.bare)
    reached = max((len(row.bare) for row in rest if len(row.bare) <= named), default=0)
    columns = max(bare, reached, min(named, width), 1)
    return max(0, width - columns), columns

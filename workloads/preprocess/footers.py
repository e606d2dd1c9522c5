"""Notes and totals below a table, which are no rows of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from workloads.preprocess.layout import Structure
from workloads.preprocess.ragged import RaggedRule
from workloads.preprocess.shapes import shape

_TOTAL: Final = re.compile(
    r"(?:grand |sub-?)?totals?:?|sums?:?|summe|gesamt\w*|total"
    r" g[ée]n[ée]ral|somme|suma|totale|totaal|итого|合计|总计",
    re.IGNORECASE,
)


def footer(
    cells: Sequence[str], record: bytes, structure: Structure, rule: RaggedRule
) -> str | None:
    """What a row at the end is, `note` or `total row`, where it is no row of the table."""
    values = [cell.strip() for cell in cells if cell.strip()]
    others = structure.profiles[1:]
    if (
        len(values) == 1
        and cells[0].strip()
        and shape(cells[0]) == "text"
        and any(profile.filled for profile in others)
    ):
        if len(cells) == 1 and rule.otherwise_written(record.decode(errors="replace")):
            return None  # a row after all
        return "note" if structure.width > 2 or len(cells) == 1 else None
    if (
        values
        and len(cells) == structure.width
        and _TOTAL.fullmatch(values[0])
        and not any(values[0] in profile.values for profile in structure.profiles)
    ):
        return "total row"
    return None

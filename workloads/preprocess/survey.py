"""What a pass over the file has met that the plan of its columns did not foresee."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workloads.preprocess.columns import CELLS, ColumnPlan, IncompleteRows, Told
from workloads.preprocess.convert import reason
from workloads.preprocess.gaps import Gaps
from workloads.records import Remark

_MOST_TEXTS: Final = 10_000
_TEXT_LENGTH: Final = 200
_SHOWN: Final = 3
_RARE: Final = 0.01
"""Share of a column's cells up to which cells without a value of its kind are no reason to doubt
the kind.
"""


@dataclass(slots=True)
class Odd:
    """Cells of one column that are no value of its kind; of a column without a kind yet, all that
    are not empty.
    """

    counts: Counter[str] = field(default_factory=Counter)
    """The different texts, up to a number of them."""
    total: int = 0

    def add(self, counts: Mapping[str, int]) -> None:
        """Takes more cells."""
        for text, count in counts.items():
            self.total += count
            if text in self.counts or len(self.counts) < _MOST_TEXTS:
                self.counts[text[:_TEXT_LENGTH]] += count


@dataclass(frozen=True, slots=True)
class Seen:
    """What one block has shown."""

    rows: int
    """Rows as wide as the table."""
    odd: Mapping[int, Mapping[str, int]]
    """Column -> text -> cells."""
    gaps: tuple[NDArray[np.int64], NDArray[np.uint8]]
    """Gaps of the columns that could be compared: see `gaps.pack`."""

    @classmethod
    def nothing(cls) -> Seen:
        """Of no rows."""
        return cls(0, {}, (np.empty(0, np.int64), np.empty((0, 0), np.uint8)))


class Survey:
    """What all blocks have shown, in file order.

    Args:
        columns: As planned for this pass.
    """

    def __init__(self, columns: Sequence[ColumnPlan]) -> None:
        self.columns = columns
        self.odd = [Odd() for _ in columns]
        self.gaps = Gaps(sum(column.decision.use == "compare" for column in columns))

    @property
    def rows(self) -> int:
        """Rows seen that are as wide as the table."""
        return self.gaps.rows

    def add(self, seen: Seen) -> None:
        """Takes the next block's."""
        self.gaps.add(seen.rows, *seen.gaps)
        for place, counts in seen.odd.items():
            self.odd[place].add(counts)

    def remarks(self, incomplete_rows: IncompleteRows, *, values: bool) -> list[Remark]:
        """One for each column with cells that were left empty."""
        found = []
        for column, odd in zip(self.columns, self.odd, strict=True):
            if not odd.total or column.unknown:
                continue
            (commonest, _), *_ = odd.counts.most_common(1)
            rejected = column.needed and incomplete_rows == "reject"
            cells = tuple(text for text, _ in odd.counts.most_common(_SHOWN))
            if odd.total > 1:
                many = f"{odd.total:,} cells"
                lost = "their rows were rejected" if rejected else "they have no value in the table"
            else:
                many = "1 cell"
                lost = "its row was rejected" if rejected else "it has no value in the table"
            says = (
                f"has {many} with another content, such as {CELLS}"
                f" ({reason(commonest, column.decision)[0]}); {lost}"
            )
            told = Told(
                code="cells-without-value",
                says=says,
                cells=cells,
                sure=odd.total <= _RARE * self.rows,
            )
            found.append(told.about(column.name, values=values))
        return found


def count(texts: Any) -> dict[str, int]:
    """Text -> cells."""
    found = texts.value_counts()
    return dict(zip(pa.array(found.field(0)).to_pylist(), found.field(1).to_pylist(), strict=True))

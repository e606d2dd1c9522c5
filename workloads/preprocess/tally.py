"""The different texts of a column's cells, each with the number of cells that hold it: from these a
column's kind is decided.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

compute: Any = pc


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts and their numbers."""

    values: Any
    """Arrow strings, no null."""
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, cells: Any) -> Self:
        """The different texts of an array of strings that are not empty; null is none."""
        found = cells.filter(compute.not_equal(cells, "")).value_counts()
        return cls(found.field(0), found.field(1).to_numpy(zero_copy_only=False))

    @classmethod
    def from_counts(cls, counts: Mapping[str, int]) -> Self:
        """As counted by a mapping."""
        return cls(
            pa.array(list(counts), pa.string()), np.fromiter(counts.values(), np.int64, len(counts))
        )

    @property
    def total(self) -> int:
        """Cells."""
        return int(self.counts.sum())

    def weight(self, where: Any) -> int:
        """Cells whose text is marked by an Arrow array of booleans; null is not marked."""
        return int(self.counts[where if isinstance(where, np.ndarray) else mask(where)].sum())

    def where(self, marked: NDArray[np.bool_]) -> Texts:
        """The marked ones."""
        return Texts(self.values.filter(pa.array(marked)), self.counts[marked])

    def trimmed(self) -> Texts:
        """Without white space around them; texts that become the same stay apart."""
        return Texts(compute.utf8_trim_whitespace(self.values), self.counts)

    def commonest(self, most: int) -> list[tuple[str, int]]:
        """Texts and numbers, the largest first."""
        order = np.argsort(-self.counts, kind="stable")[:most]
        return [(str(self.values[int(place)].as_py()), int(self.counts[place])) for place in order]

    def without(self, others: Mapping[str, int]) -> Texts:
        """Those that are not among the others."""
        return self.where(~mask(compute.is_in(self.values, pa.array(list(others), pa.string()))))

    def joined(self, other: Mapping[str, int]) -> Texts:
        """With more cells."""
        both = Counter(dict(zip(self.values.to_pylist(), self.counts.tolist(), strict=True)))
        both.update(other)
        return Texts.from_counts(both)


def mask(where: Any) -> NDArray[np.bool_]:
    """An Arrow array of booleans for NumPy; null is False."""
    found: NDArray[np.bool_] = (
        compute.fill_null(where, fill_value=False).to_numpy(zero_copy_only=False).astype(bool)
    )
    return found

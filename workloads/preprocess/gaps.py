"""Which columns have so many gaps that the comparison of rows is better without them.

Only complete rows are compared. So while more than a given share of the rows lacks a value in some
compared column, the column with the most gaps is left out; it is described all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_HELD_BYTES: Final = 8 << 20
_HELD_ROWS: Final = 100_000


class Gaps:
    """The rows with gaps, of large tables an evenly spread part of them.

    Args:
        columns: Columns that could be compared.
    """

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._limit = max(1, min(_HELD_ROWS, _HELD_BYTES // max(1, (columns + 7) // 8)))
        self._step = 1
        self._held: list[tuple[NDArray[np.int64], NDArray[np.uint8]]] = []
        self._count = 0
        self.rows = 0
        """Rows seen, with gaps or without."""

    def add(self, rows: int, places: NDArray[np.int64], packed: NDArray[np.uint8]) -> None:
        """Takes the next rows, `places` being those with gaps and `packed` the gaps of each: see
        `pack`.
        """
        if not len(places):
            self.rows += rows
            return
        chosen = (self.rows + places) % self._step == 0
        self._held.append(((self.rows + places)[chosen], packed[chosen]))
        self._count += int(chosen.sum())
        self.rows += rows
        while self._count > self._limit:
            self._step *= 2
            kept = [
                (rows[rows % self._step == 0], bits[rows % self._step == 0])
                for rows, bits in self._held
            ]
            self._held = [
                (
                    np.concatenate([rows for rows, _ in kept]),
                    np.concatenate([bits for _, bits in kept]),
                )
            ]
            self._count = len(self._held[0][0])

    def left_out(
        self, percent: float, *, among: Sequence[int], fixed: Sequence[bool]
    ) -> dict[int, float]:
        """Column -> percent of the rows without a value, of the columns to leave out.

        Args:
            percent: Of the rows, that may lack a value in a compared column.
            among: Columns that are compared if they can be.
            fixed: Of these, which are compared whatever it costs.
        """
        if not self._count or not among:
            return {}
        bits = np.concatenate([bits for _, bits in self._held])
        gaps = np.unpackbits(bits, axis=1, count=self._columns)[:, list(among)].astype(bool)
        many = gaps.sum(axis=0)
        kept = np.ones(len(among), bool)
        left_out: dict[int, float] = {}
        while gaps[:, kept].any(axis=1).sum() * self._step > percent / 100 * self.rows:
            free = np.flatnonzero(kept & ~np.asarray(fixed, bool) & (many > 0))
            if not len(free):
                break
            worst = int(free[np.argmax(many[free])])
            kept[worst] = False
            left_out[among[worst]] = min(100.0, 100 * int(many[worst]) * self._step / self.rows)
        return left_out


def no_gaps(columns: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """What `pack` gives for rows without a gap."""
    return np.empty(0, np.int64), np.empty((0, (columns + 7) // 8), np.uint8)


def pack(valid: Sequence[NDArray[np.bool_]]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Places of the rows with gaps and the gaps of each as bits, from where each column has
    values.
    """
    if not valid:
        return no_gaps(0)
    missing = ~np.stack(valid, axis=1)
    places = np.flatnonzero(missing.any(axis=1))
    return places, np.packbits(missing[places], axis=1)

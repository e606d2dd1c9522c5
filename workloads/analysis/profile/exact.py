"""Exact quantiles from the sketch and two more looks at the data.

The sketch knows in which bin an order statistic lies and which place it has there. A look counts only values of such bins, by their next
few bits; after 9 and 8 more bits the pattern of the float32 is complete. Counts are integers, so ranks may add theirs up in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.moments import Floats, Integers
from workloads.analysis.profile.sketch import SHIFT, Sketch, ordered_keys, positions, value_of

_STEPS: Final = (9, 8)
_Keys = npt.NDArray[np.uint32]


def exact_quantiles(
    sketch: Sketch,
    probabilities: Sequence[float],
    units: Callable[[], Iterable[npt.NDArray[np.float32]]],
    add_up: Callable[[Integers], Integers] = lambda counts: counts,
) -> Floats:
    """Quantiles of every column without error, linear between order statistics (as numpy.quantile).

    Args:
        sketch: Counts of the whole table.
        probabilities: (q,) each in [0, 1].
        units: The units at hand as (columns, rows), anew at each call; together with those of the other ranks the whole table.
        add_up: Sums an array of counts over all ranks.

    Returns:
        (q, columns); NaN for a column without a value.
    """
    wanted = np.asarray(probabilities, np.float64)
    known = [_Column(*sketch.column(index), wanted) for index in range(sketch.columns)]
    sizes = [column.open.size for column in known]
    rest = SHIFT
    for bits in _STEPS:
        rest -= bits
        counts = np.zeros((sum(sizes), 1 << bits), np.int64)
        for unit in units():
            for column, values, part in zip(known, unit, np.split(counts, np.cumsum(sizes)[:-1]), strict=True):
                column.count(values, rest, bits, part)
        for column, part in zip(known, np.split(add_up(counts), np.cumsum(sizes)[:-1]), strict=True):
            column.narrow(part, bits)
        sizes = [column.open.size for column in known]
    return np.array([column.values() for column in known]).reshape(sketch.columns, wanted.size).T


class _Column:
    """The order statistics that one column's quantiles need: their leading bits so far, and their place among values with these bits."""

    def __init__(self, bins: Integers, counts: Integers, probabilities: Floats) -> None:
        ends = np.cumsum(counts)
        self._empty = not bins.size
        if self._empty:
            self._fraction = probabilities
            self._prefix, self._place = np.zeros(0, np.uint32), np.zeros(0, np.int64)
        else:
            low, high, self._fraction = positions(probabilities, int(ends[-1]))
            ranks = np.concatenate((low, high))
            at = np.searchsorted(ends, ranks, side="right")
            self._prefix, self._place = bins[at].astype(np.uint32), ranks - (ends[at] - counts[at])
        self.open: _Keys = np.unique(self._prefix)

    def count(self, values: npt.NDArray[np.float32], rest: int, bits: int, counts: Integers) -> None:
        """Adds values that begin like a wanted one, by their next `bits` bits, leaving `rest`."""
        if self._empty:
            return
        keys = ordered_keys(values[np.isfinite(values)])
        prefix = keys >> np.uint32(rest + bits)
        at = np.minimum(np.searchsorted(self.open, prefix), self.open.size - 1)
        hit = self.open[at] == prefix
        place = (at[hit] << bits) + ((keys[hit] >> np.uint32(rest)) & np.uint32((1 << bits) - 1))
        counts += np.bincount(place, minlength=counts.size).reshape(counts.shape)

    def narrow(self, counts: Integers, bits: int) -> None:
        """Goes on to the next bits of every wanted value."""
        if self._empty:
            return
        rows = np.searchsorted(self.open, self._prefix)
        ends = np.cumsum(counts, axis=1)[rows]
        digit = (ends <= self._place[:, None]).sum(axis=1)
        below = np.take_along_axis(ends - counts[rows], digit[:, None], axis=1)[:, 0]
        self._place = self._place - below
        self._prefix = (self._prefix << np.uint32(bits)) | digit.astype(np.uint32)
        self.open = np.unique(self._prefix)

    def values(self) -> Floats:
        """The quantiles, when all bits are known."""
        if self._empty:
            return np.full(self._fraction.shape, np.nan)
        low, high = np.split(value_of(self._prefix), 2)
        return low + (high - low) * self._fraction

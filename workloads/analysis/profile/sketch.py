"""Histogram over prefixes of the float64 bit pattern: quantiles with a stated error from integer
counts.

Read as an integer, the pattern of a float grows with the value (negative values mirrored), so its
upper bits name a bin: sign, exponent and the first six bits of the mantissa, 262,144 bins in all,
each at most 1/64 of its value wide. Counts are integers and add up in any order on any hardware.
Values below 128 that are integers have bins of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.compiled import passes_over
from workloads.analysis.profile.moments import Floats, Integers

SHIFT = 46
"""Bits of the pattern that a bin leaves open."""
_BITS = 64 - SHIFT
BINS = 1 << _BITS
_HALF = BINS // 2
_SIGN = np.uint64(1 << 63)
_TURN = np.uint64((1 << (SHIFT + 1)) | (1 << (SHIFT + 1 - _BITS)))
"""Times this, the upper bits of an integer are its last ones turned left by one bit: the magnitude,
then the sign; the magnitude's copy stands below.
"""


class PrefixCounts:
    """Counts of one column's values by bin, over the run of bins that they fill.

    Bins are held by magnitude, those of both signs beside each other: values around zero leave the
    smallest magnitudes of both signs empty.
    """

    def __init__(self) -> None:
        self._first = 0
        self._counts = np.zeros(0, np.int64)

    def add(self, values: Floats, room: Floats | None = None) -> None:
        """Counts values.

        Args:
            values: (n,) finite, contiguous.
            room: (n or more,) scratch memory, which is overwritten; saves time where it is used
                again.
        """
        if not values.size:
            return
        if room is None:
            room = np.empty(values.size)
        compiled = passes_over(values)
        if compiled is not None:
            bins, first, last = compiled.bins(values, room)
            compiled.count(bins, first, self._cover(first, last + 1))
            return
        pairs = room.view(np.uint64)[: values.size]
        np.right_shift(values.view(np.uint64), np.uint64(SHIFT), out=pairs)
        pairs *= _TURN
        pairs >>= np.uint64(SHIFT)
        first = int(pairs.min())
        pairs -= np.uint64(first)
        counted = np.bincount(pairs.view(np.int64))
        self._cover(first, first + counted.size)[...] += counted

    def found(self) -> tuple[Integers, Integers]:
        """Bins in order of value, and their counts, none of them 0."""
        places = np.flatnonzero(self._counts)
        negative = (places + self._first) & 1 == 1
        places = np.concatenate((places[negative][::-1], places[~negative]))
        magnitudes = (places + self._first) >> 1
        below = int(negative.sum())
        bins = np.concatenate((_HALF - 1 - magnitudes[:below], _HALF + magnitudes[below:]))
        return bins, self._counts[places]

    def _cover(self, start: int, stop: int) -> Integers:
        """The counts of a run of bins, which are made room for."""
        if not self._counts.size:
            self._first, self._counts = start, np.zeros(stop - start, np.int64)
        first, last = self._first, self._first + self._counts.size
        if start < first or stop > last:
            grown = np.zeros(max(stop, last) - min(start, first), np.int64)
            self._first = min(start, first)
            grown[first - self._first : last - self._first] = self._counts
            self._counts = grown
        return self._counts[start - self._first : stop - self._first]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sketch:
    """Counts of the finite values of d columns, without the empty bins."""

    columns: int
    keys: Integers
    """(nonzero,) `column * BINS + bin`, ascending; bins in order of value."""
    counts: Integers
    """(nonzero,) of each key, never 0."""

    @classmethod
    def empty(cls, columns: int) -> Sketch:
        """Of no values: merging it changes nothing."""
        return cls(columns=columns, keys=np.zeros(0, np.int64), counts=np.zeros(0, np.int64))

    @classmethod
    def of_columns(cls, columns: Sequence[tuple[Integers, Integers]]) -> Sketch:
        """From each column's bins, in order of value, and their counts."""
        keys = [index * BINS + bins for index, (bins, _) in enumerate(columns)]
        nothing = np.zeros(0, np.int64)
        counts = [counts for _, counts in columns]
        return cls(
            columns=len(columns),
            keys=np.concatenate([nothing, *keys]),
            counts=np.concatenate([nothing, *counts]),
        )

    def column(self, index: int) -> tuple[Integers, Integers]:
        """Bins (ascending) and their counts of one column."""
        start, stop = self._bounds[index], self._bounds[index + 1]
        return self.keys[start:stop] - index * BINS, self.counts[start:stop]

    @cached_property
    def _bounds(self) -> Integers:
        return np.searchsorted(self.keys, np.arange(self.columns + 1, dtype=np.int64) * BINS)

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Name -> array, for storage and digest."""
        return {"sketch_keys": self.keys, "sketch_counts": self.counts}


def merge(a: Sketch, b: Sketch) -> Sketch:
    """Counts of both. Any order and grouping gives the same arrays."""
    keys = np.concatenate((a.keys, b.keys))
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    counts = np.concatenate((a.counts, b.counts))[order]
    summed = np.add.reduceat(counts, first) if first.size else counts
    return Sketch(columns=a.columns, keys=keys[first], counts=summed)


def edges(bins: Integers) -> tuple[Floats, Floats]:
    """Smallest and largest value of each bin."""
    keys = bins.astype(np.uint64) << np.uint64(SHIFT)
    return value_of(keys), value_of(keys | np.uint64((1 << SHIFT) - 1))


def ordered_keys(values: Floats) -> npt.NDArray[np.uint64]:
    """The 64-bit patterns, made to grow with the value."""
    bits = np.ascontiguousarray(values).view(np.uint64)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def value_of(keys: npt.NDArray[np.uint64]) -> Floats:
    """The values that ordered_keys came from; minus zero becomes zero."""
    bits = np.where(keys >= _SIGN, keys ^ _SIGN, ~keys)
    return bits.view(np.float64) + 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantiles:
    """Estimates and how far each can be from the true order statistic."""

    values: Floats
    bounds: Floats
    """`abs(value - true value) <= bound`; 0 where the value is exact."""
    rests: Floats
    """Parts that float64 takes from exact quantiles of whole numbers beyond 2^53; else 0."""


def quantiles(
    sketch: Sketch, index: int, probabilities: Floats, minimum: float, maximum: float
) -> Quantiles:
    """Quantiles of one column, as `numpy.quantile` defines them by default (linear between the two
    nearest order statistics).

    Args:
        sketch: The counts.
        index: Column.
        probabilities: (q,) each in [0, 1].
        minimum: Smallest value of the column, which narrows its first bin.
        maximum: Largest value.

    Returns:
        (q,) values and bounds; NaN where the column has no value.
    """
    bins, counts = sketch.column(index)
    if not bins.size:
        nothing = np.full(probabilities.shape, np.nan)
        return Quantiles(values=nothing, bounds=nothing, rests=np.zeros(nothing.shape))
    lower, upper = edges(bins)
    lower, upper = np.maximum(lower, minimum), np.minimum(upper, maximum)
    ends = np.cumsum(counts)
    low, high, fraction = positions(probabilities, int(ends[-1]))

    def order_statistic(rank: Integers) -> tuple[Floats, Floats, Floats]:
        at = np.searchsorted(ends, rank, side="right")
        inside = (rank - (ends[at] - counts[at]) + 0.5) / counts[at]
        return lower[at] + (upper[at] - lower[at]) * inside, lower[at], upper[at]

    (a, a_low, a_high), (b, b_low, b_high) = order_statistic(low), order_statistic(high)
    values = a + (b - a) * fraction
    least, most = a_low + (b_low - a_low) * fraction, a_high + (b_high - a_high) * fraction
    return Quantiles(
        values=values,
        bounds=np.maximum(values - least, most - values),
        rests=np.zeros(values.shape),
    )


def positions(probabilities: Floats, count: int) -> tuple[Integers, Integers, Floats]:
    """Ranks (from 0) of the two order statistics on both sides of each quantile, and how far it
    lies from the first to the second.
    """
    position = probabilities * (count - 1)
    low = np.floor(position).astype(np.int64)
    return low, np.minimum(low + 1, count - 1), position - low

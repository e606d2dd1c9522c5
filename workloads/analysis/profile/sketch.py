"""Histogram over prefixes of the float32 bit pattern: quantiles with a stated error from integer counts.

Read as an integer, the pattern of a float grows with the value (negative values mirrored), so its upper bits name a bin: sign, exponent and
the first six bits of the mantissa, 32768 bins in all, each at most 1/64 of its value wide. Counts are integers and add up in any order on
any hardware. Values below 128 that are integers have bins of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.moments import Floats, Integers

SHIFT = 17
"""Bits of the pattern that a bin leaves open."""
BINS = 1 << (32 - SHIFT)
_HALF = BINS // 2
_EXPONENT_BINS = 1 << (23 - SHIFT)  # bins per exponent; those of the highest one hold NaN and infinities


def ordered(raw: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Bins in order of value for raw pattern prefixes (`bits >> SHIFT`): negative values mirrored and put first."""
    return np.where(raw >= _HALF, BINS - 1 - raw, raw + _HALF)


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
    def from_histogram(cls, histogram: Integers) -> Sketch:
        """From counts (columns, BINS) by raw prefix, as the backends count them; NaN and infinities are left out."""
        keys, counts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for column, found in enumerate(histogram):  # one by one: there are 256 KiB of counts for each
            raw = np.flatnonzero(found)
            raw = raw[raw % _HALF < _HALF - _EXPONENT_BINS]
            raw = np.concatenate((raw[raw >= _HALF][::-1], raw[raw < _HALF]))
            keys.append(column * BINS + ordered(raw))
            counts.append(found[raw])
        return cls(columns=histogram.shape[0], keys=np.concatenate(keys), counts=np.concatenate(counts).astype(np.int64, copy=False))

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
    """Smallest and largest float32 value of each bin, as float64."""
    keys = bins.astype(np.uint32) << np.uint32(SHIFT)
    return value_of(keys), value_of(keys | np.uint32((1 << SHIFT) - 1))


def ordered_keys(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    """The 32-bit patterns, made to grow with the value."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    sign = np.uint32(0x80000000)
    return np.where(bits & sign, ~bits, bits | sign)


def value_of(keys: npt.NDArray[np.uint32]) -> Floats:
    """The values that ordered_keys came from, as float64; minus zero becomes zero."""
    sign = np.uint32(0x80000000)
    bits = np.where(keys >= sign, keys ^ sign, ~keys)
    return bits.view(np.float32).astype(np.float64) + 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantiles:
    """Estimates and how far each can be from the true order statistic."""

    values: Floats
    bounds: Floats
    """`abs(value - true value) <= bound`; 0 where the value is exact."""


def quantiles(sketch: Sketch, index: int, probabilities: Floats, minimum: float, maximum: float) -> Quantiles:
    """Quantiles of one column, as `numpy.quantile` defines them by default (linear between the two nearest order statistics).

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
        return Quantiles(values=nothing, bounds=nothing)
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
    return Quantiles(values=values, bounds=np.maximum(values - least, most - values))


def positions(probabilities: Floats, count: int) -> tuple[Integers, Integers, Floats]:
    """Ranks (from 0) of the two order statistics on both sides of each quantile, and how far it lies from the first to the second."""
    position = probabilities * (count - 1)
    low = np.floor(position).astype(np.int64)
    return low, np.minimum(low + 1, count - 1), position - low

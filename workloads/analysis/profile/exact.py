"""Exact quantiles from the sketch and two more looks at the data.

The sketch knows in which bin an order statistic lies and which place it has there. A look counts only values of such bins, by their next
few bits; after 9 and 8 more bits the pattern of the float32 is complete. Counts are integers, so ranks may add theirs up in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.moments import Floats, Integers
from workloads.analysis.profile.sketch import BINS, SHIFT, Sketch, ordered_keys, positions, value_of
from workloads.analysis.threads import share_out

PROBABILITIES: Final = (0.005, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.995)
"""Of the quantiles that findings and pictures show, and that columns are scaled by."""
_STEPS: Final = (9, 8)
LOOKS: Final = len(_STEPS)
_Keys = npt.NDArray[np.uint32]


@dataclass(frozen=True, kw_only=True, eq=False)
class ExactQuantiles:
    """Quantiles without error, linear between order statistics (as numpy.quantile)."""

    probabilities: Floats
    """(q,)"""
    values: Floats
    """(q, columns); NaN for a column without a value."""

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Name -> array, for storage and digest."""
        return {"quantile_probabilities": self.probabilities, "quantile_values": self.values}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """What arrays() gave. Raises ValueError where something is missing."""
        try:
            return cls(probabilities=arrays["quantile_probabilities"], values=arrays["quantile_values"])
        except KeyError as error:
            raise ValueError(f"array {error} is missing") from error


class ExactSearch:
    """Finds them: `LOOKS` times over, every value of the table is counted by somebody, and `narrow` is given the sum of all counts.

    Args:
        sketch: Counts of the whole table.
        probabilities: (q,) each in [0, 1].
        threads: Threads that share the columns of a unit.
    """

    def __init__(self, sketch: Sketch, probabilities: Sequence[float], threads: int = 1) -> None:
        self._probabilities, self._threads = np.asarray(probabilities, np.float64), threads
        self._columns = [_Column(*sketch.column(index), self._probabilities) for index in range(sketch.columns)]
        self._look, self._rest = 0, SHIFT - _STEPS[0]

    def zeros(self) -> Integers:
        """The counts of the next look, before anything is counted: (wanted prefixes of all columns, their continuations)."""
        return np.zeros((sum(column.open.size for column in self._columns), 1 << _STEPS[self._look]), np.int64)

    def count(self, values: npt.NDArray[np.float32], counts: Integers) -> None:
        """Adds the values of a unit, (columns, rows), to the counts."""
        parts = self._parts(counts)

        def work(places: Iterable[int]) -> None:
            for place in places:
                self._columns[place].count(values[place], self._rest, _STEPS[self._look], parts[place])

        share_out([work] * self._threads, range(len(self._columns)))

    def narrow(self, counts: Integers) -> None:
        """Ends a look."""
        for column, part in zip(self._columns, self._parts(counts), strict=True):
            column.narrow(part, _STEPS[self._look])
        self._look += 1
        self._rest -= _STEPS[self._look] if self._look < LOOKS else 0

    def found(self) -> ExactQuantiles:
        """The quantiles, after the last look."""
        values = np.array([column.values() for column in self._columns]).reshape(len(self._columns), self._probabilities.size).T
        return ExactQuantiles(probabilities=self._probabilities, values=values)

    def _parts(self, counts: Integers) -> list[Integers]:
        return np.split(counts, np.cumsum([column.open.size for column in self._columns])[:-1])


def exact_quantiles(
    sketch: Sketch, probabilities: Sequence[float], units: Callable[[], Iterable[npt.NDArray[np.float32]]], threads: int = 1
) -> ExactQuantiles:
    """Of a table at hand; `units` gives its units as (columns, rows), anew at each call."""
    search = ExactSearch(sketch, probabilities, threads)
    for _ in range(LOOKS):
        counts = search.zeros()
        for unit in units():
            search.count(unit, counts)
        search.narrow(counts)
    return search.found()


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
        self._wanted = np.zeros(BINS, np.bool_)
        """By bin: whether a wanted value lies there. Those of NaN and infinities are never wanted."""
        self._wanted[self.open] = True

    def count(self, values: npt.NDArray[np.float32], rest: int, bits: int, counts: Integers) -> None:
        """Adds values that begin like a wanted one, by their next `bits` bits, leaving `rest`."""
        if self._empty:
            return
        keys = ordered_keys(values)
        keys = keys[self._wanted[keys >> np.uint32(SHIFT)]]
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

"""Exact quantiles from the sketch and some more looks at the data.

The sketch knows in which bin an order statistic lies and which place it has there. A look counts
only values of such bins, by their next few bits, as many as its counts have room for; when the
patterns of the float64 are complete, a last look tells whole numbers beyond 2^53 apart. Counts are
integers, so ranks may add theirs up in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.double import Double
from workloads.analysis.profile.leaf_numpy import NO_RESTS, Rests
from workloads.analysis.profile.moments import Floats, Integers
from workloads.analysis.profile.sketch import SHIFT, Sketch, ordered_keys, positions, value_of
from workloads.analysis.threads import parallel_map

PROBABILITIES: Final = (0.005, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.995)
"""Probabilities of the quantiles that findings and pictures show, and that columns are scaled
by.
"""
MOST_LOOKS: Final = SHIFT + 1
_COUNTERS: Final = 1 << 21
"""Counters of one look at most, about: 16 MiB."""
_MOST_BITS: Final = 16
_REST_BITS: Final = 11
_LARGEST_REST: Final = 512
"""Largest part of an int64, what float64 takes from it."""
_Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True, kw_only=True, eq=False)
class ExactQuantiles:
    """Quantiles without error, linear between order statistics (as numpy.quantile)."""

    probabilities: Floats
    """(q,)"""
    values: Floats
    """(q, columns); NaN for a column without a value."""
    rests: Floats
    """(q, columns) of columns with whole numbers beyond 2^53, what float64 takes from the quantile;
    else 0.
    """

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Name -> array, for storage and digest."""
        return {f"quantile_{name}": array for name, array in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """What arrays() gave. Raises ValueError where something is missing."""
        try:
            return cls(
                **{
                    name: arrays[f"quantile_{name}"]
                    for name in ("probabilities", "values", "rests")
                }
            )
        except KeyError as error:
            raise ValueError(f"array {error} is missing") from error


class ExactSearch:
    """Finds them: until it is finished, every value of the table is counted by somebody, and
    `narrow` is given the sum of all counts.

    Args:
        sketch: Counts of the whole table.
        probabilities: (q,) each in [0, 1].
        threads: Threads that share the columns of a unit.
        wide: Columns in which float64 takes something from a value.
    """

    def __init__(
        self,
        sketch: Sketch,
        probabilities: Sequence[float],
        threads: int = 1,
        wide: Collection[int] = (),
    ) -> None:
        self._probabilities, self._threads, self._wide = (
            np.asarray(probabilities, np.float64),
            threads,
            frozenset(wide),
        )
        self._columns = [
            _Column(*sketch.column(index), self._probabilities) for index in range(sketch.columns)
        ]
        self._rest, self._bits, self._told_apart = SHIFT, 0, not self._wide
        self._plan()

    @property
    def finished(self) -> bool:
        """Whether no look is left."""
        return self._rest == 0 and self._told_apart

    def zeros(self) -> Integers:
        """The counts of the next look, before anything is counted: (wanted prefixes of all columns,
        their continuations).
        """
        return np.zeros(
            (sum(column.open.size for column in self._columns), 1 << self._bits), np.int64
        )

    def count(self, values: Floats, counts: Integers, rests: Rests = NO_RESTS) -> None:
        """Adds the values of a unit, (columns, rows), to the counts."""
        parts = self._parts(counts)

        def work(places: Iterable[int]) -> None:
            for place in places:
                if self._rest:
                    self._columns[place].count(
                        values[place], self._rest - self._bits, self._bits, parts[place]
                    )
                elif place in self._wide:
                    self._columns[place].count_rests(values[place], rests.get(place), parts[place])

        parallel_map([work] * self._threads, range(len(self._columns)))

    def narrow(self, counts: Integers) -> None:
        """Ends a look."""
        for place, (column, part) in enumerate(
            zip(self._columns, self._parts(counts), strict=True)
        ):
            if self._rest:
                column.narrow(part, self._bits)
            elif place in self._wide:
                column.tell_apart(part)
        if not self._rest:
            self._told_apart = True
        self._rest -= self._bits if self._rest else 0
        self._plan()

    def found(self) -> ExactQuantiles:
        """The quantiles, after the last look."""
        shape = (len(self._columns), self._probabilities.size)
        found = [column.values() for column in self._columns]
        return ExactQuantiles(
            probabilities=self._probabilities,
            values=np.array([values for values, _ in found]).reshape(shape).T,
            rests=np.array([rests for _, rests in found]).reshape(shape).T,
        )

    def _plan(self) -> None:
        wanted = max(sum(column.open.size for column in self._columns), 1)
        room = max(_COUNTERS // wanted, 2).bit_length() - 1
        looks = max(-(-self._rest // min(room, _MOST_BITS)), 1)
        self._bits = -(-self._rest // looks) if self._rest else _REST_BITS

    def _parts(self, counts: Integers) -> list[Integers]:
        return np.split(counts, np.cumsum([column.open.size for column in self._columns])[:-1])


def exact_quantiles(
    sketch: Sketch,
    probabilities: Sequence[float],
    units: Callable[[], Iterable[Floats]],
    threads: int = 1,
) -> ExactQuantiles:
    """Of a table at hand; `units` gives its units as (columns, rows), anew at each call."""
    search = ExactSearch(sketch, probabilities, threads)
    while not search.finished:
        counts = search.zeros()
        for unit in units():
            search.count(unit, counts)
        search.narrow(counts)
    return search.found()


class _Column:
    """The order statistics that one column's quantiles need: their leading bits so far, and their
    place among values with these bits.
    """

    def __init__(self, bins: Integers, counts: Integers, probabilities: Floats) -> None:
        ends = np.cumsum(counts)
        self._empty = not bins.size
        if self._empty:
            self._fraction = probabilities
            self._prefix, self._place = np.zeros(0, np.uint64), np.zeros(0, np.int64)
        else:
            low, high, self._fraction = positions(probabilities, int(ends[-1]))
            ranks = np.concatenate((low, high))
            at = np.searchsorted(ends, ranks, side="right")
            self._prefix, self._place = bins[at].astype(np.uint64), ranks - (ends[at] - counts[at])
        self.open: _Keys = np.unique(self._prefix)
        self._first = int(self.open[0]) if self.open.size else 0
        self._wanted = np.zeros(
            int(self.open[-1]) - self._first + 2 if self.open.size else 1, np.bool_
        )
        """Whether a wanted value lies in a bin, from the first such bin on; the last entry stands
        for all bins outside.
        """
        self._wanted[self.open.astype(np.int64) - self._first] = True
        self._rests = np.zeros(self._prefix.size)

    def count(self, values: Floats, rest: int, bits: int, counts: Integers) -> None:
        """Adds values that begin like a wanted one, by their next `bits` bits, leaving `rest`."""
        if self._empty:
            return
        keys, at = self._matching(values, rest + bits)
        digits = (keys >> np.uint64(rest)) & np.uint64((1 << bits) - 1)
        place = (at << bits) + digits.astype(np.int64)
        counts += np.bincount(place, minlength=counts.size).reshape(counts.shape)

    def count_rests(self, values: Floats, rests: Floats | None, counts: Integers) -> None:
        """Adds values whose float64 is a wanted one, by what float64 took from them."""
        if self._empty:
            return
        chosen = np.isin(ordered_keys(values), self.open)
        at = np.searchsorted(self.open, ordered_keys(values[chosen]))
        beside = np.zeros(at.size, np.int64) if rests is None else rests[chosen].astype(np.int64)
        place = (at << _REST_BITS) + beside + _LARGEST_REST
        counts += np.bincount(place, minlength=counts.size).reshape(counts.shape)

    def narrow(self, counts: Integers, bits: int) -> None:
        """Goes on to the next bits of every wanted value."""
        if self._empty:
            return
        digit = self._digits(counts)
        self._prefix = (self._prefix << np.uint64(bits)) | digit.astype(np.uint64)
        self.open = np.unique(self._prefix)

    def tell_apart(self, counts: Integers) -> None:
        """Learns what float64 takes from every wanted value."""
        if not self._empty:
            self._rests = (self._digits(counts) - _LARGEST_REST).astype(np.float64)

    def values(self) -> tuple[Floats, Floats]:
        """The quantiles and their rests, when all bits are known."""
        if self._empty:
            return np.full(self._fraction.shape, np.nan), np.zeros(self._fraction.shape)
        (low, high), (low_rest, high_rest) = (
            np.split(value_of(self._prefix), 2),
            np.split(self._rests, 2),
        )
        step = ((high - low) + (high_rest - low_rest)) * self._fraction
        if not self._rests.any():
            return low + step, np.zeros(low.shape)
        found = Double(low, low_rest) + Double.of(step)
        return found.high, found.low

    def _matching(self, values: Floats, left: int) -> tuple[_Keys, Integers]:
        """Keys of values that begin like a wanted one, and which one: all but their last `left`
        bits.
        """
        keys = ordered_keys(values)
        outside = np.uint64(self._wanted.size - 1)
        with np.errstate(over="ignore"):  # bins before the first one come out as large ones
            place = (keys >> np.uint64(SHIFT)) - np.uint64(self._first)
        keys = keys[self._wanted[np.minimum(place, outside).view(np.int64)]]
        prefix = keys >> np.uint64(left)
        at = np.minimum(np.searchsorted(self.open, prefix), self.open.size - 1)
        hit = self.open[at] == prefix
        return keys[hit], at[hit]

    def _digits(self, counts: Integers) -> Integers:
        """The continuation of every wanted value; its place becomes the one among values that
        continue so too.
        """
        rows = np.searchsorted(self.open, self._prefix)
        ends = np.cumsum(counts, axis=1)[rows]
        digit: Integers = (ends <= self._place[:, None]).sum(axis=1)
        below = np.take_along_axis(ends - counts[rows], digit[:, None], axis=1)[:, 0]
        self._place = self._place - below
        return digit

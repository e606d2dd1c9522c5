"""Co-moments of the columns of a unit, by matrix products without a rounding error.

Columns are centred, scaled by a power of two and cut into three or four slices of whole numbers,
each of so few bits that a float64 product over a tile's rows is exact whatever adds it up in
whatever order, with or without fused operations (Ozaki, Ogita, Oishi and Rump, Numerical Algorithms
59, 2012). A matrix library may then be as fast as it likes. Products are added up as int64 and put
together as `Double`.

With s bits for a tile, y = (h + m 2^-(s+1) + l 2^-2(s+1) + q 2^-3(s+1)) 2^(spread - s), with whole
numbers of at most 2^s. Products below 2^-3(s+1) of the largest are left out: 2^-84 for tiles of
8,192 rows. Where a unit is large, all its rows are complete and no column's squares come from few
rows, q is not needed, and of the products not m l either: what is left out of each is less than
2^-(3s+1) of the product of both columns' largest |y|, of either sign, and a row's part in the sum
is small.

A row of ones before the slices makes their sums of the same products.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import reduce
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.compiled import passes_over
from workloads.analysis.profile.double import Double, outer, whole
from workloads.analysis.profile.frame import (
    LARGEST_REST,
    Array,
    Frame,
    as_it_is,
    extremes,
    frame_of,
)
from workloads.analysis.profile.moments import NOTHING, Floats, Integers, JointMoments, joint_of
from workloads.analysis.profile.powers import FEW

_TILE_VALUES: Final = 1 << 18
_SHORTEST, _LONGEST = 1024, 8192
"""Rows of a tile. Below, the matrix product gets slow."""
_CUT_VALUES: Final = 1 << 18
"""Of a tile that are cut into slices at a time by a processor: few enough for its cache, and so
many that calls cost little beside the arithmetic."""
_FEWER: Final = 16
"""Rows that a tile has less than a power of two, so that its slices can lie without gaps. Columns
that begin a power of two apart would push one another out of a processor's cache, a twelfth of the
time of products; with gaps between them, cutting took half as long again.
"""
MOST_ROWS: Final = 1 << 16
"""That int64 sums can hold."""


def tile_rows(columns: int) -> int:
    """Rows of a tile: a few less than a power of two that follows from the number of columns
    alone.
    """
    wanted = _TILE_VALUES // max(columns, 1)
    return min(max(1 << (max(wanted, 1).bit_length() - 1), _SHORTEST), _LONGEST) - _FEWER


def slice_bits(rows: int) -> int:
    """Bits of a slice for tiles of so many rows: sums of as many products of two slices stay within
    2^53, up to which float64 holds every whole number.
    """
    return (53 - (rows - 1).bit_length()) // 2


def adds(rows: int, columns: int, places: Integers) -> bool:
    """Whether a unit's columns take the sums of their values and squares from the tiles, which are
    exact and there anyway, where neither a gap nor a rest keeps a row or a digit from the tiles.
    """
    return rows > FEW and places.size == columns


def heavy(frame: Frame, squares: Floats) -> bool:
    """Whether one row may make up a sixteenth of a column's squares, or more.

    Args:
        frame: Of d' columns.
        squares: (d',) sums of y^2, to a few digits.
    """
    return bool((np.ldexp(1.0, 2 * frame.spread + 4) > squares).any())


def squares_of(parts: Sequence[JointSums], frame: Frame) -> Floats:
    """(d',) sums of y^2 to a few digits, the same however the tiles were shared."""
    added = reduce(np.add, (part.squares() for part in parts)).astype(np.float64)
    found: Floats = np.ldexp(added, 2 * _unit(frame, parts[0].bits))
    return found


def complete_frame(
    values: Array,
    rests: Collection[int],
    upload: Callable[[npt.NDArray[Any]], Array] = as_it_is,
    download: Callable[[Array], npt.NDArray[Any]] = as_it_is,
) -> Frame:
    """A frame for complete rows (d', n) where others are left out, which may hold what is far
    larger.

    Args:
        values: n > 0.
        rests: Columns from which float64 takes something.
        upload: From the host to where the values are.
        download: Back.
    """
    slack = np.zeros(values.shape[0])
    slack[list(rests)] = LARGEST_REST
    return frame_of(values, extremes(values, download), slack, upload, download)


class JointSums:
    """Sums of products of slices, over some tiles in any order. One for each thread, with its
    scratch memory.

    Args:
        columns: d'.
        upload: From the host to where the arrays are.
        download: Back.
        empty: Makes an array there, not initialised.
        cached: Whether to mind a processor's cache.
    """

    def __init__(
        self,
        columns: int,
        upload: Callable[[npt.NDArray[Any]], Array] = as_it_is,
        download: Callable[[Array], npt.NDArray[Any]] = as_it_is,
        empty: Callable[[tuple[int, ...]], Array] = np.empty,
        *,
        cached: bool = True,
    ) -> None:
        rows = tile_rows(columns)
        self._columns = columns
        self._together = max(_CUT_VALUES // rows, 1) if cached else max(columns, 1)
        self._upload, self._download = upload, download
        self.bits = slice_bits(rows)
        self._rest = empty((self._together * rows,))
        self._slices = empty(((4 * columns + 1) * rows,))
        self.reset()

    def reset(self) -> None:
        """Begin again."""
        columns = self._columns
        self.products = self._upload(np.zeros((2 * columns + 1, 2 * columns + 1), np.int64))
        self.low_products = self._upload(np.zeros((columns + 1, columns), np.int64))
        self.least_products = self._upload(np.zeros((columns + 1, columns), np.int64))

    def add(
        self, values: Array, rests: Mapping[int, Array], frame: Frame, *, careful: bool
    ) -> None:
        """A tile.

        Args:
            values: (d', n) of complete rows; n at most tile_rows(d').
            rests: Column -> (n,) what float64 took from its values.
            frame: Of the columns.
            careful: Whether the fourth slice counts too, see above.
        """
        columns, rows = values.shape
        count = 4 if careful else 3
        scaled = frame.scaled(values, self._upload)
        compiled = None if rests else passes_over(scaled)
        if compiled is not None:
            compiled.add_tile(scaled, *self._scales(frame), count, self._slices, *self._sums())
            return
        matrix = _rows_of(self._slices, 1 + count * columns, rows)
        matrix[0] = 1.0
        _, middle, low, *least = self._cut(scaled, rests, frame, matrix[1:])
        summed_high, upper = matrix[: 1 + columns], matrix[: 1 + 2 * columns]
        self.products += _multiplied(upper, upper.T).astype(np.int64)
        self.low_products += _multiplied(summed_high, low.T).astype(np.int64)
        for one in least:
            self.least_products[1:] += _multiplied(middle, low.T).astype(np.int64)
            self.least_products += _multiplied(summed_high, one.T).astype(np.int64)

    def _scales(self, frame: Frame) -> tuple[Floats, Floats, float]:
        """(d',) that make values whole numbers of the highest slice's unit, (d',) centres in that
        unit, and by what the units of slices differ.
        """
        scale = frame.scale(self.bits)
        return scale, frame.centre * scale, 2.0 ** (self.bits + 1)

    def _cut(
        self, scaled: Array, rests: Mapping[int, Array], frame: Frame, slices: Array
    ) -> list[Array]:
        """Writes a tile's slices, one below the other: (d', n) each, the highest first."""
        columns, rows = scaled.shape
        parts = [slices[start : start + columns] for start in range(0, len(slices), columns)]
        scale, centre, step = self._scales(frame)
        scales, centres = (self._upload(one[:, None]) for one in (scale, centre))
        for start in range(0, columns, self._together):
            some = slice(start, start + self._together)
            high, *lower = (part[some] for part in parts)
            rest = _rows_of(self._rest, len(high), rows)
            np.multiply(scaled[some], scales[some], out=rest)
            np.rint(rest, out=high)
            rest -= high
            high -= centres[some]
            for column in range(columns)[some]:
                if column in rests:
                    at = column - start
                    rest[at] += rests[column] * scale[column]
                    more = np.rint(rest[at])
                    high[at] += more
                    rest[at] -= more
            for part in lower:
                rest *= step
                np.rint(rest, out=part)
                if part is not lower[-1]:
                    rest -= part
        return parts

    def squares(self) -> Integers:
        """(d',) sums of the squares of the highest slices, on the host."""
        highest: Integers = self._download(self.products.diagonal()[1 : 1 + self._columns])
        return highest

    def fetched(self) -> list[Integers]:
        """The three sums, on the host; before the products of each, the sums of its columns. Of the
        first, what is below the diagonal is not meant.
        """
        return [self._download(array) for array in self._sums()]

    def _sums(self) -> tuple[Array, Array, Array]:
        return self.products, self.low_products, self.least_products


def _rows_of(memory: Array, count: int, length: int) -> Array:
    """Its beginning as a matrix without gaps."""
    return memory[: count * length].reshape(count, length)


def _multiplied(left: Array, right: Array) -> Array:
    # NumPy's by its name, so that tests can make a matrix library of other habits out of it; CuPy
    # knows the operator alone
    return np.matmul(left, right) if isinstance(left, np.ndarray) else left @ right


def joint(
    parts: Sequence[JointSums], places: Integers, rows: int, frame: Frame, *, careful: bool
) -> tuple[JointMoments, Double, Double]:
    """Of all tiles of up to MOST_ROWS rows, and the sums of y and y^2 of each column; `parts` is
    not empty, `rows` > 0 and `frame` is of the compared columns over these rows. Not careful, it
    leaves out what careful tiles added.
    """
    d, bits = places.size, parts[0].bits
    upper, low, least = (
        sum(some) for some in zip(*(part.fetched() for part in parts), strict=True)
    )
    if not careful:
        least = np.zeros_like(least)
    step = bits + 1
    products, low_products, least_products = _mirrored(upper[1:, 1:]), low[1:], least[1:]
    crossed = products[:d, d:] + products[:d, d:].T
    lowest = products[d:, d:] + low_products + low_products.T
    squares = (
        whole(products[:d, :d]) + whole(crossed).scaled(-step) + whole(lowest).scaled(-2 * step)
    )
    squares += whole(least_products + least_products.T).scaled(-3 * step)
    total = whole(upper[0, 1 : 1 + d]) + whole(upper[0, 1 + d :]).scaled(-step)
    total += whole(low[0]).scaled(-2 * step)
    total += whole(least[0]).scaled(-3 * step)
    mean = total / Double.of(np.full(d, float(rows)))
    apart = outer(total, total) / Double.of(np.full((d, d), float(rows)))
    unit = _unit(frame, bits)
    comoment = (squares - apart).scaled(np.add.outer(unit, unit))
    mean = Double.of(frame.centre) + mean.scaled(unit)
    found = joint_of(places, rows, mean, frame.exponent, comoment)
    own = np.arange(d)
    return found, total.scaled(unit), squares[own, own].scaled(2 * unit)


def _mirrored(upper: Integers) -> Integers:
    """Above the diagonal and below it."""
    found: Integers = np.triu(upper) + np.triu(upper, 1).T
    return found


def _unit(frame: Frame, bits: int) -> Integers:
    """(d',) exponents of the units of slices."""
    return np.where(frame.spread == NOTHING, 0, frame.spread - bits)

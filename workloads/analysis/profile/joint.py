"""Co-moments of the columns of a unit, by matrix products without a rounding error.

Columns are centred, scaled by a power of two and cut into three or four slices of whole numbers,
each of so few bits that a float64 product over a tile's rows is exact whatever adds it up in
whatever order, with or without fused operations (Ozaki, Ogita, Oishi and Rump, Numerical Algorithms
59, 2012). A matrix library may then be as fast as it likes. Products are added up as int64 and put
together as `Double`.

With s bits for a tile, y = (h + m 2^-(s+1) + l 2^-2(s+1) + q 2^-3(s+1)) 2^(spread - s), with whole
numbers of at most 2^s. Products below 2^-3(s+1) of the largest are left out: 2^-84 for tiles of
4,096 rows. Where a unit is large, all its rows are complete and no column's squares come from few
rows, q is not needed, and of the products not m l either: what is left out of each is less than
2^-(3s+1) of the product of both columns' largest |y|, of either sign, and a row's part in the sum
is small.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.double import Double, outer, whole
from workloads.analysis.profile.frame import (
    LARGEST_REST,
    Array,
    Frame,
    as_it_is,
    extremes,
    frame_of,
)
from workloads.analysis.profile.moments import NOTHING, Integers, JointMoments, joint_of

_TILE_VALUES: Final = 1 << 16  # 512 KiB as float64; the slices take three times as much
_SHORTEST, _LONGEST = 512, 4096
"""Rows of a tile. Below, the matrix product gets slow."""
MOST_ROWS: Final = 1 << 16
"""That int64 sums can hold."""


def tile_rows(columns: int) -> int:
    """Rows of a tile: a power of two that follows from the number of columns alone."""
    wanted = _TILE_VALUES // max(columns, 1)
    return min(max(1 << (max(wanted, 1).bit_length() - 1), _SHORTEST), _LONGEST)


def slice_bits(rows: int) -> int:
    """Bits of a slice for tiles of so many rows, a power of two: sums of as many products of two
    slices stay within 2^52.
    """
    return (52 - (rows.bit_length() - 1)) // 2


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
    """

    def __init__(
        self,
        columns: int,
        upload: Callable[[npt.NDArray[Any]], Array] = as_it_is,
        download: Callable[[Array], npt.NDArray[Any]] = as_it_is,
        empty: Callable[[tuple[int, ...]], Array] = np.empty,
    ) -> None:
        rows = tile_rows(columns)
        self._upload, self._download = upload, download
        self.bits = slice_bits(rows)
        self._rest, self._slices, self._low = (
            empty((columns, rows)),
            empty((2 * columns, rows)),
            empty((columns, rows)),
        )
        self.reset()

    def reset(self) -> None:
        """Begin again."""
        columns = self._low.shape[0]
        self.products = self._upload(np.zeros((2 * columns, 2 * columns), np.int64))
        self.low_products = self._upload(np.zeros((columns, columns), np.int64))
        self.least_products = self._upload(np.zeros((columns, columns), np.int64))
        self.sums = self._upload(np.zeros(2 * columns, np.int64))
        self.low_sums = self._upload(np.zeros(columns, np.int64))
        self.least_sums = self._upload(np.zeros(columns, np.int64))

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
        # contiguous views of the scratch, so that the matrix product sees one shape for each size
        # of a tile
        rest, low = (
            a.reshape(-1)[: columns * rows].reshape(columns, rows) for a in (self._rest, self._low)
        )
        slices = self._slices.reshape(-1)[: 2 * columns * rows].reshape(2 * columns, rows)
        high, middle = slices[:columns], slices[columns:]
        scale, step = frame.scale(self.bits), 2.0 ** (self.bits + 1)
        np.multiply(frame.scaled(values, self._upload), self._upload(scale[:, None]), out=rest)
        np.rint(rest, out=high)
        rest -= high
        high -= self._upload((frame.centre * scale)[:, None])
        for column, beside in rests.items():
            rest[column] += beside * scale[column]
            more = np.rint(rest[column])
            high[column] += more
            rest[column] -= more
        rest *= step
        np.rint(rest, out=middle)
        rest -= middle
        rest *= step
        np.rint(rest, out=low)
        self.products += _multiplied(slices, slices.T).astype(np.int64)
        self.low_products += _multiplied(high, low.T).astype(np.int64)
        if careful:
            rest -= low
            rest *= step
            least = np.rint(rest, out=rest)
            self.least_products += _multiplied(middle, low.T).astype(np.int64)
            self.least_products += _multiplied(high, least.T).astype(np.int64)
            self.least_sums += least.sum(axis=1).astype(np.int64)
        self.sums += slices.sum(axis=1).astype(np.int64)
        self.low_sums += low.sum(axis=1).astype(np.int64)

    def fetched(self) -> list[Integers]:
        """The six sums, on the host."""
        products = (self.products, self.low_products, self.least_products)
        sums = (self.sums, self.low_sums, self.least_sums)
        return [self._download(array) for array in (*products, *sums)]


def _multiplied(left: Array, right: Array) -> Array:
    # NumPy's by its name, so that tests can make a matrix library of other habits out of it; CuPy
    # knows the operator alone
    return np.matmul(left, right) if isinstance(left, np.ndarray) else left @ right


def joint(
    parts: Sequence[JointSums], places: Integers, rows: int, frame: Frame, *, careful: bool
) -> JointMoments:
    """Of all tiles of up to MOST_ROWS rows; `parts` is not empty, `rows` > 0 and `frame` is of the
    compared columns over these rows. Not careful, it leaves out what careful tiles added.
    """
    d, bits = places.size, parts[0].bits
    products, low_products, least_products, sums, low_sums, least_sums = (
        sum(some) for some in zip(*(part.fetched() for part in parts), strict=True)
    )
    if not careful:
        least_products, least_sums = np.zeros_like(least_products), np.zeros_like(least_sums)
    step = bits + 1
    crossed = products[:d, d:] + products[:d, d:].T
    lowest = products[d:, d:] + low_products + low_products.T
    squares = (
        whole(products[:d, :d]) + whole(crossed).scaled(-step) + whole(lowest).scaled(-2 * step)
    )
    squares += whole(least_products + least_products.T).scaled(-3 * step)
    total = whole(sums[:d]) + whole(sums[d:]).scaled(-step) + whole(low_sums).scaled(-2 * step)
    total += whole(least_sums).scaled(-3 * step)
    mean = total / Double.of(np.full(d, float(rows)))
    apart = outer(total, total) / Double.of(np.full((d, d), float(rows)))
    unit = np.where(frame.spread == NOTHING, 0, frame.spread - bits)
    comoment = (squares - apart).scaled(np.add.outer(unit, unit))
    mean = Double.of(frame.centre) + mean.scaled(unit)
    return joint_of(places, rows, mean, frame.exponent, comoment)

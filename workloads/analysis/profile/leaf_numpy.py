"""Statistics of one unit on the host.

The unit is worked through in blocks, which merge in a tree of their own, in a fixed order; a block in tiles whose float64 copy stays in the
cache. Sizes follow from the number of columns alone, never from the machine, and every block is computed by one thread: the bits are the
same for any number of threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.moments import ColumnMoments, Floats, Moments, merge
from workloads.analysis.profile.sketch import BINS, SHIFT, Sketch
from workloads.analysis.threads import share_out
from workloads.analysis.tree import Forest, NodeId

_TILE_VALUES: Final = 1 << 16  # 512 KiB as float64; the squares take as much again
_SHORTEST, _LONGEST = 512, 8192
"""Rows of a tile. Below, the matrix product gets slow. Above 10,000 OpenBLAS cuts a scalar product among its threads."""
_TILES: Final = 4
"""Of a block. All are centred by the mean of the first one, which lies within sqrt(_TILES - 1) standard deviations of the block's mean."""

_Values = npt.NDArray[np.float32]


def tile_rows(columns: int) -> int:
    """Rows of a tile: a power of two."""
    wanted = _TILE_VALUES // max(columns, 1)
    return min(max(1 << (max(wanted, 1).bit_length() - 1), _SHORTEST), _LONGEST)


class NumpyProfile:
    """The host's `ProfileBackend`. Scratch memory is kept between units, since fresh pages cost more than the arithmetic.

    Args:
        threads: Threads that share blocks and counts. Their matrix products run at the same time, so BLAS should use one.
    """

    name = "numpy"
    precision = "fp64"

    def __init__(self, threads: int = 1) -> None:
        self._histogram = np.zeros((0, BINS), np.int64)
        self._workers = [_Worker() for _ in range(threads)]

    def begin_counting(self, columns: int) -> None:
        """Set all counts to zero."""
        if self._histogram.shape[0] == columns:
            self._histogram[...] = 0
        else:
            self._histogram = np.zeros((columns, BINS), np.int64)

    def unit(self, values: _Values) -> Moments:
        """The unit's moments; adds its values to the counts."""
        columns, rows = values.shape
        if not rows:
            return Moments.empty(columns)
        size = _TILES * tile_rows(columns)
        starts = range(0, rows, size)
        forest = Forest(len(starts), merge)
        lock = threading.Lock()

        def count(worker: _Worker, column: int) -> None:
            worker.count(values[column], self._histogram[column])

        def block(worker: _Worker, index: int) -> None:
            found = worker.block(values[:, starts[index] : starts[index] + size])
            with lock:
                forest.add(NodeId(0, index), found)

        def tasks() -> Iterator[tuple[Callable[[_Worker, int], None], int]]:
            yield from ((count, column) for column in range(columns))
            yield from ((block, index) for index in range(len(starts)))

        share_out([worker.run for worker in self._workers], tasks())
        return forest.root()

    def counted(self) -> Sketch:
        """The counts since begin_counting."""
        return Sketch.from_histogram(self._histogram)

    def peak_device_bytes(self) -> int:
        """Always 0."""
        return 0


@dataclass(frozen=True, kw_only=True)
class _Sums:
    """Of columns without gaps."""

    mean: Floats
    rest: Floats
    """What rounding took from the mean."""
    comoment: Floats
    m3: Floats
    m4: Floats


class _Worker:
    """One thread's scratch memory, and what is done with it."""

    def __init__(self) -> None:
        self._centred, self._squares, self._product = np.empty(0), np.empty(0), np.empty((0, 0))
        self._prefixes, self._keys = np.empty(0, np.uint32), np.empty(0, np.intp)

    def run(self, tasks: Iterable[tuple[Callable[[_Worker, int], None], int]]) -> None:
        """Do tasks."""
        for task, index in tasks:
            task(self, index)

    def count(self, column: _Values, counts: npt.NDArray[np.int64]) -> None:
        """Adds a column's values to its counts."""
        if self._keys.size < column.size:
            self._prefixes, self._keys = np.empty(column.size, np.uint32), np.empty(column.size, np.intp)
        prefixes, keys = self._prefixes[: column.size], self._keys[: column.size]
        np.right_shift(column.view(np.uint32), np.uint32(SHIFT), out=prefixes)
        keys[...] = prefixes  # bincount would make an array of this type anew each time
        counts += np.bincount(keys, minlength=BINS)

    def block(self, block: _Values) -> Moments:
        """Moments of some rows."""
        columns, rows = block.shape
        sums = self._sums(block)
        if sums is None:
            return self._gappy_block(block)
        found = ColumnMoments(
            count=np.full(columns, rows, np.int64),
            missing=np.zeros(columns, np.int64),
            infinite=np.zeros(columns, np.int64),
            minimum=block.min(axis=1).astype(np.float64) + 0.0,
            maximum=block.max(axis=1).astype(np.float64) + 0.0,
            mean=sums.mean,
            mean_rest=sums.rest,
            m2=np.diagonal(sums.comoment).copy(),
            m3=sums.m3,
            m4=sums.m4,
        )
        joint = (sums.mean, sums.rest)
        return Moments.of_columns(found, rows=rows, complete_rows=rows, complete_mean=joint, comoment=sums.comoment)

    def _sums(self, block: _Values) -> _Sums | None:
        """None where a value is missing or infinite: float32 sums cannot overflow float64, so a sum says it."""
        columns, rows = block.shape
        size = tile_rows(columns)
        if self._centred.size != columns * size:
            self._centred, self._squares = np.empty(columns * size), np.empty(columns * size)
            self._product = np.empty((columns, columns))
        shift, residue, m3, m4 = np.zeros((4, columns))
        comoment, ones = np.zeros((columns, columns)), np.ones(size)
        with np.errstate(invalid="ignore"):  # infinities of both signs
            for start in range(0, rows, size):
                tile = block[:, start : start + size]
                # contiguous views of the scratch, so that the matrix product sees one shape per tile size
                centred, squares = (a[: tile.size].reshape(tile.shape) for a in (self._centred, self._squares))
                centred[...] = tile
                if not start:
                    shift = centred.sum(axis=1) / tile.shape[1]
                centred -= shift[:, None]
                sums = np.vecdot(centred, ones[: tile.shape[1]])
                if not np.isfinite(sums).all():
                    return None
                residue += sums
                comoment += np.matmul(centred, centred.T, out=self._product)
                np.square(centred, out=squares)
                m3 += np.vecdot(squares, centred)
                m4 += np.vecdot(squares, squares)
        step = residue / rows
        m2 = np.diagonal(comoment).copy()
        comoment -= np.multiply.outer(step, residue)
        mean = shift + step
        back = mean - shift
        return _Sums(
            mean=mean,
            rest=(shift - (mean - back)) + (step - back),  # exact, after Knuth
            comoment=comoment,
            m3=m3 - 3.0 * step * m2 + 2.0 * rows * step**3,
            m4=m4 - 4.0 * step * m3 + 6.0 * step**2 * m2 - 3.0 * rows * step**4,
        )

    def _gappy_block(self, block: _Values) -> Moments:
        """A block where values are missing or infinite: each column over its own finite values, co-moments over the complete rows."""
        columns, rows = block.shape
        finite = np.isfinite(block)
        missing = np.isnan(block).sum(axis=1)
        count = finite.sum(axis=1)
        divisor = np.maximum(count, 1)
        values = np.where(finite, block, np.float32(0)).astype(np.float64)
        mean = values.sum(axis=1) / divisor
        values -= mean[:, None]
        values[~finite] = 0.0
        residue = values.sum(axis=1)
        step = residue / divisor
        squares = values * values
        m2, m3, m4 = squares.sum(axis=1), (squares * values).sum(axis=1), (squares * squares).sum(axis=1)
        found = ColumnMoments(
            count=count,
            missing=missing,
            infinite=rows - count - missing,
            minimum=np.where(finite, block, np.float32(np.inf)).min(axis=1).astype(np.float64) + 0.0,
            maximum=np.where(finite, block, np.float32(-np.inf)).max(axis=1).astype(np.float64) + 0.0,
            mean=mean,
            mean_rest=step,
            m2=m2 - step * residue,
            m3=m3 - 3.0 * step * m2 + 2.0 * count * step**3,
            m4=m4 - 4.0 * step * m3 + 6.0 * step**2 * m2 - 3.0 * count * step**4,
        )
        whole = block[:, finite.all(axis=0)]
        sums = self._sums(whole) if whole.size else None
        if sums is None:
            nothing = np.zeros(columns)
            return Moments.of_columns(
                found, rows=rows, complete_rows=0, complete_mean=(nothing, nothing), comoment=np.zeros((columns, columns))
            )
        joint = (sums.mean, sums.rest)
        return Moments.of_columns(found, rows=rows, complete_rows=whole.shape[1], complete_mean=joint, comoment=sums.comoment)

"""Statistics of one unit on the host.

The unit is worked through in blocks whose float64 copy stays in the cache; blocks merge in a tree of their own, in a fixed order. Block
size follows from the number of columns alone, never from the machine.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.moments import ColumnMoments, Floats, Moments, merge
from workloads.analysis.profile.sketch import BINS, SHIFT, Sketch
from workloads.analysis.tree import Forest, NodeId

_BLOCK_VALUES = 1 << 18  # 2 MiB as float64


def block_rows(columns: int) -> int:
    """Rows of a block: a power of two from 256 to 4096."""
    wanted = _BLOCK_VALUES // max(columns, 1)
    return min(max(1 << (max(wanted, 1).bit_length() - 1), 256), 4096)


class NumpyProfile:
    """The host's `ProfileBackend`. Scratch memory is kept between units, since fresh pages cost more than the arithmetic."""

    name = "numpy"
    precision = "fp64"

    def __init__(self) -> None:
        self._histogram = np.zeros((0, BINS), np.int64)
        self._centred = np.empty((0, 0))
        self._squares = np.empty((0, 0))

    def begin_counting(self, columns: int) -> None:
        """Set all counts to zero."""
        if self._histogram.shape[0] == columns:
            self._histogram[...] = 0
        else:
            self._histogram = np.zeros((columns, BINS), np.int64)

    def unit(self, values: npt.NDArray[np.float32]) -> Moments:
        """The unit's moments; adds its values to the counts."""
        columns, rows = values.shape
        for index, column in enumerate(values):
            self._histogram[index] += np.bincount(column.view(np.uint32) >> np.uint32(SHIFT), minlength=BINS)
        size = block_rows(columns)
        if self._centred.shape != (columns, size):
            self._centred, self._squares = np.empty((columns, size)), np.empty((columns, size))
        starts = range(0, rows, size)
        forest = Forest(len(starts), merge)
        for index, start in enumerate(starts):
            forest.add(NodeId(0, index), self._block(values[:, start : start + size]))
        return forest.root() if rows else Moments.empty(columns)

    def counted(self) -> Sketch:
        """The counts since begin_counting."""
        return Sketch.from_histogram(self._histogram)

    def peak_device_bytes(self) -> int:
        """Always 0."""
        return 0

    def _block(self, block: npt.NDArray[np.float32]) -> Moments:
        columns, rows = block.shape
        # contiguous views of the scratch, so that the matrix product sees one shape per block size
        centred = self._centred.reshape(-1)[: columns * rows].reshape(columns, rows)
        centred[...] = block
        with np.errstate(invalid="ignore"):  # infinities of both signs
            sums = centred.sum(axis=1)
        if not np.isfinite(sums).all():  # float32 sums cannot overflow float64: some value is NaN or infinite
            return self._gappy_block(block)
        mean = sums / rows
        centred -= mean[:, None]
        rest, comoment, m3, m4 = self._centred_sums(centred)
        count = np.full(columns, rows, np.int64)
        found = ColumnMoments(
            count=count,
            missing=np.zeros(columns, np.int64),
            infinite=np.zeros(columns, np.int64),
            minimum=block.min(axis=1).astype(np.float64) + 0.0,
            maximum=block.max(axis=1).astype(np.float64) + 0.0,
            mean=mean,
            mean_rest=rest,
            m2=np.diagonal(comoment).copy(),
            m3=m3,
            m4=m4,
        )
        return Moments.of_columns(found, rows=rows, complete_rows=rows, complete_mean=(mean, rest), comoment=comoment)

    def _centred_sums(self, centred: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """What the mean lacked, and co-moments, third and fourth sums corrected for it, of columns without gaps."""
        rows = centred.shape[1]
        squares = self._squares.reshape(-1)[: centred.size].reshape(centred.shape)
        residue = centred.sum(axis=1)
        step = residue / rows
        comoment = centred @ centred.T
        m2 = np.diagonal(comoment).copy()
        comoment -= np.multiply.outer(step, residue)
        np.multiply(centred, centred, out=squares)
        m3 = np.einsum("ij,ij->i", squares, centred)
        m4 = np.einsum("ij,ij->i", squares, squares)
        return (
            step,
            comoment,
            m3 - 3.0 * step * m2 + 2.0 * rows * step**3,
            m4 - 4.0 * step * m3 + 6.0 * step**2 * m2 - 3.0 * rows * step**4,
        )

    def _gappy_block(self, block: npt.NDArray[np.float32]) -> Moments:
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
        whole = np.ascontiguousarray(block[:, finite.all(axis=0)], np.float64)
        complete = whole.shape[1]
        complete_mean, complete_rest, comoment = np.zeros(columns), np.zeros(columns), np.zeros((columns, columns))
        if complete:
            complete_mean = whole.sum(axis=1) / complete
            whole -= complete_mean[:, None]
            complete_rest, comoment, _, _ = self._centred_sums(whole)
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
        joint = (complete_mean, complete_rest)
        return Moments.of_columns(found, rows=rows, complete_rows=complete, complete_mean=joint, comoment=comoment)

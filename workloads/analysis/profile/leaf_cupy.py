"""Statistics of one unit on a GPU: the twin of leaf_numpy.py."""

from __future__ import annotations

from typing import Any, Final

import cupy
import numpy as np
import numpy.typing as npt

from workloads.analysis import kernels
from workloads.analysis.profile.moments import ColumnMoments, Floats, Moments, merge_columns
from workloads.analysis.profile.sketch import BINS, Sketch
from workloads.analysis.tree import Forest, NodeId

_SLICE_ROWS: Final = 8192  # column_moments.cu
_CHUNK_ROWS: Final = 1 << 16
_COUNT_THREADS: Final = 512  # prefix_counts.cu
_MOMENT_THREADS: Final = 256  # column_moments.cu
_HALF_BYTES: Final = BINS // 2 * 4


def _kernel(name: str) -> Any:
    return cupy.RawKernel(kernels.source(name), name, options=kernels.OPTIONS, backend="nvrtc")


class CupyProfile:
    """The GPU's `ProfileBackend`, on the device that is current when it is made."""

    name = "cupy"
    precision = "fp64"

    def __init__(self) -> None:
        self._column_moments = _kernel("column_moments")
        self._prefix_counts = _kernel("prefix_counts")
        self._prefix_counts.max_dynamic_shared_size_bytes = _HALF_BYTES
        self._histogram = cupy.zeros((0, BINS), cupy.int64)

    def begin_counting(self, columns: int) -> None:
        """Set all counts to zero."""
        if self._histogram.shape[0] == columns:
            self._histogram.fill(0)
        else:
            self._histogram = cupy.zeros((columns, BINS), cupy.int64)

    def unit(self, values: npt.NDArray[np.float32]) -> Moments:
        """The unit's moments; adds its values to the counts."""
        columns, rows = values.shape
        if not rows:
            return Moments.empty(columns)
        unit = cupy.asarray(values, order="C")
        grid = (-(-rows // _CHUNK_ROWS), columns, 2)
        arguments = (unit.view(cupy.uint32), np.int64(rows), np.int64(_CHUNK_ROWS), self._histogram)
        self._prefix_counts(grid, (_COUNT_THREADS,), arguments, shared_mem=_HALF_BYTES)
        found = self._columns(unit)
        if (found.count == rows).all():
            complete, (mean, comoment) = rows, self._joint(unit, found.mean)
        else:
            whole = cupy.ascontiguousarray(unit[:, cupy.isfinite(unit).all(axis=0)])
            complete = whole.shape[1]
            mean, comoment = self._joint(whole, self._columns(whole).mean if complete else np.zeros(columns))
        return Moments.of_columns(found, rows=rows, complete_rows=complete, complete_mean=mean, comoment=comoment)

    def counted(self) -> Sketch:
        """The counts since begin_counting."""
        return Sketch.from_histogram(cupy.asnumpy(self._histogram))

    def peak_device_bytes(self) -> int:
        """Device memory that CuPy's pool took from the driver; it gives nothing back before the process ends."""
        return int(cupy.get_default_memory_pool().total_bytes())

    def _columns(self, unit: Any) -> ColumnMoments:
        columns, rows = unit.shape
        slices = -(-rows // _SLICE_ROWS)
        result = cupy.empty((10, slices, columns), cupy.float64)
        self._column_moments((slices, columns), (_MOMENT_THREADS,), (unit, np.int64(rows), result))
        by_slice = cupy.asnumpy(result).transpose(1, 0, 2)
        forest = Forest(slices, merge_columns)
        for index, (count, missing, infinite, minimum, maximum, mean, rest, m2, m3, m4) in enumerate(by_slice):
            forest.add(
                NodeId(0, index),
                ColumnMoments(
                    count=count.astype(np.int64),
                    missing=missing.astype(np.int64),
                    infinite=infinite.astype(np.int64),
                    minimum=minimum,
                    maximum=maximum,
                    mean=mean,
                    mean_rest=rest,
                    m2=m2,
                    m3=m3,
                    m4=m4,
                ),
            )
        return forest.root()

    def _joint(self, unit: Any, mean: Floats) -> tuple[tuple[Floats, Floats], Floats]:
        """Mean with its rest, and co-moments, of a unit without gaps; cuBLAS gives the same bits for one shape and kind of device."""
        columns, rows = unit.shape
        if not rows:
            return (mean, np.zeros(columns)), np.zeros((columns, columns))
        centred = unit.astype(cupy.float64)
        centred -= cupy.asarray(mean)[:, None]
        residue = cupy.asnumpy(centred.sum(axis=1))
        comoment: Floats = cupy.asnumpy(centred @ centred.T)
        comoment -= np.multiply.outer(residue, residue) / rows
        return (mean, residue / rows), comoment

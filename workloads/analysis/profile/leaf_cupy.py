"""Statistics of one unit on a GPU: the twin of leaf_numpy.py, with the same bits.

The same expressions run on CuPy arrays: elementwise operations that IEEE 754 fixes, one kernel
each, and products that are exact.
"""

from __future__ import annotations

from typing import Any, Final

import cupy
import numpy as np

from workloads.analysis import kernels
from workloads.analysis.profile import columns as column_moments
from workloads.analysis.profile.columns import PowerSums
from workloads.analysis.profile.double import Double
from workloads.analysis.profile.frame import Frame
from workloads.analysis.profile.joint import (
    MOST_ROWS,
    JointSums,
    adds,
    complete_frame,
    heavy,
    joint,
    squares_of,
    tile_rows,
)
from workloads.analysis.profile.leaf_numpy import NO_RESTS, Rests
from workloads.analysis.profile.moments import (
    ColumnMoments,
    Floats,
    Integers,
    JointMoments,
    Moments,
    merge,
    no_rows,
)
from workloads.analysis.profile.powers import FEW
from workloads.analysis.profile.sketch import BINS, Sketch
from workloads.analysis.tree import Forest, NodeId

_CHUNK_ROWS: Final = 1 << 14
_COUNT_THREADS: Final = 256  # prefix_counts.cu


class CupyProfile:
    """The GPU's `ProfileBackend`, on the device that is current when it is made."""

    name = "cupy"
    precision = "exact sums of products, fp64 powers"

    def __init__(self) -> None:
        source = kernels.source("prefix_counts")
        self._prefix_counts = cupy.RawKernel(
            source, "prefix_counts", options=kernels.OPTIONS, backend="nvrtc"
        )
        self._histogram = cupy.zeros((0, BINS), cupy.int64)
        self._sums: JointSums | None = None
        self._width = -1

    def begin_counting(self, columns: int) -> None:
        """Set all counts to zero."""
        if self._histogram.shape[0] == columns:
            self._histogram.fill(0)
        else:
            self._histogram = cupy.zeros((columns, BINS), cupy.int64)

    def unit(
        self, values: Floats, rests: Rests = NO_RESTS, compared: Integers | None = None
    ) -> Moments:
        """The unit's moments; adds its values to the counts."""
        columns, rows = values.shape
        places = np.arange(columns, dtype=np.int64) if compared is None else compared
        starts = range(0, rows, MOST_ROWS)
        if not (starts and columns):
            return Moments.of(ColumnMoments.empty(columns), no_rows(places), rows)
        forest = Forest(len(starts), merge)
        for index, start in enumerate(starts):
            block = cupy.asarray(values[:, start : start + MOST_ROWS], order="C")
            beside = {
                column: cupy.asarray(rest[start : start + MOST_ROWS])
                for column, rest in rests.items()
            }
            forest.add(NodeId(0, index), self._block(block, beside, places))
        return forest.root()

    def counted(self) -> Sketch:
        """The counts since begin_counting."""
        found = []
        for column in self._histogram:
            bins = cupy.flatnonzero(column)
            found.append((cupy.asnumpy(bins), cupy.asnumpy(column[bins])))
        return Sketch.of_columns(found)

    def peak_device_bytes(self) -> int:
        """Device memory that CuPy's pool took from the driver; it gives nothing back before the
        process ends.
        """
        return int(cupy.get_default_memory_pool().total_bytes())

    def _block(self, values: Any, rests: dict[int, Any], places: Integers) -> Moments:
        columns, rows = values.shape
        grid = (-(-rows // _CHUNK_ROWS), columns)
        arguments = (
            values.view(cupy.uint64),
            np.int64(rows),
            np.int64(_CHUNK_ROWS),
            self._histogram,
        )
        self._prefix_counts(grid, (_COUNT_THREADS,), arguments)
        finite, missing = (
            cupy.isfinite(values),
            cupy.asnumpy(cupy.isnan(values).sum(axis=1)).astype(np.int64),
        )
        counts = cupy.asnumpy(finite.sum(axis=1))
        added_by_tiles = not rests and bool((counts == rows).all()) and adds(rows, columns, places)
        sums = PowerSums.joined(
            [
                self._column(values, rests, finite, place, int(count), lower=not added_by_tiles)
                for place, count in enumerate(counts)
            ]
        )
        whole = bool((counts[places] == rows).all())
        complete = None if whole else finite[places].all(axis=0)
        frame = sums.frame.take(places)
        known = None if added_by_tiles else sums.sums[1].high[places]
        together, *lower = self._joint(values, rests, places, complete, frame, known)
        if added_by_tiles:
            sums = sums.with_lower(*lower)
        infinite = rows - counts.astype(np.int64) - missing
        return Moments.of(column_moments.moments(sums, missing, infinite), together, rows)

    def _column(
        self,
        values: Any,
        rests: dict[int, Any],
        finite: Any,
        place: int,
        count: int,
        *,
        lower: bool,
    ) -> PowerSums:
        if not count:
            return column_moments.nothing(1)
        column, rest = values[place], rests.get(place)
        if count < column.size:
            column, rest = column[finite[place]], None if rest is None else rest[finite[place]]
        beside = None if rest is None else rest[None, :]
        return column_moments.power_sums(
            column[None, :], beside, cupy.asarray, cupy.asnumpy, lower=lower
        )

    def _joint(
        self,
        values: Any,
        rests: dict[int, Any],
        places: Integers,
        complete: Any,
        frame: Frame,
        squares: Floats | None,
    ) -> tuple[JointMoments, Double, Double]:
        """`squares` is what `heavy` wants, unless it is known from the tiles alone."""
        all_rows = values.shape[1]
        rows = all_rows if complete is None else int(complete.sum())
        if not rows or not places.size:
            nothing = Double.of(np.zeros(places.size))
            return no_rows(places), nothing, nothing
        careful = all_rows <= FEW or complete is not None
        careful = careful or (squares is not None and heavy(frame, squares))
        beside = {at: rests[place] for at, place in enumerate(places.tolist()) if place in rests}
        if places.size < values.shape[0]:
            values = values[places]
        if complete is not None:
            values, beside = (
                values[:, complete],
                {at: rest[complete] for at, rest in beside.items()},
            )
            frame = complete_frame(values, beside, cupy.asarray, cupy.asnumpy)
        if self._sums is None or self._width != places.size:
            self._sums, self._width = (
                JointSums(places.size, cupy.asarray, cupy.asnumpy, cupy.empty, cached=False),
                places.size,
            )
        self._add(self._sums, values, beside, frame, careful=careful)
        if squares is None and not careful and heavy(frame, squares_of([self._sums], frame)):
            careful = True
            self._add(self._sums, values, beside, frame, careful=careful)
        return joint([self._sums], places, rows, frame, careful=careful)

    def _add(
        self, sums: JointSums, values: Any, rests: dict[int, Any], frame: Frame, *, careful: bool
    ) -> None:
        sums.reset()
        columns, rows = values.shape
        size = tile_rows(columns)
        for start in range(0, rows, size):
            here = {at: rest[start : start + size] for at, rest in rests.items()}
            sums.add(values[:, start : start + size], here, frame, careful=careful)

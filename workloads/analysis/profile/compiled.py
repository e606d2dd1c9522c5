"""Passes over columns as compiled code (`passes.c`, `products.c`): one read of the values where the
NumPy expressions beside each call take eight to twelve, and without the interpreter's lock, so that
threads do not wait for one another. The bits are the same; where no library was built
(`passes_library`), or arrays lie otherwise, the expressions do the work.
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile import passes_library
from workloads.analysis.profile.moments import Floats, Integers

Bins = npt.NDArray[np.uint32]

_HIGHER, _ALL = 3, 6  # kinds of terms in passes.c


class Passes:
    """The functions of a library.

    Args:
        library: Where it lies. Raises OSError where it cannot be loaded.
    """

    def __init__(self, library: Path) -> None:
        found = ctypes.CDLL(str(library))
        array, size, real = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_double
        self._tile = found.add_tile
        self._tile.argtypes = (
            *(array, size, size, size, array, array, real, ctypes.c_int),
            *(array, array, array, array),
        )
        self._tile_memory = found.tile_memory
        self._tile_memory.argtypes, self._tile_memory.restype = (size,), size
        self._fold = found.fold_powers
        self._fold.argtypes = array, size, real, real, ctypes.c_int, size, array, array
        self._find = found.find_bins
        self._find.argtypes = array, size, array, array
        self._count = found.count_bins
        self._count.argtypes = array, size, ctypes.c_uint32, array
        self._fold.restype = size
        self._tile.restype = self._find.restype = self._count.restype = None

    def add_tile(
        self,
        values: Floats,
        scales: Floats,
        centres: Floats,
        step: float,
        count: int,
        memory: Floats,
        *sums: Integers,
    ) -> None:
        """Adds a tile as `joint.JointSums` does.

        Args:
            values: (d, n), each column contiguous.
            scales: (d,), contiguous.
            centres: (d,), contiguous, in units of the highest slice.
            step: By which units of slices differ.
            count: Slices, 3 or 4.
            memory: Is overwritten. Raises ValueError where it is too small.
            sums: The three of JointSums, contiguous, of which products below the diagonal are left
                out.
        """
        columns, rows = values.shape
        pitch = values.strides[0] // values.itemsize
        if memory.size < (wanted := self._tile_memory(columns)):
            raise ValueError(f"{memory.size} values of memory, {wanted} are needed")
        self._tile(
            *(values.ctypes.data, columns, rows, pitch),
            *(scales.ctypes.data, centres.ctypes.data, step, count, memory.ctypes.data),
            *(array.ctypes.data for array in sums),
        )

    def powers(
        self,
        values: Floats,
        scale: float,
        centre: float,
        partials: int,
        memory: Floats,
        *,
        lower: bool,
    ) -> Floats:
        """Terms of a column as `powers` makes them, folded as `folds` does.

        Args:
            values: (n,), contiguous, n > 2.
            scale: Values times this, less the centre, are y.
            centre: See there.
            partials: Sums of each kind at most.
            memory: At least 6 (n + 1) / 2 values from its beginning, which are overwritten.
            lower: Whether squares and whole numbers are asked for.

        Returns:
            (3, m) of cubes, fourth powers and products of neighbours, or (6, m), with squares, what
            is beside the whole numbers, and these.
        """
        kinds = _ALL if lower else _HIGHER
        found = np.empty(kinds * partials)
        width = self._fold(
            *(values.ctypes.data, values.size, scale, centre, lower, partials),
            *(memory.ctypes.data, found.ctypes.data),
        )
        return found[: kinds * width].reshape(kinds, width)

    def bins(self, values: Floats, memory: Floats) -> tuple[Bins, int, int]:
        """Bins of finite values as `sketch` holds them, the first one and the last.

        Args:
            values: (n,), contiguous, n > 0.
            memory: n values or more, which are overwritten: the bins lie there.
        """
        bins, ends = memory.view(np.uint32)[: values.size], np.empty(2, np.uint32)
        self._find(values.ctypes.data, values.size, bins.ctypes.data, ends.ctypes.data)
        return bins, int(ends[0]), int(ends[1])

    def count(self, bins: Bins, first: int, counts: Integers) -> None:
        """Adds bins to the counts of those from the first one on; all of them have one."""
        self._count(bins.ctypes.data, bins.size, first, counts.ctypes.data)


@functools.cache
def passes() -> Passes | None:
    """Of this machine's library; None where there is none."""
    try:
        return Passes(passes_library.path(passes_library.FOLDER))
    except OSError:
        return None


def passes_over(columns: Any) -> Passes | None:
    """For columns (d, n) or (n,); None where they are on a GPU, or not contiguous each."""
    host = isinstance(columns, np.ndarray) and columns.dtype == np.float64
    return passes() if host and columns.strides[-1] == columns.itemsize else None

"""A block as the float16 filter takes it, on the host or on a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workloads.analysis.knn import bounds_fp16
from workloads.analysis.knn.block import Block
from workloads.analysis.profile.moments import Integers

TILE: Final = 128
"""Rows are filled up to a multiple of this; knn_filter.cu has the same figure."""

Array = Any
"""A NumPy or a CuPy array: the same expressions serve both."""


@dataclass(frozen=True, kw_only=True, eq=False)
class HalfBlock:
    """m rows in a fixed pseudo-random order, so that the first of them are a sample whatever the
    table is sorted by.
    """

    order: Integers
    """(m,) on the host: place in the `Block` of each row."""
    ids: Array
    """(m + filling,) int64 row numbers; -1 for rows that fill up a tile."""
    rows: Array
    """(m, d) float64"""
    halves: Array
    """(m + filling, depth) float16, scaled."""
    norms: Array
    """(m + filling,) float32 g; infinity for rows outside float16's range and for the filling:
    their products reach no limit.
    """
    half_squares: Array
    """(m,) float64 h of the rounded rows."""
    kappas: Array
    """(m,) float64, see bounds_fp16."""
    out_of_range: npt.NDArray[np.int32]
    """On the host: rows outside float16's range; they are compared in float64 with everything."""

    @property
    def columns(self) -> int:
        """Columns that are compared."""
        return int(self.rows.shape[1])

    @property
    def padded(self) -> int:
        """Rows with the filling."""
        return int(self.halves.shape[0])

    @property
    def nbytes(self) -> int:
        """Memory of the large arrays."""
        return int(
            self.rows.nbytes + self.halves.nbytes + self.ids.nbytes + 3 * self.half_squares.nbytes
        )


def prepare(
    block: Block,
    upload: Callable[[npt.NDArray[Any]], Array],
    download: Callable[[Array], npt.NDArray[Any]],
) -> HalfBlock:
    """Round a block.

    Args:
        block: Its rows.
        upload: From the host to where the filter runs.
        download: Back.
    """
    m, d = block.rows.shape
    order = np.random.default_rng(m).permutation(m)
    padded, depth = -(-m // TILE) * TILE, bounds_fp16.depth(d)
    ids = np.full(padded, -1, np.int64)
    ids[:m] = block.ids[order]
    rows = upload(block.rows[order])
    inside = (np.abs(rows) <= bounds_fp16.LARGEST / bounds_fp16.SCALE).all(axis=1)
    halves = upload(np.zeros((padded, depth), np.float16))
    scaled = np.where(inside[:, None], rows, 0.0) * bounds_fp16.SCALE
    halves[:m, :d] = scaled.astype(np.float32).astype(np.float16)
    rounded = halves[:m, :d].astype(np.float64)
    half_squares = 0.5 * np.square(rounded).sum(axis=1)
    rounded -= scaled
    residuals = np.sqrt(np.square(rounded).sum(axis=1))
    norms = upload(np.full(padded, np.inf, np.float32))
    norms[:m] = np.where(inside, bounds_fp16.lowered(half_squares, d), np.float32(np.inf))
    return HalfBlock(
        order=order,
        ids=upload(ids),
        rows=rows,
        halves=halves,
        norms=norms,
        half_squares=half_squares,
        kappas=bounds_fp16.kappa(residuals, half_squares, d),
        out_of_range=np.flatnonzero(~download(inside)).astype(np.int32),
    )

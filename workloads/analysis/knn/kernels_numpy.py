"""The CUDA kernels of the search step by step in NumPy: the same inputs, buffers, limits and
overflows.

Exists to hold the kernels' algorithm to the tests without a GPU. The host's own search is
pairs_numpy.py, which is faster there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from workloads.analysis.knn import bounds_fp16
from workloads.analysis.knn.exact import squares as exact_squares
from workloads.analysis.knn.half_block import TILE, HalfBlock
from workloads.analysis.knn.half_search import CAPACITY, Rows
from workloads.analysis.knn.neighbours import NO_NEIGHBOUR, nearest

_DEPTH_STEP = 16  # of one tensor-core instruction


class NumpyKernels:
    """The `HalfKernels` that define what the others have to do."""

    def empty(self, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]:
        """Not initialised."""
        return np.empty(shape, dtype)

    def upload(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A copy, as on a device."""
        return array.copy()

    def download(self, *arrays: npt.NDArray[Any]) -> Callable[[], list[npt.NDArray[Any]]]:
        """Copies."""
        copies = [array.copy() for array in arrays]
        return lambda: copies

    def product_rate(self) -> float:
        """In float32, in which the twin computes."""
        square = np.ones((256, 256), np.float32)
        square @ square
        start = time.perf_counter()
        square @ square
        return 256.0**3 / (time.perf_counter() - start)

    def append(
        self,
        query: HalfBlock,
        data: HalfBlock,
        some: npt.NDArray[np.int32],
        first: int,
        last: int,
        rows: Rows,
    ) -> None:
        """knn_filter.cu."""
        for at, start, passed, values in self._passing(query, data, some, first, last, rows.limits):
            row, column = np.nonzero(passed)
            counts = passed.sum(axis=1)
            place = (
                rows.count[at[row]]
                + np.arange(row.size)
                - np.repeat(np.cumsum(counts) - counts, counts)
            )
            rows.count[at] += counts.astype(np.int32)
            fits = place < CAPACITY
            rows.values[at[row[fits]], place[fits]] = values[row[fits], column[fits]]
            rows.beside[at[row[fits]], place[fits]] = column[fits] + start

    def tally(
        self, query: HalfBlock, data: HalfBlock, limits: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.int32]:
        """knn_filter.cu without buffers."""
        found = np.zeros(query.order.size, np.int32)
        for at, _, passed, _ in self._passing(
            query, data, np.arange(found.size, dtype=np.int32), 0, data.padded, limits
        ):
            found[at] += passed.sum(axis=1).astype(np.int32)
        return found

    def select(
        self, query: HalfBlock, some: npt.NDArray[np.int32], rows: Rows
    ) -> npt.NDArray[np.bool_]:
        """knn_select.cu."""
        k = rows.ids.shape[1]
        came = rows.count[some]
        places = np.arange(CAPACITY)
        stored = places < came[:, None]
        held = np.where(stored, rows.values[some], np.float32(-np.inf))
        enough = np.flatnonzero(came >= k)
        if enough.size:
            at = some[enough]
            best = np.partition(held[enough], CAPACITY - k, axis=1)[:, CAPACITY - k].astype(
                np.float64
            )
            kappas = query.kappas[at]
            distances = bounds_fp16.farthest(best, query.half_squares[at], kappas, query.columns)
            rows.limits[at] = np.maximum(rows.limits[at], bounds_fp16.limit(distances, kappas))
        overflowed = came > CAPACITY
        eligible = np.where(overflowed, rows.committed[some], came)
        keep = (places < eligible[:, None]) & (held >= rows.limits[some][:, None])
        order = np.argsort(~keep, axis=1, kind="stable")
        rows.values[some] = np.take_along_axis(held, order, axis=1)
        rows.beside[some] = np.take_along_axis(rows.beside[some], order, axis=1)
        rows.count[some] = rows.committed[some] = keep.sum(axis=1)
        found: npt.NDArray[np.bool_] = overflowed
        return found

    def rerank(
        self, query: HalfBlock, data: HalfBlock, some: npt.NDArray[np.int32], rows: Rows
    ) -> None:
        """rerank.cu."""
        entry, place = np.nonzero(np.arange(CAPACITY) < rows.count[some][:, None])
        at = some[entry]
        found = exact_squares(query.rows, at, data.rows, rows.beside[at, place])
        rows.exact[at, place] = found
        products, distances = (
            rows.values[at, place].astype(np.float64),
            np.sqrt(found) * bounds_fp16.SCALE,
        )
        farthest = bounds_fp16.farthest(
            products, query.half_squares[at], query.kappas[at], query.columns
        ) * (1 + 2.0**-40)
        closest = bounds_fp16.nearest(products, query.kappas[at]) * (1 - 2.0**-40)
        rows.unverified[at[(distances > farthest) | (distances < closest)]] = (
            1  # false where there is no product
        )

    def merge(
        self, query: HalfBlock, data: HalfBlock, some: npt.NDArray[np.int32], rows: Rows
    ) -> None:
        """knn_merge.cu."""
        k = rows.ids.shape[1]
        width = int(rows.count[some].max())
        valid = np.arange(width) < rows.count[some][:, None]
        ids = data.ids[np.where(valid, rows.beside[some, :width], 0)]
        valid &= ids != query.ids[some][:, None]
        squares = np.where(valid, rows.exact[some, :width], np.inf)
        rows.squares[some], rows.ids[some] = nearest(
            np.concatenate((rows.squares[some], squares), axis=1),
            np.concatenate((rows.ids[some], np.where(valid, ids, NO_NEIGHBOUR)), axis=1),
            k,
        )
        distances = np.sqrt(rows.squares[some, -1]) * bounds_fp16.SCALE
        rows.limits[some] = np.maximum(
            rows.limits[some], bounds_fp16.limit(distances, query.kappas[some])
        )
        rows.count[some] = rows.committed[some] = 0

    def products(
        self, query: HalfBlock, data: HalfBlock, at: npt.NDArray[np.int32], start: int, stop: int
    ) -> npt.NDArray[np.float32]:
        """(at, stop - start) of the filter: float32 sums of exact products, 16 at a time, onto the
        norms.
        """
        left, right = (
            query.halves[at].astype(np.float32),
            data.halves[start:stop].astype(np.float32),
        )
        sums: npt.NDArray[np.float32] = -(query.norms[at][:, None] + data.norms[start:stop])
        for depth in range(0, left.shape[1], _DEPTH_STEP):
            sums += left[:, depth : depth + _DEPTH_STEP] @ right[:, depth : depth + _DEPTH_STEP].T
        return sums

    def _passing(
        self,
        query: HalfBlock,
        data: HalfBlock,
        some: npt.NDArray[np.int32],
        first: int,
        last: int,
        limits: npt.NDArray[np.float32],
    ) -> Iterator[
        tuple[npt.NDArray[np.int32], int, npt.NDArray[np.bool_], npt.NDArray[np.float32]]
    ]:
        """Piece by piece: rows of the query, the first row of the data, (rows, data) whether the
        limit is reached, and the products.
        """
        for top in range(0, some.size, 4 * TILE):
            at = some[top : top + 4 * TILE]
            for start in range(first, last, 16 * TILE):
                stop = min(start + 16 * TILE, last)
                values = self.products(query, data, at, start, stop)
                yield (
                    at,
                    start,
                    (values >= limits[at][:, None])
                    & (query.ids[at][:, None] != data.ids[start:stop]),
                    values,
                )

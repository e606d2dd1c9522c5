"""The search with float16 products: what is filtered, selected and compared exactly, and in which
order.

The four steps that touch every product or candidate are `HalfKernels`: CUDA kernels on a device,
and a NumPy twin that takes the same steps with the same buffers. The algorithm stands here once for
both.

A row's candidates fit into a buffer of fixed size. Rows that know nothing yet are compared with a
sample first and then with ranges that grow fourfold, so that each range adds about 3 k candidates;
rows that know some neighbours are compared with the whole block at once. Where a buffer overflows,
nothing is cut off: the row takes exact distances of what it holds and is compared again with each
half of the range, down to ranges that cannot overflow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from workloads.analysis.knn import bounds_fp16
from workloads.analysis.knn.half_block import TILE, Array, HalfBlock
from workloads.analysis.knn.neighbours import Neighbours

CAPACITY: Final = 256
"""Candidates per row, and the length of a range that cannot overflow; the kernels have the same
figure.
"""
_GROWTH: Final = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """What the kernels change: one entry per row of the query."""

    limits: Array
    """(m,) float32 products below which a pair is of no interest."""
    count: Array
    """(m,) int32 candidates that came; more than CAPACITY where they did not fit."""
    committed: Array
    """(m,) int32 candidates of the ranges finished."""
    values: Array
    """(m, CAPACITY) float32 products; NaN for a candidate without one."""
    beside: Array
    """(m, CAPACITY) int32 positions in the data."""
    exact: Array
    """(m, CAPACITY) float64 exact squared distances of the candidates."""
    squares: Array
    """(m, k) float64 nearest, sorted."""
    ids: Array
    """(m, k) int64 their row numbers."""
    unverified: Array
    """(m,) uint8 1 where a product broke its bounds."""


class HalfKernels(Protocol):
    """The steps, and the memory they work on. `some` are positions (int32) of rows of the query."""

    def empty(self, shape: tuple[int, ...], dtype: type[np.generic]) -> Array:
        """Not initialised."""

    def upload(self, array: npt.NDArray[Any]) -> Array:
        """From the host."""

    def download(self, *arrays: Array) -> Callable[[], list[npt.NDArray[Any]]]:
        """Start copying to the host; the call returned waits for the end."""

    def product_rate(self) -> float:
        """Multiplications per second of a large square float16 matrix product, of the fastest kind
        that the device's own library has.
        """

    def append(
        self, query: HalfBlock, data: HalfBlock, some: Array, first: int, last: int, rows: Rows
    ) -> None:
        """Append the pairs of data rows [first, last), multiples of TILE, whose products reach the
        limit: knn_filter.cu.
        """

    def tally(self, query: HalfBlock, data: HalfBlock, limits: Array) -> Array:
        """(m,) int32 how many products of each row reach its limit: knn_filter.cu without
        buffers.
        """

    def select(self, query: HalfBlock, some: Array, rows: Rows) -> Array:
        """Lower what the rows take in by their candidates: knn_select.cu.

        Returns (some,) whether candidates did not fit.
        """

    def rerank(self, query: HalfBlock, data: HalfBlock, some: Array, rows: Rows) -> None:
        """Exact distances of the candidates, each held against its product: rerank.cu."""

    def merge(self, query: HalfBlock, data: HalfBlock, some: Array, rows: Rows) -> None:
        """Candidates into neighbours: knn_merge.cu."""


class HalfSearch:
    """Neighbours of the rows of `query` among those of `data`, besides those known before; nobody
    is their own neighbour.
    """

    def __init__(
        self, kernels: HalfKernels, query: HalfBlock, data: HalfBlock, known: Neighbours
    ) -> None:
        self._kernels, self._query, self._data, self._known = kernels, query, data, known
        self._out_of_range = np.zeros(query.order.size, np.bool_)
        self._out_of_range[query.out_of_range] = True
        self._rows = self._start()

    def run(self) -> None:
        """Everything up to the result, which stays where the kernels run."""
        in_range = self._kernels.upload(np.flatnonzero(~self._out_of_range).astype(np.int32))
        without_threshold = self._rows.limits[in_range] <= np.float32(-bounds_fp16.UNBOUNDED)
        end = self._data.padded
        first, last = 0, min(CAPACITY, end)
        while first < end:
            self._sweep(in_range[without_threshold], first, last)
            first, last = last, min(last * _GROWTH, end)
        self._sweep(in_range[~without_threshold], 0, end)
        self._settle(in_range)
        unverified = self._rows.unverified[in_range] != 0
        again = in_range[unverified]
        if again.size:
            squares, ids = self._upload_known()
            self._rows.squares[again], self._rows.ids[again] = squares[again], ids[again]
        everybody = np.arange(self._data.order.size, dtype=np.int32)
        self._brute(in_range[~unverified], self._data.out_of_range)
        self._brute(again, everybody)
        self._brute(self._kernels.upload(self._query.out_of_range), everybody)

    def found(self) -> Callable[[], Neighbours]:
        """Start copying the result to the host; the call returned waits for the end."""
        wait = self._kernels.download(self._rows.squares, self._rows.ids, self._rows.unverified)

        def finish() -> Neighbours:
            back = np.empty_like(self._query.order)
            back[self._query.order] = np.arange(back.size)
            squares, ids, unverified = (array[back] for array in wait())
            return Neighbours(
                squares=squares,
                ids=ids,
                recomputed=self._known.recomputed | self._out_of_range[back] | (unverified != 0),
            )

        return finish

    def _upload_known(self) -> tuple[Array, Array]:
        order = self._query.order
        return self._kernels.upload(self._known.squares[order]), self._kernels.upload(
            self._known.ids[order]
        )

    def _start(self) -> Rows:
        m = self._query.order.size
        squares, ids = self._upload_known()
        distances = np.sqrt(squares[:, -1]) * bounds_fp16.SCALE
        upload, empty = self._kernels.upload, self._kernels.empty
        return Rows(
            limits=bounds_fp16.limit(distances, self._query.kappas),
            count=upload(np.zeros(m, np.int32)),
            committed=upload(np.zeros(m, np.int32)),
            values=empty((m, CAPACITY), np.float32),
            beside=empty((m, CAPACITY), np.int32),
            exact=empty((m, CAPACITY), np.float64),
            squares=squares,
            ids=ids,
            unverified=upload(np.zeros(m, np.uint8)),
        )

    def _sweep(self, some: Array, first: int, last: int) -> None:
        """Compare rows with a range of the data; what passes is among their candidates or
        neighbours afterwards.
        """
        ranges = [(some, first, last)]
        while ranges:
            some, first, last = ranges.pop()
            if not some.size or first >= last:
                continue
            self._kernels.append(self._query, self._data, some, first, last, self._rows)
            left_out = some[self._kernels.select(self._query, some, self._rows)]
            if not left_out.size:
                continue
            self._settle(left_out)  # makes room, and lowers what they take in
            middle = (
                last if last - first <= CAPACITY else first + (last - first) // 2 // TILE * TILE
            )
            ranges += [(left_out, middle, last), (left_out, first, middle)]

    def _settle(self, some: Array) -> None:
        if some.size:
            self._kernels.rerank(self._query, self._data, some, self._rows)
            self._kernels.merge(self._query, self._data, some, self._rows)

    def _brute(self, some: Array, beside: npt.NDArray[np.int32]) -> None:
        """Compare rows with these rows of the data in float64, whatever the filter would say."""
        for start in range(0, beside.size if some.size else 0, CAPACITY):
            piece = self._kernels.upload(beside[start : start + CAPACITY])
            self._rows.beside[some, : piece.size] = piece
            self._rows.values[some, : piece.size] = np.float32(np.nan)
            self._rows.count[some] = piece.size
            self._settle(some)

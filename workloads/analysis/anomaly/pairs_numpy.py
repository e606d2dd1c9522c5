"""The host's comparison of two blocks: float32 matrix products over tiles as a filter, float64 distances for what passes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final

import numpy as np
import numpy.typing as npt

from workloads.analysis.anomaly.block import Block
from workloads.analysis.anomaly.neighbours import Neighbours
from workloads.analysis.anomaly.search import Positions, Search, Values

TILE: Final = 1024
"""Rows and columns of a tile: its products (4 MiB) stay in the cache between the matrix product and the comparison."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scratch:
    """Memory of one thread; fresh pages would cost more than the arithmetic."""

    products: Values
    """(TILE, TILE)"""
    passed: npt.NDArray[np.bool_]
    other: Values
    """(TILE, d + 2) augmented rows of the second factor."""

    @classmethod
    def make(cls, columns: int) -> _Scratch:
        return cls(
            products=np.empty(TILE * TILE, np.float32),
            passed=np.zeros(TILE * TILE, np.bool_),
            other=np.empty((TILE, columns + 2), np.float32),
        )


class NumpyPairs:
    """The host's `PairBackend`.

    Args:
        threads: Threads that share the tiles. Their matrix products run at the same time, so BLAS itself should use one (OPENBLAS_NUM_THREADS=1).
    """

    name = "numpy"
    precision = "fp32 filter, fp64 distances"

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads

    def within(self, block: Block, known: Neighbours) -> Neighbours:
        """Every row of a block with every other."""
        search = Search(block, block, known, TILE)
        starts = range(0, block.ids.size, TILE)
        self._each(((a, a) for a in starts), lambda a, b, scratch: _tile(search, search, a, b, scratch), block.columns)
        pairs = ((a, a + step) for step in range(TILE, block.ids.size, TILE) for a in range(0, block.ids.size - step, TILE))
        self._each(pairs, lambda a, b, scratch: _tile(search, search, a, b, scratch), block.columns)
        self._finish(search)
        return search.found()

    def between(self, a: Block, b: Block, known_a: Neighbours, known_b: Neighbours) -> tuple[Neighbours, Neighbours]:
        """Every row of one block with every row of another, for both of them: each product serves two rows."""
        left, right = Search(a, b, known_a, TILE), Search(b, a, known_b, TILE)
        self._each(_grid(a, b), lambda i, j, scratch: _tile(left, right, i, j, scratch), a.columns)
        self._finish(left)
        self._finish(right)
        return left.found(), right.found()

    def towards(self, query: Block, data: Block, known: Neighbours) -> Neighbours:
        """Every row of `query` with every row of `data`, for the first alone; rows that are in both are not their own neighbours."""
        search = Search(query, data, known, TILE)
        self._each(_grid(query, data), lambda i, j, scratch: _tile(search, None, i, j, scratch), query.columns)
        self._finish(search)
        return search.found()

    def _finish(self, search: Search) -> None:
        rows, others = search.query.ids.size, search.data.ids.size
        self._each(((a, min(a + TILE, rows)) for a in range(0, rows, TILE)), lambda a, b, _: search.settle(np.arange(a, b)), 0)
        wild = np.zeros(rows, np.bool_)
        wild[search.query.wild] = True
        search.brute(np.flatnonzero(~wild), search.data.wild)
        search.brute(np.flatnonzero(wild), np.arange(others))
        search.recomputed[wild] = True

    def _each(self, tasks: Iterable[tuple[int, int]], work: Callable[[int, int, _Scratch], None], columns: int) -> None:
        queue: SimpleQueue[tuple[int, int] | None] = SimpleQueue()
        for task in tasks:
            queue.put(task)
        for _ in range(self._threads):
            queue.put(None)

        def worker() -> None:
            scratch = _Scratch.make(columns)
            while (task := queue.get()) is not None:
                work(*task, scratch)

        if self._threads == 1:
            worker()
            return
        with ThreadPoolExecutor(self._threads, thread_name_prefix="tiles") as pool:
            for future in [pool.submit(worker) for _ in range(self._threads)]:
                future.result()


def _grid(a: Block, b: Block) -> Iterable[tuple[int, int]]:
    return ((i, j) for j in range(0, b.ids.size, TILE) for i in range(0, a.ids.size, TILE))


def _tile(left: Search, right: Search | None, i: int, j: int, scratch: _Scratch) -> None:
    """Rows [i, i + TILE) of left's block with rows [j, j + TILE) of its data; `right` is the search of these, or None."""
    a, b = left.query, left.data
    rows, others = a.augmented[i : i + TILE], b.augmented[j : j + TILE]
    m, n = rows.shape[0], others.shape[0]
    second = scratch.other[:n]
    second[:, :-2] = others[:, :-2]
    second[:, -2] = others[:, -1]
    second[:, -1] = others[:, -2]
    products = scratch.products[: m * n].reshape(m, n)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        np.matmul(rows, second.T, out=products)
    diagonal = left is right and i == j
    _hide_selves(products, a.ids[i : i + m], b.ids[j : j + n])
    _look(left, i, j, products, scratch)
    if right is not None and not diagonal:
        _look(right, j, i, products.T, scratch)


def _hide_selves(products: Values, ids: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> None:
    if ids[0] > others[-1] or others[0] > ids[-1]:
        return
    place = np.minimum(np.searchsorted(others, ids), others.size - 1)
    same = np.flatnonzero(others[place] == ids)
    products[same, place[same]] = -np.inf


def _look(search: Search, start: int, beside: int, products: Values, scratch: _Scratch) -> None:
    """Offer what passes the thresholds of rows [start, start + m) in products (m, n) with data rows [beside, beside + n)."""
    m, n = products.shape
    k = search.found().k
    with search.locks[start // TILE]:
        if (search.thresholds[start : start + m] == np.finfo(np.float32).max).any() and n >= k:
            search.learn(start, _kth_best(products, k))
        limits = search.limits(start, start + m, int(search.data.ids[beside]))
    rows, others = _passing(products, limits, scratch.passed)
    if rows.size:
        values = products[rows, others]
        with search.locks[start // TILE]:
            search.offer(rows + start, others + beside, values)


def _passing(products: Values, limits: Values, memory: npt.NDArray[np.bool_]) -> tuple[Positions, Positions]:
    """Rows (ascending) and columns of products that reach their row's limit."""
    m, n = products.shape
    size = m * n
    turned = not products.flags.c_contiguous
    shape = (n, m) if turned else (m, n)
    passed = memory[:size].reshape(shape)
    if turned:
        np.greater_equal(products.T, limits, out=passed)
    else:
        np.greater_equal(products, limits[:, None], out=passed)
    padded = -(-size // 8) * 8
    memory[size:padded] = False
    words = np.flatnonzero(memory[:padded].view(np.uint64))  # few of them: eight at a time
    hits = np.flatnonzero(memory[:padded].reshape(-1, 8)[words])
    flat = words[hits >> 3] * 8 + (hits & 7)
    first, second = np.divmod(flat, shape[1])
    if not turned:
        return first, second
    order = np.argsort(second.astype(np.uint16), kind="stable")
    return second[order], first[order]


def _kth_best(products: Values, k: int) -> Values:
    """A lower bound of every row's k-th largest product: the k-th largest of the maxima of disjoint groups of columns."""
    m, n = products.shape
    groups = min(8 * k, n)
    size = n // groups
    best = products[:, : groups * size].reshape(m, groups, size).max(axis=2) if products.flags.c_contiguous else (
        products.T[: groups * size].reshape(groups, size, m).max(axis=1).T
    )
    return np.partition(best, groups - k, axis=1)[:, groups - k]

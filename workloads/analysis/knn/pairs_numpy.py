"""The host's comparison of two blocks: float32 matrix products as a filter, float64 distances for
what passes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np

from workloads.analysis.knn import bounds
from workloads.analysis.knn.block import Block
from workloads.analysis.knn.neighbours import Neighbours
from workloads.analysis.knn.search import Search
from workloads.analysis.knn.strip import RUN, TILE, Strip
from workloads.analysis.profile.moments import Integers
from workloads.analysis.threads import parallel_map

_LIMIT_ROWS: Final = 2048


class NumpyPairs:
    """The host's `PairBackend`.

    Args:
        threads: Threads that share the strips. Their matrix products run at the same time, so BLAS
            should use one (OPENBLAS_NUM_THREADS=1).
    """

    name = "numpy"
    precision = "fp32 filter, fp64 distances"

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads

    def products_per_second(self, rows: int, columns: int) -> float:
        """Multiplications per second of plain float32 products of rows like these, all threads at a
        time; the best of three.
        """
        rows = min(rows, _LIMIT_ROWS)
        left = np.random.default_rng(0).standard_normal((rows, max(columns, 1)), np.float32)
        right, room = (
            left.T.copy(),
            [np.empty((rows, rows), np.float32) for _ in range(self._threads)],
        )
        fastest = np.inf
        with ThreadPoolExecutor(self._threads, thread_name_prefix="limit") as pool:
            for _ in range(3):
                start = time.perf_counter()
                list(pool.map(lambda out: np.matmul(left, right, out=out), room))
                fastest = min(fastest, time.perf_counter() - start)
        return float(self._threads * rows**2 * left.shape[1] / fastest)

    def within(self, block: Block, known: Neighbours) -> Neighbours:
        """Every row of a block with every other row of it."""
        search = Search(block, block, known, RUN)
        tiles = range(0, block.ids.size, TILE)
        runs = range(0, block.ids.size, RUN)
        # first each run with itself, one way, so that all rows have thresholds; then every pair of
        # runs once, for both
        self._strips(search, None, ((i, i // RUN * RUN) for i in tiles))
        self._strips(search, search, ((i, j) for j in runs for i in range(0, j, TILE)))
        return self._settled(search)

    def between(
        self, a: Block, b: Block, known_a: Neighbours, known_b: Neighbours
    ) -> tuple[Neighbours, Neighbours]:
        """Every row of one block with every row of another, for both of them: each product serves
        two rows. No row is in both.
        """
        left, right = Search(a, b, known_a, RUN), Search(b, a, known_b, RUN)
        self._strips(left, right, _grid(a, b))
        return self._settled(left), self._settled(right)

    def towards(self, query: Block, data: Block, known: Neighbours) -> Neighbours:
        """Every row of `query` with every row of `data`, for the first alone; a row that is in both
        is not its own neighbour.
        """
        search = Search(query, data, known, RUN)
        self._strips(search, None, _grid(query, data))
        return self._settled(search)

    def nearer(self, query: Block, data: Block, square: float) -> Integers:
        """(m,) how many other rows of `data` are proved to be nearer to each row of `query` than
        sqrt(square): a lower bound.
        """
        found = np.zeros(query.ids.size, np.int64)
        limits = bounds.proof(square, query.half_squares, query.columns)

        def work(tasks: Iterable[tuple[int, int]]) -> None:
            strip = Strip(query.columns)
            for i, j in tasks:
                found[i : i + TILE] += strip.count(query, data, i, j, limits[i : i + TILE])

        for j in range(0, data.ids.size, RUN):
            self._share(work, ((i, j) for i in range(0, query.ids.size, TILE)))
        return found

    def _strips(
        self, left: Search, right: Search | None, strips: Iterable[tuple[int, int]]
    ) -> None:
        def work(tasks: Iterable[tuple[int, int]]) -> None:
            strip = Strip(left.query.columns)
            for i, j in tasks:
                strip.compare(left, right, i, j)

        self._share(work, strips)

    def _settled(self, search: Search) -> Neighbours:
        rows = search.query.ids.size

        def work(tasks: Iterable[tuple[int, int]]) -> None:
            for start, stop in tasks:
                search.settle(np.arange(start, min(stop, rows)))

        self._share(work, ((start, start + RUN) for start in range(0, rows, RUN)))
        search.compare_in_float64()
        return search.found()

    def _share(
        self, work: Callable[[Iterable[tuple[int, int]]], None], tasks: Iterable[tuple[int, int]]
    ) -> None:
        """Let the threads take tasks one by one."""
        parallel_map([work] * self._threads, tasks)


def _grid(a: Block, b: Block) -> Iterable[tuple[int, int]]:
    return ((i, j) for j in range(0, b.ids.size, RUN) for i in range(0, a.ids.size, TILE))

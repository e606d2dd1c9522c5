"""Comparisons of blocks by the float16 search: what pairs_cupy.py runs on a GPU, for any
`HalfKernels`.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np

from workloads.analysis.knn import bounds_fp16
from workloads.analysis.knn.block import Block
from workloads.analysis.knn.half_block import HalfBlock, prepare
from workloads.analysis.knn.half_search import CAPACITY, HalfKernels, HalfSearch
from workloads.analysis.knn.neighbours import Neighbours
from workloads.analysis.profile.moments import Integers


class HalfPairs:
    """A `PairBackend`.

    Args:
        name: Of the backend.
        kernels: What touches the products.
        cache_bytes: Rounded blocks are kept up to this size, the oldest dropped first, so that a
            block that is compared with many others is copied and rounded once where it fits.
    """

    precision = "fp16 filter with fp32 sums, fp64 distances"

    def __init__(self, name: str, kernels: HalfKernels, cache_bytes: int) -> None:
        self._name = name
        self._kernels = kernels
        self._cache_bytes = cache_bytes
        self._cache: WeakKeyDictionary[Block, HalfBlock] = WeakKeyDictionary()

    @property
    def name(self) -> str:
        """Of the backend."""
        return self._name

    def products_per_second(self, rows: int, columns: int) -> float:  # noqa: ARG002 - the device's rate at its best, whatever the rows
        """Multiplications per second of a large float16 product on the device."""
        return self._kernels.product_rate()

    def within(self, block: Block, known: Neighbours) -> Neighbours:
        """Every row of a block with every other row of it."""
        return self.towards(block, block, known)

    def between(
        self, a: Block, b: Block, known_a: Neighbours, known_b: Neighbours
    ) -> tuple[Neighbours, Neighbours]:
        """Every row of one block with every row of another, for both of them: the first result
        travels while the second is computed.
        """
        if not a.ids.size or not b.ids.size:
            return known_a, known_b
        left = self._search(a, b, known_a)
        left.run()
        found_left = left.found()
        right = self._search(b, a, known_b)
        right.run()
        found_right = right.found()
        return found_left(), found_right()

    def towards(self, query: Block, data: Block, known: Neighbours) -> Neighbours:
        """Every row of `query` with every row of `data`, for the first alone; a row that is in both
        is not its own neighbour.
        """
        if not query.ids.size or not data.ids.size:
            return known
        search = self._search(query, data, known)
        search.run()
        return search.found()()

    def nearer(self, query: Block, data: Block, square: float) -> Integers:
        """(m,) how many other rows of `data` are proved to be nearer to each row of `query` than
        sqrt(square): a lower bound.
        """
        found = np.zeros(query.ids.size, np.int64)
        if not query.ids.size or not data.ids.size:
            return found
        left, right = self._half(query), self._half(data)
        limits = bounds_fp16.proof(square, left.half_squares, left.kappas, left.columns)
        (found[left.order],) = self._kernels.download(self._kernels.tally(left, right, limits))()
        return found

    def _search(self, query: Block, data: Block, known: Neighbours) -> HalfSearch:
        if known.k > CAPACITY:
            raise ValueError(
                f"the float16 search holds at most {CAPACITY} neighbours per row, not {known.k}"
            )
        return HalfSearch(self._kernels, self._half(query), self._half(data), known)

    def _half(self, block: Block) -> HalfBlock:
        found = self._cache.get(block)
        if found is None:
            found = prepare(
                block, self._kernels.upload, lambda array: self._kernels.download(array)()[0]
            )
            self._cache[block] = found
            held = list(self._cache.items())
            total = sum(half.nbytes for _, half in held)
            for oldest, half in held[:-1]:
                if total <= self._cache_bytes:
                    break
                total -= half.nbytes
                del self._cache[oldest]
        return found

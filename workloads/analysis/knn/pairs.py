"""What compares blocks: NumPy on the host, CuPy on a GPU.

Same signatures, same tests, and the same bits.
"""

from __future__ import annotations

from typing import Protocol

from workloads.analysis.knn.block import Block
from workloads.analysis.knn.neighbours import Neighbours
from workloads.analysis.profile.moments import Integers


class PairBackend(Protocol):
    """Comparisons of blocks.

    Whatever filters the pairs, a result holds the k nearest by (`exact.squares`, row id) among all
    rows compared: a pair may be left out only if it is proved to come after k others. `known` is
    never changed; its distances may be used to leave out more. The data of `known` and of the call
    must not overlap.
    """

    @property
    def name(self) -> str:
        """`numpy` or `cupy`."""

    @property
    def precision(self) -> str:
        """Of the filter and of the distances."""

    def products_per_second(self, rows: int, columns: int) -> float:
        """The filter's limit, measured now: multiplications per second of the machine's own matrix
        product in the same precision.

        Args:
            rows: Of a block; a backend may try fewer.
            columns: Of the table.
        """

    def within(self, block: Block, known: Neighbours) -> Neighbours:
        """Every row of a block with every other row of it."""

    def between(
        self, a: Block, b: Block, known_a: Neighbours, known_b: Neighbours
    ) -> tuple[Neighbours, Neighbours]:
        """Every row of one block with every row of another, for both of them; no row is in both."""

    def towards(self, query: Block, data: Block, known: Neighbours) -> Neighbours:
        """Every row of `query` with every row of `data`, for the first alone; a row that is in both
        is not its own neighbour.
        """

    def nearer(self, query: Block, data: Block, square: float) -> Integers:
        """(m,) how many other rows of `data` are proved to be nearer to each row of `query` than
        sqrt(square): a lower bound.
        """

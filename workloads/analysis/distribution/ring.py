"""Blocks travel from rank to rank, the next one while the present one is worked on.

Host-staged: the buffers are NumPy arrays, which every MPI takes. At k-th-neighbour search a block is worked on far longer than it travels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from workloads.analysis.anomaly.block import Block
from workloads.analysis.progress import Progress

_MESSAGE_ELEMENTS: Final = 1 << 30
"""MPI 3 counts in 32-bit integers."""
_TAG: Final = 17


class Ring:
    """Rank r hands blocks to rank r - 1 and takes them from rank r + 1.

    Args:
        comm: All ranks.
        progress: Is told what is received.
    """

    def __init__(self, comm: MPI.Intracomm, progress: Progress) -> None:
        self._comm, self._progress = comm, progress
        self._under_way: list[MPI.Request] = []

    def circulate(self, own: Block) -> Iterator[tuple[int, Block]]:
        """Every rank's block once, with the rank that it came from; the own one first. Collective.

        The caller works on a block before it asks for the next one, and calls `poke` meanwhile.
        """
        ranks, rank = self._comm.size, self._comm.rank
        rows: list[int] = self._comm.allgather(own.ids.size)
        present = own
        for step in range(ranks):
            following = (rank + step + 1) % ranks
            arriving = present
            if step < ranks - 1:
                arriving = Block(ids=np.empty(rows[following], np.int64), rows=np.empty((rows[following], own.columns), np.float32))
                self._exchange(present, arriving)
            yield (rank + step) % ranks, present
            with self._progress.timed("exchange"):
                MPI.Request.Waitall(self._under_way)
            self._under_way = []
            present = arriving

    def poke(self) -> None:
        """Lets MPI move data: without a thread of its own it does so only while it is called."""
        if self._under_way:
            MPI.Request.Testall(self._under_way)

    def _exchange(self, leaving: Block, arriving: Block) -> None:
        ranks, rank = self._comm.size, self._comm.rank
        for array in (arriving.ids, arriving.rows):
            self._under_way += [self._comm.Irecv(part, (rank + 1) % ranks, _TAG) for part in _parts(array)]
            self._progress.moved("exchange", array.nbytes)
        for array in (leaving.ids, leaving.rows):
            self._under_way += [self._comm.Isend(part, (rank - 1) % ranks, _TAG) for part in _parts(array)]


def _parts(array: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    flat = array.reshape(-1)
    return [flat[start : start + _MESSAGE_ELEMENTS] for start in range(0, flat.size, _MESSAGE_ELEMENTS)]

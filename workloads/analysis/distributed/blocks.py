"""The blocks of the table as one rank sees them: those that fit stay in memory, the others are read
again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from workloads.analysis.knn.block import Block, prepare
from workloads.analysis.profile.moments import Floats, Integers
from workloads.analysis.progress import Progress
from workloads.analysis.space.space import Space
from workloads.analysis.table import Table, UnitData


def block_bytes(rows: int, columns: int) -> int:
    """Memory of a block with what follows from it: ids, rows, half squares, rows of the filter's
    product.
    """
    return rows * (8 + 8 * columns + 8 + 4 * (columns + 2))


def state_bytes(rows: int, k: int) -> int:
    """Memory of a query state while it is worked on: old and new neighbours, candidates of the
    filter.
    """
    return rows * (8 + 2 * 16 * k + 8 * max(6 * k, 32))


SMALLEST_CHUNK: Final = 4096
"""Rows that are compared with the whole table at a time, at least."""


def largest_panel(budget: int, columns: int) -> int:
    """Rows of one panel that every rank may hold: as they arrive, as they are put together, and
    what follows from them.
    """
    return max(budget // (4 * block_bytes(1, columns)), SMALLEST_CHUNK)


class BlockSource:
    """Coordinates of the rows of units that can be compared.

    The first blocks that fit are kept for good. All passes go through the units in the same order,
    and for such passes dropping the oldest would keep just those that come last again.

    Args:
        table: The cleaned table.
        space: Where rows are compared.
        budget: Bytes of blocks to keep.
        progress: Is told what is read.
    """

    def __init__(self, table: Table, space: Space, budget: int, progress: Progress) -> None:
        self._table, self.space, self._left, self._progress = table, space, budget, progress
        self._kept: dict[int, Block] = {}
        self._undirected: dict[int, int] = {}

    @property
    def columns(self) -> int:
        """D of the blocks."""
        return int(self.space.places.size)

    @property
    def unit_rows(self) -> int:
        """Rows of every unit but the last."""
        return self._table.manifest.unit_rows

    def empty(self) -> Block:
        """A block without rows."""
        return Block(ids=np.zeros(0, np.int64), rows=np.zeros((0, self.columns)))

    def block(self, unit: int) -> Block:
        """The complete rows of one unit."""
        (found,) = self.blocks((unit,))
        return found

    def blocks(self, units: Sequence[int]) -> Iterator[Block]:
        """The complete rows of some units, in order; those not in memory are fetched ahead."""
        arriving = self._table.units([unit for unit in units if unit not in self._kept])
        with contextlib.closing(arriving):
            for unit in units:
                self._progress.unit = unit
                kept = self._kept.get(unit)
                if kept is None:
                    with self._progress.timed("read"):
                        data = next(arriving)
                    kept = self._keep(unit, data)
                yield kept
        self._progress.unit = None

    def zero_norm(self, own: Sequence[int]) -> int:
        """Complete rows of some units that have no direction (metric `cosine`).

        Reads again what a resumed run has not seen.
        """
        if self.space.metric == "cosine":
            for _ in self.blocks([unit for unit in own if unit not in self._undirected]):
                pass
        return sum(self._undirected.get(unit, 0) for unit in own)

    def raw(self, ids: Integers, own: range) -> tuple[Floats, Floats]:
        """Of those rows that are in some units, (n, columns of the table) values as they stand
        there, and what float64 takes from them.

        Args:
            ids: Row numbers, ascending.
            own: The units.
        """
        nothing = np.zeros((0, len(self._table.columns)))
        found, lost = [nothing], [nothing]
        units = [int(unit) for unit in np.unique(ids // self.unit_rows) if unit in own]
        for data in self._table.units(units):
            self._progress.moved("read", data.unit.byte_length)
            first = data.unit.row_offset
            here = ids[(ids >= first) & (ids < first + data.unit.rows)] - first
            found.append(data.values[:, here].T)
            rests = np.zeros((here.size, len(self._table.columns)))
            for column, rest in data.rests.items():
                rests[:, column] = rest[here]
            lost.append(rests)
        return np.concatenate(found), np.concatenate(lost)

    def _keep(self, unit: int, data: UnitData) -> Block:
        self._progress.moved("read", data.unit.byte_length)
        with self._progress.timed("scale"):
            prepared = prepare(self.space, data.unit.row_offset, data.values, data.rests)
        block = prepared.block
        self._undirected[unit] = prepared.zero_norm.size
        size = block_bytes(block.ids.size, self.columns)
        if size <= self._left:
            self._left -= size
            self._kept[unit] = block
        return block

"""One unit at another rank: what it brings, and what it sends home.

It brings its rows, which units they were compared with, and of each row's neighbours the last one
alone, which is all that a filter needs to know: any other row counts only if it comes before that
one. It sends home the neighbours found, which do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workloads.analysis.distributed.transport.exchange import Bytes
from workloads.analysis.distributed.transport.messages import Part, pack, rows_of, size_of, unpack
from workloads.analysis.knn.block import Block
from workloads.analysis.knn.neighbours import NO_NEIGHBOUR, Neighbours
from workloads.analysis.knn.state import QueryState
from workloads.analysis.profile.moments import Integers


@dataclass(kw_only=True, eq=False)
class TravellingUnit:
    """A unit that came to be compared with the units here."""

    block: Block
    state: QueryState
    """State of the rows: to begin with, all k neighbours of a row are the last one that it had at
    home.
    """
    done_at_home: npt.NDArray[np.bool_]
    """(units,) it was compared with these before it left."""
    last_ids: Integers
    """(m,) the neighbour that it brought."""

    @classmethod
    def read(cls, message: Bytes, unit: int, *, columns: int, units: int, k: int) -> TravellingUnit:
        """What `announce` packed."""
        ids, squares, last_ids, rows, done = unpack(
            message, _announced(rows_of(message), columns, units)
        )
        neighbours = Neighbours(
            squares=np.repeat(squares[:, None], k, axis=1),
            ids=np.repeat(last_ids[:, None], k, axis=1),
            recomputed=np.zeros(ids.size, np.bool_),
        )
        state = QueryState(unit=unit, ids=ids, neighbours=neighbours, done=done)
        return cls(
            block=Block(ids=ids, rows=rows), state=state, done_at_home=done, last_ids=last_ids
        )

    @property
    def found(self) -> QueryState:
        """The neighbours found here that come before the last one at home, in the units done
        here.
        """
        neighbours = self.state.neighbours
        brought = neighbours.ids == self.last_ids[:, None]  # they stand behind all that were found
        return QueryState(
            unit=self.state.unit,
            ids=self.state.ids,
            neighbours=Neighbours(
                squares=np.where(brought, np.inf, neighbours.squares),
                ids=np.where(brought, NO_NEIGHBOUR, neighbours.ids),
                recomputed=neighbours.recomputed,
            ),
            done=self.state.done & ~self.done_at_home,
        )


def announce(block: Block, state: QueryState) -> Bytes:
    """A unit that leaves for other ranks."""
    last = state.neighbours.squares[:, -1], state.neighbours.ids[:, -1]
    return pack(block.ids.size, (block.ids, *last, block.rows, state.done))


def pack_found(found: QueryState) -> Bytes:
    """What it sends home."""
    neighbours = found.neighbours
    return pack(
        found.ids.size, (neighbours.squares, neighbours.ids, neighbours.recomputed, found.done)
    )


def found_bytes(rows: int, *, units: int, k: int) -> int:
    """Size of what a unit with so many rows sends home."""
    return size_of(_found(rows, units, k))


def read_found(message: Bytes, state: QueryState) -> QueryState:
    """What the unit of this state has sent home."""
    squares, ids, recomputed, done = unpack(
        message, _found(state.ids.size, state.done.size, state.neighbours.k)
    )
    return QueryState(
        unit=state.unit,
        ids=state.ids,
        neighbours=Neighbours(squares=squares, ids=ids, recomputed=recomputed),
        done=done,
    )


def pack_data(block: Block) -> Bytes:
    """A unit that others are compared with, and that takes nothing home."""
    return pack(block.ids.size, (block.ids, block.rows))


def read_data(message: Bytes, columns: int) -> Block:
    """What `pack_data` packed."""
    rows = rows_of(message)
    ids, values = unpack(message, ((np.int64, (rows,)), (np.float64, (rows, columns))))
    return Block(ids=ids, rows=values)


def _announced(rows: int, columns: int, units: int) -> tuple[Part, ...]:
    last: tuple[Part, ...] = ((np.float64, (rows,)), (np.int64, (rows,)))
    return ((np.int64, (rows,)), *last, (np.float64, (rows, columns)), (np.bool_, (units,)))


def _found(rows: int, units: int, k: int) -> tuple[Part, ...]:
    return (
        (np.float64, (rows, k)),
        (np.int64, (rows, k)),
        (np.bool_, (rows,)),
        (np.bool_, (units,)),
    )

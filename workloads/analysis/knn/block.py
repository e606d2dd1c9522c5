"""Complete rows of one unit, scaled and ready to be compared with others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from workloads.analysis.knn import bounds
from workloads.analysis.knn.exact import half_squares
from workloads.analysis.profile.leaf_numpy import NO_RESTS, Rests
from workloads.analysis.profile.moments import Floats, Integers
from workloads.analysis.space.space import Space

_ROWS: Final = 4096
"""Rounded at a time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """m rows with d columns.

    What travels between ranks is `ids` and `rows`; the rest follows from them, bit for bit.
    """

    ids: Integers
    """(m,) row numbers in the whole table, ascending."""
    rows: Floats
    """(m, d) coordinates, none beyond 2^500, row-major."""

    def take(self, positions: npt.NDArray[np.integer]) -> Block:
        """Some of the rows; positions ascending."""
        return Block(ids=self.ids[positions], rows=np.ascontiguousarray(self.rows[positions]))

    @property
    def columns(self) -> int:
        """Columns that are compared, d."""
        return int(self.rows.shape[1])

    @cached_property
    def half_squares(self) -> Floats:
        """(m,) |x|^2 / 2 of the rows rounded to float32."""
        found = np.empty(self.ids.size)
        for start in range(0, found.size, _ROWS):
            found[start : start + _ROWS] = half_squares(
                bounds.rounded(self.rows[start : start + _ROWS])
            )
        return found

    @cached_property
    def out_of_range(self) -> npt.NDArray[np.intp]:
        """Positions of the rows too far out for the float32 filter; they are compared in float64
        with everything.
        """
        return np.flatnonzero(self.half_squares > bounds.HALF_SQUARE_LIMIT)

    @cached_property
    def augmented(self) -> npt.NDArray[np.float32]:
        """(m, d + 2) rows [x, g, -1] of the filter's matrix product: see `bounds`."""
        found = np.empty((self.ids.size, self.columns + 2), np.float32)
        for start in range(0, self.ids.size, _ROWS):
            found[start : start + _ROWS, : self.columns] = bounds.rounded(
                self.rows[start : start + _ROWS]
            )
        found[self.out_of_range, : self.columns] = 0
        found[:, -2] = bounds.lowered(self.half_squares, self.columns)
        found[:, -1] = -1
        return found


def concatenate(blocks: list[Block]) -> Block:
    """One block of all rows, in order of their ids. The list is not empty."""
    ids = np.concatenate([block.ids for block in blocks])
    order = np.argsort(ids, kind="stable")
    return Block(ids=ids[order], rows=np.concatenate([block.rows for block in blocks])[order])


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """A unit as the search takes it."""

    block: Block
    incomplete: Integers
    """Row numbers, in the whole table, of the rows that lack a finite value in a compared column:
    they have no score.
    """
    zero_norm: Integers
    """Metric `cosine`: row numbers of the complete rows at the centre of the table, which have no
    direction and no score either.
    """


def prepare(space: Space, row_offset: int, values: Floats, rests: Rests = NO_RESTS) -> Prepared:
    """Coordinates of a unit's rows that can be compared.

    Args:
        space: Where rows are compared.
        row_offset: Row number of the unit's first row.
        values: (columns, rows) all number columns of the unit; NaN where a value is missing.
        rests: What float64 takes from whole numbers beyond 2^53.
    """
    complete = space.complete(values)
    ids = np.arange(row_offset, row_offset + complete.size, dtype=np.int64)
    whole = complete.all()
    if whole:
        block = Block(ids=ids, rows=space.rows(values, rests))
    else:
        beside = {column: rest[complete] for column, rest in rests.items()}
        whole_rows = np.compress(complete, values, axis=1)  # a mask would turn the layout round
        block = Block(ids=ids[complete], rows=space.rows(whole_rows, beside))
    zero_norm = np.zeros(0, np.int64)
    if space.metric == "cosine" and not (directed := block.rows.any(axis=1)).all():
        zero_norm = block.ids[~directed]
        block = block.take(np.flatnonzero(directed))
    return Prepared(block=block, incomplete=ids[~complete], zero_norm=zero_norm)

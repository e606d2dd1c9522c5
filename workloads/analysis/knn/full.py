"""`full`: a score for every complete row, by all pairs of units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from workloads.analysis.knn.block import Block
from workloads.analysis.knn.pairs import PairBackend
from workloads.analysis.knn.state import QueryState
from workloads.analysis.profile.moments import Floats, Integers


def process_pair(
    pairs: PairBackend, a: QueryState, a_block: Block, b: QueryState, b_block: Block
) -> tuple[QueryState, QueryState]:
    """Compare two units for both of them; a unit with itself where `a` and `b` are the same object.

    Does only what is left to do, so that the bitmaps of a resumed run may be in any state.

    Returns:
        The new states of `a` and `b`.
    """
    rows = a_block.ids.size > 0 and b_block.ids.size > 0
    if a is b:
        if not a.done[a.unit]:
            a = a.after(pairs.within(a_block, a.neighbours) if rows else a.neighbours, (a.unit,))
        return a, a
    for_a, for_b = not a.done[b.unit], not b.done[a.unit]
    found_a, found_b = a.neighbours, b.neighbours
    if rows and for_a and for_b:
        found_a, found_b = pairs.between(a_block, b_block, found_a, found_b)
    elif rows and for_a:
        found_a = pairs.towards(a_block, b_block, found_a)
    elif rows and for_b:
        found_b = pairs.towards(b_block, a_block, found_b)
    return a.after(found_a, (b.unit,)) if for_a else a, b.after(found_b, (a.unit,)) if for_b else b


def all_pairs(
    pairs: PairBackend, blocks: Mapping[int, Block], *, units: int, k: int
) -> dict[int, QueryState]:
    """Every pair of some units in one process: unit -> state, finished if `blocks` holds all
    units.
    """
    states = {
        unit: QueryState.start(unit, block.ids, units=units, k=k) for unit, block in blocks.items()
    }
    order = sorted(blocks)
    for unit in order:  # a unit with itself first: it gives all its rows a threshold
        states[unit], _ = process_pair(
            pairs, states[unit], blocks[unit], states[unit], blocks[unit]
        )
    for place, a in enumerate(order):
        for b in order[:place]:
            states[a], states[b] = process_pair(pairs, states[a], blocks[a], states[b], blocks[b])
    return states


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """Finished scores of n complete rows, in table order."""

    ids: Integers
    """(n,) row numbers."""
    scores: Floats
    """(n,) distance to the k-th neighbour; infinity where the table has no more than k complete
    rows.
    """
    kth_ids: Integers
    """(n,) row number of the k-th neighbour; `neighbours.NOBODY` where there is none."""
    nearest_ids: Integers
    """(n,) row number of the nearest neighbour; `NO_NEIGHBOUR` where there is none."""
    fallback_rows: int
    """Rows that were compared in float64 throughout, since the filter could not certify them."""

    @property
    def certified_fraction(self) -> float:
        """Share of the rows for which the filter's bounds proved that no neighbour was left out; 1
        for no rows.
        """
        return 1.0 - self.fallback_rows / self.ids.size if self.ids.size else 1.0

    def top(self, count: int) -> Integers:
        """Positions of the rows with the largest scores, largest first, equal ones by row
        number.
        """
        return np.lexsort((self.ids, -self.scores))[:count]


def finish(states: Mapping[int, QueryState]) -> Scores:
    """Scores from the states of all units. Raises ValueError where one of them is not finished."""
    order = sorted(states)
    for unit in order:
        if not states[unit].finished:
            missing = int(np.flatnonzero(~states[unit].done)[0])
            raise ValueError(f"unit {unit} was not yet compared with unit {missing}")
    found = [states[unit] for unit in order]
    return Scores(
        ids=np.concatenate([np.zeros(0, np.int64), *(state.ids for state in found)]),
        scores=np.concatenate([np.zeros(0), *(state.neighbours.scores for state in found)]),
        kth_ids=np.concatenate(
            [np.zeros(0, np.int64), *(state.neighbours.kth_ids for state in found)]
        ),
        nearest_ids=np.concatenate(
            [np.zeros(0, np.int64), *(state.neighbours.nearest_ids for state in found)]
        ),
        fallback_rows=sum(int(state.neighbours.recomputed.sum()) for state in found),
    )

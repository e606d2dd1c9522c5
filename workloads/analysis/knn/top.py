"""`top`: the N rows with the largest scores, exactly, without scoring all rows.

Rows are ordered by score, larger first, and equal ones by row number. The rule is that of Bay and
Schwabacher (KDD 2003): a row is dropped when it is proved to come after N others. What ranks have
to agree on:

1. Pilots: each rank offers its `farthest` rows, and those of all offers are the pilots: the 4 N
   rows farthest from the centre of the table, or, where all rows have the same length, from a
   sample of it.
2. Cutoff: pilots are compared with every unit (`towards`), the lists of all ranks merged; `cutoff`
   is the N-th pilot.
3. Panels: for each of `panels`, every rank gives the `members` of its units; all of them together
   are compared with the rows that are left (`screen`). After each panel the ranks add up how many
   rows are left, and stop when there are no more than `few` or no panel is left.
4. The rows left are compared with every unit; `surviving` may drop rows after each unit, on each
   rank by what that rank has seen, since a list over some units bounds the merged one. The lists of
   all ranks merged, `select` takes the N first of pilots and rows left.

Pilots, cutoff and result are functions of the table. Which rows are dropped when may differ between
devices, and never matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from workloads.analysis.knn.block import Block, concatenate
from workloads.analysis.knn.neighbours import Neighbours
from workloads.analysis.knn.pairs import PairBackend
from workloads.analysis.profile.moments import Floats, Integers

_PILOTS_PER_ROW: Final = 4
_FIRST_PANEL: Final = 512
_SEED: Final = 0x9E3779B97F4A7C15


@dataclass(frozen=True, kw_only=True)
class Cutoff:
    """The N-th pilot: rows that come after it are not among the first N."""

    score: float
    """Score to beat, below 0 where there are fewer than N pilots, and nothing can be dropped."""
    row: int

    @property
    def square(self) -> float:
        """Whatever squared distance is smaller has a root that is smaller than the score, also when
        it is rounded.

        Neighbouring squares often have the same root, and rows with equal scores are in order of
        their numbers.
        """
        return self.score * abs(self.score) * (1.0 - 2.0**-50)


@dataclass(frozen=True, kw_only=True, eq=False)
class Screened:
    """Rows of one unit that are left, and how many rows were proved to be nearer to each of them
    than the cutoff.
    """

    positions: npt.NDArray[np.intp]
    """(r,) in the unit's block, ascending."""
    nearer: Integers
    """(r,)"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Top:
    """The first rows by score: larger ones first, equal ones by row number."""

    ids: Integers
    """(N,) row numbers, or fewer where the table has fewer complete rows."""
    scores: Floats
    """(N,) distance to the k-th neighbour, descending."""
    kth_ids: Integers
    """(N,) row number of the k-th neighbour."""
    nearest_ids: Integers
    """(N,) row number of the nearest neighbour."""

    @classmethod
    def of(
        cls,
        ids: Integers,
        scores: Floats,
        *,
        kth_ids: Integers,
        nearest_ids: Integers,
        count: int,
    ) -> Self:
        """The first `count` of some rows in any order."""
        order = np.lexsort((ids, -scores))[:count]
        return cls(
            ids=ids[order],
            scores=scores[order],
            kth_ids=kth_ids[order],
            nearest_ids=nearest_ids[order],
        )

    @classmethod
    def joined(cls, parts: Sequence[Top], count: int) -> Self:
        """The first `count` of several such lists of different rows."""
        none = np.zeros(0, np.int64)
        nothing = cls(ids=none, scores=np.zeros(0), kth_ids=none, nearest_ids=none)
        together = {
            field.name: np.concatenate([getattr(part, field.name) for part in (nothing, *parts)])
            for field in fields(cls)
        }
        return cls.of(**together, count=count)


Remoteness = Callable[[Block], Floats]
"""(m,) of a block's rows: a guess at the order of their scores."""


def from_centre(block: Block) -> Floats:
    """Costs nothing, and tells nothing where all rows have the same length."""
    return block.half_squares


def from_sample(pairs: PairBackend, sample: Block, k: int) -> Remoteness:
    """Distance to the k-th neighbour in a sample of the table."""

    def remoteness(block: Block) -> Floats:
        if not (block.ids.size and sample.ids.size):
            return np.zeros(block.ids.size)
        return pairs.towards(block, sample, Neighbours.empty(block.ids.size, k)).squares[:, -1]

    return remoteness


def sample(rows: int) -> tuple[int, int]:
    """Range of `places` of a sample of 512 rows, or all if there are no more.

    Args:
        rows: Of the table, about.
    """
    return 0, _place(min(_FIRST_PANEL, rows), max(rows, 1))


def farthest(
    candidates: Sequence[Block], count: int, remoteness: Remoteness = from_centre
) -> Block:
    """The pilots among the rows of several blocks, for a result of `count` rows, in order of their
    ids. The sequence is not empty.
    """
    together = concatenate(list(candidates))
    order = np.lexsort((together.ids, -remoteness(together)))[: _PILOTS_PER_ROW * count]
    return together.take(np.sort(order))


def cutoff(ids: Integers, neighbours: Neighbours, count: int) -> Cutoff:
    """From the finished neighbours of the pilots."""
    if ids.size < count:
        return Cutoff(score=-1.0, row=-1)
    scores = neighbours.scores
    last = np.lexsort((ids, -scores))[count - 1]
    return Cutoff(score=float(scores[last]), row=int(ids[last]))


def panels(rows: int, largest: int = 1 << 62) -> Iterator[tuple[int, int]]:
    """Ranges of `places` that make up the panels: 512 rows, then as many as in all panels before,
    up to a quarter of the table.

    Args:
        rows: Complete rows of the table.
        largest: Rows of a panel at most, about.
    """
    start, size = 0, _FIRST_PANEL
    while start + size <= rows // 4:
        yield _place(start, rows), _place(start + size, rows)
        start += size
        size = min(start, largest)


def members(block: Block, panel: tuple[int, int]) -> Block:
    """The rows of a block that belong to a panel."""
    place = places(block.ids)
    return block.take(np.flatnonzero((place >= panel[0]) & (place < panel[1])))


def places(ids: Integers) -> npt.NDArray[np.uint64]:
    """A pseudo-random 63-bit place for every row number: the same sample on every rank, without a
    table of all rows (splitmix64).
    """
    with np.errstate(over="ignore"):
        z = (ids.astype(np.uint64) + np.uint64(1)) * np.uint64(_SEED)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) >> np.uint64(1)


def _place(position: int, rows: int) -> int:
    return (position << 63) // rows


def few(count: int) -> int:
    """Rows left at which panels cost more than they save."""
    return _PILOTS_PER_ROW * count


def unscreened(block: Block, pilot_ids: Integers) -> Screened:
    """All rows of a block but the pilots."""
    positions = np.flatnonzero(~np.isin(block.ids, pilot_ids))
    return Screened(positions=positions, nearer=np.zeros(positions.size, np.int64))


def screen(
    pairs: PairBackend, block: Block, screened: Screened, panel: Block, limit: Cutoff, k: int
) -> Screened:
    """Drop the rows of which k rows are proved to be nearer than the cutoff.

    Panels must not overlap.
    """
    if not screened.positions.size or not panel.ids.size:
        return screened
    nearer = screened.nearer + pairs.nearer(block.take(screened.positions), panel, limit.square)
    left = nearer < k
    return Screened(positions=screened.positions[left], nearer=nearer[left])


def surviving(ids: Integers, neighbours: Neighbours, limit: Cutoff) -> npt.NDArray[np.intp]:
    """Positions of the rows that may yet come before the cutoff, by their neighbours among any part
    of the table.
    """
    scores = neighbours.scores
    return np.flatnonzero((scores > limit.score) | ((scores == limit.score) & (ids < limit.row)))


def select(ids: Integers, neighbours: Neighbours, count: int) -> Top:
    """The first rows among pilots and rows left, whose neighbours are finished or prove that they
    come after the cutoff.
    """
    return Top.of(
        ids,
        neighbours.scores,
        kth_ids=neighbours.kth_ids,
        nearest_ids=neighbours.nearest_ids,
        count=count,
    )


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a search for the first rows cost."""

    evaluations: int
    """Pairs of rows that were compared."""
    rows_left: int
    """Rows that had to be compared with the whole table, besides the pilots."""


def top_rows(
    pairs: PairBackend, blocks: Mapping[int, Block], *, count: int, k: int
) -> tuple[Top, Work]:
    """The whole search in one process that holds all units; not for an empty table.

    Args:
        pairs: What compares.
        blocks: Unit -> its complete rows.
        count: N.
        k: Which neighbour's distance is the score.
    """
    rows = sum(block.ids.size for block in blocks.values())
    chosen = farthest([farthest([block], count) for block in blocks.values()], count)
    known = Neighbours.empty(chosen.ids.size, k)
    for block in blocks.values():
        known = pairs.towards(chosen, block, known)
    evaluations = chosen.ids.size * rows
    limit = cutoff(chosen.ids, known, count)
    left = {unit: unscreened(block, chosen.ids) for unit, block in blocks.items()}
    for panel in panels(rows):
        if sum(one.positions.size for one in left.values()) <= few(count):
            break
        sample = concatenate([members(block, panel) for block in blocks.values()])
        evaluations += sum(one.positions.size for one in left.values()) * sample.ids.size
        left = {
            unit: screen(pairs, block, left[unit], sample, limit, k)
            for unit, block in blocks.items()
        }
    remaining = concatenate([block.take(left[unit].positions) for unit, block in blocks.items()])
    rows_left = remaining.ids.size
    found = Neighbours.empty(rows_left, k)
    for block in blocks.values():
        evaluations += remaining.ids.size * block.ids.size
        found = pairs.towards(remaining, block, found)
        places_left = surviving(remaining.ids, found, limit)
        remaining, found = remaining.take(places_left), found.take(places_left)
    ids = np.concatenate((chosen.ids, remaining.ids))
    joined = Neighbours(
        squares=np.concatenate((known.squares, found.squares)),
        ids=np.concatenate((known.ids, found.ids)),
        recomputed=np.concatenate((known.recomputed, found.recomputed)),
    )
    return select(ids, joined, count), Work(evaluations=evaluations, rows_left=rows_left)

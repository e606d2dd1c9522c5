"""Which units a rank works on at a time, and where two units of different ranks meet."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest


def groups(units: Sequence[int], unit_bytes: int, budget: int) -> list[Sequence[int]]:
    """Runs of units that fit into a budget of memory together, at least one unit in each."""
    together = max(budget // max(unit_bytes, 1), 1)
    return [units[start : start + together] for start in range(0, len(units), together)]


def rounds(offered: Sequence[Sequence[int]]) -> list[tuple[int | None, ...]]:
    """The unit that each rank puts on the ring, round by round; None where a rank has had all of
    its own.

    Args:
        offered: Rank -> its units.
    """
    return list(zip_longest(*offered))


def half_way(ranks: int) -> range:
    """The steps that a unit travels to meet the units of half of the other ranks; those of the
    other half come to its own rank.
    """
    return range(1, ranks // 2 + 1)


def meet(visitor: int, host: int, step: int, ranks: int) -> bool:
    """Whether a unit that has come so many steps is compared with a unit of the rank that it has
    come to.

    Every pair of units of different ranks meets once, and all ranks have the same share of the
    pairs. The one case in which each of two units comes to the other's rank is an even number of
    ranks and half of the way round: there the sum of the units' numbers decides which of the two
    meetings counts.
    """
    return 2 * step < ranks or (2 * step == ranks and (visitor + host) % 2 == (visitor < host))

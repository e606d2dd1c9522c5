"""Which units a rank works on at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from workloads.analysis.tree import share


def groups(units: Sequence[int], unit_bytes: int, budget: int) -> list[Sequence[int]]:
    """Runs of units that fit into a budget of memory together, at least one unit in each."""
    together = max(budget // max(unit_bytes, 1), 1)
    return [units[start : start + together] for start in range(0, len(units), together)]


def rounds(ranks: int, units: int) -> Iterator[tuple[int | None, ...]]:
    """The data unit that each rank puts on the ring, round by round; None where a rank has had all of its own."""
    shares = [share(rank, ranks, units) for rank in range(ranks)]
    for place in range(max((len(own) for own in shares), default=0)):
        yield tuple(own[place] if place < len(own) else None for own in shares)

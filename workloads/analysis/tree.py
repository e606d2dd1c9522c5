"""The fixed binary tree over units: why the answer does not depend on who computed which part of
it.

Floating-point addition is not associative, so a sum over ranks changes with their number. Here the
order of all merges is a property of the data: leaf `(0, u)` is unit u, and node `(level, i)` is
always `(level - 1, 2i)` merged with `(level - 1, 2i + 1)`, left before right. Where the right one
lies beyond the last unit, the left one is promoted as it is. Ranks hand over whole nodes, at most
two per level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NodeId:
    """Node `index` of `level`: units `[index * 2**level, (index + 1) * 2**level)`."""

    level: int
    index: int

    @property
    def units(self) -> range:
        """The units below the node, as if the tree were full."""
        return range(self.index << self.level, (self.index + 1) << self.level)


def share(rank: int, ranks: int, units: int) -> range:
    """The contiguous run of units that a rank computes; empty for some ranks where there are more
    ranks than units.
    """
    return range(rank * units // ranks, (rank + 1) * units // ranks)


def share_of(rank: int, ranks: int, units: range) -> range:
    """As `share`, of a run of units that need not begin at the first one."""
    own = share(rank, ranks, len(units))
    return units[own.start : own.stop]


def decompose(units: range) -> Iterator[NodeId]:
    """The fewest whole nodes that make up a run of units, from left to right: at most `2 *
    log2(len(units))`.
    """
    position = units.start
    while position < units.stop:
        level = (units.stop - position).bit_length() - 1
        if position:
            level = min(level, (position & -position).bit_length() - 1)
        yield NodeId(level, position >> level)
        position += 1 << level


def missing(found: Iterable[NodeId], units: int) -> list[int]:
    """The units, in order, that are below none of some nodes."""
    covered = {unit for node in found for unit in node.units}
    return [unit for unit in range(units) if unit not in covered]


def runs(units: Sequence[int]) -> Iterator[range]:
    """Ascending units as runs without a gap."""
    start = 0
    for end in range(1, len(units) + 1):
        if end == len(units) or units[end] != units[end - 1] + 1:
            yield range(units[start], units[end - 1] + 1)
            start = end


class Forest(Generic[T]):
    """Nodes that arrive in any order, merged as soon as two siblings are there.

    Holds few values when nodes arrive from left to right: one per level.

    Args:
        units: Leaves of the whole tree.
        merge: Makes a parent from its left and its right child.
    """

    def __init__(self, units: int, merge: Callable[[T, T], T]) -> None:
        self._units = units
        self._merge = merge
        self._nodes: dict[NodeId, T] = {}

    def add(self, node: NodeId, value: T) -> None:
        """Take in a node.

        Raises ValueError where a unit below it is there already or does not exist.
        """
        if node.units.start >= self._units:
            raise ValueError(
                f"node {node.level}/{node.index} lies beyond the last of {self._units} units"
            )
        if any(_overlap(node, other) for other in self._nodes):
            raise ValueError(
                f"units {node.units.start} to {node.units.stop - 1} were handed in twice"
            )
        while True:
            parent = NodeId(node.level + 1, node.index >> 1)
            left, right = (
                NodeId(node.level, parent.index * 2),
                NodeId(node.level, parent.index * 2 + 1),
            )
            if len(node.units) >= self._units and node.index == 0:
                break  # the root
            if right.units.start >= self._units:
                node = parent  # the ragged right edge: a lone left child is promoted
                continue
            sibling = right if node == left else left
            if sibling not in self._nodes:
                break
            other = self._nodes.pop(sibling)
            value = self._merge(value, other) if node == left else self._merge(other, value)
            node = parent
        self._nodes[node] = value

    def nodes(self) -> dict[NodeId, T]:
        """What has been handed in, merged as far as it goes; from left to right."""
        return dict(sorted(self._nodes.items(), key=lambda item: item[0].units.start))

    def root(self) -> T:
        """The merged whole. Raises ValueError that names the first missing unit."""
        if len(self._nodes) == 1:
            (node,) = self._nodes
            if node.index == 0 and len(node.units) >= self._units:
                return self._nodes[node]
        covered = 0
        for node in self.nodes():
            if node.units.start > covered:
                break
            covered = node.units.stop
        raise ValueError(f"unit {covered} of {self._units} is missing")


def _overlap(a: NodeId, b: NodeId) -> bool:
    return a.units.start < b.units.stop and b.units.start < a.units.stop


def reduce_units(node: NodeId, leaf: Callable[[int], T], merge: Callable[[T, T], T]) -> T:
    """Compute one node from its leaves, which are asked for from left to right; holds one value per
    level, and one more: values are merged while the next leaf is computed.
    """
    forest = Forest(len(node.units), merge)
    with ThreadPoolExecutor(1, thread_name_prefix="merge") as merging:
        merged: Future[None] = Future()
        merged.set_result(None)
        for position, unit in enumerate(node.units):
            value = leaf(unit)
            merged.result()
            merged = merging.submit(forest.add, NodeId(0, position), value)
        merged.result()
    return forest.root()

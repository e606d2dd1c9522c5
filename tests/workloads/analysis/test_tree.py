from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.analysis.tree import Forest, NodeId, decompose, reduce_units, share


def _merge(a: str, b: str) -> str:
    return f"({a}{b})"


def _whole(units: int) -> str:
    forest = Forest(units, _merge)
    for unit in range(units):
        forest.add(NodeId(0, unit), f"{unit}.")
    return forest.root()


@given(units=st.integers(1, 200), ranks=st.integers(1, 17), data=st.data())
def test_any_split_in_any_order_makes_the_same_tree(units, ranks, data):
    nodes = []
    covered: list[int] = []
    for rank in range(ranks):
        mine = share(rank, ranks, units)
        covered += mine
        parts = list(decompose(mine))
        assert [unit for node in parts for unit in node.units] == list(mine)
        assert len(parts) <= max(2 * len(mine).bit_length(), 1)
        nodes += [(node, reduce_units(node, lambda unit: f"{unit}.", _merge)) for node in parts]
    assert covered == list(range(units))
    forest = Forest(units, _merge)
    for node, value in data.draw(st.permutations(nodes)):
        forest.add(node, value)
    assert forest.root() == _whole(units)


def test_lone_nodes_at_the_right_edge_are_promoted():
    assert _whole(1) == "0."
    assert _whole(5) == "(((0.1.)(2.3.))4.)"
    assert _whole(7) == "(((0.1.)(2.3.))((4.5.)6.))"


def test_gaps_repeats_and_strangers_are_found():
    forest = Forest(6, _merge)
    forest.add(NodeId(1, 0), "ab")
    forest.add(NodeId(1, 2), "ef")
    with pytest.raises(ValueError, match="unit 2 of 6 is missing"):
        forest.root()
    with pytest.raises(ValueError, match="units 5 to 5 were handed in twice"):
        forest.add(NodeId(0, 5), "f")
    with pytest.raises(ValueError, match="beyond the last of 6 units"):
        forest.add(NodeId(0, 6), "g")


@pytest.mark.parametrize("place", range(5))
def test_an_error_of_a_leaf_or_a_merge_comes_out(place):
    def leaf(unit: int) -> str:
        if unit == place:
            raise KeyError(unit)
        return f"{unit}."

    def merge(left: str, right: str) -> str:
        if f"{place}." in (left, right):
            raise ArithmeticError
        return left + right

    root = NodeId(3, 0)
    with pytest.raises(KeyError):
        reduce_units(root, leaf, _merge)
    with pytest.raises(ArithmeticError):
        reduce_units(root, lambda unit: f"{unit}.", merge)

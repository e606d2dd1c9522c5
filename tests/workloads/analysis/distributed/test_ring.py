"""The search over the ring of real ranks, with tables of many shapes: every pair of units once, the
same bits, and on after any stop.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workloads.analysis.distributed.mpirun import RING_OF_RANKS, SEED, said
from workloads.analysis.distributed import assignment
from workloads.analysis.distributed.transport.messages import pack, rows_of, size_of, unpack
from workloads.analysis.distributed.travelling_unit import (
    TravellingUnit,
    announce,
    found_bytes,
    pack_found,
    read_found,
)
from workloads.analysis.knn.block import Block
from workloads.analysis.knn.neighbours import Neighbours
from workloads.analysis.knn.pairs_numpy import NumpyPairs
from workloads.analysis.knn.state import QueryState

pytestmark = RING_OF_RANKS


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_each_pair_of_units_is_compared_once_and_all_ranks_have_as_many(ranks):
    found = said()["rings"][str(ranks)]
    assert found["wrong"] == [], f"seed {SEED}"
    assert found["parts"] == pytest.approx([1 / ranks] * ranks, rel=0.01)


def test_a_stopped_search_goes_on_with_other_ranks_and_other_memory_and_does_nothing_twice():
    found = said()["rings"]["resumes"]
    assert found["wrong"] == [], f"seed {SEED}"
    assert found["attempts"] > 4


@given(st.integers(1, 12), st.integers(0, 40))
def test_two_units_of_different_ranks_meet_once(ranks, units):
    owner = {
        unit: rank
        for rank in range(ranks)
        for unit in range(rank * units // ranks, (rank + 1) * units // ranks)
    }
    met: list[tuple[int, int]] = []
    for (visitor, home), (host, here) in itertools.product(owner.items(), owner.items()):
        step = (home - here) % ranks
        if step in assignment.half_way(ranks) and assignment.meet(visitor, host, step, ranks):
            met.append((min(visitor, host), max(visitor, host)))
    assert sorted(met) == sorted(
        (a, b) for a in owner for b in owner if a < b and owner[a] != owner[b]
    )


def test_what_a_travelling_unit_finds_completes_what_is_known_at_home():
    """Ties and duplicates at the very distance of the neighbour that it brings along."""
    rng = np.random.default_rng(3)
    pairs, k = NumpyPairs(1), 5
    blocks = [
        Block(ids=np.arange(i, 120, 3), rows=rng.integers(0, 3, (40, 2)).astype(np.float64))
        for i in range(3)
    ]
    home = QueryState.start(0, blocks[0].ids, units=3, k=k)
    home = home.after(pairs.within(blocks[0], home.neighbours), (0,))
    visit = TravellingUnit.read(announce(blocks[0], home), 0, columns=2, units=3, k=k)
    visit.state = visit.state.after(
        pairs.towards(visit.block, blocks[1], visit.state.neighbours), (1,)
    )
    home = home.after(pairs.towards(blocks[0], blocks[2], home.neighbours), (2,))  # meanwhile
    message = pack_found(visit.found)
    assert message.size == found_bytes(40, units=3, k=k)
    together = home.joined(read_found(message, home))
    expected = Neighbours.empty(40, k)
    for block in blocks:
        expected = pairs.towards(blocks[0], block, expected)
    assert together.finished
    np.testing.assert_array_equal(together.neighbours.ids, expected.ids)
    np.testing.assert_array_equal(together.neighbours.squares, expected.squares)
    with pytest.raises(ValueError, match=r"unit 0 cannot take in what unit 0 found in units \[1\]"):
        together.joined(read_found(message, home))


@given(st.integers(0, 9), st.integers(0, 5))
def test_a_message_keeps_its_arrays(rows, columns):
    rng = np.random.default_rng(rows)
    arrays = [
        rng.random((rows, columns)).astype(np.float32),
        rng.random(rows) < 0.5,
        rng.integers(9, size=rows),
    ]
    parts = [(np.float32, (rows, columns)), (np.bool_, (rows,)), (np.int64, (rows,))]
    message = pack(rows, arrays)
    assert (message.size, rows_of(message)) == (size_of(parts), rows)
    for array, found in zip(arrays, unpack(message, parts), strict=True):
        np.testing.assert_array_equal(array, found)
    with pytest.raises(ValueError, match="were expected"):
        unpack(message, [*parts, (np.int64, (1,))])

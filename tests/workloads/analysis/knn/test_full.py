"""`full` is exact: against the definition in float64, against scikit-learn, on every awkward
table.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from tests.workloads.analysis.knn.tables import GENERATORS, blocks, full, generated, plain
from workloads.analysis import arrays
from workloads.analysis.knn.full import finish, process_pair
from workloads.analysis.knn.neighbours import NO_NEIGHBOUR
from workloads.analysis.knn.pairs_numpy import NumpyPairs
from workloads.analysis.knn.state import QueryState
from workloads.analysis.knn.strip import Strip


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("d", [1, 7])
def test_equals_the_definition_in_float64(name, d):
    rows = generated(name, 900, d, seed=d)
    found = full(rows, k=5, unit_rows=400)
    scores, ids = plain(rows, 5)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-13)
    assert (
        np.mean(found.kth_ids == ids) > 0.99
    )  # sums rounded in another order may turn near-ties round
    if name == "duplicates":
        assert np.array_equal(found.kth_ids, ids)  # integer squares are exact, so ties are ties


def test_many_columns_and_more_rows_than_a_strip():
    rows = generated("clustered", 5000, 20, seed=3)
    some = np.random.default_rng(0).choice(5000, 200, replace=False)
    scores, _ = plain(rows, 10, some)
    np.testing.assert_allclose(full(rows).scores[some], scores, rtol=1e-13)
    wide = generated("heavy tails", 600, 512, seed=4)
    np.testing.assert_allclose(full(wide, unit_rows=250).scores, plain(wide, 10)[0], rtol=1e-13)


@pytest.mark.parametrize(
    "load", [load_iris, load_wine, load_breast_cancer, load_diabetes, load_digits]
)
def test_equals_scikit_learn_on_its_own_tables(load):
    rows = load().data
    sd = rows.std(axis=0)
    rows = ((rows - rows.mean(axis=0))[:, sd > 0] / sd[sd > 0]).astype(np.float64)
    distances, _ = (
        NearestNeighbors(n_neighbors=11, algorithm="kd_tree")
        .fit(rows.astype(np.float64))
        .kneighbors(rows.astype(np.float64))
    )
    found = full(rows, unit_rows=64)
    np.testing.assert_allclose(found.scores, distances[:, 10], rtol=1e-12, atol=1e-14)
    assert found.certified_fraction == 1.0


@pytest.mark.parametrize("n", [0, 1, 2, 10, 11])
def test_fewer_rows_than_neighbours(n):
    rows = generated("uniform", n, 3, seed=1)
    found = full(rows, k=10, unit_rows=4)
    assert found.ids.size == n
    assert np.array_equal(np.isfinite(found.scores), np.full(n, n > 10))
    assert np.array_equal(found.kth_ids == NO_NEIGHBOUR, np.full(n, n <= 10))


def test_equal_rows_have_score_zero_and_the_first_ids():
    found = full(generated("equal rows", 9000, 4, seed=0), k=10, unit_rows=5000)
    assert np.array_equal(found.scores, np.zeros(9000))
    assert np.array_equal(found.kth_ids, np.where(found.ids < 10, 10, 9))


def test_far_rows_are_counted_as_recomputed():
    rows = generated("far rows", 2000, 3, seed=9)
    found = full(rows, unit_rows=700)
    assert found.fallback_rows == (np.abs(rows) > 1e20).any(axis=1).sum() > 0
    assert found.certified_fraction == 1 - found.fallback_rows / 2000


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_any_order_of_pairs_gives_the_same_bytes(data):
    """Pairs in any order, each compared for one side or for both, by one thread or two, with a
    state that was stored in between.
    """
    name = data.draw(st.sampled_from(GENERATORS))
    rows = generated(name, 420, 4, seed=data.draw(st.integers(0, 9)))
    table = blocks(rows, 120)
    k = data.draw(st.integers(1, 12))
    pairs = [(a, b) for a in table for b in table if a <= b]
    states = {
        unit: QueryState.start(unit, block.ids, units=len(table), k=k)
        for unit, block in table.items()
    }
    for a, b in data.draw(st.permutations(pairs)):
        backend = NumpyPairs(data.draw(st.sampled_from([1, 2])))
        if a != b and data.draw(st.booleans()):
            states[b] = states[b].after(
                backend.towards(table[b], table[a], states[b].neighbours), (a,)
            )
        states[a], states[b] = process_pair(backend, states[a], table[a], states[b], table[b])
        states[a] = QueryState.from_arrays(arrays.unpack(arrays.pack(states[a].arrays())))
        if a == b:
            continue
        with pytest.raises(ValueError, match="before"):
            states[a].after(states[a].neighbours, (b,))
    whole = blocks(rows, 120)
    expected = {
        unit: QueryState.start(unit, block.ids, units=len(table), k=k)
        for unit, block in whole.items()
    }
    for b in whole:
        for a in whole:
            if a <= b:
                expected[a], expected[b] = process_pair(
                    NumpyPairs(), expected[a], whole[a], expected[b], whole[b]
                )
    for unit, state in states.items():
        assert arrays.pack(state.arrays()) == arrays.pack(expected[unit].arrays())
    assert finish(states).ids.size == 420


def test_unit_size_and_threads_change_no_bit():
    rows = generated("clustered", 8400, 6, seed=5)  # three units of 4,097
    one = full(rows)
    for unit_rows, threads, blas_threads in ((8400, 2, 1), (4097, 2, 2), (1000, 1, 2)):
        with threadpool_limits(blas_threads, "blas"):
            other = full(rows, unit_rows=unit_rows, threads=threads)
        assert one.scores.tobytes() == other.scores.tobytes()
        assert one.kth_ids.tobytes() == other.kth_ids.tobytes()


def test_products_that_break_their_bounds_are_noticed_and_recomputed(monkeypatch):
    """A processor or library whose float32 products are worse than float32 must not lead to a wrong
    score.
    """
    multiply = Strip._multiply

    def sloppy(self, tile, *rest):
        multiply(self, tile, *rest)
        tile += np.float32(0.01)  # nearer than they are

    rows = generated("clustered", 600, 5, seed=6)
    expected = full(rows)
    monkeypatch.setattr(Strip, "_multiply", sloppy)
    found = full(rows, unit_rows=250)
    assert found.fallback_rows == 600
    assert found.certified_fraction == 0.0
    assert found.scores.tobytes() == expected.scores.tobytes()


def test_unfinished_states_are_refused():
    state = QueryState.start(0, np.arange(3), units=2, k=1)
    with pytest.raises(ValueError, match="unit 0 was not yet compared with unit 0"):
        finish({0: state})

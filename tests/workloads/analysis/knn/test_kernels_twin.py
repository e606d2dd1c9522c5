"""The algorithm of the CUDA kernels, taken step by step in NumPy: the same bits as the host's own
search, on every awkward table.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workloads.analysis.knn.tables import GENERATORS, blocks, full, generated
from workloads.analysis import arrays
from workloads.analysis.knn import bounds_fp16, half_search, top
from workloads.analysis.knn.block import Block
from workloads.analysis.knn.exact import squares
from workloads.analysis.knn.full import Scores, all_pairs, finish, process_pair
from workloads.analysis.knn.half_block import HalfBlock, prepare
from workloads.analysis.knn.kernels_numpy import NumpyKernels
from workloads.analysis.knn.neighbours import Neighbours
from workloads.analysis.knn.pairs_half import HalfPairs
from workloads.analysis.knn.pairs_numpy import NumpyPairs
from workloads.analysis.knn.state import QueryState


class Counting(NumpyKernels):
    """Counts rows that overflowed and candidates that were compared exactly."""

    def __init__(self) -> None:
        self.overflowed = 0
        self.reranked = 0

    def select(self, query, some, rows):
        found = super().select(query, some, rows)
        self.overflowed += int(found.sum())
        return found

    def rerank(self, query, data, some, rows):
        assert (rows.count[some] <= half_search.CAPACITY).all()
        self.reranked += int(rows.count[some].sum())
        super().rerank(query, data, some, rows)


class Truncating(NumpyKernels):
    """Sums as bounds_fp16 allows at worst: four products and the accumulator lose what is below the
    largest's 24 bits.
    """

    def products(self, query, data, at, start, stop):
        left, right = (
            query.halves[at].astype(np.float64),
            data.halves[start:stop].astype(np.float64),
        )
        sums = -(query.norms[at][:, None] + data.norms[start:stop]).astype(np.float64)
        for depth in range(0, left.shape[1], 4):
            terms = [sums] + [
                np.multiply.outer(left[:, c], right[:, c]) for c in range(depth, depth + 4)
            ]
            largest = np.max(np.abs(terms), axis=0)
            step = np.where(
                np.isfinite(largest),
                np.ldexp(1.0, np.frexp(np.where(np.isfinite(largest), largest, 1.0))[1] - 24),
                1.0,
            )
            sums = sum(
                np.where(np.isfinite(term), np.trunc(term / step) * step, term) for term in terms
            )
        return sums.astype(np.float32)


def half_full(rows, kernels=None, k=10, unit_rows=1 << 16, cache=1 << 40) -> Scores:
    table = blocks(rows, unit_rows)
    return finish(
        all_pairs(HalfPairs("twin", kernels or NumpyKernels(), cache), table, units=len(table), k=k)
    )


def same(a: Scores, b: Scores) -> bool:
    return a.scores.tobytes() == b.scores.tobytes() and a.kth_ids.tobytes() == b.kth_ids.tobytes()


def on_host(block: Block) -> HalfBlock:
    return prepare(block, np.copy, np.copy)


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("d", [1, 19])
def test_equals_the_search_on_the_host(name, d):
    rows = generated(name, 500, d, seed=d)
    assert same(half_full(rows, k=5, unit_rows=300), full(rows, k=5, unit_rows=300))


def test_scaled_tables_are_certified_and_candidates_are_few():
    for name, d in (("clustered", 20), ("heavy tails", 64)):
        rows = generated(name, 2500, d, seed=d)
        kernels = Counting()
        found = half_full(rows, kernels)
        assert same(found, full(rows))
        assert found.certified_fraction == 1.0
        assert kernels.overflowed < 25
        assert 10 <= kernels.reranked / 2500 < 40


def test_duplicates_overflow_and_nothing_is_lost():
    rows = generated("duplicates", 2000, 1, seed=1)
    kernels = Counting()
    assert same(half_full(rows, kernels, unit_rows=1500), full(rows, unit_rows=1500))
    assert kernels.overflowed > 100


def test_sorted_tables_are_searched_as_well_as_shuffled_ones():
    rows = generated("clustered", 2000, 3, seed=2)
    rows = rows[np.argsort(rows[:, 0])]
    kernels = Counting()
    assert same(half_full(rows, kernels), full(rows))
    assert kernels.overflowed < 100


@pytest.mark.parametrize("n", [0, 1, 2, 10, 11, 129])
def test_small_tables(n):
    rows = generated("uniform", n, 3, seed=1)
    assert same(half_full(rows, k=10, unit_rows=64), full(rows, k=10, unit_rows=64))


def test_many_columns_many_neighbours_and_a_small_cache():
    rows = generated("clustered", 400, 512, seed=4)
    assert same(half_full(rows, k=100, unit_rows=150, cache=1), full(rows, k=100, unit_rows=150))
    with pytest.raises(ValueError, match="at most 256 neighbours"):
        half_full(rows, k=257)


@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_any_order_of_pairs_gives_the_same_bytes_also_as_the_host(data):
    name = data.draw(
        st.sampled_from([name for name in GENERATORS if name not in ("tiny", "offset", "huge")])
    )
    table = blocks(generated(name, 500, 4, seed=data.draw(st.integers(0, 9))), 130)
    k = data.draw(st.integers(1, 12))

    def states() -> dict[int, QueryState]:
        return {
            unit: QueryState.start(unit, block.ids, units=len(table), k=k)
            for unit, block in table.items()
        }

    mixed, host = states(), states()
    pairs = [(a, b) for a in table for b in table if a <= b]
    backends = (HalfPairs("twin", NumpyKernels(), 1 << 40), NumpyPairs())
    for a, b in data.draw(st.permutations(pairs)):
        mixed[a], mixed[b] = process_pair(
            data.draw(st.sampled_from(backends)), mixed[a], table[a], mixed[b], table[b]
        )
    for a, b in pairs:
        host[a], host[b] = process_pair(backends[1], host[a], table[a], host[b], table[b])
    for unit, state in mixed.items():
        assert state.neighbours.squares.tobytes() == host[unit].neighbours.squares.tobytes()
        assert state.neighbours.ids.tobytes() == host[unit].neighbours.ids.tobytes()
    if name != "far rows":  # what is outside float16's range is not what is outside float32's
        assert all(
            arrays.pack(mixed[unit].arrays()) == arrays.pack(host[unit].arrays()) for unit in table
        )


@pytest.mark.parametrize("name", ["clustered", "heavy tails", "duplicates", "far rows"])
def test_top_rows_are_those_of_the_host(name):
    rows = generated(name, 2500, 5, seed=3)
    expected, _ = top.top_rows(NumpyPairs(), blocks(rows, 1000), count=20, k=10)
    found, work = top.top_rows(
        HalfPairs("twin", NumpyKernels(), 1 << 40), blocks(rows, 1000), count=20, k=10
    )
    assert found.ids.tolist() == expected.ids.tolist()
    assert found.scores.tobytes() == expected.scores.tobytes()
    assert work.rows_left <= 2500


@pytest.mark.parametrize("kernels", [NumpyKernels(), Truncating()])
@given(
    name=st.sampled_from(GENERATORS),
    d=st.integers(1, 40),
    seed=st.integers(0, 1000),
    power=st.floats(-9, 6),
)
@settings(max_examples=25, deadline=None)
def test_products_lie_within_their_bounds(kernels, name, d, seed, power):
    """Also for near-ties: every row is there a second time, one float32 step away, and a third
    time, one float16 step away.
    """
    rows = generated(name, 40, d, seed)
    if name not in ("huge", "far rows"):
        rows = rows * np.float64(10.0**power)
    rows = np.concatenate(
        (rows, np.nextafter(rows, np.float64(np.inf)), rows * np.float64(1 + 2.0**-11))
    )
    half = on_host(Block(ids=np.arange(120), rows=rows))
    inside = np.setdiff1d(np.arange(120), half.out_of_range).astype(np.int32)
    if not inside.size:
        return
    at, beside = (grid.reshape(-1) for grid in np.meshgrid(inside, inside, indexing="ij"))
    distances = np.sqrt(squares(half.rows, at, half.rows, beside)) * bounds_fp16.SCALE
    values = kernels.products(half, half, inside, 0, 120)[:, inside].reshape(-1).astype(np.float64)
    assert np.isfinite(values).all()
    farthest = bounds_fp16.farthest(values, half.half_squares[at], half.kappas[at], d)
    assert (distances <= farthest * (1 + 1e-12)).all()
    assert (distances >= bounds_fp16.nearest(values, half.kappas[at]) * (1 - 1e-12)).all()
    limits = bounds_fp16.limit(distances, half.kappas[at])
    assert (values >= limits).all()  # a pair at the known distance itself is never dropped


def test_truncating_sums_lead_to_the_same_neighbours():
    rows = generated("clustered", 400, 12, seed=5)
    found = half_full(rows, Truncating())
    assert same(found, full(rows))
    assert found.certified_fraction == 1.0


def test_the_bound_is_tight_enough_to_be_of_use():
    rows = np.random.default_rng(0).standard_normal((1000, 64)).astype(np.float64)
    half = on_host(Block(ids=np.arange(1000), rows=rows))
    everybody = np.arange(1000, dtype=np.int32)
    values = NumpyKernels().products(half, half, everybody, 0, 1000).astype(np.float64)
    farthest = bounds_fp16.farthest(values, half.half_squares[:, None], half.kappas[:, None], 64)
    closest = bounds_fp16.nearest(values, half.kappas[:, None])
    others = ~np.eye(1000, dtype=np.bool_)
    assert np.median((farthest - closest)[others] / farthest[others]) < 3e-3


@given(st.sampled_from(GENERATORS), st.integers(1, 9), st.integers(0, 99), st.floats(0.2, 5))
@settings(max_examples=25, deadline=None)
def test_rows_counted_as_nearer_are_nearer(name, d, seed, share):
    rows = generated(name, 300, d, seed)
    block = Block(ids=np.arange(300), rows=rows)
    at, beside = np.indices((300, 300)).reshape(2, -1)
    exact = squares(rows, at, rows, beside).reshape(300, 300)
    square = float(np.median(exact)) * share
    counted = HalfPairs("twin", NumpyKernels(), 1 << 40).nearer(block, block, square)
    truth = (exact < square).sum(axis=1) - (square > 0)
    assert (counted <= truth).all()
    if name in ("clustered", "uniform"):
        assert counted.sum() > 0.98 * truth.sum()


def test_products_that_break_their_bounds_are_noticed_and_recomputed():
    """A GPU whose sums are worse than the model must not lead to a wrong score."""

    class Sloppy(NumpyKernels):
        def products(self, *arguments):
            return super().products(*arguments) + np.float32(1e-3)  # nearer than they are

    rows = generated("clustered", 600, 5, seed=6)
    found = half_full(rows, Sloppy(), unit_rows=250)
    assert same(found, full(rows))
    assert found.certified_fraction < 0.1


def test_known_neighbours_are_kept():
    block = Block(ids=np.arange(5), rows=generated("uniform", 5, 2, seed=0))
    known = Neighbours(
        squares=np.zeros((5, 2)), ids=np.tile([100, 101], (5, 1)), recomputed=np.ones(5, np.bool_)
    )
    found = HalfPairs("twin", NumpyKernels(), 1 << 40).within(block, known)
    assert np.array_equal(found.ids, known.ids)
    assert found.recomputed.all()

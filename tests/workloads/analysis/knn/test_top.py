"""`top` gives what `full` gives, with less work."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tests.workloads.analysis.knn.tables import GENERATORS, blocks, full, generated
from workloads.analysis.knn import top
from workloads.analysis.knn.block import Block, concatenate
from workloads.analysis.knn.exact import fold
from workloads.analysis.knn.neighbours import Neighbours, merge
from workloads.analysis.knn.pairs_numpy import NumpyPairs


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize(("n", "d", "count"), [(6000, 3, 40), (3000, 12, 7)])
def test_equals_the_top_of_full(name, n, d, count):
    if name in ("huge", "tiny", "offset"):
        n //= 5  # neither scaled nor centred: most pairs are compared in float64
    rows = generated(name, n, d, seed=d)
    scores = full(rows)
    expected = scores.top(count)
    found, _ = top.top_rows(NumpyPairs(2), blocks(rows, 1000), count=count, k=10)
    assert found.ids.tolist() == scores.ids[expected].tolist()
    assert found.scores.tobytes() == scores.scores[expected].tobytes()
    assert found.kth_ids.tolist() == scores.kth_ids[expected].tolist()


@pytest.mark.parametrize("n", [1, 9, 30])
def test_tables_with_fewer_rows_than_asked_for(n):
    rows = generated("uniform", n, 2, seed=2)
    scores = full(rows, k=3)
    found, _ = top.top_rows(NumpyPairs(), blocks(rows, 8), count=100, k=3)
    assert found.ids.tolist() == scores.ids[scores.top(100)].tolist()


def test_squares_with_one_root_are_equal_scores():
    """A sum of squares in another order may differ in the last bit, its root not; then the row
    number decides, in both modes.
    """
    rng = np.random.default_rng(0)
    for values in rng.random((1000, 3)).astype(np.float64):
        squares = _sums(values)
        if squares[0] < squares[1] and np.sqrt(squares[0]) == np.sqrt(squares[1]):
            break
    else:
        raise AssertionError("no such numbers")
    rows = np.zeros((24, 4), np.float64)
    rows[:, 0] = np.arange(24) // 2 * 1000  # pairs of rows, far from each other
    rows[1, 1:], rows[23, 1:] = values, values[[1, 0, 2]]
    scores = full(rows, k=1)
    assert scores.scores[0] == scores.scores[22] > 0
    found, _ = top.top_rows(NumpyPairs(), blocks(rows, 6), count=2, k=1)
    assert found.ids.tolist() == scores.ids[scores.top(2)].tolist() == [0, 1]


def _sums(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Squares of (0, a, b, c) and (0, b, a, c), folded as exact.py does."""
    terms = np.square(np.array([[0, *values], [0, *values[[1, 0, 2]]]], np.float64))
    return fold(terms)


def test_work_per_row_does_not_grow_with_the_table():
    per_row = []
    for n in (20_000, 80_000):
        _, work = top.top_rows(
            NumpyPairs(2), blocks(generated("heavy tails", n, 8, seed=1), 16_384), count=20, k=10
        )
        per_row.append(work.evaluations / n)
    assert per_row[1] < 1.5 * per_row[0] < 6000


def test_ranks_that_follow_the_rules_agree():
    """The steps of the module's docstring, as ranks would take them: each with its own units,
    dropping by what it has seen itself.
    """
    rows = generated("heavy tails", 9000, 5, seed=8)
    table = blocks(rows, 1000)
    whole, _ = top.top_rows(NumpyPairs(), table, count=25, k=10)
    for ranks in (2, 3):
        mine = [{u: b for u, b in table.items() if u % ranks == rank} for rank in range(ranks)]
        pairs = NumpyPairs()

        def lists(query: Block, limit: top.Cutoff | None, mine=mine, pairs=pairs) -> Neighbours:
            merged = Neighbours.empty(query.ids.size, 10)
            for units in mine:
                seen, left = Neighbours.empty(query.ids.size, 10), np.arange(query.ids.size)
                for block in units.values():
                    part = pairs.towards(query.take(left), block, seen.take(left))
                    squares, ids = seen.squares.copy(), seen.ids.copy()
                    squares[left], ids[left] = part.squares, part.ids
                    seen = Neighbours(squares=squares, ids=ids, recomputed=seen.recomputed)
                    if limit is not None:
                        left = np.intersect1d(left, top.surviving(query.ids, seen, limit))
                merged = merge(merged, seen)
            return merged

        offered = [
            top.farthest([top.farthest([block], 25) for block in units.values()], 25)
            for units in mine
        ]
        chosen = top.farthest(offered, 25)
        known = lists(chosen, None)
        limit = top.cutoff(chosen.ids, known, 25)
        left = {unit: top.unscreened(block, chosen.ids) for unit, block in table.items()}
        for panel in top.panels(9000):
            sample = concatenate([top.members(block, panel) for block in table.values()])
            left = {
                unit: top.screen(pairs, block, left[unit], sample, limit, 10)
                for unit, block in table.items()
            }
        remaining = concatenate([block.take(left[unit].positions) for unit, block in table.items()])
        found = lists(remaining, limit)
        both = Neighbours(
            squares=np.concatenate((known.squares, found.squares)),
            ids=np.concatenate((known.ids, found.ids)),
            recomputed=np.concatenate((known.recomputed, found.recomputed)),
        )
        result = top.select(np.concatenate((chosen.ids, remaining.ids)), both, 25)
        assert result.ids.tolist() == whole.ids.tolist()
        assert result.scores.tobytes() == whole.scores.tobytes()
        assert result.kth_ids.tolist() == whole.kth_ids.tolist()


def test_panels_are_disjoint_samples_of_the_expected_size():
    block = Block(ids=np.arange(100_000), rows=np.zeros((100_000, 1), np.float64))
    drawn = [top.members(block, panel).ids for panel in top.panels(100_000)]
    assert len(drawn) >= 5
    together = np.concatenate(drawn)
    assert np.unique(together).size == together.size
    sizes = [512 * max(1, 2 ** (index - 1)) for index in range(len(drawn))]
    assert all(
        abs(found.size - size) < 6 * size**0.5 for found, size in zip(drawn, sizes, strict=True)
    )

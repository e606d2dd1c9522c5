"""The certificate: no float32 product may lie outside its bounds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workloads.analysis.knn.tables import GENERATORS, generated
from workloads.analysis.knn import bounds
from workloads.analysis.knn.block import Block
from workloads.analysis.knn.exact import squares
from workloads.analysis.knn.pairs_numpy import NumpyPairs


def products(block: Block) -> npt.NDArray[np.float64]:
    other = np.concatenate(
        (block.augmented[:, :-2], block.augmented[:, -1:], block.augmented[:, -2:-1]), axis=1
    )
    found: npt.NDArray[np.float64] = (block.augmented @ other.T).astype(np.float64)
    return found


@given(st.sampled_from(GENERATORS), st.integers(1, 40), st.integers(0, 1000), st.floats(-12, 17))
@settings(max_examples=60, deadline=None)
def test_products_lie_within_their_bounds(name, d, seed, power):
    """Also for near-ties: every row is there a second time, one float64 step away."""
    rows = generated(name, 60, d, seed)
    if name not in ("huge", "far rows"):
        rows = rows * np.float64(10.0**power)
    rows = np.concatenate((rows, np.nextafter(rows, np.float64(np.inf))))
    block = Block(ids=np.arange(120), rows=rows)
    inside = np.setdiff1d(np.arange(120), block.out_of_range)
    block = block.take(inside)
    if not inside.size:
        return
    at, beside = np.indices((inside.size, inside.size)).reshape(2, -1)
    half = (squares(block.rows, at, block.rows, beside) / 2).reshape(inside.size, -1)
    found = products(block)
    assert np.isfinite(found).all()
    assert (-found <= bounds.reach(half, block.half_squares[:, None], d)).all()
    assert (half <= bounds.ceiling(found, block.half_squares[:, None], d) * (1 + 1e-12)).all()


def test_the_bound_is_tight_enough_to_be_of_use():
    rows = np.random.default_rng(0).standard_normal((2000, 64)).astype(np.float64)
    block = Block(ids=np.arange(2000), rows=rows)
    found = products(block)
    slack = bounds.ceiling(found, block.half_squares[:, None], 64) + found
    assert slack.max() < 0.01 * block.half_squares.mean()


@given(st.sampled_from(GENERATORS), st.integers(1, 9), st.integers(0, 99), st.floats(0.2, 5))
@settings(max_examples=40, deadline=None)
def test_rows_counted_as_nearer_are_nearer(name, d, seed, share):
    rows = generated(name, 300, d, seed)
    block = Block(ids=np.arange(300), rows=rows)
    at, beside = np.indices((300, 300)).reshape(2, -1)
    exact = squares(rows, at, rows, beside).reshape(300, 300)
    square = float(np.median(exact)) * share
    counted = NumpyPairs(2).nearer(block, block, square)
    truth = (exact < square).sum(axis=1) - (square > 0)
    assert (counted <= truth).all()
    if name in ("clustered", "uniform"):
        assert counted.sum() > 0.99 * truth.sum()

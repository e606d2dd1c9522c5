from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import datasets

from tests.workloads.analysis.profile.serial import Values, leaf, profile_of, units_of
from workloads.analysis.arrays import digest
from workloads.analysis.profile import sketch as sketches
from workloads.analysis.profile.exact import ExactSearch, exact_quantiles

PROBABILITIES = [0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0]


def _tables() -> Iterator[Values]:
    rng = np.random.default_rng(7)
    yield datasets.load_breast_cancer().data.T.astype(np.float64)
    yield datasets.load_diabetes().data.T.astype(np.float64)
    yield rng.normal(1e5, 1.0, (2, 5_000)).astype(np.float64)
    yield np.concatenate(
        (-rng.lognormal(0, 8, (1, 3_000)), rng.normal(0, 1e-38, (1, 3_000)))
    ).astype(np.float64)
    yield rng.integers(-3, 4, (2, 1_000)).astype(np.float64)


@pytest.mark.parametrize("values", list(_tables()))
def test_quantiles_lie_within_their_bounds_and_exact_ones_are_exact(values):
    profile = profile_of(values, unit_rows=400)
    true = np.quantile(values.astype(np.float64), PROBABILITIES, axis=1)
    found = profile.quantiles(PROBABILITIES)
    slack = 1e-12 * np.abs(true)
    assert (np.abs(found.values - true) <= found.bounds + slack).all()
    assert (found.bounds <= np.abs(true) / 63 + np.ptp(values, axis=1) / 63 + 1e-39).all()
    exact = exact_quantiles(profile.sketch, PROBABILITIES, lambda: units_of(values, 400), threads=2)
    np.testing.assert_allclose(exact.values, true, rtol=1e-14, atol=0)
    together = replace(profile, exact=exact)
    assert together.digest != profile.digest
    found = together.quantiles([0.5, 0.333, 0.01])
    np.testing.assert_array_equal(found.values[[0, 2]], exact.values[[4, 1]])
    assert (found.bounds[[0, 2]] == 0).all()
    np.testing.assert_array_equal(found.values[1], profile.quantiles([0.333]).values[0])


def test_whole_numbers_below_128_are_exact_already():
    values = np.random.default_rng(8).integers(-127, 128, (1, 4_000)).astype(np.float64)
    found = profile_of(values, unit_rows=999).quantiles([0.1, 0.5, 0.9])
    true = np.quantile(values[0], [0.1, 0.5, 0.9])
    assert (np.abs(found.values[:, 0] - true) <= found.bounds[:, 0]).all()
    bins, _ = profile_of(values, unit_rows=999).sketch.column(0)
    lower, upper = sketches.edges(bins)
    # one whole number each, at the end of the bin that is nearer to zero
    assert np.isin(np.unique(values), np.where(lower >= 0, lower, upper)).all()
    assert bins.size == np.unique(values).size


def test_exact_quantiles_skip_gaps_and_add_up_over_ranks():
    rng = np.random.default_rng(9)
    values = rng.normal(size=(3, 2_000)).astype(np.float64)
    values[0, ::3] = np.nan
    values[1, 7] = np.inf
    values[2] = np.nan
    profile = profile_of(values, unit_rows=512)
    ranks = [ExactSearch(profile.sketch, [0.3, 0.9]) for _ in range(2)]
    while not ranks[0].finished:
        counts = [rank.zeros() for rank in ranks]
        for rank, part, own in zip(ranks, (values[:, :900], values[:, 900:]), counts, strict=True):
            rank.count(part, own)
        assert counts[1].any()
        for rank in ranks:
            rank.narrow(counts[0] + counts[1])
    first, second = (rank.found().values for rank in ranks)
    np.testing.assert_array_equal(first, second)
    found = exact_quantiles(profile.sketch, [0.3, 0.9], lambda: [values]).values
    np.testing.assert_array_equal(first, found)
    finite = np.where(np.isfinite(values[:2]), values[:2], np.nan).astype(np.float64)
    np.testing.assert_allclose(found[:, :2], np.nanquantile(finite, [0.3, 0.9], axis=1), rtol=1e-14)
    assert np.isnan(found[:, 2]).all()


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    rows=st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=3, max_size=30),
)
def test_merging_in_any_order_and_grouping_counts_the_same(data, rows):
    values = np.array(rows, np.float64)
    parts = [leaf(part.reshape(1, -1).copy()).sketch for part in np.array_split(values, 3)]
    a, b, c = data.draw(st.permutations(parts))
    left = sketches.merge(sketches.merge(a, b), c)
    right = sketches.merge(a, sketches.merge(c, b))
    assert (
        digest(left.arrays())
        == digest(right.arrays())
        == digest(leaf(values.reshape(1, -1)).sketch.arrays())
    )
    assert left.counts.sum() == np.isfinite(values).sum()
    order = np.sort(values[np.isfinite(values)]) + np.float64(0.0)
    np.testing.assert_array_equal(sketches.value_of(sketches.ordered_keys(order)), order)
    keys = sketches.ordered_keys(order)
    assert (keys[1:] >= keys[:-1]).all()

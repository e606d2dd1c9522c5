from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.workloads.analysis.profile.serial import profile_of
from workloads.analysis.profile.drift import drift

RNG = np.random.default_rng(10)
PAIRS = {
    "same": (RNG.normal(size=4_000), RNG.normal(size=3_000)),
    "shifted": (RNG.normal(size=4_000), RNG.normal(0.5, 1.0, 4_000)),
    "heavier tail": (RNG.normal(size=5_000), RNG.standard_t(2, 5_000)),
    "one value": (np.full(100, 3.7), RNG.normal(3.7, 1e-3, 500)),
    "apart": (RNG.uniform(-2, -1, 700), RNG.uniform(1, 2, 900)),
    "categories": (RNG.integers(0, 5, 2_000), RNG.integers(1, 7, 2_000)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_against_scipy_within_the_bounds(name):
    before, after = (values.astype(np.float64).reshape(1, -1) for values in PAIRS[name])
    found = drift(profile_of(before, 999).sketch, 0, profile_of(after, 999).sketch, 0)
    true_ks = stats.ks_2samp(before[0], after[0]).statistic
    assert found.ks - 1e-12 <= true_ks <= found.ks + found.ks_bound + 1e-12
    true_distance = stats.wasserstein_distance(before[0].astype(float), after[0].astype(float))
    assert abs(found.wasserstein - true_distance) <= found.wasserstein_bound + 1e-12
    assert found.wasserstein_bound <= 0.02 * np.abs(np.concatenate((before[0], after[0]))).max()


def test_stability_index_over_tenths_of_the_reference():
    before = np.arange(10_000, dtype=np.float64).reshape(1, -1)
    after = (before[0] ** 2 / 10_000).astype(np.float64).reshape(1, -1)
    reference, current = profile_of(before, 4_096).sketch, profile_of(after, 4_096).sketch
    assert drift(reference, 0, reference, 0).psi == 0.0
    edges = np.quantile(before[0], np.arange(1, 10) / 10)
    p = np.bincount(np.searchsorted(edges, before[0], side="right"), minlength=10) / before.size
    q = np.bincount(np.searchsorted(edges, after[0], side="right"), minlength=10) / after.size
    assert drift(reference, 0, current, 0).psi == pytest.approx(
        float(np.sum((q - p) * np.log(q / p))), rel=0.05
    )


def test_a_column_without_values_has_no_drift():
    nothing = profile_of(np.full((1, 5), np.nan, np.float64), 5).sketch
    something = profile_of(np.ones((1, 5), np.float64), 5).sketch
    found = drift(nothing, 0, something, 0)
    assert np.isnan([found.ks, found.psi, found.wasserstein]).all()

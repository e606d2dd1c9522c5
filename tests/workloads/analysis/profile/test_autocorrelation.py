"""The correlation of each row with the next one: exact over units and pieces of any size, and only
where rows do follow one another.
"""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from tests.workloads.analysis.profile.serial import profile_of
from workloads.analysis.profile import powers as columns
from workloads.analysis.profile.joint import MOST_ROWS


def exact(column: np.ndarray) -> float:
    """By the definition, without rounding."""
    values = [Fraction(value) for value in column.tolist()]
    mean = sum(values) / len(values)
    y = [value - mean for value in values]
    return float(sum(a * b for a, b in itertools.pairwise(y)) / sum(one * one for one in y))


def walks(rows: int) -> np.ndarray:
    """Noise, a walk, a trend at an offset, an alternating column, tiny and huge values."""
    rng = np.random.default_rng(rows)
    noise = rng.standard_normal((6, rows))
    noise[1] = noise[1].cumsum()
    noise[2] = 1e9 + np.arange(rows) + noise[2]
    noise[3] = 1e7 + 0.1 * (-1.0) ** np.arange(rows)
    noise[4] *= 1e-60
    noise[5] *= 1e80
    return noise


@pytest.mark.parametrize("unit_rows", [1, 2, 7, 300, 1_000])
def test_any_cut_gives_the_exact_figure(unit_rows):
    values = walks(601)
    found = profile_of(values, unit_rows).autocorrelation
    np.testing.assert_allclose(found, [exact(column) for column in values], rtol=1e-15)


@pytest.mark.parametrize("rows", [columns.FEW + 1, 16_384, 16_385, 2 * 16_384 + 1, MOST_ROWS + 3])
def test_pieces_of_large_units(rows):
    values = walks(rows)
    wide = values.astype(np.longdouble)
    y = wide - wide.mean(axis=1, keepdims=True)
    true = ((y[:, :-1] * y[:, 1:]).sum(axis=1) / (y * y).sum(axis=1)).astype(float)
    scale = np.maximum(np.abs(true), 1e-3)  # noise is 0 but for the errors of the truth itself
    assert (np.abs(profile_of(values, rows).autocorrelation - true) <= 1e-14 * scale + 1e-16).all()
    halves = profile_of(values, rows // 2 + 1).autocorrelation
    assert (np.abs(halves - true) <= 1e-14 * scale + 1e-16).all()


def test_only_where_rows_follow_one_another():
    values = np.random.default_rng(1).standard_normal((5, 40))
    values[0, 7], values[1, 39], values[2] = np.nan, np.inf, 3.0
    values[3, :20] = np.nan
    found = profile_of(values, 10).autocorrelation
    assert np.isnan(found).tolist() == [True, True, True, True, False]
    assert found[4] == pytest.approx(exact(values[4]), rel=1e-15)
    assert np.isnan(profile_of(values[4:, :1], 10).autocorrelation[0])

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import datasets
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from tests.workloads.analysis.profile.serial import leaf, profile_of
from workloads.analysis.arrays import digest
from workloads.analysis.profile import moments as moments_module
from workloads.analysis.profile.joint import slice_bits, tile_rows
from workloads.analysis.profile.leaf_numpy import NumpyProfile
from workloads.analysis.profile.moments import Floats, Moments
from workloads.analysis.profile.powers import FEW

TABLES = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast cancer": datasets.load_breast_cancer,
    "diabetes": datasets.load_diabetes,
    "digits": datasets.load_digits,
}


@pytest.mark.parametrize("name", TABLES)
def test_real_tables_against_pandas_and_scipy(name):
    values = TABLES[name]().data.T.astype(np.float64)
    exact = values.astype(np.float64)
    profile = profile_of(values, unit_rows=37)
    frame = pd.DataFrame(exact.T)
    varying = exact.std(axis=1) > 0
    assert profile.rows == profile.complete_rows == len(frame)
    np.testing.assert_array_equal(profile.moments.count, frame.count())
    np.testing.assert_array_equal(profile.minimum, frame.min())
    np.testing.assert_array_equal(profile.maximum, frame.max())
    np.testing.assert_allclose(
        profile.mean, frame.mean(), rtol=1e-12, atol=1e-15 * frame.std().max()
    )
    np.testing.assert_allclose(profile.sd, frame.std(), rtol=1e-12)
    np.testing.assert_allclose(
        profile.skewness[varying], stats.skew(exact[varying], axis=1), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(
        profile.kurtosis[varying], stats.kurtosis(exact[varying], axis=1), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(profile.correlation, frame.corr().to_numpy(), rtol=1e-9, atol=1e-12)
    assert np.isnan(profile.skewness[~varying]).all()


def _apart(rows: int) -> np.ndarray:
    """Tables whose first rows say little about the others: the blocks are centred by the mean of
    their first tile.
    """
    rng = np.random.default_rng(3)
    values = rng.standard_gamma(2.0, (5, rows)) + 1e5 * np.arange(1, 6)[:, None]
    values[1].sort()
    values[2, : tile_rows(5)] = 4e5
    values[3, 0] = 9e6
    values[4, : tile_rows(5)] -= 4e5
    return values.astype(np.float64)


@pytest.mark.parametrize("unit_rows", [4_000, 40_000])
def test_offsets_trends_and_outliers_cost_no_digits(unit_rows):
    values = _apart(60_000)
    assert unit_rows < tile_rows(5) or unit_rows > 4 * tile_rows(
        5
    )  # within a tile; more than a block
    profile = profile_of(values, unit_rows=unit_rows)
    wide = values.astype(np.longdouble)
    centred = wide - wide.mean(axis=1, keepdims=True)
    for name, power in (("m2", 2), ("m3", 3), ("m4", 4)):
        tolerance = 1e-12 * (np.abs(centred) ** power).sum(axis=1).astype(float)
        true = (centred**power).sum(axis=1).astype(float)
        assert (np.abs(getattr(profile.moments, name) - true) <= tolerance).all(), name
    scale = np.sqrt(np.diagonal(profile.moments.comoment))
    errors = profile.moments.comoment - (centred @ centred.T).astype(float)
    assert (np.abs(errors) <= 1e-13 * np.multiply.outer(scale, scale)).all()
    np.testing.assert_allclose(profile.mean, wide.mean(axis=1).astype(float), rtol=1e-15)


@pytest.mark.parametrize("columns", [1, 3, 9, 200])
def test_threads_change_no_bit(columns):
    rng = np.random.default_rng(columns)
    values = rng.standard_t(3, (columns, 3 * 4 * tile_rows(columns) + 77)).astype(np.float64)
    values[0, -5_000:][rng.random(5_000) < 0.01] = np.nan
    found = []
    for threads, blas in ((1, 1), (1, 2), (2, 1), (3, 2)):
        with threadpool_limits(blas, "blas"):
            found.append(digest(leaf(values, threads).arrays()))
    assert len(set(found)) == 1


def test_products_of_a_tile_are_whole_numbers_that_float64_holds() -> None:
    for columns in (*range(1, 300), 1_000, 20_000):
        rows = tile_rows(columns)
        bits = slice_bits(rows)
        assert rows * 4**bits <= 1 << 53 < rows * 4 ** (bits + 1), columns


def test_gaps_are_skipped_per_column_and_complete_rows_counted():
    rng = np.random.default_rng(4)
    values = rng.normal(50.0, 3.0, (4, 9_000)).astype(np.float64)
    values[0, rng.random(9_000) < 0.3] = np.nan
    values[1, [5, 4_097, 8_999]] = [np.inf, -np.inf, np.inf]
    values[3] = np.nan
    values[3, 17] = 7.0
    profile = profile_of(values, unit_rows=5_000)
    finite = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
    np.testing.assert_array_equal(profile.moments.missing, np.isnan(values).sum(axis=1))
    np.testing.assert_array_equal(profile.moments.infinite, [0, 3, 0, 0])
    np.testing.assert_allclose(profile.mean, np.nanmean(finite, axis=1), rtol=1e-13)
    np.testing.assert_allclose(profile.sd[:3], np.nanstd(finite[:3], axis=1, ddof=1), rtol=1e-12)
    np.testing.assert_array_equal(profile.maximum, np.nanmax(finite, axis=1))
    whole = finite[:, np.isfinite(finite).all(axis=0)]
    assert profile.complete_rows == whole.shape[1] <= 1

    without_last = profile_of(np.ascontiguousarray(values[:3]), unit_rows=5_000)
    whole = finite[:3, np.isfinite(finite[:3]).all(axis=0)]
    assert without_last.complete_rows == whole.shape[1] > 6_000
    np.testing.assert_allclose(without_last.correlation, np.corrcoef(whole), rtol=1e-9, atol=1e-12)


def test_constant_and_empty_columns():
    values = np.full((3, 5_001), 0.1, np.float64)
    values[1] = np.nan
    values[2] = 16_777_215.0
    profile = profile_of(values, unit_rows=1_300)
    np.testing.assert_array_equal(profile.sd, [0.0, np.nan, 0.0])
    np.testing.assert_array_equal(profile.mean, [np.float64(0.1), np.nan, 16_777_215.0])
    assert np.isnan(profile.skewness).all()
    assert np.isnan(profile.correlation).all()
    assert profile.complete_rows == 0
    quantiles = profile.quantiles([0.0, 0.5, 1.0])
    np.testing.assert_array_equal(quantiles.values[:, 0], np.float64(np.float64(0.1)))
    np.testing.assert_array_equal(quantiles.bounds[:, 0], 0.0)
    assert np.isnan(quantiles.values[:, 1]).all()


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_extreme_scales(scale):
    rng = np.random.default_rng(5)
    values = (rng.lognormal(0.0, 1.0, (1, 6_000)) * scale).astype(np.float64)
    profile = profile_of(values, unit_rows=2_500)
    exact = values.astype(np.float64) / scale
    np.testing.assert_allclose(profile.sd / scale, exact.std(axis=1, ddof=1), rtol=1e-12)
    np.testing.assert_allclose(profile.skewness, stats.skew(exact, axis=1), rtol=1e-10)
    np.testing.assert_allclose(profile.kurtosis, stats.kurtosis(exact, axis=1), rtol=1e-10)
    np.testing.assert_array_equal(profile.correlation, [[1.0]])


def test_one_row_and_many_columns():
    single = profile_of(np.array([[2.5], [-0.0]], np.float64), unit_rows=10)
    np.testing.assert_array_equal(single.mean, [2.5, 0.0])
    assert np.isnan(single.sd).all()
    assert not np.signbit(single.minimum[1])

    values = np.random.default_rng(6).normal(size=(512, 700)).astype(np.float64)
    wide = profile_of(values, unit_rows=300)
    np.testing.assert_allclose(
        wide.correlation, np.corrcoef(values.astype(np.float64)), rtol=1e-9, atol=1e-12
    )


floats = st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(floats, floats), min_size=1, max_size=40))
def test_nothing_merged_in_changes_nothing(rows):
    node = leaf(np.array(rows, np.float64).T.copy())
    empty = Moments.empty(2)
    for merged in (
        moments_module.merge(empty, node.moments),
        moments_module.merge(node.moments, empty),
    ):
        assert digest(merged.arrays()) == digest(node.moments.arrays())
    assert int(node.moments.rows) == len(rows)
    counted = node.moments.count + node.moments.missing + node.moments.infinite
    np.testing.assert_array_equal(counted, len(rows))


def test_what_a_backend_saw_before_changes_nothing() -> None:
    """Tiles are multiplied with the care that the unit before needed, which says nothing of this
    one.
    """
    rng = np.random.default_rng(11)
    light = rng.standard_normal((5, 3 * FEW))
    heavy = light.copy()
    heavy[2, 7] = 1e6
    gaps = light.copy()
    gaps[1, 3] = np.nan
    units = {"light": light, "heavy": heavy, "gaps": gaps}
    alone = {name: _bytes(NumpyProfile(2), unit) for name, unit in units.items()}
    assert alone["light"] != alone["heavy"]
    for before in units.values():
        for name, unit in units.items():
            backend = NumpyProfile(2)
            _bytes(backend, before)
            assert _bytes(backend, unit) == alone[name], name


def _bytes(backend: NumpyProfile, unit: Floats) -> list[bytes]:
    backend.begin_counting(unit.shape[0])
    return [array.tobytes() for array in backend.unit(unit).arrays().values()]

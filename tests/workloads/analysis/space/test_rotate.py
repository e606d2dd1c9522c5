"""Scaling, spectrum and space against scikit-learn and the definitions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.covariance import oas
from sklearn.datasets import load_breast_cancer, load_wine
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from workloads.analysis.knn.block import prepare
from workloads.analysis.knn.contributions import Cells, contributions
from workloads.analysis.knn.full import all_pairs, finish
from workloads.analysis.knn.pairs_numpy import NumpyPairs
from workloads.analysis.profile.leaf_numpy import NumpyProfile
from workloads.analysis.profile.result import Profile
from workloads.analysis.space.correlation import Correlation, shrinkage
from workloads.analysis.space.scaling import scaling
from workloads.analysis.space.space import METRICS, Space
from workloads.analysis.space.spectrum import spectrum
from workloads.analysis.space.whitening import whitening


def profile_of(values: npt.NDArray[np.floating]) -> Profile:
    backend = NumpyProfile()
    backend.begin_counting(values.shape[0])
    moments = backend.unit(np.ascontiguousarray(values, np.float64))
    return Profile(
        columns=tuple(f"c{i}" for i in range(values.shape[0])),
        moments=moments,
        sketch=backend.counted(),
    )


def normal(d: int, n: int) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(0)
    found: npt.NDArray[np.float64] = (
        rng.standard_normal((d, d)) @ rng.standard_normal((d, n))
    ).astype(np.float64)
    return found


def test_columns_that_say_nothing_are_left_out_with_reasons():
    values = normal(6, 4000)
    values[0] = 7.5
    values[1] = 0.3 + np.arange(4000) % 2 * 2.0**-54  # varies by float64 rounding only
    values[2, 1:] = np.nan
    values[3, ::4] = np.nan
    values[4, :3000] = np.inf
    found = scaling(profile_of(values))
    assert found.columns == ("c3", "c5")
    assert {one.column: one.reason.split(" ")[0] for one in found.excluded} == {
        "c0": "constant",
        "c1": "constant",
        "c2": "1",
        "c4": "values",
    }


def test_robust_units_ignore_outliers_and_fall_back_where_quartiles_are_lost():
    rng = np.random.default_rng(1)
    values = rng.standard_normal((4, 50_000)).astype(np.float64)
    values[0, :100] = 1e6
    values[1] += 1e6  # beyond what the sketch's bins resolve
    values[2] = rng.random(50_000) < 0.1  # interquartile range 0
    robust, standard = scaling(profile_of(values)), scaling(profile_of(values), "standard")
    assert robust.robust == (True, False, False, True)
    np.testing.assert_allclose(robust.unit[[0, 3]], 1.0, rtol=0.03)
    np.testing.assert_allclose(robust.centre[[0, 3]], 0.0, atol=0.03)
    np.testing.assert_allclose(
        robust.unit[1:3], values[1:3].astype(np.float64).std(axis=1, ddof=1), rtol=1e-9
    )
    np.testing.assert_allclose(
        standard.unit, values.astype(np.float64).std(axis=1, ddof=1), rtol=1e-9
    )
    assert not any(standard.robust)


def test_spectrum_is_that_of_the_correlation():
    values = normal(9, 3000)
    profile = profile_of(values)
    found = spectrum(profile, scaling(profile))
    correlation = np.corrcoef(values.astype(np.float64))
    np.testing.assert_allclose(found.values[::-1], np.linalg.eigvalsh(correlation), atol=1e-12)
    assert (np.diff(found.values) <= 0).all()
    assert found.values.sum() == pytest.approx(9)
    assert found.condition == pytest.approx(np.linalg.cond(correlation), rel=1e-9)
    weight = Correlation.of(profile, scaling(profile).places).shrinkage
    assert 0 < weight < 0.1
    scaled = (values.T - values.mean(axis=1)) / values.std(axis=1)
    assert weight == pytest.approx(
        oas(scaled)[1], rel=0.2
    )  # scikit-learn leaves out the terms in 2 / d


def test_repeated_column_keeps_the_mapping_finite():
    values = normal(4, 1000)
    profile = profile_of(np.concatenate((values, values[:1])))
    chosen = scaling(profile)
    found = spectrum(profile, chosen)
    assert found.condition > 1e12
    assert np.isfinite(Space.of(profile, chosen, "mahalanobis").mapping).all()
    assert shrinkage(np.eye(3), 10) == 0.0


def test_mahalanobis_is_that_of_the_principal_axes_without_their_bits():
    """The Cholesky factor gives the distances of rows turned by eigenvectors and divided by the
    root of eigenvalue + floor.
    """
    values = normal(30, 2000)
    profile = profile_of(values)
    chosen = scaling(profile)
    correlation = Correlation.of(profile, chosen.places)
    variances, axes = np.linalg.eigh(correlation.matrix)
    eigenvalues = (1 - correlation.shrinkage) * variances + correlation.shrinkage + 30 * 1e-10
    rows = values.T.astype(np.float64) / correlation.sd @ (axes / np.sqrt(eigenvalues))
    found = Space.of(profile, chosen, "mahalanobis").coordinates(values).T
    np.testing.assert_allclose(
        np.linalg.norm(found[1:] - found[0], axis=1),
        np.linalg.norm(rows[1:] - rows[0], axis=1),
        rtol=1e-9,
    )
    with threadpool_limits(1, "blas"):
        one = whitening(profile, chosen.places).factor
    with threadpool_limits(2, "blas"):
        assert whitening(profile, chosen.places).factor.tobytes() == one.tobytes()
    np.testing.assert_array_equal(one, np.triu(one))


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
@pytest.mark.parametrize("metric", METRICS)
def test_contributions_add_up_to_the_distance_of_the_metric(load, metric):
    values = load().data.T.astype(np.float64)
    profile = profile_of(values)
    chosen = scaling(profile, "standard")
    space = Space.of(profile, chosen, metric)
    wide = values.T.astype(np.float64)
    sd = wide.std(axis=0, ddof=1)
    weight = Correlation.of(profile, chosen.places).shrinkage
    inverse = np.diag(1 / sd**2)
    if metric == "mahalanobis":
        inverse = np.linalg.inv(
            ((1 - weight) * np.corrcoef(wide.T) + weight * np.eye(len(values))) * np.outer(sd, sd)
        )
    if metric == "cosine":
        wide = (wide - wide.mean(axis=0)) / sd
        wide /= np.linalg.norm(wide, axis=1)[:, None]
        inverse = np.eye(len(values))
    row, nearest, neighbour = 3, 12, 70
    one, near, other = (
        Cells(values=values[:, place], rests=np.zeros(len(values)))
        for place in (row, nearest, neighbour)
    )
    parts = contributions(space, profile.columns, one, near, other, count=len(values))
    assert sum(part.share for part in parts) == pytest.approx(1.0)
    difference = wide[row] - wide[neighbour]
    expected = difference * (inverse @ difference) / (difference @ inverse @ difference)
    np.testing.assert_allclose(
        [part.share for part in parts], sorted(expected, reverse=True), atol=1e-6
    )
    assert parts[0].column == profile.columns[int(expected.argmax())]
    assert (parts[0].value, parts[0].neighbour_value, parts[0].kth_value) == tuple(
        values[expected.argmax(), [row, nearest, neighbour]]
    )
    assert contributions(space, profile.columns, one, near, one) == ()


def test_coordinates_of_a_row_do_not_depend_on_its_place():
    values = normal(40, 9000)
    profile = profile_of(values)
    chosen = scaling(profile)
    for metric in METRICS:
        space = Space.of(profile, chosen, metric)
        whole, exact = space.rows(values), space.coordinates(values)
        for start, stop in ((0, 1), (17, 4000), (8999, 9000)):
            assert space.rows(values[:, start:stop]).tobytes() == whole[start:stop].tobytes()
            assert np.array_equal(space.coordinates(values[:, start:stop]), exact[:, start:stop])


def test_incomplete_rows_are_left_out_and_named():
    values = normal(3, 50)
    values[0, 4], values[2, 7] = np.nan, -np.inf
    profile = profile_of(values)
    found = prepare(Space.of(profile, scaling(profile), "euclidean"), 1000, values)
    assert found.incomplete.tolist() == [1004, 1007]
    assert found.block.ids.size == 48
    assert np.isfinite(found.block.rows).all()


def test_rows_without_a_direction_are_left_out_and_named():
    half = normal(3, 40)
    half[:, 7] = 0
    values = np.concatenate((half, -half), axis=1)  # the centre is 0
    profile = profile_of(values)
    found = prepare(Space.of(profile, scaling(profile, "standard"), "cosine"), 1000, values)
    assert found.zero_norm.tolist() == [1007, 1047]
    assert found.block.ids.size == 78
    np.testing.assert_allclose(
        np.linalg.norm(found.block.rows.astype(np.float64), axis=1), 1.0, rtol=1e-7
    )
    assert (
        prepare(Space.of(profile, scaling(profile), "mahalanobis"), 1000, values).zero_norm.size
        == 0
    )


def test_coordinates_whose_squares_would_overflow_are_held_at_a_largest():
    values = np.random.default_rng(0).standard_normal((1, 500)) * 1e-100
    values[0, 3] = 1e100
    profile = profile_of(values)
    block = prepare(Space.of(profile, scaling(profile), "euclidean"), 0, values).block
    assert block.rows[3, 0] == 2.0**500
    scores = finish(all_pairs(NumpyPairs(), {0: block}, units=1, k=5))
    assert scores.top(1)[0] == 3
    assert np.isfinite(scores.scores).all()


def test_a_table_without_usable_columns_or_rows():
    for values in (np.ones((2, 5), np.float64), np.zeros((2, 0), np.float64)):
        profile = profile_of(values)
        chosen = scaling(profile)
        assert chosen.columns == ()
        assert spectrum(profile, chosen).condition == 1.0
        for metric in METRICS:
            prepared = prepare(Space.of(profile, chosen, metric), 0, values)
            assert prepared.block.ids.size == 0
            assert prepared.incomplete.size == values.shape[1]
            assert (
                finish(
                    all_pairs(NumpyPairs(), {0: prepared.block}, units=1, k=3)
                ).certified_fraction
                == 1.0
            )

"""How far figures are from the truth, on tables that float64 arithmetic finds hard: nearer than two
passes in float64 are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, localcontext

import numpy as np
import pytest

from tests.workloads.analysis.profile.serial import profile_of

FIGURES = ("mean", "sd", "skewness", "kurtosis")


@dataclass(frozen=True)
class Truth:
    """With 80 digits."""

    figures: dict[str, Decimal]
    centred: list[Decimal]


def exact(column: np.ndarray) -> Truth:
    values = [Decimal(value) for value in column.tolist()]
    n = len(values)
    mean = sum(values, Decimal(0)) / n
    y = [value - mean for value in values]
    m2, m3, m4 = (sum((one**power for one in y), Decimal(0)) for power in (2, 3, 4))
    skewness, kurtosis = Decimal(n).sqrt() * m3 / (m2 * m2.sqrt()), n * m4 / (m2 * m2) - 3
    figures = (mean, (m2 / (n - 1)).sqrt(), skewness, kurtosis)
    return Truth(dict(zip(FIGURES, figures, strict=True)), y)


def two_passes(column: np.ndarray) -> dict[str, float]:
    n, mean = column.size, column.mean()
    y = column - mean
    m2 = (y * y).sum()
    figures = (
        mean,
        math.sqrt(m2 / (n - 1)),
        math.sqrt(n) * (y**3).sum() / m2**1.5,
        n * (y**4).sum() / m2**2 - 3,
    )
    return dict(zip(FIGURES, figures, strict=True))


def _near_duplicates(rng: np.random.Generator, rows: int) -> np.ndarray:
    x = rng.standard_normal(rows)
    noise = rng.standard_normal((2, rows))
    return np.stack([x, x + 1e-9 * noise[0], x * (1 + 1e-12), x + 1e-5 * noise[1]])


FEW_DECIMALS = (0.7, 0.2, 0.08, 0.02)
TABLES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda rng, rows: rng.standard_normal((4, rows)),
    "offset 1e9": lambda rng, rows: 1e9 + rng.standard_normal((4, rows)),
    "1e-20 to 1e19": lambda rng, rows: 10.0 ** rng.uniform(-20, 19, (4, rows)),
    "near-duplicate columns": _near_duplicates,
    "log-normal tails": lambda rng, rows: rng.lognormal(0, 4, (4, rows)),
    "tails without variance": lambda rng, rows: rng.standard_t(1.5, (4, rows)),
    "whole numbers": lambda rng, rows: rng.integers(0, 100, (4, rows)).astype(float),
    "few decimals": lambda rng, rows: rng.choice([0.1, 0.3, 0.7, 2.2], (4, rows), p=FEW_DECIMALS),
    "subnormal": lambda rng, rows: np.ldexp(rng.standard_normal((4, rows)), -1060),
    "near the largest": lambda rng, rows: np.ldexp(rng.standard_normal((4, rows)), 1010),
}


@dataclass(frozen=True)
class Errors:
    """The largest of four columns, or of their pairs, in units in the last place of the truth."""

    ours: float
    two_passes: float


def errors(name: str, rows: int, unit_rows: int, seed: int) -> dict[str, Errors]:
    """By figure."""
    values = TABLES[name](np.random.default_rng(seed), rows)
    profile = profile_of(values, unit_rows)
    found = {}
    with localcontext(prec=80), np.errstate(all="ignore"):
        truth = [exact(column) for column in values]
        peers = [two_passes(column) for column in values]
        for figure in FIGURES:
            true = [one.figures[figure] for one in truth]
            theirs = worst([peer[figure] for peer in peers], true)
            found[figure] = Errors(worst(getattr(profile, figure), true), theirs)
        pairs = np.tril_indices(4, -1)
        true = [
            correlation(truth[i].centred, truth[j].centred) for i, j in zip(*pairs, strict=True)
        ]
        plain = np.corrcoef(values)[pairs]
        for name, least in (("correlation", 0.0), ("correlation beside one", BESIDE_ONE)):
            ours = profile.correlation[pairs]
            found[name] = Errors(worst(ours, true, least), worst(plain, true, least))
    return found


@pytest.mark.parametrize("unit_rows", [1_000, 170])
@pytest.mark.parametrize("name", TABLES)
def test_units_of_few_rows_have_the_nearest_float64(name, unit_rows):
    for figure, found in errors(name, 1_000, unit_rows, 3).items():
        assert found.ours <= 0.5 or figure == "correlation", f"{figure}: {found}"


@pytest.mark.parametrize("seed", [3, 4])
@pytest.mark.parametrize("name", TABLES)
def test_units_of_many_rows_are_far_nearer_than_two_passes(name, seed):
    for figure, found in errors(name, 9_001, 9_001, seed).items():
        if figure == "correlation beside one":
            assert found.ours <= 0.51, found
        elif figure != "correlation":
            assert found.ours <= max(0.51, found.two_passes / 16), f"{figure}: {found}"


def test_rows_that_are_left_out_take_no_digits_from_those_that_are_compared():
    """Rows are compared where all columns have a value; others may hold far larger ones."""
    rng = np.random.default_rng(5)
    values = rng.standard_normal((3, 9_100))
    values[1] += 0.5 * values[0]
    complete = np.ones(9_100, np.bool_)
    complete[::700] = False
    values[0, ~complete], values[1, ~complete] = 1e200, np.nan
    found = profile_of(values, 9_100).correlation
    alone = values[:, complete]
    with localcontext(prec=80):
        centred = [exact(column).centred for column in alone]
        for i, j in zip(*np.tril_indices(3, -1), strict=True):
            true = correlation(centred[i], centred[j])
            assert worst([found[i, j]], [true]) <= 0.51
    np.testing.assert_allclose(
        profile_of(values, 9_100).complete_sd, alone.std(axis=1, ddof=1), rtol=1e-12
    )


BESIDE_ONE = 2.0**-57
"""A sixteenth of the last place of figures just below 1, which correlations are told beside: many
digits of one that is nearly 0 are beyond all of float64's, and how far two passes are off there is
a matter of the processor's order of additions.
"""


def worst(found, true: list[Decimal], least: float = 0.0) -> float:
    """In units in the last place of the truth, or in `least` where these are smaller; infinite
    where there is no number.
    """
    return max(
        (
            float(abs(Decimal(float(one)) - other) / Decimal(max(math.ulp(float(other)), least)))
            if math.isfinite(one)
            else math.inf
        )
        for one, other in zip(found, true, strict=True)
    )


def correlation(left: list[Decimal], right: list[Decimal]) -> Decimal:
    products = sum((a * b for a, b in zip(left, right, strict=True)), Decimal(0))
    squares = [sum((a * a for a in side), Decimal(0)) for side in (left, right)]
    return products / (squares[0] * squares[1]).sqrt()

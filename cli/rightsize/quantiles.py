"""A high quantile of what runs used, as a function of the size of their input, or without it where
that predicts no worse.

Quantile regression (Koenker and Bassett, Econometrica 46, 1978): of the lines that never fall, the
one with the least sum of q * (y - line) above and (1 - q) * (line - y) below. With two unknowns an
optimum goes through two of the points, so that trying all pairs is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

QUANTILE: Final = 0.95
_FOLDS: Final = 5
_LEAST: Final = 8
"""Points below which a line is not tried."""
_BETTER: Final = 0.95
"""A line has to have at most this share of the constant's loss on points that it has not seen."""
_MOST: Final = 200

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """`intercept + slope * size`; slope 0 for the simpler model."""

    intercept: float
    slope: float
    losses: tuple[float, float] | None
    """Mean loss of the constant and of the line on points that they had not seen; None for too few
    points, or too few sizes, to tell.
    """

    def at(self, size: float) -> float:
        """The quantile for an input of that size."""
        return self.intercept + self.slope * size

    @property
    def by_size(self) -> bool:
        """Whether it depends on the size."""
        return self.slope > 0


def fit(sizes: Sequence[float], values: Sequence[float], *, quantile: float = QUANTILE) -> Fit:
    """The better of the two models by cross-validation; the newest 200 points count.

    Args:
        sizes: of the inputs.
        values: what was used, in the same order.
        quantile: between 0 and 1.

    Raises ValueError without a point.
    """
    if not values:
        raise ValueError("no values")
    x, y = np.asarray(sizes[:_MOST], float), np.asarray(values[:_MOST], float)
    simple = _constant(y, quantile)
    if len(y) < _LEAST or len(np.unique(x)) < 3:
        return Fit(intercept=simple, slope=0.0, losses=None)
    losses = {False: 0.0, True: 0.0}
    for fold in range(_FOLDS):
        seen = np.arange(len(y)) % _FOLDS != fold
        constant = (_constant(y[seen], quantile), 0.0)
        for by_size in losses:
            intercept, slope = _line(x[seen], y[seen], quantile) if by_size else constant
            rest = y[~seen] - (intercept + slope * x[~seen])
            losses[by_size] += float(_loss(rest, quantile).sum())
    means = (losses[False] / len(y), losses[True] / len(y))
    if losses[True] > _BETTER * losses[False]:
        return Fit(intercept=simple, slope=0.0, losses=means)
    intercept, slope = _line(x, y, quantile)
    return Fit(intercept=intercept, slope=slope, losses=means)


def _constant(y: Floats, quantile: float) -> float:
    return float(np.quantile(y, quantile, method="inverted_cdf"))


def _line(x: Floats, y: Floats, quantile: float) -> tuple[float, float]:
    first, second = np.triu_indices(len(x), k=1)
    apart = x[first] != x[second]
    first, second = first[apart], second[apart]
    slopes = (y[second] - y[first]) / (x[second] - x[first])
    # a need that falls as files grow is chance; the best line that does not fall is then a constant
    rising = slopes > 0
    slopes, first = slopes[rising], first[rising]
    intercepts = y[first] - slopes * x[first]
    candidates = np.vstack([np.column_stack([intercepts, slopes]), [[_constant(y, quantile), 0.0]]])
    rest = y[None, :] - (candidates[:, :1] + candidates[:, 1:] * x[None, :])
    best = candidates[int(np.argmin(_loss(rest, quantile).sum(axis=1)))]
    return float(best[0]), float(best[1])


def _loss(rest: Floats, quantile: float) -> Floats:
    found: Floats = np.where(rest >= 0, quantile * rest, (quantile - 1) * rest)
    return found

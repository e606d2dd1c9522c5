"""How far today's distribution of a column lies from the reference day's, from the two sketches
alone.

Inputs are integer counts by bin, so the figures do not depend on how many ranks counted. Where
inside its bin a value lies is unknown; the bounds say how much that can matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Final

import numpy as np

from workloads.analysis.profile.moments import Floats, Integers
from workloads.analysis.profile.sketch import Sketch, edges

_FLOOR = 1e-4
"""Least share of a population stability bin; keeps an empty bin's logarithm finite (the usual
convention).
"""
_BUCKETS = 10
_LOGARITHM_DIGITS: Final = 40


@dataclass(frozen=True, kw_only=True)
class Drift:
    """Distances between two distributions of one column; all NaN where one of them has no value."""

    ks: float
    """Kolmogorov-Smirnov distance: largest gap between the two cumulative shares at a bin's end."""
    ks_bound: float
    """The true distance lies in [ks, ks + ks_bound]."""
    psi: float
    """Population stability index over tenths of the reference; from 0.1 on commonly called a
    moderate change, from 0.25 on a large one.
    """
    wasserstein: float
    """Wasserstein-1 distance, in units of the column."""
    wasserstein_bound: float
    """The true distance lies within this of `wasserstein`."""


def drift(reference: Sketch, reference_index: int, current: Sketch, current_index: int) -> Drift:
    """Compare one column of two tables.

    Args:
        reference: Counts of the reference table.
        reference_index: The column's place there.
        current: Counts of the table in question.
        current_index: The column's place there.
    """
    bins, before, after = _align(*reference.column(reference_index), *current.column(current_index))
    if not before.sum() or not after.sum():
        nan = float("nan")
        return Drift(ks=nan, ks_bound=nan, psi=nan, wasserstein=nan, wasserstein_bound=nan)
    p, q = before / before.sum(), after / after.sum()
    gap = np.cumsum(before) / before.sum() - np.cumsum(after) / after.sum()
    ks = float(np.abs(gap).max())
    # inside a bin one distribution can have risen by its whole share before the other one moves
    start = np.concatenate(([0.0], gap[:-1]))
    inside = np.maximum(np.abs(start + p), np.abs(start - q))
    lower, upper = edges(bins)
    centre = (lower + upper) / 2
    width = upper - lower
    return Drift(
        ks=ks,
        ks_bound=float(max(inside.max() - ks, 0.0)),
        psi=_psi(before, after),
        wasserstein=math.fsum(np.abs(gap[:-1]) * np.diff(centre)),
        wasserstein_bound=math.fsum((p + q) * width) / 2,
    )


def _align(
    bins_a: Integers, counts_a: Integers, bins_b: Integers, counts_b: Integers
) -> tuple[Integers, Integers, Integers]:
    bins = np.union1d(bins_a, bins_b)
    a, b = np.zeros(bins.size, np.int64), np.zeros(bins.size, np.int64)
    a[np.searchsorted(bins, bins_a)] = counts_a
    b[np.searchsorted(bins, bins_b)] = counts_b
    return bins, a, b


def _psi(before: Integers, after: Integers) -> float:
    """Sum of (q - p) ln(q / p) over buckets that end where the reference passes a tenth; equal
    values stay in one bucket.
    """
    ends = np.cumsum(before)
    # in integers: a bin belongs to the tenth of the reference in which it begins
    started = np.concatenate((np.zeros(1, np.int64), ends[:-1]))
    bucket = np.minimum(
        started * _BUCKETS // ends[-1], _BUCKETS - 1
    )  # bins above the reference's last value join the last bucket
    p = np.bincount(bucket, before, _BUCKETS) / before.sum()
    q = np.bincount(bucket, after, _BUCKETS) / after.sum()
    p, q = np.maximum(p, _FLOOR), np.maximum(q, _FLOOR)
    return math.fsum((q - p) * _logarithms(q / p))


def _logarithms(numbers: Floats) -> Floats:
    """Natural logarithms, rounded correctly: those of libraries differ from one processor to
    another in the last bit.
    """
    with localcontext(prec=_LOGARITHM_DIGITS):
        return np.array([float(Decimal(number).ln()) for number in numbers.tolist()])

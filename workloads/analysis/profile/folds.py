"""Sums over rows in an order that follows from the number of rows alone.

Halves are folded onto one another, element by element, until few partial sums are left; these are
added without an error, as whole numbers or by `math.fsum`.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.double import Double

Array = Any
"""A NumPy or a CuPy array."""

_LAST: Final = 4
"""Partial sums that are left to `math.fsum`."""
_BITS: Final = 41
"""Of whole numbers: the sum of 2^11 stays within 2^52."""
_SMALLEST: Final = -900
"""Exponent of terms that are as good as 0, so that what they are scaled by does not overflow."""


def folded(terms: Array, partials: int) -> Array:
    """Partial sums over the last axis, (d, n) -> (d, at most `partials`); overwrites `terms`."""
    width = terms.shape[1]
    while width > partials:
        half = (width + 1) // 2
        terms[:, : width - half] += terms[:, half:width]
        width = half
    return terms[:, :width].copy()


def folded_doubles(terms: Double) -> Double:
    """The same of `Double`, down to what `total` adds."""
    while (width := terms.high.shape[1]) > _LAST:
        half = (width + 1) // 2
        sums, middle = terms[:, : width - half] + terms[:, half:], terms[:, width - half : half]
        terms = Double(
            np.concatenate((sums.high, middle.high), axis=1),
            np.concatenate((sums.low, middle.low), axis=1),
        )
    return terms


def total_of_many(terms: npt.NDArray[np.float64]) -> Double:
    """(d, n) on the host, n at most 2^11 -> (d,) the sum of all; what is left out is less than
    2^-73 of the largest term.

    Twice, what is above a power of two is cut off as whole numbers, whose sum is exact.
    """
    largest = np.maximum(terms.max(axis=1), -terms.min(axis=1))
    exponent = np.maximum(np.frexp(largest)[1], _SMALLEST)
    rest = terms * np.ldexp(1.0, _BITS - exponent)[:, None]
    whole = np.rint(rest)
    rest -= whole
    high = Double.of(whole.sum(axis=1))
    rest *= 2.0 ** (_BITS + 1)
    low = Double.of(np.rint(rest, out=whole).sum(axis=1))
    return (high + low.scaled(-_BITS - 1)).scaled(exponent - _BITS)


def total(*partials: npt.NDArray[Any]) -> Double:
    """(d, n) each, on the host -> (d,) the sum of all, without an error but that of a `Double`."""
    rows = np.concatenate(partials, axis=1).tolist()
    high = [math.fsum(row) for row in rows]
    low = [math.fsum([*row, -found]) for row, found in zip(rows, high, strict=True)]
    return Double(np.array(high), np.array(low))

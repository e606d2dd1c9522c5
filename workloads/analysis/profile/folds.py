"""Sums over rows in an order that follows from the number of rows alone.

Halves are folded onto one another, element by element, until few partial sums are left; the last
of them are added without an error (`math.fsum`).
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.double import Double

Array = Any
"""A NumPy or a CuPy array."""

_LAST: Final = 16
"""Partial sums that are left to `math.fsum`."""
_AT_A_TIME: Final = 80
"""Rows of 512 partial sums that stay in the cache together with what is computed from them."""


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


def folded_exactly(terms: npt.NDArray[np.float64]) -> Double:
    """The same of float64, on the host; what rounding takes from the sums is folded beside them."""
    parts = [
        _folded_exactly(terms[start : start + _AT_A_TIME])
        for start in range(0, len(terms), _AT_A_TIME)
    ]
    return Double(
        np.concatenate([part.high for part in parts]), np.concatenate([part.low for part in parts])
    )


def _folded_exactly(terms: npt.NDArray[np.float64]) -> Double:
    # rows become columns, so that what is added lies in one piece: short rows cost more than sums
    high = np.ascontiguousarray(terms.T)
    low = None
    while (width := len(high)) > _LAST:
        half = (width + 1) // 2
        left, right = high[: width - half], high[half:]
        sums = left + right
        back = sums - left
        beside = right - back
        np.subtract(sums, back, out=back)
        beside += np.subtract(left, back, out=back)
        if low is not None:
            beside += np.add(low[: width - half], low[half:], out=back)
        if width % 2:
            middle = slice(width - half, half)
            sums = np.concatenate((sums, high[middle]))
            rest = np.zeros((1, len(terms))) if low is None else low[middle]
            beside = np.concatenate((beside, rest))
        high, low = sums, beside
    return Double(high.T, np.zeros(terms.shape) if low is None else low.T)


def total(*partials: npt.NDArray[Any]) -> Double:
    """(d, n) each, on the host -> (d,) the sum of all, without an error but that of a `Double`."""
    rows = np.concatenate(partials, axis=1).tolist()
    high = [math.fsum(row) for row in rows]
    low = [math.fsum([*row, -found]) for row, found in zip(rows, high, strict=True)]
    return Double(np.array(high), np.array(low))

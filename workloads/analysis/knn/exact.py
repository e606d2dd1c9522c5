"""Squared distances in float64 whose bits depend on the two rows alone.

The terms t_c = (x_c - y_c)^2 are added by folding: while more than one is left, the upper half is
added onto the lower half, element by element. The order follows from d alone and every step is a
correctly rounded operation on its own, so that processor, batch and device cannot change the result
(a device must not fuse multiply and add). Differences come first: equal rows have distance 0
exactly.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.moments import Floats

_SCRATCH_VALUES: Final = 1 << 17  # 1 MiB as float64: stays in the cache


def fold(terms: Floats) -> Floats:
    """Sums over the last axis, (m, d) -> (m,), in the fixed order; overwrites `terms`."""
    width = terms.shape[1]
    if not width:
        return np.zeros(terms.shape[0])
    while width > 1:
        half = (width + 1) // 2
        terms[:, : width - half] += terms[:, half:width]
        width = half
    return terms[:, 0]


def squares(
    left: Floats,
    at: npt.NDArray[np.integer[Any]],
    right: Floats,
    beside: npt.NDArray[np.integer[Any]],
) -> Floats:
    """Squared Euclidean distance of `left[at[p]]` and `right[beside[p]]` for every pair p.

    Args:
        left: (m, d) finite.
        at: (p,) rows of left.
        right: (n, d) finite.
        beside: (p,) rows of right.

    Returns:
        (p,) float64; swapping both sides gives the same bits.
    """
    columns = left.shape[1]
    found = np.empty(at.size)
    step = max(_SCRATCH_VALUES // max(columns, 1), 1)
    scratch = np.empty((min(step, at.size), columns))
    for start in range(0, at.size, step):
        stop = min(start + step, at.size)
        terms = scratch[: stop - start]
        np.subtract(left[at[start:stop]], right[beside[start:stop]], out=terms)
        np.multiply(terms, terms, out=terms)
        found[start:stop] = fold(terms)
    return found


def half_squares(rows: npt.NDArray[np.floating[Any]]) -> Floats:
    """(m,) |x|^2 / 2 of every row."""
    found = np.empty(rows.shape[0])
    step = max(_SCRATCH_VALUES // max(rows.shape[1], 1), 1)
    for start in range(0, rows.shape[0], step):
        terms = rows[start : start + step].astype(np.float64)
        np.multiply(terms, terms, out=terms)
        found[start : start + step] = fold(terms)
    found *= 0.5
    return found

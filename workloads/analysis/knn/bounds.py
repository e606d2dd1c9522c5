"""How far a float32 matrix product can be from the true distance: what makes a filtered search
exact.

Rows are x, half their squared norm is h = |x|^2 / 2, and S_ij = |x_i - x_j|^2 / 2 = h_i + h_j -
x_i.x_j. The product of the augmented rows [x_i, g_i, -1] and [x_j, -1, g_j] is v_ij = x_i.x_j - g_i
- g_j, so that with g = h it would be -S_ij. It is computed in float32, unit roundoff u = 2^-24, as
a sum of m = d + 2 products. In whatever order and grouping these are added, fused or not (Higham,
Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1), the error is at most

    gamma (sum |x_ik x_jk| + g_i + g_j) + tiny  <=  2 gamma (h_i + h_j) + tiny,    gamma = m u / (1
    - m u),

where tiny covers products that underflow, flushed to zero or not. Therefore, with g a little below
h (1 - 2 gamma),

    lower bound    -v_ij <= S_ij + tiny    for every pair, and
    upper bound    S_ij <= -v_ij + omega (h_i + h_j) + tiny,    omega = 4 gamma + 4 u.

Since |x_j| <= |x_i| + |x_i - x_j|, h_j <= 2 h_i + 2 S_ij; put into the upper bound this gives one
that needs to know nothing of j:

    S_ij <= (-v_ij + 3 omega h_i + tiny) / (1 - 2 omega).

The rows x of this product are the table's coordinates y rounded to float32, x = y + r with |r| <= u
|x|. Distances are those of the coordinates, T_ij = |y_i - y_j|^2 / 2. Since |r_j| <= u |x_j| <= u
(|x_i| + sqrt(2 S_ij)), the roots of 2 S and 2 T differ by no more than 2 u |x_i| + u sqrt(2 S_ij);
and (a + b)^2 <= (1 + 4 u) a^2 + (1 + 1 / (4 u)) b^2 makes of this

    T_ij <= (1 + 8 u) S_ij + 4 u h_i + tiny    and    S_ij <= (1 + 8 u) T_ij + 4 u h_i + tiny,

where tiny covers coordinates that underflow. With both,

    lower bound    -v_ij <= reach(T_ij) = (1 + 8 u) T_ij + 4 u h_i + 2 tiny    for every pair, and
    upper bound    T_ij <= ceiling(v_ij) = (1 + 8 u) (-v_ij + 3 omega h_i + tiny) / (1 - 2 omega) +
    4 u h_i + tiny.

The latter falls when v_ij grows. So k pairs of row i with v_ij >= v prove that its k-th neighbour
has T <= ceiling(v), and any pair with -v_ij > reach(ceiling(v)) is proved to be no neighbour.
Nothing is assumed of the data; the norms are computed, in float64.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.moments import Floats

_UNIT_ROUNDOFF: Final = 2.0**-24
_WIDER: Final = 1.0 + 8.0 * _UNIT_ROUNDOFF
HALF_SQUARE_LIMIT: Final = 2.0**118
"""Rows with a larger h are outside the filter's range: no sum of the product of two rows within it
can overflow float32.
"""
UNBOUNDED: Final = np.finfo(np.float32).max
"""Threshold of a row of which nothing is known yet."""


def gamma(columns: int) -> float:
    """Relative error of an augmented product of rows with so many columns."""
    terms = columns + 2
    return terms * _UNIT_ROUNDOFF / (1.0 - terms * _UNIT_ROUNDOFF)


def tiny(columns: int) -> float:
    """Absolute error where products or sums underflow, for hardware that flushes them to zero."""
    return 4.0 * (columns + 2) * 2.0**-126


def lowered(half_squares: Floats, columns: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Per row g: the largest float32 that keeps -v a lower bound, or infinity (never a candidate)
    for rows outside the range.

    Args:
        half_squares: (m,) h, in float64.
        columns: d.
    """
    inside = half_squares <= HALF_SQUARE_LIMIT
    wanted = np.where(inside, half_squares, 0.0) * (1.0 - 2.0 * gamma(columns) - 2.0**-40)
    found = wanted.astype(np.float32)
    found = np.where(found.astype(np.float64) > wanted, np.nextafter(found, np.float32(0)), found)
    return np.where(inside, found, np.float32(np.inf))


def rounded(rows: Floats) -> npt.NDArray[np.float32]:
    """(m, d) coordinates as the filter takes them; beyond float32's range they are held at its
    largest, which is outside the filter's.
    """
    return np.clip(rows, -float(UNBOUNDED), float(UNBOUNDED)).astype(np.float32)


def ceiling(values: Floats, half_squares: Floats, columns: int) -> Floats:
    """Upper bound of T for pairs with product `values`, for rows with these h; a little more than
    enough for float64's own rounding.
    """
    omega = _omega(columns)
    bound: Floats = (
        _WIDER * (3.0 * omega * half_squares - values + tiny(columns)) / (1.0 - 2.0 * omega)
    )
    bound = bound + 4.0 * _UNIT_ROUNDOFF * half_squares + tiny(columns)
    return bound + 2.0**-40 * np.abs(bound)


def reach(halves: Floats, half_squares: Floats, columns: int) -> Floats:
    """What -v can be at most for pairs with these T.

    Args:
        halves: (m,) T; infinity where it is not known.
        half_squares: (m,) h of the rows.
        columns: d.
    """
    return (_WIDER * halves + 4.0 * _UNIT_ROUNDOFF * half_squares + 2.0 * tiny(columns)) * (
        1.0 + 2.0**-40
    )


def threshold(
    halves: Floats, half_squares: Floats, columns: int
) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Float32 t for known upper bounds of the k-th smallest T: pairs with v < -t are proved to be
    no neighbours. Arguments as `reach`.
    """
    wanted = np.minimum(reach(halves, half_squares, columns), float(UNBOUNDED))
    found = wanted.astype(np.float32)
    return np.minimum(
        np.where(found.astype(np.float64) < wanted, np.nextafter(found, UNBOUNDED), found),
        UNBOUNDED,
    )


def proof(
    square: float, half_squares: Floats, columns: int
) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Float32 p such that v >= p proves a squared distance below `square`: the inverse of ceiling.

    Args:
        square: Not negative and finite, or infinity or less than 0, with which nothing can be
            proved.
        half_squares: (m,) h of the rows.
        columns: d.
    """
    if not 0.0 < square < 2.0 * HALF_SQUARE_LIMIT:
        return np.full(half_squares.shape, np.inf, np.float32)
    omega = _omega(columns)
    half = 0.5 * square * (1.0 - 2.0**-39) - 4.0 * _UNIT_ROUNDOFF * half_squares - tiny(columns)
    wanted = 3.0 * omega * half_squares + tiny(columns) - half * (1.0 - 2.0 * omega) / _WIDER
    wanted += 2.0**-40 * (np.abs(wanted) + half_squares + square)
    wanted = np.minimum(
        wanted, float(UNBOUNDED)
    )  # rows outside the range have products of minus infinity and reach nothing
    found = wanted.astype(np.float32)
    return np.where(found.astype(np.float64) < wanted, np.nextafter(found, UNBOUNDED), found)


def _omega(columns: int) -> float:
    return 4.0 * gamma(columns) + 4.0 * _UNIT_ROUNDOFF

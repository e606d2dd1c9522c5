"""Eigenvalues of a symmetric matrix, with the same bits on every machine.

LAPACK's depend in their last bits on the processor and on the number of threads, through BLAS. Here
Householder's reflections make the matrix tridiagonal, element by element and with sums in a fixed
order, and each eigenvalue is found by bisection, counting those below a number by the signs of
Sturm's sequence (Golub and Van Loan, Matrix Computations, 4th ed., 8.3.1 and 8.4.1). Errors are
those of LAPACK: some steps of float64 at the largest eigenvalue.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from workloads.analysis.profile.folds import folded
from workloads.analysis.profile.moments import Floats, Integers

_TINY: Final = 2.0**-200
"""In place of a 0 in Sturm's sequence."""


def eigenvalues(matrix: Floats) -> Floats:
    """(d,) ascending.

    Args:
        matrix: (d, d) symmetric, of finite numbers of ordinary size, such as correlations.
    """
    diagonal, beside = _tridiagonal(matrix)
    if not diagonal.size:
        return diagonal
    reach = np.abs(np.append(beside, 0.0)) + np.abs(np.append(0.0, beside))  # Gershgorin
    low = np.full(diagonal.shape, float((diagonal - reach).min()))
    high = np.full(diagonal.shape, float((diagonal + reach).max()))
    squares, wanted = np.append(0.0, np.square(beside)), np.arange(diagonal.size)
    close = 2.0**-51 * float(np.maximum(np.abs(low), np.abs(high))[0])
    while float((high - low).max()) > close:
        middle = 0.5 * (low + high)
        beyond = _below(middle, diagonal, squares) > wanted
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    found: Floats = 0.5 * (low + high)
    return found


def _below(numbers: Floats, diagonal: Floats, squares: Floats) -> Integers:
    """How many eigenvalues are less than each number."""
    found: Integers = np.zeros(numbers.shape, np.int64)
    term = np.ones(numbers.shape)
    for each, square in zip(diagonal.tolist(), squares.tolist(), strict=True):
        term = (each - numbers) - square / term
        term = np.where(np.abs(term) < _TINY, -_TINY, term)
        found += term < 0
    return found


def _tridiagonal(matrix: Floats) -> tuple[Floats, Floats]:
    """(d,) diagonal and (d - 1,) elements beside it of a matrix with the same eigenvalues."""
    left, size = matrix.copy(), matrix.shape[0]
    beside = np.zeros(max(size - 1, 0))
    for column in range(size - 1):
        mirror = left[column + 1 :, column].copy()
        length = math.sqrt(math.fsum(np.square(mirror)))
        beside[column] = (
            mirror[0] if length == abs(mirror[0]) else -math.copysign(length, mirror[0])
        )
        mirror[0] -= beside[column]
        length = math.sqrt(math.fsum(np.square(mirror)))
        if not length > 0:
            continue
        mirror /= length
        block = left[column + 1 :, column + 1 :]
        image = folded(block * mirror, 1)[:, 0]
        image -= math.fsum(mirror * image) * mirror
        crossed = np.multiply.outer(mirror, 2.0 * image)
        block -= crossed
        block -= crossed.T
    return np.diagonal(left).copy(), beside

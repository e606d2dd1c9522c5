"""The factor that turns scaled rows into coordinates whose Euclidean distance is Mahalanobis'.

With C the shrunk correlation and e the floor, any W with W W' = (C + e I)^-1 will do: the distance
of z W and y W is the root of (z - y) (C + e I)^-1 (z - y)', whatever rotation W holds. W = A diag(l
+ e)^-1/2, from eigenvectors A and eigenvalues l of C, is one; the inverse of the Cholesky factor is
another (Kessy, Lewin and Strimmer, The American Statistician 72(4), 2018). The latter is taken
because it can be computed by products, sums and roots of single numbers in a fixed order. LAPACK's
eigenvectors depend in their last bits on the number of threads and on the processor, and a run may
go on from its checkpoint on other machines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from workloads.analysis.profile.moments import Floats, Integers
from workloads.analysis.profile.result import Profile
from workloads.analysis.space.correlation import Correlation

_FLOOR: Final = 1e-10
"""Floor for each column, added to every eigenvalue. A repeated column has an eigenvalue that is
rounding only, some d^2 2^-53 at most, and dividing by its root would turn rounding into distance.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Whitening:
    """Rows in units of `sd`, times `factor`, are uncorrelated with variance 1, as far as shrinkage
    and floor leave it so.
    """

    sd: Floats
    """(d',) standard deviations over the complete rows."""
    factor: Floats
    """(d', d') upper triangular."""


def whitening(profile: Profile, places: Integers) -> Whitening:
    """Of the columns at these places of a profile; the same bits wherever it is computed."""
    correlation = Correlation.of(profile, places)
    matrix = correlation.shrunk
    matrix[np.diag_indices_from(matrix)] += _FLOOR * places.size
    return Whitening(sd=correlation.sd, factor=inverse_cholesky(matrix).T)


def inverse_cholesky(matrix: Floats) -> Floats:
    """L^-1 with L L' = matrix, both lower triangular, column after column without BLAS.

    Args:
        matrix: (d, d) symmetric, eigenvalues well above d^2 2^-53 of the largest; 512 columns take
            a fifth of a second.
    """
    left, found = matrix.copy(), np.eye(matrix.shape[0])
    for column in range(matrix.shape[0]):
        below = slice(column + 1, None)
        pivot = np.sqrt(left[column, column])
        left[column:, column] /= pivot
        found[column] /= pivot
        factors = left[below, column]
        left[below, below] -= np.multiply.outer(factors, factors)
        found[below] -= np.multiply.outer(factors, found[column])
    return found

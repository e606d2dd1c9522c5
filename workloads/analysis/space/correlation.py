"""The correlation of the compared columns, and how much to trust it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from workloads.analysis.profile.moments import Floats, Integers
from workloads.analysis.profile.result import Profile


@dataclass(frozen=True, kw_only=True, eq=False)
class Correlation:
    """Of d' columns over the complete rows."""

    matrix: Floats
    """(d', d') Pearson.

    Pairs of which nothing is known (no two complete rows, or a column that is constant over them)
    have 0.
    """
    sd: Floats
    """(d',) standard deviations over the complete rows; 1 where there are none."""
    shrinkage: float
    """Weight of the identity matrix that makes the matrix safe to invert, 0 to 1."""

    @classmethod
    def of(cls, profile: Profile, places: Integers) -> Correlation:
        """Of the columns at these places of a profile, all of them compared; a function of the
        profile's bits.
        """
        complete = profile.complete_rows
        chosen = np.searchsorted(profile.moments.places, places)
        sd = profile.complete_sd[chosen]
        matrix = profile.correlation[np.ix_(chosen, chosen)]
        matrix = np.where(np.isnan(matrix), 0.0, matrix)
        np.fill_diagonal(matrix, 1.0)
        return cls(
            matrix=matrix, sd=np.where(sd > 0, sd, 1.0), shrinkage=shrinkage(matrix, complete)
        )

    @property
    def shrunk(self) -> Floats:
        """(d', d') (1 - shrinkage) matrix + shrinkage identity."""
        found: Floats = (1.0 - self.shrinkage) * self.matrix
        np.fill_diagonal(found, 1.0)
        return found


def shrinkage(matrix: Floats, rows: int) -> float:
    """Oracle approximating shrinkage towards the identity (Chen, Wiesel, Eldar and Hero, IEEE TSP
    58, 2010, eq. 23).

    Args:
        matrix: (d, d) correlation.
        rows: Complete rows that it was computed from.
    """
    d = int(matrix.shape[0])
    if d == 0:
        return 0.0
    # rounded once, so that no processor's order of addition has a say in the bits
    trace, squares = math.fsum(np.diagonal(matrix)), math.fsum(np.square(matrix).ravel())
    spread = squares - trace * trace / d
    if not spread > 0:
        return 0.0  # it is the identity already
    return float(
        min(1.0, ((1.0 - 2.0 / d) * squares + trace * trace) / ((rows + 1.0 - 2.0 / d) * spread))
    )

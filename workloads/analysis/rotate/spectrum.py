"""Eigendecomposition of the correlation matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workloads.analysis.profile.moments import Floats
from workloads.analysis.profile.result import Profile
from workloads.analysis.rotate.scaling import Scaling


@dataclass(frozen=True, kw_only=True, eq=False)
class Spectrum:
    """Principal axes of d' columns, in units of their standard deviations over the complete rows."""

    values: Floats
    """(d',) eigenvalues, descending, not negative; they add up to d'."""
    axes: Floats
    """(d', d') unit eigenvectors as columns; the component largest in magnitude is positive."""
    sd: Floats
    """(d',) standard deviations over the complete rows; 1 where there are none."""
    shrinkage: float
    """Weight of the identity matrix that makes the correlation safe to invert, 0 to 1."""

    @property
    def condition(self) -> float:
        """Largest over smallest eigenvalue; infinity where a column follows from others."""
        if not self.values.size:
            return 1.0
        return float(self.values[0] / self.values[-1]) if self.values[-1] > 0 else float("inf")

    @property
    def explained(self) -> Floats:
        """(d',) share of the variance along each axis."""
        return self.values / max(self.values.size, 1)

    @property
    def shrunk_values(self) -> Floats:
        """(d',) eigenvalues of the shrunk correlation, all positive."""
        shrunk: Floats = (1.0 - self.shrinkage) * self.values + self.shrinkage
        # repeated columns make eigenvalues that are rounding only: dividing by them would turn rounding into distance
        floor: Floats = np.maximum(shrunk, shrunk.max(initial=0.0) * 1e-10)
        return floor


def spectrum(profile: Profile, scaling: Scaling) -> Spectrum:
    """Decompose the correlation of the compared columns over the complete rows.

    Pairs of which nothing is known (no two complete rows, or a column that is constant over them) count as uncorrelated.

    Returns:
        A function of the profile up to the bits of LAPACK, which may depend on its thread count: ranks that use it take rank 0's.
    """
    places = scaling.places
    complete = profile.complete_rows
    variances = np.diagonal(profile.moments.comoment)[places] / max(complete - 1, 1)
    known = variances > 0
    correlation = profile.correlation[np.ix_(places, places)]
    correlation = np.where(np.isnan(correlation), 0.0, correlation)
    np.fill_diagonal(correlation, 1.0)
    values, axes = np.linalg.eigh(correlation)
    values, axes = np.maximum(values[::-1], 0.0), axes[:, ::-1]
    if places.size:
        largest = np.abs(axes).argmax(axis=0)
        axes = axes * np.where(axes[largest, np.arange(places.size)] < 0, -1.0, 1.0)
    return Spectrum(
        values=np.ascontiguousarray(values),
        axes=np.ascontiguousarray(axes),
        sd=np.sqrt(np.where(known, variances, 1.0)),
        shrinkage=shrinkage(correlation, complete),
    )


def shrinkage(correlation: Floats, rows: int) -> float:
    """Oracle approximating shrinkage towards the identity (Chen, Wiesel, Eldar and Hero, IEEE TSP 58, 2010, eq. 23).

    Args:
        correlation: (d, d).
        rows: Complete rows that it was computed from.
    """
    d = int(correlation.shape[0])
    if d == 0:
        return 0.0
    trace, squares = float(np.trace(correlation)), float(np.square(correlation).sum())
    spread = squares - trace * trace / d
    if not spread > 0:
        return 0.0  # it is the identity already
    return float(min(1.0, ((1.0 - 2.0 / d) * squares + trace * trace) / ((rows + 1.0 - 2.0 / d) * spread)))

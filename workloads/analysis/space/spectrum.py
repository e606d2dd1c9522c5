"""Eigenvalues of the correlation matrix: how many directions the columns really have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workloads.analysis.profile.moments import Floats
from workloads.analysis.profile.result import Profile
from workloads.analysis.space.correlation import Correlation
from workloads.analysis.space.eigenvalues import eigenvalues
from workloads.analysis.space.scaling import Scaling


@dataclass(frozen=True, kw_only=True, eq=False)
class Spectrum:
    """Variances along the principal axes of d' columns, in units of their standard deviations over
    the complete rows.
    """

    values: Floats
    """(d',) eigenvalues, descending, not negative; they add up to d'."""

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


def spectrum(profile: Profile, scaling: Scaling) -> Spectrum:
    """Of the correlation of the compared columns over the complete rows; a function of the
    profile's bits.
    """
    values = eigenvalues(Correlation.of(profile, scaling.places).matrix)
    return Spectrum(values=np.maximum(values[::-1], 0.0))

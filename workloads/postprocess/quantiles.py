"""Quantiles as they are shown: the plainest number that the sketch's error bound allows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workloads.analysis.profile.result import Profile
from workloads.analysis.profile.sketch import Quantiles


def settled(profile: Profile, probabilities: Sequence[float]) -> Quantiles:
    """Quantiles of every column, (q, d) each, with a whole number or zero preferred where the bound
    allows it.

    A sketch knows of a value only the bin that it lies in: the median of zeros and ones would come
    out as 1e-40, that of counts as 3.009. Zero is taken where it lies within the bound (only the
    bin around zero reaches so far), and the nearest whole number where smallest and largest value
    of the column are whole too. The bounds grow by as much as the values were moved, and so stay
    true.
    """
    found = profile.quantiles(probabilities)
    whole_column = (profile.minimum == np.round(profile.minimum)) & (
        profile.maximum == np.round(profile.maximum)
    )
    nearest = np.round(found.values)
    take_whole = whole_column & (np.abs(found.values - nearest) <= found.bounds)
    take_zero = np.abs(found.values) <= found.bounds
    values = np.where(take_zero, 0.0, np.where(take_whole, nearest, found.values))
    return Quantiles(
        values=values, bounds=found.bounds + np.abs(values - found.values), rests=found.rests
    )

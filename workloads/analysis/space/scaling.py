"""Which columns are compared, and the centre and unit of each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from workloads.analysis.profile.moments import Floats, Integers
from workloads.analysis.profile.result import Profile
from workloads.parameters import ScalingName

NORMAL_IQR: Final = 1.3489795003921634
"""Interquartile range of the normal distribution with standard deviation 1: makes both kinds of
unit mean the same.
"""
_NOISE: Final = 4.0
"""Steps of float64 that numbers which are not whole may differ by and still be the same number,
computed in another way.
"""
_ENOUGH_VALUES: Final = 0.5
"""Share of rows with a value that a column needs: rows are compared only where all their columns
have one.
"""
_SHARP: Final = 0.1
"""Share of the interquartile range that the sketch's error may reach for the quartiles to be
used.
"""


@dataclass(frozen=True, kw_only=True)
class Excluded:
    """A column that rows are not compared by."""

    column: str
    reason: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Scaling:
    """Column j of the d' compared ones becomes (value - centre[j]) / unit[j]."""

    columns: tuple[str, ...]
    """Names of the compared columns, in table order."""
    places: Integers
    """(d',) their places among the table's number columns, ascending."""
    centre: Floats
    """(d',) median, or mean."""
    centre_rest: Floats
    """(d',) what float64 takes from it where values are whole numbers beyond 2^53; else 0."""
    unit: Floats
    """(d',) interquartile range / 1.349, or standard deviation; positive."""
    robust: tuple[bool, ...]
    """(d',) whether centre and unit are median and interquartile range: not where that range is 0
    or lost in the sketch's bins.
    """
    excluded: tuple[Excluded, ...]


def scaling(profile: Profile, name: ScalingName = "robust") -> Scaling:
    """Choose columns and units from a merged profile.

    Args:
        profile: Of the whole table.
        name: `robust` lets outliers have no say in the units; `standard` takes mean and standard
            deviation.

    Returns:
        A pure function of the profile; may have no column at all.
    """
    moments = profile.moments
    mean, sd, means = profile.mean, profile.sd, moments.means
    quartiles = profile.quantiles((0.25, 0.5, 0.75))
    spread = (quartiles.values[2] - quartiles.values[0]) + (quartiles.rests[2] - quartiles.rests[0])
    # both quartiles may be off; a median that is off costs nothing: distances do not see the
    # centre, and directions are those from there
    sharp = (spread > 0) & (quartiles.bounds[0] + quartiles.bounds[2] <= _SHARP * spread)
    use_quartiles = sharp if name == "robust" else np.zeros(len(profile.columns), np.bool_)
    excluded = []
    places = []
    for place in moments.places.tolist():
        reason = _reason(profile, place, float(sd[place]), float(mean[place]))
        if reason is None:
            places.append(place)
        else:
            excluded.append(Excluded(column=profile.columns[place], reason=reason))
    kept = np.array(places, np.int64)
    robust = use_quartiles[kept]
    beyond = np.abs(mean[kept]) > 2.0**53
    return Scaling(
        columns=tuple(profile.columns[place] for place in places),
        places=kept,
        centre=np.where(
            robust, quartiles.values[1][kept], np.where(beyond, means.high[kept], mean[kept])
        ),
        centre_rest=np.where(
            robust, quartiles.rests[1][kept], np.where(beyond, means.low[kept], 0.0)
        ),
        unit=np.where(robust, spread[kept] / NORMAL_IQR, sd[kept]),
        robust=tuple(bool(flag) for flag in robust),
        excluded=tuple(excluded),
    )


def _reason(profile: Profile, place: int, sd: float, mean: float) -> str | None:
    """Why rows are not compared by a column; None where they are."""
    count, rows = int(profile.moments.count[place]), profile.rows
    if count < 2:
        return f"{count} values; two are needed"
    if count < _ENOUGH_VALUES * rows:
        return (
            f"values in {100.0 * count / rows:.0f} % of the rows; {100 * _ENOUGH_VALUES:.0f} % are"
            " needed"
        )
    if profile.constant[place] or not sd > 0:
        return f"constant ({mean:.17g})"
    low, high = float(profile.moments.minimum[place]), float(profile.moments.maximum[place])
    whole = low.is_integer() and high.is_integer()
    if not whole and high - low <= _NOISE * math.ulp(max(abs(low), abs(high))):
        return f"constant but for rounding ({low:.17g} to {high:.17g})"
    return None

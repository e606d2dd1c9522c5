"""Which columns are compared, and the centre and unit of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from workloads.analysis.profile.moments import Floats, Integers
from workloads.analysis.profile.result import Profile

ScalingName = Literal["robust", "standard"]

NORMAL_IQR: Final = 1.3489795003921634
"""Interquartile range of the normal distribution with standard deviation 1: makes both kinds of unit mean the same."""
_CONSTANT: Final = 1e-7
"""Below this share of the mean a standard deviation is float32 rounding."""
_ENOUGH_VALUES: Final = 0.5
"""Share of rows with a value that a column needs: rows are compared only where all their columns have one."""
_SHARP: Final = 0.1
"""Share of the interquartile range that the sketch's error may reach for the quartiles to be used."""


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
    """(d',) their places among the table's number columns."""
    centre: Floats
    """(d',) median, or mean."""
    unit: Floats
    """(d',) interquartile range / 1.349, or standard deviation; positive."""
    robust: tuple[bool, ...]
    """(d',) whether centre and unit are median and interquartile range: not where that range is 0 or lost in the sketch's bins."""
    excluded: tuple[Excluded, ...]


def scaling(profile: Profile, name: ScalingName = "robust") -> Scaling:
    """Choose columns and units from a merged profile.

    Args:
        profile: Of the whole table.
        name: `robust` lets outliers have no say in the units; `standard` takes mean and standard deviation.

    Returns:
        A pure function of the profile; may have no column at all.
    """
    moments = profile.moments
    mean, sd = profile.mean, profile.sd
    quartiles = profile.quantiles((0.25, 0.5, 0.75))
    spread = quartiles.values[2] - quartiles.values[0]
    # both quartiles may be off; a median that is off costs nothing: distances do not see the centre, and directions are those from there
    sharp = (spread > 0) & (quartiles.bounds[0] + quartiles.bounds[2] <= _SHARP * spread)
    use_quartiles = sharp if name == "robust" else np.zeros(len(profile.columns), np.bool_)
    excluded = []
    places = []
    for place, column in enumerate(profile.columns):
        reason = _reason(int(moments.count[place]), profile.rows, float(sd[place]), float(mean[place]))
        if reason is None:
            places.append(place)
        else:
            excluded.append(Excluded(column=column, reason=reason))
    kept = np.array(places, np.int64)
    robust = use_quartiles[kept]
    return Scaling(
        columns=tuple(profile.columns[place] for place in places),
        places=kept,
        centre=np.where(robust, quartiles.values[1][kept], mean[kept]),
        unit=np.where(robust, spread[kept] / NORMAL_IQR, sd[kept]),
        robust=tuple(bool(flag) for flag in robust),
        excluded=tuple(excluded),
    )


def _reason(count: int, rows: int, sd: float, mean: float) -> str | None:
    if count < 2:
        return f"{count} values; two are needed"
    if count < _ENOUGH_VALUES * rows:
        return f"values in {100.0 * count / rows:.0f} % of the rows; {100 * _ENOUGH_VALUES:.0f} % are needed"
    if not sd > 0 or sd < _CONSTANT * abs(mean):
        return f"constant (standard deviation {sd:.3g}, mean {mean:.6g})"
    return None

"""Moments of single columns of a unit.

A column is centred by a value near its mean that has few digits, which makes the differences exact
as a rule (`frame`); their powers are added up in a fixed order (`powers`), and the moments follow
in `Double`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile import powers
from workloads.analysis.profile.double import Double
from workloads.analysis.profile.frame import (
    LARGEST_REST,
    Array,
    Extremes,
    Frame,
    as_it_is,
    extremes,
    frame_of,
)
from workloads.analysis.profile.moments import ColumnMoments, Integers


@dataclass(frozen=True, kw_only=True, eq=False)
class PowerSums:
    """What `moments` follow from, of columns without gaps."""

    rows: Integers
    """(d,)"""
    low: Double
    """(d,) smallest value."""
    high: Double
    """(d,) largest value."""
    first: Double
    """(d,) value of the first row."""
    last: Double
    """(d,) value of the last row."""
    frame: Frame
    sums: powers.Sums

    def with_lower(self, first: Double, second: Double) -> PowerSums:
        """The same with other sums of y and y^2."""
        return replace(self, sums=(first, second, *self.sums[2:]))

    @classmethod
    def joined(cls, parts: Sequence[PowerSums]) -> PowerSums:
        """Of the columns of all parts, in order."""
        return cls(
            rows=np.concatenate([part.rows for part in parts]),
            low=_joined([part.low for part in parts]),
            high=_joined([part.high for part in parts]),
            first=_joined([part.first for part in parts]),
            last=_joined([part.last for part in parts]),
            frame=Frame.joined([part.frame for part in parts]),
            sums=(
                _joined([part.sums[0] for part in parts]),
                _joined([part.sums[1] for part in parts]),
                _joined([part.sums[2] for part in parts]),
                _joined([part.sums[3] for part in parts]),
                _joined([part.sums[4] for part in parts]),
            ),
        )


def nothing(columns: int) -> PowerSums:
    """Of columns without a value."""
    zeros = np.zeros(columns)
    sums = Double(zeros, zeros)
    return PowerSums(
        rows=np.zeros(columns, np.int64),
        low=Double(zeros + np.inf, zeros),
        high=Double(zeros - np.inf, zeros),
        first=sums,
        last=sums,
        frame=Frame.empty(columns),
        sums=(sums, sums, sums, sums, sums),
    )


def _joined(parts: Sequence[Double]) -> Double:
    return Double(
        np.concatenate([part.high for part in parts]), np.concatenate([part.low for part in parts])
    )


def power_sums(
    values: Array,
    rests: Array | None = None,
    upload: Callable[[npt.NDArray[Any]], Array] = as_it_is,
    download: Callable[[Array], npt.NDArray[Any]] = as_it_is,
    room: Array | None = None,
    seen: tuple[Extremes, Frame] | None = None,
    *,
    lower: bool = True,
) -> PowerSums:
    """Of columns without gaps.

    Args:
        values: (d, n) finite float64; 0 < n <= `joint.MOST_ROWS`.
        rests: (d, n) what float64 took from whole numbers beyond 2^53: the value is the sum of
            both. None where it took nothing.
        upload: From the host to where the arrays are.
        download: Back.
        room: What `powers.scratch` gave for as many rows; saves time where it is used again.
        seen: What `frame.extremes` and `frame.frame_of` found, where it is known.
        lower: As for `powers.sums`.
    """
    columns, rows = values.shape
    low, high = extremes(values, download) if seen is None else seen[0]
    low_rest, high_rest = np.zeros(columns), np.zeros(columns)
    if rests is not None:
        low_rest = download(np.where(values == upload(low[:, None]), rests, np.inf).min(axis=1))
        high_rest = download(np.where(values == upload(high[:, None]), rests, -np.inf).max(axis=1))
    slack = np.full(columns, 0.0 if rests is None else LARGEST_REST)
    frame = frame_of(values, (low, high), slack, upload, download) if seen is None else seen[1]
    shift = -frame.shift
    scaled_low, scaled_high = np.ldexp(low, shift), np.ldexp(high, shift)
    farthest = np.maximum(scaled_high - frame.centre, frame.centre - scaled_low)

    def row(place: int) -> Double:
        value = download(values[:, place].copy())
        return Double(
            value, np.zeros(columns) if rests is None else download(rests[:, place].copy())
        )

    return PowerSums(
        rows=np.full(columns, rows, np.int64),
        low=Double(low, low_rest),
        high=Double(high, high_rest),
        first=row(0),
        last=row(-1),
        frame=frame,
        sums=powers.sums(
            powers.Columns(
                values=values, rests=rests, frame=frame, upload=upload, download=download
            ),
            farthest,
            room,
            lower=lower,
        ),
    )


def moments(found: PowerSums, missing: Integers, infinite: Integers) -> ColumnMoments:
    """Of all columns together, since for single ones the calls would cost more than the arithmetic.

    Args:
        found: Of d columns.
        missing: (d,)
        infinite: (d,)
    """
    first, second, third, fourth, pairs = found.sums
    step = first / Double.of(np.maximum(found.rows, 1).astype(np.float64))
    mean = Double.of(found.frame.centre) + step
    squared = step * step
    m2 = second - first * step
    m3 = third - (step * second).times(3.0) + (squared * first).times(2.0)
    m4 = (
        fourth
        - (step * third).times(4.0)
        + (squared * second).times(6.0)
        - (squared * step * first).times(3.0)
    )
    ends = (
        found.first.scaled(-found.frame.shift)
        + found.last.scaled(-found.frame.shift)
        - Double.of(2.0 * found.frame.centre)
    )
    others = Double.of(
        np.maximum(found.rows - 1, 0).astype(np.float64)
    )  # pairs of rows that follow one another
    lag = pairs - step * (first + first - ends) + squared * others
    return ColumnMoments(
        count=found.rows,
        missing=missing,
        infinite=infinite,
        minimum=found.low.high,
        minimum_rest=found.low.low,
        maximum=found.high.high,
        maximum_rest=found.high.low,
        mean=mean.high,
        mean_rest=mean.low,
        exponent=found.frame.exponent,
        m2=m2.high,
        m2_rest=m2.low,
        m3=m3.high,
        m3_rest=m3.low,
        m4=m4.high,
        m4_rest=m4.low,
        first=found.first.high,
        first_rest=found.first.low,
        last=found.last.high,
        last_rest=found.last.low,
        lag=lag.high,
        lag_rest=lag.low,
    )

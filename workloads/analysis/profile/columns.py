"""Moments of single columns of a unit, with the same bits on every machine and better than float64 would add them up.

A column is centred by a value near its mean that has few digits, which makes the differences exact as a rule. Powers of the differences are
rounded one by one; they are added by folding halves onto one another in an order that follows from the number of rows alone, down to 64
partial sums, and `math.fsum` adds these without error. What is left is the rounding of some hundred terms at a time, 2^-54 of their size in
each step and independent of one another. In units of up to 8,192 rows, where such errors have no other ones to
cancel them and time is no matter, differences, powers and sums are `Double`.

NumPy and CuPy arrays alike: elementwise operations only, each a ufunc of its own, so that nothing is fused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.double import Double
from workloads.analysis.profile.moments import NOTHING, ColumnMoments, Floats, Integers

Array = Any
"""A NumPy or a CuPy array."""

_Sums = tuple[Double, Double, Double, Double, Double]
_PIECE: Final = 1 << 14
"""Rows at a time: 128 KiB."""
_ROOM: Final = _PIECE + 8
"""Rows of scratch memory: a piece and the row after it, in whole cache lines."""
_PARTIALS: Final = 64
_SAMPLED: Final = 4
"""Every fourth value says where to centre a column: with the worst of luck 1.7 standard deviations from the mean."""
FEW: Final = 1 << 13
"""Rows of a unit that is worked on in `Double`."""
_SMALLEST, _LARGEST = -150, 200
"""Exponents of the largest value of a column whose fourth powers neither vanish nor overflow."""
_CENTRE_BITS: Final = 20
"""Of a centre, below the exponent of the column's range."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """How columns are written: x = (centre + y) 2^exponent with |y| < 2^spread."""

    exponent: Integers
    """(d,) NOTHING for columns of zeros and without values."""
    centre: Floats
    """(d,)"""
    spread: Integers
    """(d,)"""

    @classmethod
    def empty(cls, columns: int) -> Frame:
        """Of columns without values."""
        return cls(
            exponent=np.full(columns, NOTHING, np.int64),
            centre=np.zeros(columns),
            spread=np.zeros(columns, np.int64),
        )

    @property
    def shift(self) -> Integers:
        """(d,) the exponent to go by."""
        return np.where(self.exponent == NOTHING, 0, self.exponent)

    def take(self, places: Integers) -> Frame:
        """Of some columns."""
        return Frame(
            exponent=self.exponent[places], centre=self.centre[places], spread=self.spread[places]
        )

    def centred(
        self, values: Array, out: Array, upload: Callable[[npt.NDArray[Any]], Array]
    ) -> None:
        """Writes y of some values (d, n) to `out`."""
        shift = self.shift
        if shift.any():
            values = np.ldexp(values, upload(-shift[:, None]))
        np.subtract(values, upload(self.centre[:, None]), out=out)

    def lost(
        self, values: Array, centred: Array, upload: Callable[[npt.NDArray[Any]], Array]
    ) -> Array:
        """What rounding took from y, exactly (Knuth)."""
        shift = self.shift
        scaled = np.ldexp(values, upload(-shift[:, None])) if shift.any() else values
        back = centred - scaled
        return (scaled - (centred - back)) - (upload(self.centre[:, None]) + back)


def as_it_is(array: Any) -> Any:
    """Upload and download of arrays that are on the host."""
    return array


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
    sums: _Sums
    """(d,) each: of y, y^2, y^3 and y^4, and of the products of y in each row with y in the row after it."""

    @classmethod
    def joined(cls, parts: Sequence[PowerSums]) -> PowerSums:
        """Of the columns of all parts, in order."""
        return cls(
            rows=np.concatenate([part.rows for part in parts]),
            low=_joined([part.low for part in parts]),
            high=_joined([part.high for part in parts]),
            first=_joined([part.first for part in parts]),
            last=_joined([part.last for part in parts]),
            frame=Frame(
                **{
                    name: np.concatenate([getattr(part.frame, name) for part in parts])
                    for name in vars(Frame.empty(0))
                }
            ),
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
) -> PowerSums:
    """Of columns without gaps.

    Args:
        values: (d, n) finite float64; n > 0.
        rests: (d, n) what float64 took from whole numbers beyond 2^53: the value is the sum of both. None where it took nothing.
        upload: From the host to where the arrays are.
        download: Back.
        room: What `scratch` gave for as many columns; saves time where it is used again.
    """
    columns, rows = values.shape
    low, high = download(values.min(axis=1)) + 0.0, download(values.max(axis=1)) + 0.0
    low_rest, high_rest = np.zeros(columns), np.zeros(columns)
    if rests is not None:
        low_rest = download(np.where(values == upload(low[:, None]), rests, np.inf).min(axis=1))
        high_rest = download(np.where(values == upload(high[:, None]), rests, -np.inf).max(axis=1))
    frame = _frame(values, low, high, 0.0 if rests is None else 2048.0, upload, download)

    def row(place: int) -> Double:
        value = download(values[:, place].copy())
        return Double(
            value, np.zeros(columns) if rests is None else download(rests[:, place].copy())
        )

    if rows <= FEW:
        sums = _careful_sums(values, rests, frame, upload, download)
    else:
        sums = _power_sums(
            values, rests, frame, upload, download, scratch(values) if room is None else room
        )
    return PowerSums(
        rows=np.full(columns, rows, np.int64),
        low=Double(low, low_rest),
        high=Double(high, high_rest),
        first=row(0),
        last=row(-1),
        frame=frame,
        sums=sums,
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
    mean = (Double.of(found.frame.centre) + step).scaled(found.frame.shift)
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


def _frame(
    values: Array,
    low: Floats,
    high: Floats,
    slack: float,
    upload: Callable[..., Array],
    download: Callable[..., npt.NDArray[Any]],
) -> Frame:
    largest = np.maximum(np.abs(low), np.abs(high))
    exponent = np.frexp(largest)[1].astype(np.int64)
    exponent[(exponent >= _SMALLEST) & (exponent <= _LARGEST)] = 0
    exponent[largest == 0] = NOTHING
    shift = np.where(exponent == NOTHING, 0, exponent)
    low, high = np.ldexp(low, -shift), np.ldexp(high, -shift)
    sample = values[:, ::_SAMPLED].copy()
    if shift.any():
        sample = np.ldexp(sample, upload(-shift[:, None]))
    mean = _total([download(_folded(sample))]).high / sample.shape[1]
    width = np.frexp(high - low)[1] - _CENTRE_BITS
    centre = np.where(high > low, np.ldexp(np.rint(np.ldexp(mean, -width)), width), low)
    farthest = np.maximum(high - centre, centre - low) + slack
    return Frame(exponent=exponent, centre=centre, spread=np.frexp(farthest)[1].astype(np.int64))


def scratch(like: Array) -> Array:
    """Memory for columns like these."""
    return np.empty_like(like, shape=(5 * like.shape[0], _ROOM))


def _power_sums(
    values: Array,
    rests: Array | None,
    frame: Frame,
    upload: Callable[..., Array],
    download: Callable[..., npt.NDArray[Any]],
    room: Array,
) -> _Sums:
    """See `PowerSums.sums`."""
    columns, rows = values.shape
    partials = []
    for start in range(0, rows, _PIECE):
        end = min(start + _PIECE, rows)
        piece = values[:, start : end + 1]  # the row after it, too
        terms = room[:, : end - start]
        centred, square, cube, fourth, pair = (
            terms[power * columns : (power + 1) * columns] for power in range(5)
        )
        following = room[:columns, : piece.shape[1]]
        frame.centred(piece, following, upload)
        if rests is not None:
            following += rests[:, start : end + 1]
        pairs = piece.shape[1] - 1
        np.multiply(following[:, :-1], following[:, 1:], out=pair[:, :pairs])
        pair[:, pairs:] = 0.0  # the last row of all has none after it
        np.multiply(centred, centred, out=square)
        np.multiply(square, centred, out=cube)
        np.multiply(square, square, out=fourth)
        partials.append(_folded(terms))
    total = _total([download(_folded(np.concatenate(partials, axis=1)))])
    first, second, third, fourth, paired = (
        total[power * columns : (power + 1) * columns] for power in range(5)
    )
    return first, second, third, fourth, paired


def _careful_sums(
    values: Array,
    rests: Array | None,
    frame: Frame,
    upload: Callable[..., Array],
    download: Callable[..., npt.NDArray[Any]],
) -> _Sums:
    """The same, without a rounding error that matters."""
    shift = frame.shift
    scaled = np.ldexp(values, upload(-shift[:, None])) if shift.any() else values
    centred = Double.of(scaled) - Double.of(np.zeros_like(scaled) + upload(frame.centre[:, None]))
    if rests is not None:
        centred += Double.of(rests)
    square = centred * centred

    def total(terms: Double) -> Double:
        folded = _folded_doubles(terms)
        return _total([download(folded.high), download(folded.low)])

    pairs = centred[:, :-1] * centred[:, 1:]
    return (
        total(centred),
        total(square),
        total(square * centred),
        total(square * square),
        total(pairs),
    )


def _folded_doubles(terms: Double) -> Double:
    while (width := terms.high.shape[1]) > _PARTIALS:
        half = (width + 1) // 2
        sums, middle = terms[:, : width - half] + terms[:, half:], terms[:, width - half : half]
        terms = Double(
            np.concatenate((sums.high, middle.high), axis=1),
            np.concatenate((sums.low, middle.low), axis=1),
        )
    return terms


def _folded(terms: Array) -> Array:
    """Partial sums over the last axis, (d, n) -> (d, 64 or n); overwrites `terms`."""
    width = terms.shape[1]
    while width > _PARTIALS:
        half = (width + 1) // 2
        terms[:, : width - half] += terms[:, half:width]
        width = half
    return terms[:, :width].copy()


def _total(partials: list[npt.NDArray[Any]]) -> Double:
    rows = np.concatenate(partials, axis=1).tolist()
    high = [math.fsum(row) for row in rows]
    low = [math.fsum([*row, -found]) for row, found in zip(rows, high, strict=True)]
    return Double(np.array(high), np.array(low))

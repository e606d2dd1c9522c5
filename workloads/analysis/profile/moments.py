"""Moments to the fourth, products of rows that follow one another, and the co-moment matrix, merged
without loss.

Merging follows Chan, Golub and LeVeque (1979) for the second moments and Pebay (SAND2008-6212) for
the third and fourth: partial results carry means and *centred* sums, so that an offset of a million
standard deviations costs no digits. Every sum is a `Double`, of which the second half stands in the
field with `_rest`, so that merging costs no digits either.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.double import Double, outer, product

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]

NOTHING = -4000
"""Exponent of a column without a value other than 0: below all others, so that merging takes the
other one.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnMoments:
    """What is known of d columns of some rows, each for itself: values that are missing (NaN) or
    infinite are counted and skipped.
    """

    count: Integers
    """(d,) finite values."""
    missing: Integers
    """(d,) NaN."""
    infinite: Integers
    """(d,) plus or minus infinity."""
    minimum: Floats
    """(d,) +inf where count is 0."""
    minimum_rest: Floats
    """(d,) of whole numbers beyond 2^53, what float64 took from them; else 0."""
    maximum: Floats
    """(d,) -inf where count is 0."""
    maximum_rest: Floats
    """(d,)"""
    mean: Floats
    """(d,) in units of 2^exponent, see there; 0 where count is 0."""
    mean_rest: Floats
    """(d,)"""
    exponent: Integers
    """(d,) mean and sums are in powers of 2^exponent: 0 for values of ordinary size, so that
    squares neither overflow nor vanish.
    """
    m2: Floats
    """(d,) sum of (x - mean)^2."""
    m2_rest: Floats
    """(d,)"""
    m3: Floats
    """(d,) sum of (x - mean)^3."""
    m3_rest: Floats
    """(d,)"""
    m4: Floats
    """(d,) sum of (x - mean)^4."""
    m4_rest: Floats
    """(d,)"""
    first: Floats
    """(d,) first finite value; 0 where count is 0."""
    first_rest: Floats
    """(d,)"""
    last: Floats
    """(d,) last finite value."""
    last_rest: Floats
    """(d,)"""
    lag: Floats
    """(d,) sum of (x - mean)(x' - mean), x' being the finite value after x: of the next row where
    no value is missing or infinite.
    """
    lag_rest: Floats
    """(d,)"""

    @classmethod
    def empty(cls, columns: int) -> ColumnMoments:
        """Of no rows: merging it changes nothing."""
        integers, floats = np.zeros(columns, np.int64), np.zeros(columns)
        return ColumnMoments(
            count=integers,
            missing=integers,
            infinite=integers,
            minimum=np.full(columns, np.inf),
            minimum_rest=floats,
            maximum=np.full(columns, -np.inf),
            maximum_rest=floats,
            mean=floats,
            mean_rest=floats,
            exponent=np.full(columns, NOTHING, np.int64),
            m2=floats,
            m2_rest=floats,
            m3=floats,
            m3_rest=floats,
            m4=floats,
            m4_rest=floats,
            first=floats,
            first_rest=floats,
            last=floats,
            last_rest=floats,
            lag=floats,
            lag_rest=floats,
        )

    def double(self, name: str) -> Double:
        """A field with its rest."""
        return Double(getattr(self, name), getattr(self, f"{name}_rest"))

    @property
    def means(self) -> Double:
        """(d,) in the unit of the values."""
        return self.double("mean").scaled(np.where(self.exponent == NOTHING, 0, self.exponent))


@dataclass(frozen=True, kw_only=True, eq=False)
class JointMoments:
    """What is known of d' columns together, over the complete rows: those with a finite value in
    every one of them.
    """

    places: Integers
    """(d',) the columns that rows are compared by, among all d."""
    complete_rows: Integers
    """() complete rows."""
    complete_mean: Floats
    """(d',) column means over the complete rows, in units of 2^exponent, of the complete rows."""
    complete_mean_rest: Floats
    """(d',)"""
    complete_exponent: Integers
    """(d',) as `ColumnMoments.exponent`, of the complete rows."""
    comoment: Floats
    """(d', d') sum of (x_i - mean_i)(x_j - mean_j) over the complete rows, in units of
    2^(exponent_i + exponent_j), of the complete rows.
    """
    comoment_rest: Floats
    """(d', d')"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments(ColumnMoments, JointMoments):
    """The columns, each for itself and together."""

    rows: Integers
    """() all rows."""

    @classmethod
    def of(cls, columns: ColumnMoments, joint: JointMoments, rows: int) -> Moments:
        """Puts both halves together."""
        return cls(**vars(columns), **vars(joint), rows=np.asarray(rows, np.int64))

    @classmethod
    def empty(cls, columns: int, compared: Integers | None = None) -> Moments:
        """Of no rows: merging it changes nothing.

        All columns are compared unless their places are given.
        """
        places = np.arange(columns, dtype=np.int64) if compared is None else compared
        return cls.of(ColumnMoments.empty(columns), no_rows(places), 0)

    @property
    def comoments(self) -> Double:
        """(d', d') with the rest."""
        return Double(self.comoment, self.comoment_rest)

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Field name -> array."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def no_rows(places: Integers) -> JointMoments:
    """Of no complete row."""
    floats, matrix = np.zeros(places.size), np.zeros((places.size, places.size))
    exponent = np.full(places.size, NOTHING, np.int64)
    return joint_of(places, 0, Double(floats, floats), exponent, Double(matrix, matrix))


def joint_of(
    places: Integers, rows: int, mean: Double, exponent: Integers, comoment: Double
) -> JointMoments:
    """From its parts."""
    return JointMoments(
        places=places,
        complete_rows=np.asarray(rows, np.int64),
        complete_mean=mean.high,
        complete_mean_rest=mean.low,
        complete_exponent=exponent,
        comoment=comoment.high,
        comoment_rest=comoment.low,
    )


def merge(a: Moments, b: Moments) -> Moments:
    """Moments of the rows of `a` followed by those of `b`.

    Which one comes first can change last bits: see `tree`.
    """
    return Moments.of(merge_columns(a, b), _merge_joint(a, b), int(a.rows) + int(b.rows))


def merge_columns(a: ColumnMoments, b: ColumnMoments) -> ColumnMoments:
    """The columns, each for itself."""
    na, nb = a.count.astype(np.float64), b.count.astype(np.float64)
    some = na + nb > 0  # a column without a value has zeros everywhere, which stay zeros
    n, n_a, n_b = Double.of(np.where(some, na + nb, 1.0)), Double.of(na), Double.of(nb)
    exponent = np.maximum(a.exponent, b.exponent)
    shift_a, shift_b = a.exponent - exponent, b.exponent - exponent
    delta, mean = _between(
        a.double("mean").scaled(shift_a), b.double("mean").scaled(shift_b), n_b / n
    )
    step = delta / n
    cross = product(na, nb)
    a2, a3, a4 = (a.double(f"m{power}").scaled(power * shift_a) for power in (2, 3, 4))
    b2, b3, b4 = (b.double(f"m{power}").scaled(power * shift_b) for power in (2, 3, 4))
    apart = delta * step * cross
    square = step * step
    m2 = a2 + b2 + apart
    m3 = a3 + b3 + apart * step * Double.of(na - nb) + (step * (n_a * b2 - n_b * a2)).times(3.0)
    m4 = (
        a4
        + b4
        + apart * square * (product(na, na) - cross + product(nb, nb))
        + (square * (product(na, na) * b2 + product(nb, nb) * a2)).times(6.0)
        + (step * (n_a * b3 - n_b * a3)).times(4.0)
    )
    lag = _merge_lag(a, b, mean, exponent)
    first, last = (
        _either(a.double("first"), b.double("first"), na > 0),
        _either(b.double("last"), a.double("last"), nb > 0),
    )
    minimum, minimum_rest = _extreme(
        a.double("minimum"), b.double("minimum"), a.minimum < b.minimum, np.minimum
    )
    maximum, maximum_rest = _extreme(
        a.double("maximum"), b.double("maximum"), a.maximum > b.maximum, np.maximum
    )
    return ColumnMoments(
        count=a.count + b.count,
        missing=a.missing + b.missing,
        infinite=a.infinite + b.infinite,
        minimum=minimum,
        minimum_rest=minimum_rest,
        maximum=maximum,
        maximum_rest=maximum_rest,
        mean=mean.high,
        mean_rest=mean.low,
        exponent=exponent,
        m2=m2.high,
        m2_rest=m2.low,
        m3=m3.high,
        m3_rest=m3.low,
        m4=m4.high,
        m4_rest=m4.low,
        first=first.high,
        first_rest=first.low,
        last=last.high,
        last_rest=last.low,
        lag=lag.high,
        lag_rest=lag.low,
    )


def _merge_lag(a: ColumnMoments, b: ColumnMoments, mean: Double, exponent: Integers) -> Double:
    """Of the pairs about the mean of both parts.

    With deviations y from a part's own mean, which lies by d from there and of which all add up to
    0, sum (y + d)(y' + d) = sum y y' - d (first y + last y) + (n - 1) d^2; and the pair where the
    parts meet.
    """
    total = Double.of(np.zeros(exponent.shape))
    for part in (a, b):
        own = part.double("mean").scaled(part.exponent - exponent)
        apart = own - mean
        ends = (
            part.double("first").scaled(-exponent)
            + part.double("last").scaled(-exponent)
            - own
            - own
        )
        pairs = Double.of(np.maximum(part.count - 1.0, 0.0))
        total += (
            part.double("lag").scaled(2 * (part.exponent - exponent))
            - apart * ends
            + apart * apart * pairs
        ).where(part.count > 0)
    meeting = (a.double("last").scaled(-exponent) - mean) * (
        b.double("first").scaled(-exponent) - mean
    )
    return total + meeting.where((a.count > 0) & (b.count > 0))


def _merge_joint(a: Moments, b: Moments) -> JointMoments:
    exponent = np.maximum(a.complete_exponent, b.complete_exponent)
    na, nb = int(a.complete_rows), int(b.complete_rows)
    weight = Double.of(np.float64(nb)) / Double.of(np.float64(max(na + nb, 1)))
    before, after = (
        Double(one.complete_mean, one.complete_mean_rest).scaled(one.complete_exponent - exponent)
        for one in (a, b)
    )
    delta, mean = _between(before, after, weight)
    both = outer(delta, delta) * (Double.of(np.float64(na)) * weight)
    for one in (a, b):
        shift = one.complete_exponent - exponent
        both += one.comoments.scaled(np.add.outer(shift, shift))
    return joint_of(a.places, na + nb, mean, exponent, both)


def _between(a: Double, b: Double, weight: Double) -> tuple[Double, Double]:
    """Distance from mean a to mean b, and the point at `weight` of the way."""
    delta = b - a
    return delta, a + delta * weight


def _either(one: Double, other: Double, first: npt.NDArray[np.bool_]) -> Double:
    return Double(np.where(first, one.high, other.high), np.where(first, one.low, other.low))


def _extreme(
    a: Double, b: Double, first: npt.NDArray[np.bool_], choose: np.ufunc
) -> tuple[Floats, Floats]:
    equal = a.high == b.high
    rest = np.where(equal, choose(a.low, b.low), np.where(first, a.low, b.low))
    return choose(a.high, b.high), rest

"""Moments to the fourth and the co-moment matrix, merged without loss.

Merging follows Chan, Golub and LeVeque (1979) for the second moments and Pebay (SAND2008-6212) for the third and fourth: partial results
carry means and *centred* sums, so that an offset of a million standard deviations costs no digits. A mean is held as an unevaluated sum of
two float64: with one, the difference of two means would lose what the offset takes from them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnMoments:
    """What is known of d columns of some rows, each for itself: values that are missing (NaN) or infinite are counted and skipped."""

    count: Integers
    """(d,) finite values."""
    missing: Integers
    """(d,) NaN."""
    infinite: Integers
    """(d,) plus or minus infinity."""
    minimum: Floats
    """(d,) +inf where count is 0."""
    maximum: Floats
    """(d,) -inf where count is 0."""
    mean: Floats
    """(d,) 0 where count is 0."""
    mean_rest: Floats
    """(d,) what rounding took from `mean`; the true mean is nearer to the sum of both."""
    m2: Floats
    """(d,) sum of (x - mean)^2."""
    m3: Floats
    """(d,) sum of (x - mean)^3."""
    m4: Floats
    """(d,) sum of (x - mean)^4."""

    @classmethod
    def empty(cls, columns: int) -> ColumnMoments:
        """Of no rows: merging it changes nothing."""
        integers, floats = np.zeros(columns, np.int64), np.zeros(columns)
        return ColumnMoments(
            count=integers,
            missing=integers,
            infinite=integers,
            minimum=np.full(columns, np.inf),
            maximum=np.full(columns, -np.inf),
            mean=floats,
            mean_rest=floats,
            m2=floats,
            m3=floats,
            m4=floats,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments(ColumnMoments):
    """The columns, each for itself, and together over the complete rows: those with a finite value in every column."""

    rows: Integers
    """() all rows."""
    complete_rows: Integers
    """() rows that the co-moments are over."""
    complete_mean: Floats
    """(d,) column means over the complete rows."""
    complete_mean_rest: Floats
    """(d,) as mean_rest."""
    comoment: Floats
    """(d, d) sum of (x_i - mean_i)(x_j - mean_j) over the complete rows."""

    @classmethod
    def of_columns(
        cls, columns: ColumnMoments, *, rows: int, complete_rows: int, complete_mean: tuple[Floats, Floats], comoment: Floats
    ) -> Moments:
        """Puts both halves together; `complete_mean` is the mean and its rest."""
        return cls(
            **vars(columns),
            rows=np.asarray(rows, np.int64),
            complete_rows=np.asarray(complete_rows, np.int64),
            complete_mean=complete_mean[0],
            complete_mean_rest=complete_mean[1],
            comoment=comoment,
        )

    @classmethod
    def empty(cls, columns: int) -> Moments:
        """Of no rows: merging it changes nothing."""
        return cls.of_columns(
            ColumnMoments.empty(columns),
            rows=0,
            complete_rows=0,
            complete_mean=(np.zeros(columns), np.zeros(columns)),
            comoment=np.zeros((columns, columns)),
        )

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Field name -> array."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def merge_columns(a: ColumnMoments, b: ColumnMoments) -> ColumnMoments:
    """Moments of the rows of `a` followed by those of `b`. Which one comes first can change last bits: see `tree`."""
    na, nb = a.count.astype(np.float64), b.count.astype(np.float64)
    n = na + nb
    safe = np.maximum(n, 1.0)  # a column without a value has zeros everywhere, which then stay zeros
    delta, mean, mean_rest = _merge_means((a.mean, a.mean_rest), (b.mean, b.mean_rest), nb / safe)
    step = delta / safe
    square = step * step
    cross = na * nb
    return ColumnMoments(
        count=a.count + b.count,
        missing=a.missing + b.missing,
        infinite=a.infinite + b.infinite,
        minimum=np.minimum(a.minimum, b.minimum),
        maximum=np.maximum(a.maximum, b.maximum),
        mean=mean,
        mean_rest=mean_rest,
        m2=a.m2 + b.m2 + delta * step * cross,
        m3=a.m3 + b.m3 + delta * square * cross * (na - nb) + 3.0 * step * (na * b.m2 - nb * a.m2),
        m4=a.m4
        + b.m4
        + delta * step * square * cross * (na * na - cross + nb * nb)
        + 6.0 * square * (na * na * b.m2 + nb * nb * a.m2)
        + 4.0 * step * (na * b.m3 - nb * a.m3),
    )


def merge(a: Moments, b: Moments) -> Moments:
    """Moments of the rows of `a` followed by those of `b`; merge_columns for the co-moments too."""
    complete = int(a.complete_rows) + int(b.complete_rows)
    weight = int(b.complete_rows) / max(complete, 1)
    before, after = (a.complete_mean, a.complete_mean_rest), (b.complete_mean, b.complete_mean_rest)
    shift, mean, mean_rest = _merge_means(before, after, np.float64(weight))
    comoment = np.multiply.outer(shift, shift)
    comoment *= int(a.complete_rows) * weight
    comoment += a.comoment
    comoment += b.comoment
    return Moments.of_columns(
        merge_columns(a, b),
        rows=int(a.rows) + int(b.rows),
        complete_rows=complete,
        complete_mean=(mean, mean_rest),
        comoment=comoment,
    )


def _merge_means(a: tuple[Floats, Floats], b: tuple[Floats, Floats], weight: Floats | np.float64) -> tuple[Floats, Floats, Floats]:
    """Distance from mean a to mean b, and the point at `weight` of the way as a mean and its rest."""
    far, near = b[0] - a[0], b[1] - a[1]
    step = far * weight
    mean = a[0] + step
    back = mean - a[0]
    lost = (a[0] - (mean - back)) + (step - back)  # exact, after Knuth
    return far + near, mean, lost + a[1] + near * weight

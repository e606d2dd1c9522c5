"""Moments to the fourth and the co-moment matrix, merged without loss.

Merging follows Chan, Golub and LeVeque (1979) for the second moments and Pebay (SAND2008-6212) for the third and fourth: partial results
carry means and *centred* sums, so that an offset of a million standard deviations costs no digits.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """What is known of some rows of a table with d number columns.

    Column statistics skip values that are missing (NaN) or infinite, each column for itself. The co-moments are over complete rows: those
    with a finite value in every column.
    """

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
    m2: Floats
    """(d,) sum of (x - mean)^2."""
    m3: Floats
    """(d,) sum of (x - mean)^3."""
    m4: Floats
    """(d,) sum of (x - mean)^4."""
    rows: Integers
    """() all rows."""
    complete_rows: Integers
    """() rows that the co-moments are over."""
    complete_mean: Floats
    """(d,) column means over the complete rows."""
    comoment: Floats
    """(d, d) sum of (x_i - mean_i)(x_j - mean_j) over the complete rows."""

    @classmethod
    def empty(cls, columns: int) -> Moments:
        """Of no rows: merging it changes nothing."""
        integers, floats = np.zeros(columns, np.int64), np.zeros(columns)
        zero = np.zeros((), np.int64)
        return cls(
            count=integers,
            missing=integers,
            infinite=integers,
            minimum=np.full(columns, np.inf),
            maximum=np.full(columns, -np.inf),
            mean=floats,
            m2=floats,
            m3=floats,
            m4=floats,
            rows=zero,
            complete_rows=zero,
            complete_mean=floats,
            comoment=np.zeros((columns, columns)),
        )

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Field name -> array."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def merge(a: Moments, b: Moments) -> Moments:
    """Moments of the rows of `a` followed by those of `b`. Which one comes first can change last bits: see `tree`."""
    na, nb = a.count.astype(np.float64), b.count.astype(np.float64)
    n = na + nb
    safe = np.maximum(n, 1.0)  # a column without a value has zeros everywhere, which then stay zeros
    delta = b.mean - a.mean
    step = delta / safe
    square = step * step
    cross = na * nb
    complete = int(a.complete_rows) + int(b.complete_rows)
    shift = b.complete_mean - a.complete_mean
    weight = int(b.complete_rows) / max(complete, 1)
    comoment = np.multiply.outer(shift, shift)
    comoment *= int(a.complete_rows) * weight
    comoment += a.comoment
    comoment += b.comoment
    return Moments(
        count=a.count + b.count,
        missing=a.missing + b.missing,
        infinite=a.infinite + b.infinite,
        minimum=np.minimum(a.minimum, b.minimum),
        maximum=np.maximum(a.maximum, b.maximum),
        mean=a.mean + delta * (nb / safe),
        m2=a.m2 + b.m2 + delta * step * cross,
        m3=a.m3 + b.m3 + delta * square * cross * (na - nb) + 3.0 * step * (na * b.m2 - nb * a.m2),
        m4=a.m4
        + b.m4
        + delta * step * square * cross * (na * na - cross + nb * nb)
        + 6.0 * square * (na * na * b.m2 + nb * nb * a.m2)
        + 4.0 * step * (na * b.m3 - nb * a.m3),
        rows=a.rows + b.rows,
        complete_rows=np.asarray(complete, np.int64),
        complete_mean=a.complete_mean + shift * weight,
        comoment=comoment,
    )

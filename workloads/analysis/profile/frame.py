"""How the values of a column are written before they are multiplied: about a centre, in a unit that
is a power of two.

NumPy and CuPy arrays alike: elementwise operations only, each a ufunc of its own, so that nothing
is fused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.folds import folded, total
from workloads.analysis.profile.moments import NOTHING, Floats, Integers

Array = Any
"""A NumPy or a CuPy array."""

Extremes = tuple[Floats, Floats]
"""(d,) smallest and largest value of each column, on the host."""

LARGEST_REST: Final = 2048.0
"""More than float64 takes from any 64-bit number, and from the one beside it."""
_SAMPLED: Final = 4
"""Every fourth value says where to centre a column: with the worst of luck 1.7 standard deviations
from the mean."""
_SAMPLE_PARTIALS: Final = 16
_SMALLEST, _LARGEST = -150, 200
"""Exponents of the largest value of a column whose fourth powers neither vanish nor overflow."""
_CENTRE_BITS: Final = 12
"""Bits of a centre, below the exponent of the column's range. That range is at most 512 standard
deviations of 2^16 rows, so that centres are as near as the sample lets them be, and powers of
ordinary whole numbers have few digits."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """How columns are written: x = (centre + y) 2^exponent with |y| < 2^spread.

    Times `scale(bits)` of 20 bits or more the centre is a whole number, so that the nearest whole
    number of a value so scaled, less that of the centre, is exact, and so is what is left.
    """

    exponent: Integers
    """(d,) NOTHING for columns of zeros and without values."""
    centre: Floats
    """(d,)"""
    spread: Integers
    """(d,) NOTHING where y is 0 throughout."""

    @classmethod
    def empty(cls, columns: int) -> Frame:
        """Of columns without values."""
        return cls(
            exponent=np.full(columns, NOTHING, np.int64),
            centre=np.zeros(columns),
            spread=np.full(columns, NOTHING, np.int64),
        )

    @classmethod
    def joined(cls, parts: Sequence[Frame]) -> Frame:
        """Of the columns of all parts, in order."""
        return cls(
            exponent=np.concatenate([part.exponent for part in parts]),
            centre=np.concatenate([part.centre for part in parts]),
            spread=np.concatenate([part.spread for part in parts]),
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

    def scaled(self, values: Array, upload: Callable[[npt.NDArray[Any]], Array]) -> Array:
        """Some values (d, n) times 2^-exponent: they themselves where no column needs it."""
        shift = self.shift
        return np.ldexp(values, upload(-shift[:, None])) if shift.any() else values

    def scale(self, bits: int) -> Floats:
        """(d,) by which y becomes smaller than 2^bits; 0 where y is 0 throughout."""
        constant = self.spread == NOTHING
        return np.where(constant, 0.0, np.ldexp(1.0, bits - np.where(constant, 0, self.spread)))


def as_it_is(array: Any) -> Any:
    """Upload and download of arrays that are on the host."""
    return array


def extremes(values: Array, download: Callable[[Array], npt.NDArray[Any]] = as_it_is) -> Extremes:
    """Of columns (d, n); NaN where a column has one."""
    return download(values.min(axis=1)) + 0.0, download(values.max(axis=1)) + 0.0


def frame_of(
    values: Array,
    ends: Extremes,
    slack: Floats,
    upload: Callable[..., Array],
    download: Callable[..., npt.NDArray[Any]],
) -> Frame:
    """A frame for columns without gaps.

    Args:
        values: (d, n) finite float64; n > 0.
        ends: Their extremes.
        slack: (d,) how far beyond these the values of the file may lie that float64 rounded to
            them.
        upload: From the host to where the values are.
        download: Back.
    """
    low, high = ends
    largest = np.maximum(np.abs(low), np.abs(high))
    exponent = np.frexp(largest)[1].astype(np.int64)
    exponent[(exponent >= _SMALLEST) & (exponent <= _LARGEST)] = 0
    exponent[largest == 0] = NOTHING
    shift = np.where(exponent == NOTHING, 0, exponent)
    low, high = np.ldexp(low, -shift), np.ldexp(high, -shift)
    sample = values[:, ::_SAMPLED].copy()
    if shift.any():
        sample = np.ldexp(sample, upload(-shift[:, None]))
    mean = total(download(folded(sample, _SAMPLE_PARTIALS))).high / sample.shape[1]
    width = np.frexp(high - low)[1] - _CENTRE_BITS
    centre = np.where(high > low, np.ldexp(np.rint(np.ldexp(mean, -width)), width), low)
    farthest = np.maximum(high - centre, centre - low) + slack
    spread = np.where(farthest > 0, np.frexp(farthest)[1], NOTHING).astype(np.int64)
    return Frame(exponent=exponent, centre=centre, spread=spread)

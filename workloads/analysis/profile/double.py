"""Numbers of some 106 bits: the unevaluated sum of two float64 (Dekker, Numerische Mathematik 18,
1971).

Sums of a table's parts are kept like this, so that however many parts it has, what is rounded last
is the result. Every step is a single correctly rounded operation on its own, in a fixed order and
without a fused multiply-add: the bits are the same on every machine. NumPy and CuPy arrays alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

_SPLITTER: Final = 134217729.0  # 2^27 + 1


@dataclass(frozen=True, slots=True, eq=False)
class Double:
    """`high + low`, |low| at most half a unit in the last place of `high`.

    Arrays of one shape; not for values beyond 2^990.
    """

    high: Any
    low: Any

    @classmethod
    def of(cls, value: Any) -> Double:
        """A float64 as it is."""
        return cls(value, np.zeros_like(value))

    def __add__(self, other: Double) -> Double:
        high, lost = _sum(self.high, other.high)
        low, least = _sum(self.low, other.low)
        high, lost = _renormalised(high, lost + low)
        return Double(*_renormalised(high, lost + least))

    def __neg__(self) -> Double:
        return Double(-self.high, -self.low)

    def __sub__(self, other: Double) -> Double:
        return self + (-other)

    def __mul__(self, other: Double) -> Double:
        high, lost = _product(self.high, other.high)
        return Double(*_renormalised(high, lost + (self.high * other.low + self.low * other.high)))

    def __truediv__(self, other: Double) -> Double:
        """Elementwise; the divisor is not 0."""
        first = self.high / other.high
        rest = self - Double.of(first) * other
        second = rest.high / other.high
        rest = rest - Double.of(second) * other
        high, low = _renormalised(first, second)
        return Double(high, low) + Double.of(rest.high / other.high)

    def times(self, factor: float) -> Double:
        """Times a small whole number."""
        return self * Double.of(np.full_like(self.high, factor))

    def scaled(self, exponents: Any) -> Double:
        """Times 2^exponents, which is exact unless it underflows."""
        return Double(np.ldexp(self.high, exponents), np.ldexp(self.low, exponents))

    def root(self) -> Double:
        """Square root; 0 of what is not positive."""
        positive = self.high > 0
        root = np.sqrt(np.where(positive, self.high, 1.0))
        rest = self - Double.of(root) * Double.of(root)
        high, low = _renormalised(root, rest.high / (2.0 * root))
        return Double(np.where(positive, high, 0.0), np.where(positive, low, 0.0))

    def where(self, condition: Any) -> Double:
        """The same, and 0 where the condition does not hold."""
        return Double(np.where(condition, self.high, 0.0), np.where(condition, self.low, 0.0))

    @property
    def value(self) -> Any:
        """Rounded to float64."""
        return self.high + self.low

    def __getitem__(self, places: Any) -> Double:
        return Double(self.high[places], self.low[places])


def product(left: Any, right: Any) -> Double:
    """Of two float64, without error."""
    return Double(*_product(left, right))


def outer(left: Double, right: Double) -> Double:
    """(a,) and (b,) -> (a, b)."""
    return left[:, None] * right[None, :]


def whole(numbers: Any) -> Double:
    """Of int64 numbers, without error."""
    high = numbers.astype(np.float64)
    return Double(high, (numbers - high.astype(np.int64)).astype(np.float64))


def _sum(left: Any, right: Any) -> tuple[Any, Any]:
    """Rounded sum and what rounding took from it, exactly (Knuth)."""
    found = left + right
    back = found - left
    return found, (left - (found - back)) + (right - back)


def _renormalised(high: Any, low: Any) -> tuple[Any, Any]:
    """As _sum, for |high| >= |low| or high = 0."""
    found = high + low
    return found, low - (found - high)


def _product(left: Any, right: Any) -> tuple[Any, Any]:
    """Rounded product and what rounding took from it, exactly (Veltkamp, Dekker)."""
    found = left * right
    left_high, left_low = _split(left)
    right_high, right_low = _split(right)
    lost = (
        (left_high * right_high - found) + left_high * right_low + left_low * right_high
    ) + left_low * right_low
    return found, lost


def _split(value: Any) -> tuple[Any, Any]:
    wide = _SPLITTER * value
    high = wide - (wide - value)
    return high, value - high

"""Sums of powers of centred columns, with the same bits on every machine and better than float64
would add them up.

The centred values themselves are cut into whole numbers, whose sum is exact, and what is beside
them. Their powers are rounded one by one and folded in an order that follows from the number of
rows alone. What that leaves is the rounding of terms, thousands of them and independent of one
another: some hundredth of a unit in the last place of the sum, unless few rows make up most of it,
or few values, whose errors come again with every row. Such rows, which a fourth power tells from
the others, are worked on as `Double`, and so are values that a column has few of, once each; in
units of up to 8,192 rows all rows are, for there errors have few others to cancel them, and time is
no matter.

NumPy and CuPy arrays alike: elementwise operations only, each a ufunc of its own, so that nothing
is fused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.compiled import passes_over
from workloads.analysis.profile.double import Double
from workloads.analysis.profile.folds import folded, folded_doubles, total, total_of_many
from workloads.analysis.profile.frame import Array, Frame
from workloads.analysis.profile.moments import Floats

Sums = tuple[Double, Double, Double, Double, Double]
"""(d,) each: of y, y^2, y^3 and y^4, and of the products of y in each row with y in the row after
it.
"""

FEW: Final = 1 << 13
"""Rows of a unit that is worked on in `Double`."""
_PARTIALS: Final = 2048
"""To which float64 folds; from there on nothing that matters is lost."""
_BITS: Final = 35
"""Of the whole numbers: the sum of 2^16 stays within 2^52."""
_TERMS: Final = 5
"""That are folded: cubes, fourth powers, the products of neighbours; then squares, and what is
beside the whole numbers.
"""
_HIGHER: Final = 3
"""The first of them, where sums of values and squares are known."""
_HEAVY: Final = 2.0**-8
"""Share of one row in the sum of fourth powers from which on a column's far rows are taken out."""
_SAMPLED, _SAMPLED_VALUES = 256, 128
"""First rows of a column, and the different values among them up to which it may have few."""
_VALUES: Final = 1024
"""Different values of a column up to which these are few: the errors of more cancel out."""
_FAR: Final = 2.0**-12
"""Share of each of these: no more than 4,096 rows can have it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """Columns without gaps, on the host or on a GPU."""

    values: Array
    """(d, n) finite float64; n > 0."""
    rests: Array | None
    """(d, n) what float64 took from whole numbers beyond 2^53: the value is the sum of both.

    None where it took nothing.
    """
    frame: Frame
    upload: Callable[[npt.NDArray[Any]], Array]
    """From the host to where the arrays are."""
    download: Callable[[Array], npt.NDArray[Any]]
    """Back."""


def scratch(like: Array, rows: int) -> Array:
    """Memory for columns of so many rows, where `like` is; whole cache lines each."""
    return np.empty_like(like, shape=(_TERMS + 1, -(-rows // 8) * 8))


def sums(columns: Columns, farthest: Floats, room: Array | None, *, lower: bool = True) -> Sums:
    """Of all columns.

    Args:
        columns: The columns.
        farthest: (d,) largest |y| of each.
        room: What `scratch` gave for as many rows or more; saves time where it is used again.
        lower: Whether the sums of y and y^2 are asked for; they may be left 0 where they are not,
            for more than `FEW` rows without rests.
    """
    rows = columns.values.shape[1]
    if rows <= FEW:
        return _careful(columns)
    room = scratch(columns.values, rows) if room is None else room
    found = [
        _Column(columns, place, float(scale), room[:, :rows], lower=lower)
        for place, scale in enumerate(columns.frame.scale(_BITS))
    ]
    sums = _added(found, columns)
    few = _few(columns)
    repeated = [column.repeated() if few[place] else None for place, column in enumerate(found)]
    heavy = _largest(columns.frame, farthest) > _HEAVY * sums[3].high
    heavy &= np.array([one is None for one in repeated])
    if heavy.any():
        apart = np.zeros((3, 2, len(found)))
        for place in np.flatnonzero(heavy).tolist():
            far = found[place].take_far(_FAR * float(sums[3].high[place]))
            for power, one in enumerate(_powers(far, columns.download)[1:]):
                apart[power, :, place] = one.high[0], one.low[0]
        added, *others, pairs = _added(found, columns)
        second, third, fourth = (
            one + Double(*more) for one, more in zip(others, apart, strict=True)
        )
        sums = added, second, third, fourth, pairs
    for place, precise in enumerate(repeated):
        if precise is not None:
            for rounded, exact in zip(sums[1:4], precise, strict=True):
                rounded.high[place], rounded.low[place] = exact.high[0], exact.low[0]
    unit = columns.frame.spread - _BITS
    added, second, third, fourth, pairs = (
        one.scaled(power * unit) for one, power in zip(sums, (1, 2, 3, 4, 2), strict=True)
    )
    return added, second, third, fourth, pairs


class _Column:
    """A column of many rows; all sums are of y in units of 2^(spread - 35).

    Args:
        columns: It is one of these.
        place: Its place among them.
        scale: Of its frame.
        terms: (6, n) memory to work in, which is overwritten.
        lower: Whether the sums of y and y^2 are asked for.
    """

    def __init__(
        self, columns: Columns, place: int, scale: float, terms: Array, *, lower: bool
    ) -> None:
        self._columns, self._scale, self._terms = columns, scale, terms
        self._rows = slice(place, place + 1)
        frame = columns.frame
        self._shift = int(frame.shift[place])
        self._centre = float(frame.centre[place]) * self._scale
        self.whole = 0.0
        """Sum of the whole numbers."""
        # where nothing is cut, a power of two may wait until little is left to be multiplied: it
        # changes no bit but of terms that are as good as 0
        late = not (lower or self._shift or columns.rests is not None)
        scaled_by, less = (1.0, float(frame.centre[place])) if late else (scale, self._centre)
        compiled = None if columns.rests is not None else passes_over(columns.values)
        self.partials: Array
        """(5 or 3, m) of the terms."""
        if compiled is not None:
            values = self._unscaled()
            folds = compiled.powers(values, scaled_by, less, _PARTIALS, terms, lower=lower)
            self.partials = folds[: _TERMS if lower else _HIGHER]
            if lower:
                self.whole = float(folds[-1].sum())
        elif lower:
            self.whole = self._cut()
            self.partials = self._folded(_TERMS)
        else:
            values = columns.values[place] if late else self._scaled(terms[0])
            np.subtract(values, less, out=terms[0])
            self.partials = self._folded(_HIGHER)
        if late:
            square = scale * scale
            powers = np.array([[square * scale], [square * square], [square]])
            self.partials *= columns.upload(powers)

    def take_far(self, limit: float) -> Double:
        """(1, m) of rows with a fourth power above the limit, without an error that matters; the
        sums are now of the others.
        """
        self._cut()
        self._multiply()
        (far,) = (self._terms[2] > limit).nonzero()
        self._terms[0][far] = 0.0
        self._multiply()
        self.partials[:2] = folded(self._terms[1:3], _PARTIALS)
        if len(self.partials) == _TERMS:
            self.partials[3:4] = folded(self._terms[4:5], _PARTIALS)
        centred = self._precisely(self._scaled(self._terms[_TERMS])[None, far])
        if self._columns.rests is None:
            return centred
        return centred + Double.of(self._columns.rests[self._rows, far] * self._scale)

    def repeated(self) -> list[Double] | None:
        """(1,) sums of squares, cubes and fourth powers, if the column has few values."""
        ordered = _sorted(self._scaled(self._terms[0]))
        last = self._columns.download(_different(ordered))
        if last.size > _VALUES:
            return None
        last = np.append(last, ordered.size - 1)
        values = self._columns.download(ordered[self._columns.upload(last)])
        centred = self._precisely(values[None])
        times = Double.of(np.diff(last, prepend=-1).astype(np.float64)[None])
        return [_total(one * times, np.asarray) for one in _terms(centred)[1:]]

    def _precisely(self, values: Array) -> Double:
        return Double.of(values) - Double.of(np.full_like(values, self._centre))

    def _folded(self, kinds: int) -> Array:
        """The first so many terms of y, which stands in the first row of the memory."""
        self._multiply()
        centred, pairs = self._terms[0], self._terms[3]
        np.multiply(centred[:-1], centred[1:], out=pairs[:-1])
        pairs[-1:] = 0.0  # the last row of all has none after it
        return folded(self._terms[1 : 1 + kinds], _PARTIALS)

    def _unscaled(self) -> Array:
        """(n,) in the frame's unit."""
        (values,) = self._columns.values[self._rows]
        return np.ldexp(values, -self._shift) if self._shift else values

    def _scaled(self, out: Array) -> Array:
        """(n,) in these units, not centred."""
        return np.multiply(self._unscaled(), self._scale, out=out)

    def _cut(self) -> float:
        """Writes y, and what is beside its whole numbers; their sum, which is exact in any
        order.
        """
        centred, whole, beside = self._terms[0], self._terms[1], self._terms[_TERMS]
        np.rint(self._scaled(beside), out=whole)
        beside -= whole
        whole -= self._centre
        if self._columns.rests is not None:
            beside += self._columns.rests[self._rows][0] * self._scale
        np.add(whole, beside, out=centred)
        return float(whole.sum())

    def _multiply(self) -> None:
        centred, cube, fourth, _, square, _ = self._terms
        np.multiply(centred, centred, out=square)
        np.multiply(square, centred, out=cube)
        np.multiply(square, square, out=fourth)


def _few(columns: Columns) -> npt.NDArray[np.bool_]:
    """(d,) whether the first rows have few values each; False with rests."""
    if columns.rests is not None:
        return np.zeros(len(columns.values), np.bool_)
    sample = _sorted(columns.values[:, :_SAMPLED])
    different = columns.download((sample[:, 1:] != sample[:, :-1]).sum(axis=1))
    found: npt.NDArray[np.bool_] = different <= _SAMPLED_VALUES
    return found


def _added(found: list[_Column], columns: Columns) -> Sums:
    partials = np.concatenate([columns.download(column.partials) for column in found])
    each, terms = total_of_many(partials), len(partials) // len(found)
    third, fourth, pairs = (each[term::terms] for term in range(_HIGHER))
    if terms == _HIGHER:
        unknown, nothing = (Double.of(np.zeros(len(found))) for _ in range(2))
        return unknown, nothing, third, fourth, pairs
    whole = Double.of(np.array([column.whole for column in found]))
    return whole + each[4::terms], each[3::terms], third, fourth, pairs


def _largest(frame: Frame, farthest: Floats) -> Floats:
    """(d,) largest fourth power of each column."""
    square = np.square(farthest * frame.scale(_BITS))
    return square * square


def _sorted(values: Array) -> Array:
    ordered = values.copy()
    ordered.sort()
    return ordered


def _different(ordered: Array) -> Array:
    """Places of values that differ from the next one."""
    (places,) = (ordered[1:] != ordered[:-1]).nonzero()
    return places


def _powers(centred: Double, download: Callable[[Array], npt.NDArray[Any]]) -> list[Double]:
    """(d,) sums of the first four powers."""
    return [_total(one, download) for one in _terms(centred)]


def _terms(centred: Double) -> tuple[Double, Double, Double, Double]:
    square = centred * centred
    return centred, square, square * centred, square * square


def _careful(columns: Columns) -> Sums:
    """Without a rounding error that matters."""
    scaled = columns.frame.scaled(columns.values, columns.upload)
    centre = np.zeros_like(scaled) + columns.upload(columns.frame.centre[:, None])
    centred = Double.of(scaled) - Double.of(centre)
    if columns.rests is not None:
        centred += Double.of(columns.rests)
    first, second, third, fourth = _powers(centred, columns.download)
    pairs = centred[:, :-1] * centred[:, 1:]
    return first, second, third, fourth, _total(pairs, columns.download)


def _total(terms: Double, download: Callable[[Array], npt.NDArray[Any]]) -> Double:
    added = folded_doubles(terms)
    return total(download(added.high), download(added.low))

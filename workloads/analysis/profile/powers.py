"""Sums of powers of centred columns, with the same bits on every machine and better than float64 would add them up.

Powers are rounded one by one and folded in an order that follows from the number of rows alone.
What that leaves is the rounding of some hundred terms at a time, independent of one another: a
hundredth of a unit in the last place of the sum, unless few rows make up most of it. Such rows,
which a fourth power tells from the others, are worked on as `Double`; in units of up to 8,192 rows
all of them are, for there errors have few others to cancel them, and time is no matter.

NumPy and CuPy arrays alike: elementwise operations only, each a ufunc of its own, so that nothing is fused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.double import Double
from workloads.analysis.profile.folds import folded, folded_doubles, total
from workloads.analysis.profile.frame import Array, Frame
from workloads.analysis.profile.moments import Floats

Sums = tuple[Double, Double, Double, Double, Double]
"""(d,) each: of y, y^2, y^3 and y^4, and of the products of y in each row with y in the row after it."""

FEW: Final = 1 << 13
"""Rows of a unit that is worked on in `Double`."""
_POWERS: Final = 4
_PARTIALS: Final = 256
"""To which float64 folds."""
_HEAVY: Final = 2.0**-8
"""Share of one row in the sum of fourth powers from which on a column's far rows are taken out."""
_FAR: Final = 2.0**-12
"""Share of each of these: no more than 4,096 rows can have it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """Columns without gaps, on the host or on a GPU."""

    values: Array
    """(d, n) finite float64; n > 0."""
    rests: Array | None
    """(d, n) what float64 took from whole numbers beyond 2^53: the value is the sum of both. None where it took nothing."""
    frame: Frame
    upload: Callable[[npt.NDArray[Any]], Array]
    """From the host to where the arrays are."""
    download: Callable[[Array], npt.NDArray[Any]]
    """Back."""


def scratch(like: Array, rows: int) -> Array:
    """Memory for columns of so many rows, where `like` is; whole cache lines each."""
    return np.empty_like(like, shape=(_POWERS + 1, -(-rows // 8) * 8))


def sums(columns: Columns, farthest: Floats, room: Array | None) -> Sums:
    """Of all columns.

    Args:
        columns: The columns.
        farthest: (d,) largest |y| of each.
        room: What `scratch` gave for as many rows or more; saves time where it is used again.
    """
    rows = columns.values.shape[1]
    if rows <= FEW:
        return _careful(columns)
    room = scratch(columns.values, rows) if room is None else room
    found = [_folds(columns, place, room[:, :rows]) for place in range(columns.values.shape[0])]
    rounded = _added(columns, found)
    fourths = farthest * farthest
    fourths = fourths * fourths
    heavy = np.flatnonzero(fourths > _HEAVY * rounded[_POWERS - 1].high)
    if not heavy.size:
        return rounded
    far_sums = np.zeros((2, _POWERS, columns.values.shape[0]))
    for place in heavy.tolist():
        limit = _FAR * float(rounded[_POWERS - 1].high[place])
        far = _take_far(columns, place, limit, room[:, :rows], found[place])
        for power, one in enumerate(_powers(_centred(columns, place, far), columns.download)):
            far_sums[:, power, place] = one.high[0], one.low[0]
    first, second, third, fourth, _ = _added(columns, found)
    far_first, far_second, far_third, far_fourth = (Double(*one) for one in far_sums.swapaxes(0, 1))
    return (
        first + far_first,
        second + far_second,
        third + far_third,
        fourth + far_fourth,
        rounded[_POWERS],
    )


def _folds(columns: Columns, place: int, terms: Array) -> Array:
    """(5, 256 or fewer) partial sums of a column."""
    centred, pairs = terms[0], terms[_POWERS]
    _centre(columns, place, centred)
    np.multiply(centred[:-1], centred[1:], out=pairs[:-1])
    pairs[-1:] = 0.0  # the last row of all has none after it
    _multiply(terms)
    return folded(terms, _PARTIALS)


def _take_far(columns: Columns, place: int, limit: float, terms: Array, sums: Array) -> Array:
    """Places of rows with a fourth power above the limit; `sums` become those of the others."""
    _centre(columns, place, terms[0])
    _multiply(terms)
    (far,) = (terms[_POWERS - 1] > limit).nonzero()
    terms[0][far] = 0.0
    _multiply(terms)
    sums[:_POWERS] = folded(terms[:_POWERS], _PARTIALS)
    return far


def _centre(columns: Columns, place: int, out: Array) -> None:
    row, shift = columns.values[place], int(columns.frame.shift[place])
    if shift:
        row = np.ldexp(row, -shift)
    np.subtract(row, float(columns.frame.centre[place]), out=out)
    if columns.rests is not None:
        out += columns.rests[place]


def _multiply(terms: Array) -> None:
    centred, square, cube, fourth = terms[:_POWERS]
    np.multiply(centred, centred, out=square)
    np.multiply(square, centred, out=cube)
    np.multiply(square, square, out=fourth)


def _added(columns: Columns, found: list[Array]) -> Sums:
    """Of partial sums (5, m) of each column."""
    partials = np.concatenate([columns.download(one) for one in found])
    added = folded_doubles(Double.of(partials))
    each = total(added.high, added.low)
    first, second, third, fourth, pairs = (each[power :: _POWERS + 1] for power in range(5))
    return first, second, third, fourth, pairs


def _centred(columns: Columns, place: int, rows: Array) -> Double:
    """(1, m) of some rows of a column, without an error that matters."""
    row, shift = columns.values[place : place + 1, rows], int(columns.frame.shift[place])
    if shift:
        row = np.ldexp(row, -shift)
    centre = np.full_like(row, float(columns.frame.centre[place]))
    found = Double.of(row) - Double.of(centre)
    return (
        found
        if columns.rests is None
        else found + Double.of(columns.rests[place : place + 1, rows])
    )


def _powers(centred: Double, download: Callable[[Array], npt.NDArray[Any]]) -> list[Double]:
    """(d,) sums of the first four powers."""
    square = centred * centred
    terms = (centred, square, square * centred, square * square)
    return [_total(one, download) for one in terms]


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

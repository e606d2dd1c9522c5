"""Numbers as people read them.

Everything here takes None or NaN for `there is no such number` and shows a dash.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from workloads.formats import DASH

_FEW_DIGITS = 9
_EXACT = 2**53
"""Largest whole number up to which each is a float64."""


def number(value: float | None, *, spread: float | None = None) -> str:
    """A number with the digits that tell it from others, thousands separated.

    Four significant digits; more, up to the 17 that a float64 has, where values lie closer
    together: three digits of `spread` are always shown. Powers of ten where that would not fit a
    table cell.

    Args:
        value: what is shown.
        spread: how far values of the same kind lie apart (a standard deviation, a difference).
    """
    if value is None or not math.isfinite(value):
        return DASH
    if value == 0:
        return "0"
    digits = 4
    if spread is not None and math.isfinite(spread) and spread > 0:
        apart = _exponent(value) - _exponent(spread)
        digits = min(max(digits, apart + 3), 17)
    mantissa, power = f"{value:.{digits - 1}e}".split("e")
    exponent = int(power)
    if exponent < -4 or exponent >= max(9, digits):
        return f"{_trimmed(mantissa)}e{exponent}"
    return _trimmed(f"{value:,.{max(0, digits - 1 - exponent)}f}")


def _exponent(value: float) -> int:
    """Of ten, as the value is written: libraries differ in the last bit of a logarithm."""
    return Decimal(value).adjusted()


def quantity(value: float | None, *, spread: float | None = None, whole: bool = False) -> str:
    """A value of a number column: exact where the column holds whole numbers and this is one, else
    as `number` shows it.
    """
    if whole and value is not None and math.isfinite(value) and value == int(value):
        return f"{int(value):,}"
    return number(value, spread=spread)


def stored(value: float | None, *, spread: float | None = None, whole: bool = False) -> str:
    """A value that stands in the file itself (a minimum, a cell): all of its digits where they are
    few, else as `quantity` shows it.
    """
    if value is not None and math.isfinite(value) and 1e-4 <= abs(value) < 1e9:
        digits = repr(float(value)).replace(".", "").strip("-0")
        if len(digits) <= _FEW_DIGITS:
            return _trimmed(f"{float(value):,}")
    return quantity(value, spread=spread, whole=whole)


def pair(part: Mapping[str, Any]) -> str:
    """A value of a remote row beside its nearest row's, with the digits that tell them apart.

    Where the nearest row is odd in the same way, the value of the farther one that the score goes
    by follows.
    """
    value, near, far = part["value"], part["neighbour_value"], part.get("kth_value")
    if value is None or near is None:
        others = [near]
    elif far is not None and 2 * abs(value - near) < abs(value - far):
        others = [near, far]
    else:
        others = [near]
    known = [each for each in (value, *others) if each is not None]
    whole = all(math.isfinite(each) and each == int(each) and abs(each) < _EXACT for each in known)
    apart = [abs(value - each) for each in others if value is not None and each is not None]
    spread = min((each for each in apart if each), default=max(apart, default=None))
    shown = [stored(each, spread=spread, whole=whole) for each in (value, *others)]
    return f"{shown[0]} beside {' and '.join(shown[1:])}"


def cell(value: object) -> str:
    """A cell of the cleaned table as it is stored there: every digit, no separators; a dash where
    there is no value.
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return DASH
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(int(value)) if value == int(value) and abs(value) < _EXACT else repr(value)
    return str(value)


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def count(value: int | None) -> str:
    """A whole number, exact."""
    return DASH if value is None else f"{value:,}"


def ordinal(value: int) -> str:
    """A place in an order: 1st, 2nd, 3rd, 4th, 11th, 21st, 111th."""
    endings = {1: "st", 2: "nd", 3: "rd"}
    teens = 10 < value % 100 < 20
    return f"{value:,}{'th' if teens else endings.get(value % 10, 'th')}"


def percent(part: float, whole: float) -> str:
    """A share in percent; a share that is not nothing is never shown as 0 %, one that is not all
    never as 100 %.
    """
    if whole <= 0:
        return DASH
    share = 100 * part / whole
    if 0 < share < 0.01:
        return "< 0.01 %"
    if 99.99 < share < 100:
        return "> 99.99 %"
    return f"{_trimmed(f'{share:.2f}')} %"


def size(byte_count: int | None) -> str:
    """Bytes in binary units."""
    if byte_count is None:
        return DASH
    value, unit = float(byte_count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{byte_count:,} bytes" if unit == "bytes" else f"{_trimmed(f'{value:.1f}')} {unit}"


def date(yyyymmdd: str) -> str:
    """A folder date as 2026-01-31."""
    return f"{yyyymmdd[:4]}-{yyyymmdd[4:6]}-{yyyymmdd[6:]}"

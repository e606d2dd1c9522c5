"""What the text of a scalar stands for: the rules of gopkg.in/yaml.v3 (its resolve.go), in
Python.
"""

from __future__ import annotations

import calendar
import math
import re
from dataclasses import dataclass
from typing import Any, Final

_NAMED: Final[dict[str, tuple[str, Any]]] = {
    **dict.fromkeys(("true", "True", "TRUE"), ("!!bool", True)),
    **dict.fromkeys(("false", "False", "FALSE"), ("!!bool", False)),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), ("!!null", None)),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), ("!!float", math.nan)),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), ("!!float", math.inf)),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), ("!!float", -math.inf)),
}
_DECIMAL: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_HEX_FLOAT: Final = re.compile(r"\.[0-9]+([eE][-+]?[0-9]+)?")
_INTEGER: Final = re.compile(
    r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]([0-7]+)|0([0-7]+)|(0|[1-9][0-9]*))"
)
_SIGNED_AFTER: Final = re.compile(r"(-?)0([bo])([-+])([0-7]+)")
_BASES: Final = (16, 2, 8, 8, 10)
_SMALLEST, _LARGEST, _UNSIGNED = -(2**63), 2**63 - 1, 2**64 - 1
_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
_CLOCK: Final = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[.,]([0-9]+))?")
_ZONE: Final = re.compile(r"Z|([-+])([0-9]{2}):([0-9]{2})")
RESOLVED: Final = frozenset({"!!str", "!!bool", "!!int", "!!float", "!!null", "!!timestamp"})
"""Tags whose scalars are looked at; the text under any other is taken as it stands."""


@dataclass(frozen=True, kw_only=True)
class Scalar:
    """What a text stands for."""

    tag: str
    value: Any


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A date, with a time of day or without; to the nanosecond, as Go counts."""

    year: int
    month: int
    day: int
    clock: tuple[int, int, int] = (0, 0, 0)
    fraction: str = ""
    """Of the second, without trailing zeros."""
    zone_minutes: int = 0

    def rfc3339(self) -> str:
        """As the CLI writes it between its two passes."""
        zone = _offset(self.zone_minutes, ":") if self.zone_minutes else "Z"
        return f"{self._date}T{self._time}{zone}"

    def text(self) -> str:
        """What a program gets: Go's own form of a time."""
        zone = _offset(self.zone_minutes, "")
        return f"{self._date} {self._time} {zone} {zone if self.zone_minutes else 'UTC'}"

    @property
    def _date(self) -> str:
        return f"{self.year:04}-{self.month:02}-{self.day:02}"

    @property
    def _time(self) -> str:
        hours, minutes, seconds = self.clock
        return f"{hours:02}:{minutes:02}:{seconds:02}" + (
            f".{self.fraction}" if self.fraction else ""
        )


def _offset(minutes: int, colon: str) -> str:
    sign, minutes = ("-", -minutes) if minutes < 0 else ("+", minutes)
    return f"{sign}{minutes // 60:02}{colon}{minutes % 60:02}"


def resolve(text: str, *, timestamps: bool = True) -> Scalar:
    """What a plain scalar stands for; text where it is nothing else."""
    if text in _NAMED:
        tag, value = _NAMED[text]
        return Scalar(tag=tag, value=value)
    first = text[0]
    if first == "." and _HEX_FLOAT.fullmatch(text):
        return _number(float(text), text)
    if first in "+-0123456789":
        if timestamps and (moment := _moment(text)) is not None:
            return Scalar(tag="!!timestamp", value=moment)
        plain = text.replace("_", "")
        if (integer := _integer(plain)) is not None:
            return Scalar(tag="!!int", value=integer)
        if _DECIMAL.fullmatch(plain):
            return _number(float(plain), text)
    return Scalar(tag="!!str", value=text)


def _number(value: float, text: str) -> Scalar:
    # beyond the range of a double the parser gives up and leaves the text
    return (
        Scalar(tag="!!str", value=text) if math.isinf(value) else Scalar(tag="!!float", value=value)
    )


def _integer(text: str) -> int | None:
    match = _INTEGER.fullmatch(text)
    if match is not None:
        sign, *groups = match.groups()
        ((digits, base),) = [(d, b) for d, b in zip(groups, _BASES, strict=True) if d is not None]
    else:
        # 0b and 0o are tried once more with what follows them, which may have a sign of its own
        match = _SIGNED_AFTER.fullmatch(text)
        if match is None:
            return None
        outer, letter, sign, digits = match.groups()
        base = 2 if letter == "b" else 8
        if outer or (base == 2 and not set(digits) <= {"0", "1"}):
            return None
    digits = digits.lstrip("0") or "0"
    if len(digits) > _UNSIGNED.bit_length():
        return None
    value = int(sign + digits, base)
    ceiling = _LARGEST if sign else _UNSIGNED
    return value if _SMALLEST <= value <= ceiling else None


def _moment(text: str) -> Moment | None:
    date = _DATE.match(text)
    if date is None:
        return None
    year, month, day = (int(part) for part in date.groups())
    if not 1 <= month <= 12 or not 1 <= day <= _days(year, month):
        return None
    rest = text[date.end() :]
    if not rest:
        return Moment(year=year, month=month, day=day)
    clock = _CLOCK.match(rest.lstrip(" ") if rest[0] == " " else rest[1:])
    if clock is None or rest[0] not in "Tt ":
        return None
    hours, minutes, seconds = (int(part) for part in clock.groups()[:3])
    zone = clock.string[clock.end() :]
    offset = _zone(zone) if rest[0] != " " else (0 if not zone else None)
    if hours > 23 or minutes > 59 or seconds > 59 or offset is None:
        return None
    return Moment(
        year=year,
        month=month,
        day=day,
        clock=(hours, minutes, seconds),
        fraction=(clock[4] or "")[:9].rstrip("0"),
        zone_minutes=offset,
    )


def _days(year: int, month: int) -> int:
    # years repeat every 400, and the calendar of Python knows no year 0
    return calendar.monthrange(year % 400 + 400, month)[1]


def _zone(text: str) -> int | None:
    match = _ZONE.fullmatch(text)
    if match is None:
        return None
    sign, hours, minutes = match.groups()
    if sign is None:
        return 0
    if int(hours) > 24 or int(minutes) > 60:
        return None
    return (int(hours) * 60 + int(minutes)) * (-1 if sign == "-" else 1)

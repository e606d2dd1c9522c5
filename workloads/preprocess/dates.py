"""Dates and times that are not written as ISO 8601 says: which order a column has, and how its
cells become dates.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workloads.preprocess.tally import Texts, mask

compute: Any = pc

_TIMES: Final = (
    "",
    " %H:%M",
    " %H:%M:%S",
    "T%H:%M:%S",
    " %I:%M %p",
    " %I:%M:%S %p",
    ", %H:%M",
    ", %I:%M:%S %p",
)
_NAMED: Final = (
    *("%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d/%b/%Y", "%d %B %Y", "%d. %B %Y"),
    *("%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y", "%Y %b %d", "%Y-%b-%d", "%a, %d %b %Y"),
)
_YEAR_FIRST: Final = ("%Y/%m/%d", "%Y.%m.%d", "%Y-%m-%d")
_DAY_FIRST: Final = tuple(f"%d{s}%m{s}{year}" for s in "./-" for year in ("%Y", "%y"))
_PATTERNS: Final = {
    "%d": "(?P<day>[0-9]{1,2})",
    "%m": "[0-9]{1,2}",
    "%Y": "[0-9]{4}",
    "%y": "[0-9]{2}",
    "%b": "[A-Za-z]{3}",
    "%B": "[A-Za-z]{3,9}",
    "%a": "[A-Za-z]{3}",
    "%H": "[0-9]{1,2}",
    "%I": "[0-9]{1,2}",
    "%M": "[0-9]{2}",
    "%S": "[0-9]{2}",
    "%p": "[AaPp][Mm]",
}
_DIGIT: Final = re.compile("[0-9]")
_PROBE: Final = 200
_FIRST: Final = 5
"""Texts that are compared with every format; what none of them fits is not tried on the others."""
ISO: Final = ""
"""Stands for ISO 8601, which Arrow's reader reads by itself."""


def has_time(pattern: str) -> bool:
    """Whether a format tells the time of day."""
    return "%M" in pattern


def converted(trimmed: Any, pattern: str, kind: pa.DataType) -> Any:
    """Texts without white space around them as dates or timestamps, null where one is none in the
    format.
    """
    found = compute.strptime(trimmed, format=pattern, unit="us", error_is_null=True)
    parts = compute.extract_regex(trimmed, pattern=f"^{_shape(pattern)}$")
    written = compute.struct_field(parts, "day").cast(pa.int64())
    right = compute.equal(compute.day(found), written)  # 31 February would be a day in March
    return compute.if_else(
        compute.fill_null(right, fill_value=False), found, pa.scalar(None, found.type)
    ).cast(kind)


@dataclass(frozen=True, slots=True)
class Order:
    """How a column's dates are written."""

    pattern: str
    """Pattern as in strptime; empty where none fits, or two fit."""
    good: int
    """Cells that it reads."""
    doubt: str = ""
    """Why no pattern was chosen, where the cells do look like dates."""


def choose(trimmed: Texts) -> Order:
    """The format that reads most cells with a value.

    Day and month with points between are in that order everywhere; with slashes or dashes a column
    without any day above 12 could mean either order, and is left as text.
    """
    probe = trimmed.where(np.arange(len(trimmed.counts)) < _PROBE)
    first = probe.values.slice(0, _FIRST).to_pylist()
    possible = list(dict.fromkeys(pattern for text in first for pattern in _fitting(text)))
    likely = [pattern for pattern in possible if _good(probe, pattern) * 2 > probe.total]
    goods = {pattern: _good(trimmed, pattern) for pattern in likely}
    best = max(goods, key=lambda pattern: goods[pattern], default="")
    if not best:
        return Order("", 0)
    twin = _month_first(best)
    if twin != best and goods.get(twin) == goods[best]:
        return Order(
            "", goods[best], "could have the day or the month first: no day above 12 tells"
        )
    return Order(best, goods[best])


def _month_first(pattern: str) -> str:
    return re.sub(r"^%d(.)%m", r"%m\1%d", pattern)


_DAYS: Final = (
    *_DAY_FIRST,
    *(_month_first(one) for one in _DAY_FIRST if "." not in one),
    *_YEAR_FIRST,
    *_NAMED,
)


def _fitting(text: str) -> Iterator[str]:
    """The formats that a text fits. A text without digits is looked at no further."""
    if not _DIGIT.search(text):
        return
    for day in _DAYS:
        if found := re.match(_shape(day), text):
            rest = text[found.end() :]
            yield from (day + time for time in _TIMES if re.fullmatch(_shape(time), rest))


@functools.cache
def _shape(pattern: str) -> str:
    """A regular expression for the texts of a format: strptime takes years of any length and
    ignores blanks.
    """
    return "".join(
        _PATTERNS.get(part, re.escape(part).replace("\\ ", " "))
        for part in re.split(r"(%[A-Za-z])", pattern)
    )


def _good(texts: Texts, pattern: str) -> int:
    kind = pa.timestamp("us")
    return texts.weight(mask_valid(converted(texts.values, pattern, kind)))


def mask_valid(values: Any) -> Any:
    """Where values are not null."""
    return mask(compute.is_valid(values))

"""Column kinds: the spellings of a missing value, which texts are numbers, timestamps and booleans, and how they become Arrow arrays.

Arrow's CSV reader converts the columns of almost every block by itself. What stands here decides the kinds from a sample, and converts the
columns in which the reader met a cell that it could not convert, cell by cell, to the same values: trimming white space, so that only texts
that truly are no value of the kind are wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workloads.records import ColumnKind

_MISSING_WORDS: Final = (
    "na",
    "n/a",
    "nan",
    "null",
    "nil",
    "none",
    "missing",
    "#n/a",
    "#na",
    "#null!",
    "#value!",
    "#div/0!",
    "#ref!",
    "#num!",
    "#name?",
)
_MISSING_SIGNS: Final = ("", "-", "--", "?", ".", "<na>")
MISSING: Final = (
    *_MISSING_SIGNS,
    *(spelling(word) for word in _MISSING_WORDS for spelling in (str.lower, str.upper, str.title)),
    "NaN",
    "<NA>",
)
"""A cell with one of these texts has no value, in a column of any kind."""
_MISSING_LOWER: Final = pa.array([*_MISSING_SIGNS, *_MISSING_WORDS])

_TRUE: Final = ("true", "t", "yes", "y")
_FALSE: Final = ("false", "f", "no", "n")
TRUE: Final = tuple(spelling(word) for word in _TRUE for spelling in (str.lower, str.upper, str.title))
FALSE: Final = tuple(spelling(word) for word in _FALSE for spelling in (str.lower, str.upper, str.title))

_NUMBER: Final = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_NUMBER_COMMA: Final = _NUMBER.replace(r"\.", ",")
_INFINITE: Final = ("inf", "infinity", "+inf", "+infinity", "-inf", "-infinity")
_DATE_BEGINNING: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"

SHARE: Final = 0.75
"""A column is of a kind when at least this share of the values in the sample is: one typing error does not make text of a number column."""

# what Arrow computes has no useful static type: its stubs know neither the kernels' results nor data types chosen at run time
Array: TypeAlias = "pa.Array[Any]"
compute: Any = pc

FLOAT: Final = pa.float64()
TIMESTAMP: Final = pa.timestamp("us")
TIMESTAMP_UTC: Final = pa.timestamp("us", "UTC")


@dataclass(frozen=True, slots=True)
class Kind:
    """What the cells of a column are, and as what they are stored."""

    name: ColumnKind
    arrow: pa.DataType


NUMBER: Final = Kind("number", FLOAT)
BOOLEAN: Final = Kind("boolean", pa.bool_())
LOCAL_TIME: Final = Kind("timestamp", TIMESTAMP)
UTC_TIME: Final = Kind("timestamp", TIMESTAMP_UTC)
TEXT: Final = Kind("text", pa.string())


@dataclass(frozen=True, kw_only=True)
class ColumnPlan:
    """A column of the table to be."""

    name: str
    source_name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Converted:
    """Cells of one column after conversion."""

    values: Array
    """Null where a cell is missing or wrong."""
    wrong: NDArray[np.bool_]
    """Where a cell has a text that is no value of the kind."""


def convert(cells: Array, kind: Kind, decimal: str) -> Converted:
    """Converts strings (null: missing) to a kind."""
    if kind is TEXT:
        return Converted(cells, np.zeros(len(cells), bool))
    trimmed = compute.utf8_trim_whitespace(cells)
    lower = compute.utf8_lower(trimmed)
    present = compute.and_(compute.is_valid(cells), compute.invert(compute.is_in(lower, _MISSING_LOWER)))
    if kind is NUMBER:
        values = _numbers(trimmed, decimal)
    elif kind is BOOLEAN:
        known = compute.is_in(lower, pa.array([*_TRUE, *_FALSE]))
        values = compute.if_else(known, compute.is_in(lower, pa.array(_TRUE)), pa.scalar(None, pa.bool_()))
    else:
        dates = compute.if_else(compute.match_substring_regex(trimmed, _DATE_BEGINNING), trimmed, pa.scalar(None, pa.string()))
        values = _cast_where_possible(dates, kind.arrow)
    values = compute.if_else(present, values, pa.scalar(None, kind.arrow))
    wrong = compute.and_not(present, compute.is_valid(values)).to_numpy(zero_copy_only=False)
    return Converted(values, wrong)


def _numbers(cells: Array, decimal: str) -> Any:
    """float64 where the text is a number within float64's range, else null."""
    looks = compute.match_substring_regex(cells, _NUMBER_COMMA if decimal == "," else _NUMBER)
    texts = compute.if_else(looks, cells, pa.scalar(None, pa.string()))
    values = compute.replace_substring(texts, ",", ".").cast(FLOAT)
    return compute.if_else(compute.is_finite(values), values, pa.scalar(None, FLOAT))


def _cast_where_possible(cells: Array, kind: pa.DataType) -> Any:
    """Casts strings; null where one cannot be cast, found by halving (Arrow's cast is all or nothing)."""
    try:
        return cells.cast(kind)
    except pa.ArrowInvalid:
        if len(cells) == 1:
            return compute.cast(pa.nulls(1), kind)
        half = len(cells) // 2
        return pa.concat_arrays([_cast_where_possible(cells[:half], kind), _cast_where_possible(cells[half:], kind)])


def reason(text: str, kind: Kind, decimal: str) -> tuple[str, str]:
    """Why a cell is wrong: what is counted, and the rest of a sentence that begins with the cell's text."""
    if kind is NUMBER:
        if re.fullmatch(_NUMBER_COMMA if decimal == "," else _NUMBER, text.strip()):
            return "beyond the range of float64", "is beyond the range of float64 (1.8e308)"
        if text.strip().lower() in _INFINITE:
            return "not finite", "is not a finite number"
        return "not a number", "is not a number"
    if kind is BOOLEAN:
        return "not a boolean", "is neither true nor false"
    if kind is UTC_TIME:
        return "not a timestamp", "is not an ISO 8601 timestamp with a zone"
    return "not a timestamp", "is not an ISO 8601 date or timestamp without a zone"


def infer(cells: Array, decimal: str) -> Kind:
    """The kind of a column from a sample of its cells (null: missing); text where the sample holds no value."""
    for kind in (NUMBER, BOOLEAN, LOCAL_TIME, UTC_TIME):
        probe = cells.drop_null()[:200]  # most columns that are not of the kind show it at once
        if _share(probe, kind, decimal) >= SHARE / 2 and _share(cells, kind, decimal) >= SHARE:
            return kind
    return TEXT


def _share(cells: Array, kind: Kind, decimal: str) -> float:
    """Of the cells with a value, how many are of the kind; 0 where none has a value."""
    converted = convert(cells, kind, decimal)
    wrong = int(converted.wrong.sum())
    right = len(cells) - converted.values.null_count
    if kind is NUMBER and wrong:  # numbers that cannot be kept are numbers all the same
        texts = cells.filter(pa.array(converted.wrong)).to_pylist()
        beyond = sum(reason(str(text), kind, decimal)[0] != "not a number" for text in texts)
        right, wrong = right + beyond, wrong - beyond
    return right / (right + wrong) if right else 0.0


def fits(text: str, kind: Kind, decimal: str) -> bool:
    """Whether a text is a value of the kind or a missing value."""
    return not convert(pa.array([text]), kind, decimal).wrong[0]

"""Cells that Arrow's reader does not convert by itself: strings to values of a column's kind, and
why one is none.

Arrow's CSV reader converts the columns of almost every block. What stands here converts the others
to the same values, trimming white space, so that only texts that truly are no value of the kind are
wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workloads.preprocess import dates, missing
from workloads.preprocess.columns import (
    BOOLEAN,
    DATE,
    INTEGER,
    LOCAL_TIME,
    NUMBER,
    TEXT,
    UTC_TIME,
    Array,
    Decision,
)
from workloads.preprocess.spelling import WHOLE
from workloads.preprocess.tally import mask

compute: Any = pc

PAIRS: Final = (
    *(
        ("true", "false"),
        ("t", "f"),
        ("yes", "no"),
        ("y", "n"),
        ("ja", "nein"),
        ("oui", "non"),
        ("sí", "no"),
        ("si", "no"),
    ),
    *(
        ("sim", "não"),
        ("sì", "no"),
        ("да", "нет"),
        ("wahr", "falsch"),
        ("vrai", "faux"),
        ("verdadero", "falso"),
    ),
)
"""Words for true and false that a column holds both of, in lower case."""
_TRUE: Final = tuple(dict.fromkeys(pair[0] for pair in PAIRS))
_FALSE: Final = tuple(dict.fromkeys(pair[1] for pair in PAIRS))
TRUE: Final = tuple(way(word) for word in _TRUE for way in (str.lower, str.upper, str.title))
FALSE: Final = tuple(way(word) for word in _FALSE for way in (str.lower, str.upper, str.title))

INFINITE: Final = r"^[+-]?(?i:inf|infinity)$"
_TINY: Final = r"^[+-]?[0.]*[1-9]"
_ISO_BEGINNING: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_SURE_DIGITS: Final = r"^[+-]?0*[0-9]{1,18}$"
_ZERO_FIRST: Final = "^[+-]?0[0-9]"
_INT64: Final = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Converted:
    """Cells of one column after conversion."""

    values: Array
    """Null where a cell is missing or wrong."""
    wrong: NDArray[np.bool_]
    """Where a cell has a text that is no value of the kind."""


def convert(cells: Array, decision: Decision) -> Converted:
    """Converts strings (null: missing) as decided."""
    kind = decision.kind
    if kind is TEXT:
        values = missing.text_without_markers(cells, only_empty=decision.only_empty_missing)
        return Converted(values, np.zeros(len(cells), bool))
    trimmed = compute.utf8_trim_whitespace(cells)
    present = compute.invert(missing.is_marker(trimmed))
    if kind is INTEGER:
        numerals = decision.spelling.numerals(trimmed)
        if not decision.leading_zeros:
            numerals = compute.if_else(
                compute.match_substring_regex(numerals, _ZERO_FIRST),
                pa.scalar(None, pa.string()),
                numerals,
            )
        values = whole_numbers(numerals)
    elif kind is NUMBER:
        values = float_numbers(decision.spelling.numerals(trimmed))
    elif kind is BOOLEAN:
        lower = compute.utf8_lower(trimmed)
        known = compute.is_in(lower, pa.array([*_TRUE, *_FALSE]))
        values = compute.if_else(
            known, compute.is_in(lower, pa.array(_TRUE)), pa.scalar(None, pa.bool_())
        )
    elif decision.pattern:
        values = dates.converted(trimmed, decision.pattern, kind.arrow)
    else:
        beginning = _ISO_BEGINNING + ("$" if kind is DATE else "")
        iso = compute.if_else(
            compute.match_substring_regex(trimmed, beginning), trimmed, pa.scalar(None, pa.string())
        )
        values = _cast_where_possible(iso, kind.arrow)
    present = compute.and_(compute.is_valid(cells), present)
    values = compute.if_else(present, values, pa.scalar(None, kind.arrow))
    return Converted(values, mask(compute.and_not(present, compute.is_valid(values))))


def whole_numbers(numerals: Any) -> Any:
    """Texts of whole numbers as int64; null where one is not whole or beyond int64."""
    whole = compute.match_substring_regex(numerals, WHOLE)
    easy = compute.match_substring_regex(numerals, _SURE_DIGITS)
    without_plus = compute.utf8_ltrim(numerals, characters="+")
    values = compute.if_else(easy, without_plus, pa.scalar(None, pa.string())).cast(pa.int64())
    hard = mask(compute.and_not(whole, easy))
    if not hard.any():
        return values
    found = [int(str(text)) for text in numerals.filter(pa.array(hard)).to_pylist()]
    exact = pa.array([value if value in _INT64 else None for value in found], pa.int64())
    return compute.replace_with_mask(values, pa.array(hard), exact)


def float_numbers(numerals: Any) -> Any:
    """Texts of numbers as float64; null where one is beyond its range, or so small that it would
    become 0.
    """
    values = numerals.cast(pa.float64())
    lost = compute.and_(compute.equal(values, 0.0), compute.match_substring_regex(numerals, _TINY))
    good = compute.and_not(compute.is_finite(values), lost)
    return compute.if_else(good, values, pa.scalar(None, pa.float64()))


def _cast_where_possible(cells: Array, kind: pa.DataType) -> Any:
    """Casts strings; null where one cannot be cast, found by halving (Arrow's cast is all or
    nothing).
    """
    try:
        return cells.cast(kind)
    except pa.ArrowInvalid:
        if len(cells) == 1:
            return compute.cast(pa.nulls(1), kind)
        half = len(cells) // 2
        return pa.concat_arrays(
            [_cast_where_possible(cells[:half], kind), _cast_where_possible(cells[half:], kind)]
        )


def reason(text: str, decision: Decision) -> tuple[str, str]:
    """Why a cell is wrong: what is counted, and the rest of a sentence that begins with the cell's
    text.
    """
    kind, trimmed = decision.kind, text.strip()
    if kind in (INTEGER, NUMBER):
        if re.fullmatch(INFINITE, trimmed):
            return "not finite", "is not a finite number"
        if decision.spelling.numerals(pa.array([trimmed]))[0].as_py() is None:
            return "not a number", "is not a number"
        if kind is NUMBER:
            return (
                "beyond the range of float64",
                "is beyond the range of float64 (1.8e308, and 4.9e-324 next to 0)",
            )
        if re.match(_ZERO_FIRST, trimmed):
            return "not a number", "has leading zeros, as identifiers have"
        if re.fullmatch(WHOLE, trimmed):
            return "beyond the range of int64", "is beyond the range of int64 (9.2e18)"
        return "not a whole number", "is not a whole number"
    if kind is BOOLEAN:
        return "not a boolean", "is neither true nor false"
    if kind is UTC_TIME:
        return "not a timestamp", "is not an ISO 8601 timestamp with a zone"
    name = "date" if kind is DATE else "timestamp"
    if decision.pattern:
        return f"not a {name}", f"is not a {name} of the column's format ({decision.pattern})"
    without = " without a zone" if kind is LOCAL_TIME else ""
    return f"not a {name}", f"is not an ISO 8601 {name}{without}"

"""From the different texts of a column's cells to what the column is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workloads.preprocess import dates, missing, numbers
from workloads.preprocess.columns import (
    BOOLEAN,
    CELLS,
    DATE,
    LOCAL_TIME,
    TEXT,
    UTC_TIME,
    Decision,
    Told,
)
from workloads.preprocess.convert import PAIRS, convert
from workloads.preprocess.numbers import FEW, Candidate
from workloads.preprocess.spelling import UNIT
from workloads.preprocess.tally import Texts, mask

compute: Any = pc

_NO_NAME: Final = "column"
"""Stands for the name of a column in a file without a header, where a column without a name does
not number the rows.
"""
_PROBE: Final = 200
_HALF: Final = 0.5
_COUNTRY_CODES: Final = 10
"""Different codes of two capitals from which `NA` among them is Namibia."""
_ISO: Final = (
    Decision(kind=DATE, reason="holds ISO 8601 dates"),
    Decision(kind=LOCAL_TIME, reason="holds ISO 8601 timestamps without a zone"),
    Decision(kind=UTC_TIME, reason="holds ISO 8601 timestamps with a zone, stored as UTC"),
)
EMPTY: Final = Decision(kind=TEXT, reason="has no value")


def decide(
    columns: Sequence[Texts], names: Sequence[str], *, delimiter: str = ","
) -> list[Decision]:
    """What each column is.

    A comma is the decimal sign of a column beside columns with a decimal point only in files with
    semicolons, which come from where the comma is used: elsewhere `1,3` may be a list.

    Args:
        columns: The texts of the cells of each that are not empty.
        names: As in the file; empty where a column has none.
        delimiter: Of the file.
    """
    filled = [present(texts) for texts in columns]
    alone = [Candidate.of(texts) if _maybe_numbers(texts) else None for texts in filled]
    signs = Counter(found.choice.decimal for found in alone if found is not None and found.likely)
    context = frozenset(signs) - {""}
    lists = delimiter != ";" and signs["."] >= signs[","]
    decided = []
    for texts, values, first, name in zip(columns, filled, alone, names, strict=True):
        found = None if first is None else first.in_context(context)
        if (
            found is not None
            and lists
            and signs["."]
            and found.choice.decimal == ","
            and found.likely
        ):
            decided.append(_commas(values))
        else:
            decided.append(_decide(texts, values, found, name if any(names) else _NO_NAME))
    return decided


def _commas(filled: Texts) -> Decision:
    says = (
        f"holds commas that could be decimal signs, such as {CELLS}, but other columns have a"
        " decimal point; it is kept as text"
    )
    cells = tuple(text for text, _ in filled.commonest(3))
    return Decision(
        kind=TEXT,
        reason="holds text",
        told=(Told(code="looks-like-numbers", says=says, cells=cells, sure=False),),
    )


def present(texts: Texts) -> Texts:
    """The cells with a value if the column is not text, without white space around them."""
    trimmed = texts.trimmed()
    return trimmed.where(~mask(missing.is_marker(trimmed.values)))


def fits(text: str, decision: Decision) -> bool:
    """Whether a text is a value of a column so decided, or says that there is none."""
    return not convert(pa.array([text]), decision).wrong[0]


def _maybe_numbers(filled: Texts) -> bool:
    probe = filled.where(_first(filled))
    return (
        bool(probe.total) and probe.weight(compute.match_substring_regex(probe.values, "[0-9]")) > 0
    )


def _first(texts: Texts) -> NDArray[np.bool_]:
    return np.arange(len(texts.counts)) < _PROBE


def _decide(texts: Texts, filled: Texts, found: Candidate | None, name: str) -> Decision:
    if not filled.total:
        return EMPTY
    if found is not None and found.likely and not numbers.is_addresses(filled):
        several = numbers.currencies(filled) if found.choice.spelling.decorated else set()
        if len(several) <= 1:
            return numbers.decide(found, name)
    lower = {
        str(word) for word in compute.utf8_lower(filled.values).unique().slice(0, 3).to_pylist()
    }
    for pair in PAIRS:
        if lower == set(pair):
            return Decision(kind=BOOLEAN, reason=f"holds '{pair[0]}' and '{pair[1]}' alone")
    return iso_time(filled) or _other_time(filled) or _text(texts, filled, found)


def iso_time(filled: Texts) -> Decision | None:
    """The column as dates or timestamps as ISO 8601 writes them."""
    for decision in _ISO:
        if (
            _reads(filled.where(_first(filled)), decision) >= _HALF
            and _reads(filled, decision) >= 1 - FEW
        ):
            return decision
    return None


def _other_time(filled: Texts) -> Decision | None:
    order = dates.choose(filled)
    if order.good < (1 - FEW) * filled.total or (not order.pattern and not order.doubt):
        return None
    if order.doubt:
        return Decision(
            kind=TEXT,
            reason="holds dates that could mean two days",
            told=(
                Told(
                    code="ambiguous-date",
                    says=f"holds dates and {order.doubt}; it is kept as text",
                    sure=False,
                ),
            ),
        )
    kind = LOCAL_TIME if dates.has_time(order.pattern) else DATE
    reason = f"holds {kind.name}s of the format {order.pattern}"
    return Decision(
        kind=kind,
        reason=reason,
        pattern=order.pattern,
        told=(Told(code="date-format", says=reason),),
    )


def _reads(filled: Texts, decision: Decision) -> float:
    """Share of the cells that are of the kind."""
    converted = convert(filled.values, decision)
    return filled.weight(dates.mask_valid(converted.values)) / filled.total


def _text(texts: Texts, filled: Texts, found: Candidate | None) -> Decision:
    told = []
    if numbers.is_addresses(filled):
        return Decision(kind=TEXT, reason="holds IPv4 addresses")
    if found is not None and found.good > _HALF * filled.total:
        told.append(_unread(filled, found))
    told += _unread_units(filled) or _unread_dates(filled)
    words = texts.where(mask(compute.is_in(texts.values, missing.IN_TEXT)))
    if not words.total:
        return Decision(kind=TEXT, reason="holds text", told=tuple(told))
    named = [text for text, _ in words.commonest(3)]
    if named == ["NA"] and _are_country_codes(texts):
        told.append(
            Told(
                code="na-is-a-code",
                says="holds codes of two letters, of which 'NA' is one and no missing value",
                sure=False,
            )
        )
        return Decision(
            kind=TEXT,
            reason="holds codes of two letters",
            only_empty_missing=True,
            told=tuple(told),
        )
    told.append(
        Told(
            code="missing-words",
            says=f"has no value where a cell holds {CELLS}",
            cells=tuple(named),
        )
    )
    return Decision(kind=TEXT, reason="holds text", told=tuple(told))


def _unread_units(filled: Texts) -> list[Told]:
    units = filled.where(mask(compute.match_substring_regex(filled.values, UNIT)))
    if units.total <= _HALF * filled.total:
        return []
    cells = tuple(text for text, _ in units.commonest(3))
    return [
        Told(
            code="several-units",
            says=f"holds numbers with several units, such as {CELLS}; it is kept as text",
            cells=cells,
            sure=False,
        )
    ]


def _unread_dates(filled: Texts) -> list[Told]:
    iso = max(_ISO, key=lambda decision: _reads(filled, decision))
    read = mask(compute.is_valid(convert(filled.values, iso).values))
    others = filled.where(~read)
    if not read.any() or others.total > _HALF * filled.total:
        return []
    cells = tuple(text for text, _ in others.commonest(3))
    share = 100 * others.total / filled.total
    says = (
        f"looks like {iso.kind.name}s, but {share:.0f} % of its cells are none, such as {CELLS}; it"
        " is kept as text"
    )
    return [Told(code="looks-like-dates", says=says, cells=cells, sure=False)]


def _are_country_codes(texts: Texts) -> bool:
    codes = mask(compute.match_substring_regex(texts.values, "^[A-Z]{2}$"))
    return bool(codes.all()) and len(codes) > _COUNTRY_CODES


def _unread(filled: Texts, found: Candidate) -> Told:
    """Why a column that looks like numbers is text."""
    several = numbers.currencies(filled)
    wrong = found.wrong
    if len(several) > 1:
        why = f"holds amounts in several currencies ({', '.join(sorted(several))})"
    elif found.codes:
        why = f"holds codes such as {CELLS} among whole numbers"
    elif wrong.total:
        share = 100 * wrong.total / filled.total
        why = f"looks like numbers, but {share:.0f} % of its cells are none, such as {CELLS}"
    else:
        why = "looks like numbers"
    cells = tuple(text for text, _ in wrong.commonest(3))
    return Told(
        code="looks-like-numbers",
        says=f"{why}; it is kept as text and not compared",
        cells=cells,
        sure=False,
    )

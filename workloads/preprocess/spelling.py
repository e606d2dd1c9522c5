"""How the numbers of one column are written: decimal sign, sign between thousands, and what stands
around them.

A spelling is decided by column from the sample. What is ambiguous (`1,234` or `12.345` and nothing
else) is decided by the rules of `choose`, and the choice says whether it is sure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from workloads.preprocess.tally import Texts

compute: Any = pc

_BLANKS: Final = "[ \u00a0\u202f\u2007\u2009]"
_APOSTROPHES: Final = "['\u2019]"
_GROUPS: Final = {"": "", ",": ",", ".": r"\.", " ": _BLANKS, "'": _APOSTROPHES}
_GROUP_NAMES: Final = {",": "comma", ".": "point", " ": "blank", "'": "apostrophe"}
_EXPONENT: Final = r"(?:[eE][+-]?[0-9]+)?"
DASHES: Final = "[\u2013\u2014]"
_SMALL: Final = "^[+-]?[0-9]{1,3}$"
_MINUS_SIGNS: Final = "[\u2212\ufe63\uff0d]"
_CODES: Final = (
    "AUD|BRL|CAD|CHF|CNY|CZK|DKK|EUR|GBP|HKD|HUF|IDR|ILS|INR|JPY|KRW|MXN|MYR|NOK|NZD|PHP|PLN"
    "|RUB|SEK|SGD|THB|TRY|TWD|UAH|USD|VND|ZAR"
)
_CURRENCY: Final = (
    rf"(?:(?:A|AU|C|CA|HK|NZ|R|S|US)?\$|[€£¥₹₽₩₺₫฿₪₴₦]|{_CODES}|Rs\.?|kr\.?|zł|Kč|Ft)"
)
_KNOWN_UNITS: Final = (
    "%|‰|kg|mg|µg|ug|g|t|km|cm|mm|nm|µm|m|ms|s|min|h|hrs|hr|°C|°F|°|kWh|MWh|kW|MW|W|kV|V|mA|Hz|kHz|MHz|GHz|dB"
    "|KB|kB|MB|GB|TB|bp|kbp|lbs|lb|oz|ft|in|mi|mph|km/h|m/s|ml|mL|l|L|px|pt|ppm|ppb|hPa|kPa|mbar|bar"
)
UNIT: Final = (
    rf"^[^A-Za-z]*[0-9](?:{_KNOWN_UNITS}|{_BLANKS}+[A-Za-zµ°Ω%‰][A-Za-zµ°Ω²³%/.·0-9]{{0,11}})$"
)


@dataclass(frozen=True, slots=True)
class Spelling:
    """How numbers are written."""

    decimal: str = "."
    group: str = ""
    """Sign between thousands: nothing, `,`, `.`, a blank of any kind (` `) or an apostrophe of any
    kind (`'`).
    """
    decorated: bool = False
    """Whether signs stand around some: a currency, percent, a unit, parentheses or another minus
    for negative ones.
    """
    unit: str = ""
    """Follows every number; not a part of its value."""

    @property
    def plain(self) -> bool:
        """Whether Arrow's reader reads the numbers by itself, given the decimal sign."""
        return not self.group and not self.decorated

    def numerals(self, trimmed: Any) -> Any:
        """Texts without white space around them as a program writes numbers, null where one is no
        number so spelled.
        """
        if self == PLAIN and _all_finite(trimmed):
            return trimmed
        texts = bare(trimmed, self.unit) if self.decorated else trimmed
        found = compute.if_else(compute.match_substring_regex(texts, self._pattern), texts, _NULL)
        if self.group:
            found = compute.replace_substring_regex(found, _GROUPS[self.group], "")
        return compute.replace_substring(found, ",", ".") if self.decimal == "," else found

    @property
    def _pattern(self) -> str:
        decimal = re.escape(self.decimal)
        whole = "[0-9]+"
        if self.group:
            group = _GROUPS[self.group]
            least = 2 if self.group == "," else 3  # 12,34,567 in India
            whole = rf"(?:[1-9][0-9]{{0,2}}(?:{group}[0-9]{{{least},3}})*{group}[0-9]{{3}}|[0-9]+)"
        return rf"^[+-]?(?:{whole}{decimal}?[0-9]*|{decimal}[0-9]+){_EXPONENT}$"

    def __str__(self) -> str:
        words = [f"decimal {'comma' if self.decimal == ',' else 'point'}"]
        if self.group:
            words.append(f"{_GROUP_NAMES[self.group]} between thousands")
        if self.unit:
            words.append(f"'{self.unit}' taken off")
        elif self.decorated:
            words.append("signs around the number taken off")
        return ", ".join(words)


PLAIN: Final = Spelling()
_NULL: Final = pa.scalar(None, pa.string())
WHOLE: Final = r"^[+-]?[0-9]+$"


def _all_finite(trimmed: Any) -> bool:
    """Whether Arrow reads every text as a finite number; what it reads so is a plain numeral, and
    its parser is faster than a pattern.
    """
    try:
        values = trimmed.cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return not values.null_count and bool(
        compute.all(compute.is_finite(values), min_count=0).as_py()
    )


def bare(trimmed: Any, unit: str = "") -> Any:
    """Texts without currency, percent sign and unit, and with a minus before negative ones."""
    texts = compute.replace_substring_regex(trimmed, _MINUS_SIGNS, "-")
    texts = compute.replace_substring_regex(texts, f"^{DASHES}([0-9.,])", r"-\1")
    texts = compute.replace_substring_regex(texts, r"^\((.*[0-9].*)\)$", r"-\1")
    if unit:
        texts = compute.replace_substring_regex(texts, rf"{_BLANKS}*{re.escape(unit)}$", "")
    texts = compute.replace_substring_regex(
        texts, rf"^([+-]?){_BLANKS}*{_CURRENCY}{_BLANKS}*([+-]?)([0-9.,])", r"\1\2\3"
    )
    texts = compute.replace_substring_regex(
        texts, rf"([0-9.,]){_BLANKS}*(?:{_CURRENCY}|%|‰)$", r"\1"
    )
    texts = compute.replace_substring_regex(texts, rf"^([0-9](?:.*[0-9.,])?){_BLANKS}?-$", r"-\1")
    return compute.replace_substring_regex(texts, rf"^([+-]){_BLANKS}+", r"\1")


@dataclass(frozen=True, slots=True)
class Signs:
    """How many cells speak for which meaning of point and comma; a cell can be whole numbers alone,
    and speak for none.
    """

    decimal_point: int
    decimal_comma: int
    three_after_point: int
    """`12.345`: thousands or thousandths."""
    three_after_comma: int
    small_wholes: int
    """Whole numbers below 1,000: without a sign between thousands in any spelling."""
    large_wholes: int


def signs(texts: Texts) -> Signs:
    """Counts the evidence in texts that are bare."""

    def many(pattern: str) -> int:
        return texts.weight(compute.match_substring_regex(texts.values, pattern))

    def decimals(sign: str, other: str) -> tuple[int, int]:
        ambiguous = many(rf"^[+-]?[1-9][0-9]{{0,2}}{sign}[0-9]{{3}}$")
        after_groups = many(
            rf"^[+-]?[0-9]{{1,3}}(?:(?:{other}|{_BLANKS}|{_APOSTROPHES})[0-9]{{2,3}})+{sign}[0-9]*$"
        )
        return many(rf"^[+-]?[0-9]*{sign}[0-9]*{_EXPONENT}$") - ambiguous + after_groups, ambiguous

    point, three_after_point = decimals(r"\.", ",")
    comma, three_after_comma = decimals(",", r"\.")
    return Signs(
        point, comma, three_after_point, three_after_comma, many(_SMALL), many("^[+-]?[0-9]{4,}$")
    )


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an ambiguous column shows."""

    best: tuple[Spelling, ...]
    """The spellings that read most cells."""
    signs: Signs


@dataclass(frozen=True, slots=True)
class Choice:
    """A spelling for a column."""

    spelling: Spelling
    good: int = 0
    """Cells that it reads."""
    decimal: str = ""
    """The decimal sign that the column shows beyond doubt; empty where it shows none."""
    ambiguous: bool = False
    """Whether another spelling reads the same cells as other numbers."""
    doubt: str = ""
    """What else the numbers could mean, as a sentence without its subject; empty where the choice
    is sure.
    """
    evidence: Evidence | None = None
    """Evidence from which the choice among ambiguous readings follows."""

    @property
    def sure(self) -> bool:
        """Whether nothing speaks for another spelling."""
        return not self.doubt


_POINT_GROUPS: Final = Spelling(",", ".")
_CANDIDATES: Final = tuple(
    Spelling(decimal, group)
    for group in ("", ",", ".", " ", "'")
    for decimal in (".", ",")
    if group != decimal
)
_PROBE: Final = 200
"""Texts from which mostly it is seen that not all are of a kind."""
_MIN_GROUPED: Final = 20
"""Cells `12.345` beside whole numbers below 1,000 from which thousands are believed: of
thousandths, one in ten would end in 0 and be shorter.
"""


def choose(trimmed: Texts) -> Choice:
    """The spelling that reads most cells of a column: texts without white space around them, each a
    value.

    Where several spellings read the same cells: beside whole numbers below 1,000 three digits after
    a sign are thousands; else the decimal sign of the other columns counts, see `in_context`; else
    a point is decimal and a comma stands between thousands, which is not sure.
    """
    if not PLAIN.numerals(trimmed.values).null_count:
        return _among_plain(trimmed)
    unit = _common_unit(trimmed)
    texts = replace(trimmed, values=bare(trimmed.values, unit))
    decorated = not texts.values.equals(trimmed.values)
    goods = {
        candidate: texts.weight(compute.is_valid(candidate.numerals(texts.values)))
        for candidate in _CANDIDATES
    }
    most = max(goods.values())
    best = [candidate for candidate, good in goods.items() if good == most]
    found = signs(texts)
    evidence = Evidence(tuple(best), found)
    reading = _unambiguous(evidence) or _by_rule(evidence, frozenset())
    sign = (
        reading.spelling.decimal
        if _has(texts, reading.spelling.decimal) and not reading.ambiguous
        else ""
    )
    return replace(
        reading,
        spelling=replace(reading.spelling, decorated=decorated, unit=unit),
        good=most,
        decimal=sign,
    )


def _among_plain(trimmed: Texts) -> Choice:
    """The choice for texts that are all plain numbers: they could still have points between
    thousands, alone.
    """
    if not _has(trimmed, ".") or any(
        _POINT_GROUPS.numerals(values).null_count
        for values in (trimmed.values[:_PROBE], trimmed.values)
    ):
        return Choice(PLAIN, trimmed.total, decimal="." if _has(trimmed, ".") else "")
    points = trimmed.weight(compute.match_substring(trimmed.values, "."))
    small = trimmed.weight(compute.match_substring_regex(trimmed.values, _SMALL))
    found = Signs(0, 0, points, 0, small, trimmed.total - points - small)
    return replace(
        _by_rule(Evidence((PLAIN, _POINT_GROUPS), found), frozenset()), good=trimmed.total
    )


def in_context(choice: Choice, context: frozenset[str]) -> Choice:
    """The choice with what other columns of the file say of the decimal sign."""
    if choice.evidence is None:
        return choice
    settled = _by_rule(choice.evidence, context)
    old = choice.spelling
    spelling = replace(settled.spelling, decorated=old.decorated, unit=old.unit)
    return replace(settled, spelling=spelling, good=choice.good)


def _has(texts: Texts, sign: str) -> bool:
    return bool(compute.any(compute.match_substring(texts.values, sign), min_count=0).as_py())


def _unambiguous(evidence: Evidence) -> Choice | None:
    """The first of the best, where no other one gives other values."""
    best, found = evidence.best, evidence.signs
    comma = found.three_after_comma and {Spelling(".", ","), Spelling(",")} <= set(best)
    point = found.three_after_point and {Spelling(",", "."), PLAIN} <= set(best)
    return None if comma or point else Choice(best[0])


def _by_rule(evidence: Evidence, context: frozenset[str]) -> Choice:
    """Whether a sign before three digits is decimal or stands between thousands, where both read
    all cells.
    """
    best, found = evidence.best, evidence.signs

    def chosen(spelling: Spelling, doubt: str = "") -> Choice:
        return Choice(spelling, ambiguous=True, doubt=doubt, evidence=evidence)

    group = "," if Spelling(".", ",") in best and found.three_after_comma else "."
    ambiguous = found.three_after_comma if group == "," else found.three_after_point
    decimal = "." if group == "," else ","
    as_group, as_decimal = Spelling(decimal, group), Spelling(group)
    name = _GROUP_NAMES[group]
    other = f"may have a decimal {name} (1{group}234 is read as 1234)"
    thousandths = f"may have the {name} between thousands (1{group}234 is read as 1.234)"
    if found.large_wholes:
        return chosen(as_decimal, thousandths)
    if context == {group}:
        return chosen(as_decimal)
    if found.small_wholes and (group == "," or (ambiguous >= _MIN_GROUPED and "." not in context)):
        return chosen(as_group, "" if group == "," else other)
    if context == {decimal}:
        return chosen(as_group)
    if group == ",":
        return chosen(as_group, other)
    return chosen(as_decimal, thousandths)


def _common_unit(trimmed: Texts) -> str:
    """What follows all numbers that are followed by something, where that is one and the same unit;
    else nothing.
    """
    units = {
        match
        for text in _followed(trimmed)
        if (match := re.sub(r"^.*[0-9.,][\s]*", "", text, count=1))
    }
    return units.pop() if len(units) == 1 and not units & {"%", "‰"} else ""


def _followed(trimmed: Texts) -> Iterator[str]:
    texts = trimmed.values.filter(compute.match_substring_regex(trimmed.values, UNIT))
    if len(texts):
        yield from (str(text) for text in texts.slice(0, 1000).to_pylist())

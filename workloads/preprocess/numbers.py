"""Whether a column holds numbers, and whether these are quantities: codes, identifiers and dates
written as digits are not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from workloads.preprocess import spelling as spellings
from workloads.preprocess.columns import CELLS, INTEGER, NUMBER, TEXT, Decision, Told
from workloads.preprocess.convert import INFINITE, whole_numbers
from workloads.preprocess.identifiers import identify
from workloads.preprocess.spelling import WHOLE, Choice
from workloads.preprocess.tally import Texts, mask

compute: Any = pc

FEW: Final = 0.05
"""Share of cells that are no numbers up to which they are taken for errors of single cells."""
MOST_WRONG: Final = 0.25
"""Share of such cells up to which a column is numbers where they are a few words: `refused`,
`more`, `under review`.
"""
_FEW_WORDS: Final = 3
_WORD: Final = r"^[^0-9]*$"
_FEW_VALUES: Final = 20
_REPEATED: Final = 5
"""A column whose numbers are few and each stands in that many cells holds categories: `1`, `2`,
`3`, `more`.
"""
_CODES: Final = r"^[A-Za-z]{1,3}[-.]?[0-9]+(?:[-./][A-Za-z0-9]+)*$"
"""`V45.1`, `E11`; among numbers with a point too, for no number is mistyped so."""
_CODES_AMONG_WHOLE: Final = r"^[0-9]+[A-Za-z]{1,3}[0-9]*$"
_EXPONENT: Final = "^[0-9]+[eE][0-9]+$"
"""`12E4`: no program writes numbers so."""
_CODES_SHARE: Final = 0.005
_IPV4: Final = r"^(?:[0-9]{1,3}\.){3}[0-9]{1,3}$"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A column seen as numbers."""

    choice: Choice
    present: Texts
    """Cells with a value, without white space around them."""
    numerals: Any
    """Numerals of these cells, as a program writes numbers; null where one is none."""
    good: int
    """Cells that are numbers, also those that cannot be stored."""

    @classmethod
    def of(cls, present: Texts) -> Candidate:
        """Sees a column as numbers, without a look at others."""
        choice = spellings.choose(present)
        infinite = present.weight(compute.match_substring_regex(present.values, INFINITE))
        return cls(
            choice, present, choice.spelling.numerals(present.values), choice.good + infinite
        )

    def in_context(self, context: frozenset[str]) -> Candidate:
        """With what other columns say of the decimal sign."""
        choice = spellings.in_context(self.choice, context)
        same = choice.spelling == self.choice.spelling
        return replace(
            self,
            choice=choice,
            numerals=self.numerals if same else choice.spelling.numerals(self.present.values),
        )

    @property
    def wrong(self) -> Texts:
        """What is no number."""
        unread = ~mask(compute.is_valid(self.numerals))
        infinite = mask(compute.match_substring_regex(self.present.values, INFINITE))
        return self.present.where(unread & ~infinite)

    @property
    def likely(self) -> bool:
        """Whether so many cells are numbers that those which are not are errors."""
        total = self.present.total
        bad = total - self.good
        if not self.good or bad > MOST_WRONG * total:
            return False
        if bad <= FEW * total:
            return not self.codes
        return self.words and not self.categories

    @property
    def words(self) -> bool:
        """Whether what is no number is a few words, as forms and instruments write them in place of
        one.
        """
        wrong = self.wrong
        few = len(set(compute.utf8_lower(wrong.values).to_pylist())) <= _FEW_WORDS
        return few and bool(compute.all(compute.match_substring_regex(wrong.values, _WORD)).as_py())

    @property
    def categories(self) -> bool:
        """Whether the numbers are few and each stands in many cells."""
        values = len(self.numerals) - self.numerals.null_count
        return bool(values <= _FEW_VALUES and self.good >= _REPEATED * values)

    @property
    def codes(self) -> bool:
        """Whether what is no number is a code of digits and letters."""
        if self.good == self.present.total:
            return False
        wrong = self.wrong
        pattern = f"{_CODES}|{_CODES_AMONG_WHOLE}" if self.whole else _CODES
        return (
            wrong.weight(compute.match_substring_regex(wrong.values, pattern))
            > _CODES_SHARE * self.present.total
        )

    @property
    def whole(self) -> bool:
        """Whether all numbers are whole."""
        return bool(
            compute.all(compute.match_substring_regex(self.numerals, WHOLE), min_count=0).as_py()
        )

    @property
    def beyond(self) -> int:
        """Cells with whole numbers beyond int64."""
        return self.present.weight(
            compute.and_(
                compute.is_valid(self.numerals), compute.is_null(whole_numbers(self.numerals))
            )
        )


def decide(found: Candidate, name: str) -> Decision:
    """What a column of numbers is.

    `name`: as in the file; it tells of numbers that are names of something.
    """
    choice = found.choice
    told = tuple(_told_of_spelling(found))
    exponents = found.present.weight(compute.match_substring_regex(found.present.values, _EXPONENT))
    if exponents and not compute.any(compute.match_substring(found.numerals, ".")).as_py():
        if exponents * 2 > found.present.total:
            says = (
                f"holds texts such as {CELLS}, which may be codes or numbers with an exponent; it"
                " is kept as text and not compared"
            )
            return Decision(
                kind=TEXT, reason="holds codes", told=(replace(_exponents(found), says=says),)
            )
        told = (*told, _exponents(found))
    if not found.whole:
        return Decision(
            kind=NUMBER,
            use="compare",
            spelling=choice.spelling,
            reason=f"holds numbers ({choice.spelling})",
            told=told,
        )
    identifier = identify(found.present, found.numerals, spelling=choice.spelling, name=name)
    if identifier is None and found.beyond:
        says = (
            f"holds whole numbers beyond int64, such as {CELLS}; all are kept as float64, which has"
            " 15 digits"
        )
        beyond = Told(code="beyond-int64", says=says, cells=(_telling(found),), sure=False)
        return Decision(
            kind=NUMBER,
            use="compare",
            spelling=choice.spelling,
            reason="holds large whole numbers",
            told=(*told, beyond),
        )
    return identifier or Decision(
        kind=INTEGER,
        use="compare",
        spelling=choice.spelling,
        reason="holds whole numbers",
        told=told,
    )


def _exponents(found: Candidate) -> Told:
    read = found.present.where(mask(compute.match_substring_regex(found.present.values, _EXPONENT)))
    says = f"holds {CELLS}, read as numbers with an exponent; they may be codes"
    return Told(
        code="ambiguous-number",
        says=says,
        cells=tuple(text for text, _ in read.commonest(3)),
        sure=False,
    )


def _told_of_spelling(found: Candidate) -> list[Told]:
    choice, told = found.choice, []
    example = (_telling(found),)
    if not choice.sure:
        told.append(
            Told(
                code="ambiguous-number",
                says=f"is read with {choice.spelling}, but {choice.doubt}",
                cells=example,
                sure=False,
            )
        )
    elif choice.spelling.group or choice.spelling.decimal == ",":
        told.append(
            Told(
                code="number-spelling",
                says=f"is read with {choice.spelling}, for example {CELLS}",
                cells=example,
            )
        )
    if choice.spelling.decorated:
        kinds = _decorations(found)
        told.append(
            Told(
                code="number-signs",
                says=(
                    f"holds numbers with {' and '.join(kinds) or 'signs'}, which are taken off, for"
                    f" example {CELLS}"
                ),
                cells=example,
                sure=len(kinds) == 1,
            )
        )
    return told


def _telling(found: Candidate) -> str:
    """A cell that shows the spelling: the longest of the first that were read."""
    read = (
        found.present.values.filter(compute.is_valid(found.numerals))
        .slice(0, _SHOWN_AMONG)
        .to_pylist()
    )
    return max(map(str, read), key=len)


_SHOWN_AMONG: Final = 100
_DECORATIONS: Final = {
    "a percent sign": r"[%‰]$",
    "parentheses for negative ones": r"^\(.*\)$",
    "another minus": f"^{spellings.DASHES}|[\u2212\ufe63\uff0d]|-$",
    "a currency": r"[$€£¥₹₽₩₺₫฿₪₴₦]|(?:^|[0-9 ])(?:[A-Z]{3}|Rs\.?|kr\.?|zł|Kč|Ft)(?:[0-9 ]|$)",
}


def _decorations(found: Candidate) -> list[str]:
    named = [
        name
        for name, pattern in _DECORATIONS.items()
        if found.present.weight(compute.match_substring_regex(found.present.values, pattern))
    ]
    unit = found.choice.spelling.unit
    return [*named, f"the unit '{unit}'"] if unit else named


def currencies(present: Texts) -> set[str]:
    """The currencies that stand beside the numbers of a column."""
    signs = r"(?P<sign>[$€£¥₹₽₩₺₫฿₪₴₦]|\b(?:USD|EUR|GBP|CHF|JPY|CNY|INR)\b)"
    found = compute.struct_field(
        compute.extract_regex(present.values, pattern=signs), "sign"
    ).drop_null()
    return {str(sign) for sign in pa.array(found).unique().to_pylist()}


def is_addresses(present: Texts) -> bool:
    """Whether most texts are IPv4 addresses, some of which look like numbers with points between
    thousands.
    """
    return present.weight(compute.match_substring_regex(present.values, _IPV4)) * 2 > present.total

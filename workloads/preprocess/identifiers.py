"""Whole numbers that are no quantities: identifiers, codes, telephone numbers and dates written as
digits.

They are kept as they are, exactly, and not compared unless their owner declares it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc

from workloads.preprocess.columns import INTEGER, TEXT, Decision, Told
from workloads.preprocess.convert import whole_numbers
from workloads.preprocess.spelling import Spelling
from workloads.preprocess.tally import Texts, mask

compute: Any = pc

_LONG: Final = 16
"""Digits from which whole numbers are identifiers: a double holds 15 of any number."""
_DAY: Final = "^(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])$"
_PHONE_DIGITS: Final = 7
_ACCOUNT_DIGITS: Final = 10
_ROWS: Final = 20
"""Rows from which another value in every row says something."""
_SPREAD: Final = 0.2
_PHONES: Final = {
    "tel",
    "tele",
    "telephone",
    "telefon",
    "telefono",
    "telefone",
    "phone",
    "mobile",
    "handy",
    "cell",
    "fax",
    "msisdn",
}
_CODES: Final = {
    "zip",
    "zipcode",
    "postal",
    "postcode",
    "plz",
    "ssn",
    "isbn",
    "issn",
    "ean",
    "upc",
    "gtin",
    "fips",
    "account",
    "konto",
}
_IDS: Final = {"id", "ids", "uid", "uuid", "guid"}
_ROW_NUMBERS: Final = {
    "",
    "index",
    "row",
    "rows",
    "rownames",
    "rowname",
    "rownum",
    "unnamed",
    "no",
    "nr",
    "key",
}


@dataclass(frozen=True)
class _Wholes:
    """What a column of whole numbers shows."""

    spelled: Texts
    numerals: Texts
    spelling: Spelling
    name: str

    @cached_property
    def digits(self) -> Any:
        return compute.utf8_length(compute.utf8_ltrim(self.numerals.values, characters="+-"))

    @cached_property
    def shortest(self) -> int:
        return int(compute.min(self.digits).as_py())

    @cached_property
    def one_length(self) -> bool:
        return bool(self.shortest == compute.max(self.digits).as_py())

    @cached_property
    def values(self) -> Any:
        return whole_numbers(self.numerals.values)

    @cached_property
    def words(self) -> set[str]:
        """The words of the column's name: `customerID` has two."""
        apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", self.name)
        return set(re.split(r"[^a-z0-9]+", apart.lower())) - {""} or {""}

    @property
    def distinct(self) -> bool:
        """Whether every row has another value, of rows enough."""
        return len(self.numerals.counts) == self.numerals.total >= _ROWS

    def share(self, where: Any) -> float:
        return self.numerals.weight(where) / self.numerals.total

    def all_spelled(self, pattern: str) -> bool:
        return (
            self.spelled.weight(compute.match_substring_regex(self.spelled.values, pattern))
            == self.spelled.total
        )

    def leading_zeros(self) -> bool:
        return (
            self.spelled.weight(
                compute.match_substring_regex(self.spelled.values, "^[+-]?0[0-9]+$")
            )
            > 0
        )

    def international(self) -> bool:
        return self.shortest >= _PHONE_DIGITS and self.all_spelled(r"^\+[0-9]")

    def grouped_alike(self) -> bool:
        return (
            self.spelling.group == " "
            and self.one_length
            and self.shortest >= _PHONE_DIGITS + 2
            and len(self.numerals.counts) > 1
        )

    def beyond(self) -> bool:
        return self.long() and self.any_beyond

    @property
    def any_beyond(self) -> bool:
        return bool(self.values.null_count)

    def long(self) -> bool:
        return self.share(compute.greater_equal(self.digits, _LONG)) >= 0.5

    def days(self) -> bool:
        return self.share(compute.match_substring_regex(self.numerals.values, _DAY)) == 1

    def phones(self) -> bool:
        return self.shortest >= _PHONE_DIGITS and bool(self.words & _PHONES)

    def codes(self) -> bool:
        return bool(self.words & _CODES)

    def named(self) -> bool:
        return self.distinct and bool(self.words & _IDS)

    def row_numbers(self) -> bool:
        return (
            self.distinct
            and self.words <= _ROW_NUMBERS
            and bool((np.diff(self._floats) == 1).all())
        )

    def scattered(self) -> bool:
        """Whether numbers of one length take up much of what this length allows, in no order."""
        if not (self.distinct and self.one_length and self.shortest >= _ACCOUNT_DIGITS):
            return False
        steps = np.diff(self._floats)
        ordered = bool((steps >= 0).all() or (steps <= 0).all())
        sizes = np.abs(self._floats)
        return not ordered and float(np.ptp(sizes)) > _SPREAD * float(sizes.min())

    @property
    def _floats(self) -> Any:
        return self.values.drop_null().to_numpy(zero_copy_only=False).astype(np.float64)


@dataclass(frozen=True, slots=True)
class _Rule:
    holds: Callable[[_Wholes], bool]
    reason: str
    as_text: bool = False
    sure: bool = True


_RULES: Final = (
    _Rule(
        _Wholes.leading_zeros,
        "holds whole numbers with leading zeros, which are identifiers",
        as_text=True,
    ),
    _Rule(_Wholes.international, "holds telephone numbers", as_text=True),
    _Rule(
        _Wholes.grouped_alike,
        "holds numbers of one length in groups, as telephone numbers have them",
        as_text=True,
        sure=False,
    ),
    _Rule(_Wholes.beyond, "holds whole numbers beyond int64", as_text=True),
    _Rule(_Wholes.long, f"holds whole numbers of {_LONG} digits and more, which are identifiers"),
    _Rule(_Wholes.days, "holds dates written as YYYYMMDD"),
    _Rule(_Wholes.phones, "holds telephone numbers, by its name"),
    _Rule(_Wholes.codes, "holds codes, by its name"),
    _Rule(_Wholes.named, "holds another whole number in every row and is named as an identifier"),
    _Rule(_Wholes.row_numbers, "numbers the rows"),
    _Rule(
        _Wholes.scattered,
        "holds another number of one length in every row, as identifiers and telephone numbers are",
        sure=False,
    ),
)
"""The first that holds decides."""


def identify(spelled: Texts, numerals: Any, *, spelling: Spelling, name: str) -> Decision | None:
    """What whole numbers are that are no quantities; None where they are.

    Args:
        spelled: Cells with a value, without white space around them.
        numerals: Of these, as a program writes numbers; null where one is none.
        spelling: That was chosen for them.
        name: Of the column in the file.
    """
    read = mask(compute.is_valid(numerals))
    wholes = _Wholes(
        spelled.where(read), Texts(numerals, spelled.counts).where(read), spelling, name
    )
    for rule in _RULES:
        if rule.holds(wholes):
            told = (
                Told(
                    code="identifier",
                    says=f"{rule.reason}; it is kept as it is and not compared",
                    sure=rule.sure,
                ),
            )
            if rule.as_text or wholes.any_beyond:
                return Decision(kind=TEXT, reason=rule.reason, told=told)
            return Decision(kind=INTEGER, reason=rule.reason, spelling=spelling, told=told)
    return None

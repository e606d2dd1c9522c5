"""What a cell looks like at first sight: enough to tell a number from a name, whatever the column
turns out to be.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Shape: TypeAlias = Literal["empty", "missing", "number", "date", "time", "address", "text"]

_CURRENCY: Final = "[$€£¥₹]"
_NUMBER: Final = re.compile(
    rf"\(?[+\-\u2212]?\s?{_CURRENCY}?\s?[+\-\u2212]?"
    r"(?:[0-9]{1,3}(?:[,.'\u2019"
    r" \u00a0\u202f][0-9]{3})+(?:[.,][0-9]+)?|[0-9]+[.,]?[0-9]*|[.,][0-9]+)"
    rf"(?:[eE][+\-]?[0-9]+)?\s?(?:%|{_CURRENCY})?\)?"
)
_CLOCK: Final = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?:\s?[aApP][mM])?"
_MONTH: Final = r"[A-Za-zäéûÀ-ÿ]{3,9}\.?"
_DATE: Final = re.compile(
    rf"(?:[0-9]{{4}}[-/.][0-9]{{1,2}}[-/.][0-9]{{1,2}}|[0-9]{{1,2}}[-/.][0-9]{{1,2}}[-/.](?:[0-9]{{4}}|[0-9]{{2}})"
    rf"|[0-9]{{1,2}}[- ]{_MONTH}[- ](?:[0-9]{{4}}|[0-9]{{2}})|{_MONTH}\s[0-9]{{1,2}},?\s[0-9]{{4}})"
    rf"(?:[T ]{_CLOCK}\s?(?:Z|[+\-][0-9]{{2}}:?[0-9]{{2}})?)?"
)
_TIME: Final = re.compile(_CLOCK)
_ADDRESS: Final = re.compile(r"(?:https?|ftp)://\S+|www\.\S+|[\w.+\-]+@[\w\-]+\.[\w.\-]+")
_MISSING: Final = frozenset(
    (
        "na",
        "n/a",
        "nan",
        "null",
        "nil",
        "none",
        "missing",
        "-",
        "--",
        "?",
        ".",
        "..",
        "\\n",
        "<na>",
        "#n/a",
        "#na",
        "#value!",
        "#div/0!",
    )
)
_WORDS: Final = re.compile(r"""['\u2018(\[@#<&~+]?[^\W_][\w .\-'\u2019/&()+:*#%°!?=@\[\]<>]*""")
_TYPED: Final = frozenset(("number", "date", "time", "address"))
_LETTERS: Final = re.compile(r"[^\W\d_]+")
_DIGITS: Final = re.compile(r"\d+")
_DOMINANT: Final = 0.9


@functools.lru_cache(maxsize=1 << 14)
def shape(cell: str) -> Shape:
    """What a cell looks like; blanks around it do not count."""
    cell = cell.strip()
    if not cell:
        return "empty"
    if _NUMBER.fullmatch(cell):
        return "number"
    if cell.lower() in _MISSING:
        return "missing"
    if _TIME.fullmatch(cell):
        return "time"
    if _DATE.fullmatch(cell):
        return "date"
    return "address" if _ADDRESS.fullmatch(cell) else "text"


def plausible(cell: str) -> bool:
    """Whether a cell is a value that people write: of a known shape, or words without a character
    that splits or quotes fields.
    """
    return shape(cell) != "text" or _WORDS.fullmatch(cell.strip()) is not None


def pattern(cell: str) -> str:
    """A cell with every run of letters as `a` and every run of digits as `9`: `MG-8769` gives
    `a-9`.
    """
    return _DIGITS.sub("9", _LETTERS.sub("a", cell.strip()))


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """What the cells of a column have in common."""

    shape: Shape | None
    """The shape of nearly all cells with a value: `empty` where none has one, None where they
    differ.
    """
    pattern: str | None
    """The pattern of nearly all cells of a text column, where it says more than `words`."""
    filled: bool
    """Whether every cell has a value."""
    values: frozenset[str]
    """The different cells, as far as they were looked at."""

    @classmethod
    def of(cls, cells: Sequence[str]) -> ColumnProfile:
        """Profile of a column from some of its cells."""
        shapes = Counter(shape(cell) for cell in cells)
        counts = Counter(
            {kind: count for kind, count in shapes.items() if kind not in ("empty", "missing")}
        )
        values = frozenset(cell.strip() for cell in cells)
        filled = not shapes["empty"]
        if not counts:
            return cls("empty" if shapes["empty"] == len(cells) else None, None, filled, values)
        [(commonest, count)] = counts.most_common(1)
        if count < _DOMINANT * counts.total():
            return cls(None, None, filled, values)
        common = None
        if commonest == "text":
            patterns = Counter(pattern(cell) for cell in cells if cell.strip())
            [(name, count)] = patterns.most_common(1)
            if (
                count >= _DOMINANT * patterns.total()
                and ("9" in name or len(name) > 1)
                and patterns.total() > 1
            ):
                common = name
        return cls(commonest, common, filled, values)

    @property
    def typed(self) -> bool:
        """Whether a cell of another shape stands out."""
        return self.shape in _TYPED

    def contradicts(self, cell: str) -> bool:
        """Whether a cell does not look like the others of the column.

        A cell without a value never does in a column that has gaps.
        """
        found = shape(cell)
        if found in ("empty", "missing"):
            return False
        if self.shape == "empty":
            return True
        if self.typed:
            return found != self.shape
        if self.pattern is not None:
            return pattern(cell) != self.pattern
        return self.shape == "text" and found in ("date", "address")

"""Which grammar a text is written in, by the measure of data consistency.

After G. van den Burg, A. Nazábal, C. Sutton, "Wrangling messy CSV files by detecting row and type
patterns", Data Mining and Knowledge Discovery 33 (2019): of all grammars that are possible, the
right one gives rows of few different widths whose cells look like values. The score of a grammar is
the product of both. Three things differ from the paper: rows of odd widths count by how many they
are, not by how many different widths they have, so that one damaged row or a second table does not
outweigh the others; characters that stand in ordinary text count a little less; and which quotes
and escapes are tried follows from where these characters stand.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import islice
from typing import Final

from workloads.preprocess.grammar import BLANKS, Grammar
from workloads.preprocess.shapes import plausible, shape

_SINGLE: Final = (",", "\t", ";", "|", ":", "^", "~", "\x01", "\x1f", "§", "¦", " ")
"""Delimiters that are tried, the likelier first: where two score alike, the first wins."""
_DOUBLED: Final = ("||", "::", ";;", "\t\t", ",,", "^^", "~~", "\\t", "|~|", "~|~")
_ROWS: Final = 200
_CELLS: Final = 4000
_ONE_COLUMN: Final = 0.01
"""What a table of one column scores in place of (width - 1) / width: any delimiter that splits most
rows alike beats it.
"""
_ALIKE: Final = 0.5
"""Share of the rows that have to have the commonest width, or the character is no delimiter; more
where blanks, colons or dots are tried.
"""
_ALIKE_IN_TEXT: Final = 0.8
_TEXT_PENALTY: Final = 0.9
_HEADLESS: Final = 0.5
"""Factor for a delimiter that the first row does not hold."""
_NO_QUOTES: Final = 3
"""Number of fields that begin with a quote, and none that ends with one: quotes are ordinary
characters.
"""
_SEPARATOR_LINE: Final = re.compile(r'"?sep=(.)"?(?:\r\n|\n|\r)', re.IGNORECASE)


def separator_line(text: str) -> str | None:
    """The delimiter that a first line like `sep=;` declares, as spreadsheets write and read it;
    else None.
    """
    found = _SEPARATOR_LINE.match(text)
    return found[1] if found else None


def sniff(text: str, *, delimiter: str | None = None) -> Grammar:
    """The grammar of a text that ends with a whole line; `delimiter` where it is known."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    best, best_score = Grammar(","), -1.0
    lines = [line for line in islice(text.splitlines(), _ROWS) if line.strip()]
    if delimiter is None and _one_column(lines):
        return best
    for candidate in [delimiter] if delimiter else _delimiters(text, lines):
        for grammar in _variants(text, candidate):
            score = consistency(text, grammar)
            if score > best_score * 1.000001:
                best, best_score = grammar, score
    return best


def with_late_escape(text: str, grammar: Grammar) -> Grammar:
    """The grammar with a backslash that escapes, where a longer text than `sniff` saw has fewer
    rows of odd widths so.
    """
    if grammar.escape or not re.search(
        rf"\\(?:{re.escape(grammar.delimiter)}|{grammar.quote or '(?!)'})", text
    ):
        return grammar
    escaped = replace(grammar, escape="\\")
    return escaped if _odd_rows(text, escaped) < _odd_rows(text, grammar) else grammar


def _odd_rows(text: str, grammar: Grammar) -> int:
    """How many rows have not the commonest width."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    widths = Counter(len(row) for _, row in grammar.rows(text) if row)
    return widths.total() - max(widths.values(), default=0)


def consistency(text: str, grammar: Grammar) -> float:
    """The score of a grammar: more is better, 0 where it makes no sense."""
    rows = [
        row for _, row in islice(grammar.rows(text), _ROWS) if any(cell.strip() for cell in row)
    ]
    if not rows:
        return 0.0
    if (
        grammar.delimiter == " "
        and "  " in text
        and any(not any(column) for column in zip(*rows, strict=False))
    ):
        return 0.0  # a column without a name and without values: runs of blanks
    widths = Counter(len(row) for row in rows)
    total = len(rows)
    [(commonest, count)] = widths.most_common(1)
    headless = commonest > 1 and len(rows[0]) == 1 and not grammar.wrapped
    alike = _ALIKE_IN_TEXT if grammar.delimiter in (" ", BLANKS, ":") else _ALIKE
    if commonest > 1 and count < alike * total and not _ends_only(rows):
        return 0.0
    kinds: float = sum((number / total) ** 2 for number in widths.values()) ** (
        -1.0 if alike == _ALIKE_IN_TEXT else -0.5
    )
    regular = (
        sum(number * max(_ONE_COLUMN, width - 1) / width for width, number in widths.items())
        / kinds
    )
    known = seen = 0
    for row in rows:
        seen += len(row)
        known += sum(map(plausible, row))
        if seen > _CELLS:
            break
    likely = (_TEXT_PENALTY if alike == _ALIKE_IN_TEXT else 1.0) * (_HEADLESS if headless else 1.0)
    return regular * max(1e-10, known / max(1, seen)) * likely


def _ends_only(rows: list[list[str]]) -> bool:
    """Whether rows differ in width only by empty cells at their ends."""
    return (
        len(
            {
                len(row) - next((n for n, cell in enumerate(reversed(row)) if cell.strip()), 0)
                for row in rows
            }
        )
        <= 2
    )


def _one_column(lines: list[str]) -> bool:
    """Whether every line but the first is one value as it stands, blanks and colons of a date
    included.
    """
    values = [
        line
        for line in lines[1:] or lines
        if " " not in line.strip() or shape(line) in ("date", "time")
    ]
    return (
        bool(lines)
        and len(values) == len(lines[1:] or lines)
        and all(shape(line) in ("number", "date", "time") for line in values)
    )


def _delimiters(text: str, lines: list[str]) -> list[str]:
    found = [
        doubled
        for doubled in _DOUBLED
        if doubled in text and _always(text, doubled) and _in_most(lines, doubled)
    ]
    found += [
        single
        for single in _SINGLE
        if single in text and not any(single in doubled for doubled in found)
    ]
    if (
        any(re.search(r"\S[ \t]{2,}\S", line) or line != line.strip(" \t") for line in lines)
        and " " in text
    ):
        found.append(BLANKS)
    return found or [","]


def _always(text: str, doubled: str) -> bool:
    """Whether the character never stands alone."""
    if len(set(doubled)) > 1:
        return True
    one = re.escape(doubled[0])
    return re.search(rf"(?<!{one}){one}(?:{one}{one})*(?!{one})", text) is None


def _in_most(lines: list[str], doubled: str) -> bool:
    return sum(doubled in line for line in lines) >= 0.9 * len(lines)


def _variants(text: str, delimiter: str) -> list[Grammar]:
    """Grammars with this delimiter whose quote, escape and blanks the text gives reason to try."""
    plain = Grammar(delimiter)
    around = r"[ \t]+" if delimiter == BLANKS else re.escape(delimiter)
    blanks = "" if delimiter in (" ", "\t", BLANKS) else " *"

    def at_ends(quote: str) -> tuple[int, int]:
        opening = len(re.findall(rf"(?:^|{around}){blanks}{quote}", text, re.MULTILINE))
        return opening, len(re.findall(rf"{quote}{blanks}(?={around}|$)", text, re.MULTILINE))

    variants = [plain]
    opening, closing = at_ends('"')
    apostrophes = at_ends("'")
    escaped_only = "\\'" in text and min(apostrophes) > max(opening, closing)
    if escaped_only or (
        min(apostrophes) > max(1, 0.8 * max(apostrophes))
        and min(apostrophes) > min(opening, closing)
    ):
        variants = [replace(plain, quote="'")]
    elif opening >= _NO_QUOTES and not closing:
        variants = [replace(plain, quote=""), plain]
    quote = variants[0].quote
    if quote and f"\\{quote}" in text:
        escaped = [replace(variant, escape="\\") for variant in variants if variant.quote]
        inside = re.search(rf"\\{quote}(?!{around}|$)", text, re.MULTILINE)
        # before a delimiter the quote may also close a field that ends with a backslash
        variants = escaped + variants if inside else variants + escaped
    if quote and _wrapped(text, quote) and delimiter != BLANKS:
        variants = [replace(plain, wrapped=True), *variants]
    if blanks and _blank_after(text, delimiter, quote):
        variants = [replace(variant, blanks=True) for variant in variants] + variants
    return variants


def _wrapped(text: str, quote: str) -> bool:
    """Whether every line is quoted as a whole, over the quotes of its fields: no quote inside
    stands alone.
    """
    lines = [line for line in text.splitlines()[:_ROWS] if line.strip()]
    inner = [
        line[1:-1].replace(quote * 2, "")
        for line in lines
        if len(line) > 2 and line[0] == line[-1] == quote
    ]
    return len(inner) == len(lines) > 1 and not any(quote in line for line in inner)


def _blank_after(text: str, delimiter: str, quote: str) -> bool:
    """Whether blanks stand between a quoted field and a delimiter, or nearly every delimiter has
    one beside it.
    """
    around = re.escape(delimiter)
    if quote and re.search(
        rf"(?:^|{around}) *{quote}[^{quote}]*{quote} +{around}|{around} +{quote}[^{quote}]*{quote}"
        rf" *(?:{around}|$)",
        text,
        re.MULTILINE,
    ):
        return True
    return (
        max(len(re.findall(rf"{around} ", text)), len(re.findall(rf" {around}", text)))
        >= 0.9 * text.count(delimiter)
        > 0
    )

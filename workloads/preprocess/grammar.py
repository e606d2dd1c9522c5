"""How fields and records of one file are written, and reading text by it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from workloads.preprocess.records import MAX_RECORD_BYTES

BLANKS: Final = "blanks"
"""Mark in place of a delimiter: one or several blanks or tabs stand between two fields."""
_INNER: Final = "\x1f"
"""Stands for a delimiter of several characters while a line is read."""
_RUN: Final = re.compile(r"[ \t]+")
_NAMES: Final = {
    ",": "comma",
    ";": "semicolon",
    "\t": "tab",
    "|": "vertical bar",
    ":": "colon",
    " ": "blank",
    BLANKS: "run of blanks",
    "^": "caret",
    "~": "tilde",
    "\\t": "backslash and t",
}
csv.field_size_limit(MAX_RECORD_BYTES)


@dataclass(frozen=True, slots=True)
class Grammar:
    """How fields and records are written.

    Args:
        delimiter: what stands between two fields, one or several characters, or BLANKS.
        quote: `"`, `'`, or empty where quotes are ordinary characters.
        escape: a backslash where it takes the special meaning from a quote, delimiter, line end or
            backslash after it, else empty.
        blanks: whether blanks around a field do not belong to it.
        wrapped: whether every line is quoted once more as a whole.
    """

    delimiter: str
    quote: str = '"'
    escape: str = ""
    blanks: bool = False
    wrapped: bool = False

    @property
    def plain(self) -> bool:
        """Whether Arrow's reader and the splitter of records read it as it stands."""
        changed = self.escape or self.blanks or self.wrapped
        return (
            len(self.delimiter) == 1
            and self.delimiter.isascii()
            and self.quote == '"'
            and not changed
        )

    @property
    def delimiter_name(self) -> str:
        """As in a sentence."""
        return _NAMES.get(
            self.delimiter,
            f"'{self.delimiter}'" if self.delimiter.isprintable() else repr(self.delimiter),
        )

    def lines(self, lines: Iterable[str]) -> Iterator[str]:
        """Lines as the csv module reads them."""
        if self.wrapped:
            lines = map(self._unwrapped, lines)
        if self.delimiter == BLANKS:
            lines = map(self._single, lines)
        elif len(self.delimiter) > 1:
            lines = (line.replace(self.delimiter, _INNER) for line in lines)
        if self.escape:
            keep = re.compile(rf"\\(?![\\\r\n{re.escape(self.quote + self.one)}])|\\(.)", re.DOTALL)
            lines = (keep.sub(_double, line) if "\\" in line else line for line in lines)
        return iter(lines)

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """The rows of physical lines that keep their ends; a csv.reader, so that `line_num` counts
        the lines read.
        """
        return csv.reader(
            self.lines(lines),
            delimiter=self.one,
            quotechar=self.quote or None,
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
            escapechar=self.escape or None,
            skipinitialspace=self.blanks,
        )

    def rows(self, text: str) -> Iterator[tuple[int, list[str]]]:
        """(first physical line from 1, cells) of every record; a blank line is a record without
        cells.
        """
        reader = self.reader(io.StringIO(text, newline=""))
        line = 1
        for row in reader:
            yield line, self.trimmed(row)
            line = reader.line_num + 1  # type: ignore[attr-defined]  # typeshed's return type of csv.reader is private

    def trimmed(self, row: list[str]) -> list[str]:
        """A row without what the csv module leaves at the ends of its cells, and with the
        delimiters inside of quotes as they were.
        """
        if self.one == _INNER != self.delimiter:
            row = [cell.replace(_INNER, self.delimiter) for cell in row]
        return [cell.rstrip(" ") for cell in row] if self.blanks else row

    def odd(self, record: str) -> bool:
        """Whether a quoted field of a record goes on after the quote that closes it, is never
        closed, or has blanks before it that are no part of this grammar.
        """
        if not self.quote or self.quote not in record:
            return False
        if self.wrapped or len(self.delimiter) != 1:
            record = "".join(self.lines(io.StringIO(record, newline="")))
        text = record.rstrip("\r\n")
        return _well_quoted(self).fullmatch(text) is None

    def loose(self, line: str) -> list[str] | None:
        """The cells of one line whose quotes are not doubled inside of quoted fields; None where
        that makes no sense of it either.

        A quote closes a field only where a delimiter or the end of the line follows.
        """
        if not self.quote or self.escape:
            return None
        quote, delimiter = re.escape(self.quote), re.escape(self.one)
        field = re.compile(
            rf"[ ]*{quote}(.*?){quote}[ ]*(?={delimiter}|$)|([^{delimiter}]*)", re.DOTALL
        )
        text = next(iter(self.lines([line.rstrip("\r\n")])))
        cells, place = [], 0
        while True:
            found = field.match(text, place)
            if found is None:
                return None
            inner = found[1]
            cells.append(found[2] if inner is None else inner.replace(self.quote * 2, self.quote))
            place = found.end()
            if place == len(text):
                return self.trimmed(cells)
            if text[place] != self.one:
                return None
            place += 1

    @property
    def one(self) -> str:
        """The delimiter as one character."""
        if self.delimiter == BLANKS:
            return "\t"
        return self.delimiter if len(self.delimiter) == 1 else _INNER

    def _unwrapped(self, line: str) -> str:
        body = line.rstrip("\r\n")
        whole = len(body) > 1 and body[0] == body[-1] == self.quote
        return body[1:-1].replace(self.quote * 2, self.quote) + line[len(body) :] if whole else line

    def _single(self, line: str) -> str:
        """A line with one tab for every run of blanks outside of quotes, and none at its ends."""
        body = line.rstrip("\r\n")
        end = line[len(body) :]
        body = body.strip(" \t")
        if not self.quote or self.quote not in body:
            return _RUN.sub("\t", body) + end
        parts = body.split(self.quote)
        parts[::2] = [_RUN.sub("\t", part) for part in parts[::2]]
        return self.quote.join(parts) + end


@cache
def _well_quoted(grammar: Grammar) -> re.Pattern[str]:
    """A record whose quotes enclose whole fields."""
    quote, delimiter = re.escape(grammar.quote), re.escape(grammar.one)
    # what is enclosed is never given back, so that a long record costs no stack
    quoted = (
        rf"{quote}(?:[^{quote}\\]++|{quote}{quote}|\\.)*+{quote}"
        if grammar.escape
        else rf"{quote}(?:[^{quote}]++|{quote}{quote})*+{quote}"
    )
    bare = rf"(?:[^{delimiter}\\]++|\\(?:.|\Z))*+" if grammar.escape else rf"[^{delimiter}]*+"
    blanks = " *+" if grammar.blanks else ""
    before = "" if grammar.blanks or grammar.one == " " else " *"
    field = rf"{blanks}(?:{quoted}{blanks}|(?!{before}{quote}){bare})"
    return re.compile(rf"{field}(?:{delimiter}{field})*+", re.DOTALL)


def _double(found: re.Match[str]) -> str:
    """A backslash that escapes nothing stays: the csv module would drop it."""
    return found[0] if found[1] is not None else "\\\\"

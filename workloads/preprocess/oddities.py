"""Counts of what was odd in the rows of a table, and the remarks that tell of it."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final

from workloads.records import Remark

_TOLD: Final = (
    (
        "padded",
        "rows-padded",
        "{rows} with fewer fields than columns got empty ones at the end",
        False,
    ),
    (
        "cut",
        "rows-cut",
        "of {rows} with more fields than columns the surplus empty ones were left out",
        False,
    ),
    (
        "quote",
        "odd-quotes",
        (
            "in {rows} quotes are not as in the rest of the file, first in line {first}; each was"
            " read so that the row fits the columns"
        ),
        False,
    ),
    (
        "apostrophes",
        "apostrophes",
        (
            "in {rows}, first in line {first}, fields stand in apostrophes; these were read as"
            " part of the text, because they do not enclose fields in the rest of the file"
        ),
        False,
    ),
    (
        "mark",
        "marks-within",
        "{rows} began with a byte order mark, as where files were joined; it was left out",
        False,
    ),
    (
        "delimiter",
        "other-delimiter",
        "{rows} written with another delimiter than the rest were read with that",
        False,
    ),
    ("blank", "blank-rows", "{rows} without any value were left out", True),
)
"""What is counted, the remark's code, its sentence, and whether the file cannot have meant
something else.
"""


class Oddities:
    """Safe to count in from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._first: dict[str, int] = {}

    def count(self, what: str, times: int = 1, *, line: int = 0) -> None:
        """Adds rows by what was odd in them, one of the first words of `_TOLD`; `line` is where the
        first of them begins, if it is to be told.
        """
        with self._lock:
            self._counts[what] += times
            self._first[what] = min(line, self._first.get(what, line))

    def remarks(self, second_table: int | None) -> list[Remark]:
        """One remark for each kind that was met; `second_table` is the line where another table
        begins.
        """
        told = [
            (code, says.format(rows=_rows(count), first=f"{self._first[what]:,}"), sure)
            for what, code, says, sure in _TOLD
            if (count := self._counts[what])
        ]
        if second_table is not None:
            sentence = (
                f"another table begins in line {second_table:,}; only the first one was read, up to"
                " there"
            )
            told.append(("second-table", sentence, False))
        return [
            Remark(code=code, column="", sentence=sentence, sure=sure)
            for code, sentence, sure in told
        ]


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"

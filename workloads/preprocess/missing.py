"""Which texts say that a cell has no value: more of them in columns of numbers, dates and truth
values than in text.
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

compute: Any = pc

_ERRORS: Final = (
    "#n/a",
    "#n/a n/a",
    "#na",
    "#null!",
    "#value!",
    "#div/0!",
    "#ref!",
    "#num!",
    "#name?",
)
_WORDS: Final = (
    *_ERRORS,
    *(
        "na",
        "n/a",
        "n.a.",
        "n.a",
        "nan",
        "-nan",
        "1.#ind",
        "-1.#ind",
        "1.#qnan",
        "-1.#qnan",
        "nd",
        "n.d.",
    ),
    *("null", "(null)", "[null]", "<null>", "<na>", "nil", "none", "missing", "no data", "nodata"),
    *("not available", "not applicable"),
)
_SIGNS: Final = ("", "-", "--", "---", "\u2013", "\u2014", "?", ".", "..", "...", ":", "*", "\\n")
_LOWER: Final = pa.array([*_SIGNS, *_WORDS])

SPELLINGS: Final = tuple(
    dict.fromkeys(
        (
            *_SIGNS,
            "\\N",
            *(way(word) for word in _WORDS for way in (str.lower, str.upper, str.title)),
            "NaN",
            "-NaN",
        )
    )
)
"""Spellings for a reader that compares character by character: the usual ways to write the markers.

In columns that are not text.
"""

IN_TEXT: Final = pa.array(
    [
        "",
        "NA",
        "N/A",
        "n/a",
        "NaN",
        "nan",
        "NULL",
        "null",
        "<NA>",
        "\\N",
        *(word.upper() for word in _ERRORS),
    ]
)
"""Markers in columns of text, where a dash or a word such as `None` may well be a value."""
_EMPTY: Final = pa.array([""])


def is_marker(trimmed: Any) -> Any:
    """Where texts without white space around them say that there is no value, in a column that is
    not text.
    """
    return compute.is_in(compute.utf8_lower(trimmed), _LOWER)


def text_without_markers(cells: Any, *, only_empty: bool) -> Any:
    """Cells of a text column, null where there is no value: where the cell is empty or, unless
    `only_empty`, one of IN_TEXT.
    """
    absent = compute.is_in(cells, _EMPTY if only_empty else IN_TEXT)
    if not compute.any(absent).as_py():
        return cells
    return compute.if_else(absent, pa.scalar(None, pa.string()), cells)

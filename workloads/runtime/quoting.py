"""Cells of uploaded files in sentences: nothing that a cell holds may steer a terminal, a chat or a
log.
"""

from __future__ import annotations

import unicodedata
from typing import Final

SHOWN: Final = 80
"""Characters of a cell that are enough to recognise it."""
OMITTED: Final = "(value omitted)"
"""Stands for a cell where values are not to be shown."""
_STEERING: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode general categories of controls, of formats (among them the bidirectional ones), of what
is no character, and of line and paragraph separators: none of them shows anything by itself.
"""


def escaped(text: str) -> str:
    r"""The text with every character that shows nothing or steers what follows as `\n`, `\x1b`,
    `\u202e`.

    A backslash stays as it is: the text is for people, not for reading back.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def quoted(text: str, *, values: bool = True) -> str:
    """A cell for a sentence: escaped, at most SHOWN characters, between apostrophes; OMITTED if not
    `values`.
    """
    if not values:
        return OMITTED
    return f"'{escaped(text[:SHOWN])}{'…' if len(text) > SHOWN else ''}'"


def _visible(character: str) -> str:
    if unicodedata.category(character) not in _STEERING:
        return character
    return character.encode("unicode_escape").decode("ascii")

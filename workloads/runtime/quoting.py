"""Outside text (cells, column names, file names) as it may stand in a sentence, a log, a terminal or a chat. Standard library alone."""

from __future__ import annotations

import unicodedata
from typing import Final

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""General categories of Unicode whose characters steer instead of showing something: controls (ESC begins what a terminal obeys), format
characters (the bidirectional ones turn text around, Unicode Technical Report 36, 2.10), surrogates, separators of lines and paragraphs."""
_JOINERS: Final = frozenset("\u200c\u200d")
"""Format characters without which Persian, Indic scripts and many emoji are spelt wrongly; they move nothing."""
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_CELL_CHARACTERS: Final = 80


def visible(text: str) -> str:
    r"""The text with every steering character escaped as Python writes it: `\n`, `\x1b`, `\u202e`. Without any it is the same text."""
    if text.isprintable():  # false for all of _HIDDEN, and for some that are shown all the same
        return text
    return "".join(_escaped(character) if _steers(character) else character for character in text)


def shortened(text: str, characters: int = _CELL_CHARACTERS) -> str:
    """At most so many characters of visible(text), the last of them an ellipsis where it was longer."""
    shown = visible(text[: characters + 1])
    return shown if len(text) <= characters and len(shown) <= characters else f"{shown[: characters - 1]}…"


def _steers(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN and character not in _JOINERS


def _escaped(character: str) -> str:
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

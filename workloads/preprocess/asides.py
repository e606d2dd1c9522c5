"""What may first show in the middle of a file and is no row's fault: byte order marks where files
were joined, and fields that stand in apostrophes where quotation marks enclose the others.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from typing import Final

_MARK: Final = codecs.BOM_UTF8
_AT_LINE_START: Final = re.compile(rb"(?<=[\r\n])" + _MARK)


def without_marks(pieces: Iterator[bytes], on_found: Callable[[int], None]) -> Iterator[bytes]:
    """UTF-8 text without the byte order marks at the beginning of lines; `on_found` is told how
    many there were in a piece.
    """
    before = b"\n"
    carry = b""
    for piece in pieces:
        data = carry + piece if carry else piece
        carry = next((_MARK[:size] for size in (2, 1) if data.endswith(_MARK[:size])), b"")
        data = data[: len(data) - len(carry)] if carry else data
        if data:
            yield (data := _unmarked(before, data, on_found))
            before = data[-1:] or before
    if carry:
        yield carry


def _unmarked(before: bytes, data: bytes, on_found: Callable[[int], None]) -> bytes:
    if _MARK[:1] not in data or _MARK not in data:  # one byte is looked for ten times as fast
        return data
    text, count = _AT_LINE_START.subn(b"", before + data)
    if count:
        on_found(count)
    return text[len(before) :]


def in_apostrophes(data: bytes, delimiter: bytes) -> list[int]:
    """Where fields begin that stand in apostrophes as a whole, those inside of quotes included."""
    if b"'" not in data:
        return []
    whole = re.compile(rb"'(?:[^'\r\n]|'')++'(?=" + re.escape(delimiter) + rb"|[\r\n]|\Z)")
    found = [0] if whole.match(data) else []
    for before in (delimiter, b"\n", b"\r"):
        place = data.find(before + b"'")
        while place >= 0:
            if whole.match(data, place + 1):
                found.append(place + 1)
            place = data.find(before + b"'", place + 1)
    return found

"""A large object as a file of which some stretches are at hand."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any


class Window(io.RawIOBase):
    """Reads what lies within one of the stretches, and raises OSError for anything else.

    Args:
        size: bytes of the whole object.
        stretches: first byte and content of each.
    """

    def __init__(self, size: int, stretches: Sequence[tuple[int, bytes]]) -> None:
        super().__init__()
        self._size = size
        self._stretches = tuple(stretches)
        self._position = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Place of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to a place and returns it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        """The next bytes, all that is left without a size. Raises OSError outside the stretches."""
        stop = self._size if size < 0 else min(self._position + size, self._size)
        for start, data in self._stretches:
            if start <= self._position and stop <= start + len(data):
                found = data[self._position - start : stop - start]
                self._position = stop
                return found
        raise OSError(f"bytes {self._position} to {stop} are not at hand")

    def readinto(self, buffer: Any) -> int:
        """Fills a buffer as read does."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

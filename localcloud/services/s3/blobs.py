"""Contents of objects on disk, and how they pass through moto, which knows contents only as bytes
in memory.

A content above `LARGEST_IN_MEMORY` is a `Blob`: a file. Through moto goes a short text in its
place, a *ticket* with a secret that is new with each process: where moto keeps a ticket it keeps
the file, and a ticket in an answer is replaced by the part of the file that it stands for.
"""

from __future__ import annotations

import re
import secrets
import tempfile
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self, SupportsIndex

LARGEST_IN_MEMORY: Final = 256 * 1024
BLOCK: Final = 1 << 20
_SECRET: Final = secrets.token_hex(16)
_TICKET: Final = re.compile(rb"localcloud-blob %s (\d+) (\d+) (\d+)" % _SECRET.encode())


class Blob:
    """A content on disk, removed with the last reference to it."""

    def __init__(self, path: Path, size: int, md5: str) -> None:
        self.path = path
        self.size = size
        self.md5 = md5
        self._remove = weakref.finalize(self, path.unlink, missing_ok=True)

    def blocks(self, start: int, length: int) -> Iterator[bytes]:
        """Some of its bytes, block by block."""
        with self.path.open("rb") as file:
            file.seek(start)
            while length > 0:
                block = file.read(min(BLOCK, length))
                if not block:
                    return
                length -= len(block)
                yield block


class Ticket(bytes):
    """What stands for a part of a blob; as long as that part, and slices are tickets too."""

    blob: Blob
    start: int
    length: int

    @classmethod
    def of(cls, blob: Blob, start: int, length: int) -> Self:
        """The ticket of a part."""
        ticket = cls(f"localcloud-blob {_SECRET} {id(blob)} {start} {length}".encode())
        ticket.blob, ticket.start, ticket.length = blob, start, length
        _known[id(blob)] = blob
        if Passing.is_on():
            _passing.kept.append(blob)
        return ticket

    @property
    def text(self) -> bytes:
        """What goes over a wire in place of the content."""
        return bytes.__getitem__(self, slice(None))

    def __len__(self) -> int:
        return self.length

    def __bool__(self) -> bool:
        return self.length > 0

    def __getitem__(self, key: SupportsIndex | slice) -> Any:
        if not isinstance(key, slice):
            raise TypeError("a ticket has no bytes of its own")
        start, stop, _ = key.indices(self.length)
        return Ticket.of(self.blob, self.start + start, max(0, stop - start))


_known: weakref.WeakValueDictionary[int, Blob] = weakref.WeakValueDictionary()
_passing = threading.local()


def ticket_in(content: bytes) -> Ticket | None:
    """The ticket that a content is, if it is one."""
    if isinstance(content, Ticket):
        return content
    match = _TICKET.fullmatch(content) if len(content) < 200 else None
    blob = _known.get(int(match[1])) if match else None
    return None if match is None or blob is None else Ticket.of(blob, int(match[2]), int(match[3]))


class Passing:
    """While it is entered, this thread sees tickets where others see bytes: for operations that
    only pass contents on.

    No file goes whose ticket the thread has seen.
    """

    def __enter__(self) -> None:
        _passing.kept = []

    def __exit__(self, *_: object) -> None:
        _passing.kept = None

    @staticmethod
    def is_on() -> bool:
        """In this thread."""
        return getattr(_passing, "kept", None) is not None


class BlobWriter:
    """Writes a content of unknown length: bytes in memory up to the limit, a file above it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._memory = bytearray()
        self._file: Any = None
        self.size = 0

    def write(self, data: bytes) -> None:
        """Appends."""
        self.size += len(data)
        if self._file is None and self.size <= LARGEST_IN_MEMORY:
            self._memory += data
            return
        if self._file is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.NamedTemporaryFile(dir=self._directory, delete=False)  # noqa: SIM115 - closed below
            self._file.write(self._memory)
            self._memory = bytearray()
        self._file.write(data)

    def finish(self, md5: str) -> bytes:
        """The content: itself, or the ticket of its blob."""
        if self._file is None:
            return bytes(self._memory)
        self._file.close()
        return Ticket.of(Blob(Path(self._file.name), self.size, md5), 0, self.size)

    def discard(self) -> None:
        """Removes what was written."""
        if self._file is not None:
            self._file.close()
            Path(self._file.name).unlink(missing_ok=True)


class BlobFile:
    """The part of a blob that is one object's content, with the few methods of a file that moto
    uses.
    """

    def __init__(self, ticket: Ticket) -> None:
        self.ticket: Ticket | None = ticket
        self._position = 0

    def seek(self, position: int) -> None:
        """Only from the start."""
        self._position = position

    def read(self, size: int = -1) -> bytes:
        """Up to so many bytes, all without a size."""
        if self.ticket is None:
            raise ValueError("the object has been deleted")
        left = self.ticket.length - self._position
        wanted = left if size < 0 else min(size, left)
        data = b"".join(self.ticket.blob.blocks(self.ticket.start + self._position, wanted))
        self._position += len(data)
        return data

    def close(self) -> None:
        """Lets go of the blob, whose file goes with the last reference to it; moto keeps the
        objects that it has deleted.
        """
        self.ticket = None

"""Where whole objects lie: in a bucket, or in a directory of a file system that jobs share.

A directory keeps the promises that S3 makes: an object appears whole or not at all, and of two
writers who replace what they have read one is told of the other.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import logging
import os
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol

from workloads.runtime import s3, s3_streams
from workloads.runtime.errors import (
    EXIT_ENVIRONMENT,
    EXIT_NO_SPACE,
    StageError,
    exhausted,
    no_space,
)

log = logging.getLogger(__name__)

_HINT: Final = (
    "is the volume of this job mounted, and writable for it? Its path is the stack file's"
    " jobs.<stage>.volumes"
)


class Place(Protocol):
    """Whole objects by key. Every method raises StageError."""

    def get_with_etag(self, key: str) -> tuple[bytes, str] | None:
        """An object and what it is known by; None where there is none."""

    def get_bytes(self, key: str) -> bytes:
        """An object."""

    def put_bytes(self, key: str, data: bytes) -> None:
        """Writes an object, whole."""

    def put_if_unchanged(self, key: str, data: bytes, *, etag: str | None) -> str:
        """Writes an object if it is still the one that was read, or still absent; returns what it
        is known by. Raises s3.ConflictError where it is not.
        """

    def keys(self, prefix: str) -> list[str]:
        """The keys that begin so."""

    def delete(self, keys: Sequence[str]) -> None:
        """Removes objects; those that are gone already do not matter."""


class Bucket:
    """Objects of S3."""

    def __init__(self, name: str) -> None:
        self.get_with_etag = functools.partial(s3.get_with_etag, name)
        self.get_bytes = functools.partial(s3.get_bytes, name)
        self.put_bytes = functools.partial(s3.put_bytes, name)
        self.put_if_unchanged = functools.partial(
            s3.put_if_unchanged, name, content_type="application/json"
        )
        self.keys = functools.partial(s3.keys, name)
        self.delete = functools.partial(s3.delete, name)


class Directory:
    """Files below a directory, by their path in it.

    What an object is known by is the sha256 of its bytes. Writers who replace what they have read
    do so one after the other, by a lock on a file beside it, which NFS 4.1 and Lustre (mounted with
    `flock`) keep between machines.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def get_with_etag(self, key: str) -> tuple[bytes, str] | None:
        """An object and what it is known by; None where there is none."""
        with _named(self._root / key):
            try:
                data = (self._root / key).read_bytes()
            except FileNotFoundError:
                return None
        return data, hashlib.sha256(data).hexdigest()

    def get_bytes(self, key: str) -> bytes:
        """An object."""
        with _named(self._root / key):
            return (self._root / key).read_bytes()

    def put_bytes(self, key: str, data: bytes) -> None:
        """Writes an object, whole."""
        with _named(self._root / key):
            _replace(self._root / key, data)

    def put_if_unchanged(self, key: str, data: bytes, *, etag: str | None) -> str:
        """Writes an object if it is still the one that was read, or still absent."""
        path = self._root / key
        with _named(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(path.with_name(f".{path.name}.lock")):
                found = self.get_with_etag(key)
                if (None if found is None else found[1]) != etag:
                    raise s3.ConflictError(str(path))
                _replace(path, data)
        return hashlib.sha256(data).hexdigest()

    def keys(self, prefix: str) -> list[str]:
        """The keys that begin so, with what was killed while it was being written, and locks."""
        folder = self._root / prefix.rpartition("/")[0]
        with _named(folder):
            found = (path for path in folder.rglob("*") if path.is_file())
            keys = (str(path.relative_to(self._root)) for path in found)
            return sorted(key for key in keys if key.startswith(prefix))

    def delete(self, keys: Sequence[str]) -> None:
        """Removes objects; those that are gone already do not matter."""
        for key in keys:
            with _named(self._root / key):
                (self._root / key).unlink(missing_ok=True)


class Ranges:
    """Ranges of a file that is a copy of an object; thread safe.

    None where there is no such file, or it has another size than the object: then it is not the
    copy. Whoever asks checks what it gets, for a copy may be of another version.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path, self._size = path, size
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._distrusted = False

    def read(self, start: int, length: int) -> bytes | None:
        """`length` bytes from byte `start`, None where they cannot be had."""
        descriptor = self._open()
        if descriptor is None:
            return None
        data, missing = bytearray(), length
        try:
            while missing and (more := os.pread(descriptor, missing, start + len(data))):
                data += more
                missing -= len(more)
        except OSError as error:
            self.distrust(str(error))
            return None
        return None if missing else bytes(data)

    def distrust(self, reason: str) -> None:
        """Reads no more of it; said once."""
        with self._lock:
            if not self._distrusted:
                log.warning("%s is not read any more: %s; reading from S3", self._path, reason)
            self._distrusted = True

    def _open(self) -> int | None:
        with self._lock:
            if self._distrusted:
                return None
            if self._descriptor is None:
                try:
                    self._descriptor = os.open(self._path, os.O_RDONLY)
                    found = os.fstat(self._descriptor).st_size
                    reason = "" if found == self._size else f"it has {found} bytes"
                except OSError as error:
                    reason = str(error.strerror)
                if reason:
                    log.warning("%s: %s; reading from S3", self._path, reason)
                    self._distrusted = True
                    return None
                log.info("units are read from %s", self._path)
            return self._descriptor

    def __del__(self) -> None:
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)


class CopyingWriter(s3_streams.Writer):
    """A writer of an object of S3 that leaves a copy in a directory, under the object's key.

    The copy appears after the object, whole.
    """

    def __init__(self, bucket: str, key: str, *, directory: Path, **details: Any) -> None:
        super().__init__(bucket, key, **details)
        self._path = directory / key
        self._partial = _partial(self._path)
        with _named(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._partial.open("xb")

    def write(self, data: Any) -> int:
        """Takes all of `data`. Raises StageError."""
        taken = super().write(data)
        with _named(self._path):
            self._file.write(data)
        return taken

    def commit(self) -> None:
        """Makes object and copy appear. Raises StageError."""
        with _named(self._path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        super().commit()
        with _named(self._path):
            self._partial.replace(self._path)

    def close(self) -> None:
        """Abandons both unless they were committed."""
        if not self.closed and not self._done:
            self._file.close()
            with suppress(OSError):
                self._partial.unlink()
        super().close()


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial-{uuid.uuid4().hex}")


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)  # until the file is closed
        yield


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of the system in the block become a StageError that names the file."""
    try:
        yield
    except OSError as error:
        if (full := exhausted(error)) is not None:
            raise no_space(path) if full.exit_code == EXIT_NO_SPACE else full from error
        raise StageError(
            f"{path}: {error.strerror or error}", hint=_HINT, exit_code=EXIT_ENVIRONMENT
        ) from error

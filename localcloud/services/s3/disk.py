"""moto's objects with their contents on disk. moto has no hooks for this."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from moto import settings
from moto.s3 import models
from moto.s3.exceptions import EntityTooSmall, InvalidPart, MalformedXML

from localcloud.services.s3 import checksums
from localcloud.services.s3.blobs import BLOCK, BlobFile, BlobWriter, Passing, ticket_in

PASS_CONTENTS_ON: Final = frozenset({"GetObject", "CopyObject", "UploadPartCopy"})
"""Operations in which moto itself looks at no byte of an object."""


@contextlib.contextmanager
def contents_on_disk(directory: Path) -> Iterator[None]:
    """For the time, what is large lies in files of the directory."""
    original: Any = models.FakeKey.value  # a property

    def get(key: Any) -> bytes:
        buffer = key._value_buffer  # noqa: SLF001 - moto's own
        if isinstance(buffer, BlobFile) and buffer.ticket is not None and Passing.is_on():
            return buffer.ticket
        return bytes(original.fget(key))

    def put(key: Any, value: Any) -> None:
        ticket = ticket_in(value) if isinstance(value, bytes) else None
        if ticket is None:
            if isinstance(key._value_buffer, BlobFile):  # noqa: SLF001
                key._value_buffer = tempfile.SpooledTemporaryFile(key._max_buffer_size)  # noqa: SLF001, SIM115 - moto closes it
            original.fset(key, value)
            return
        key._value_buffer.close()  # noqa: SLF001
        key._value_buffer = BlobFile(ticket)  # noqa: SLF001
        key.contentsize = ticket.length
        if key._etag is None and ticket.length == ticket.blob.size:  # noqa: SLF001
            key._etag = ticket.blob.md5  # noqa: SLF001 - of the whole; moto computes that of a part

    def complete(
        upload: Any, body: Iterator[tuple[int, str]]
    ) -> tuple[bytes, str, tuple[str, str, int] | None]:
        return _joined(upload, body, directory)

    key_type: Any = models.FakeKey
    upload_type: Any = models.FakeMultipart
    joined = upload_type.complete
    key_type.value = property(get, put)
    upload_type.complete = complete
    try:
        yield
    finally:
        key_type.value = original
        upload_type.complete = joined


def _joined(
    upload: Any, body: Iterator[tuple[int, str]], directory: Path
) -> tuple[bytes, str, tuple[str, str, int] | None]:
    """Content, ETag and checksum of a multipart upload, read once from the first part to the last.

    Raises moto's errors for a part that is not there or too small.
    """
    parts = _checked(upload, body)
    algorithm = upload.metadata.get("x-amz-checksum-algorithm") or "CRC64NVME"
    kind = upload.metadata.get("x-amz-checksum-type") or (
        "FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE"
    )
    whole, writer = checksums.new(algorithm), BlobWriter(directory)
    etag, content = hashlib.md5(usedforsecurity=False), hashlib.md5(usedforsecurity=False)
    for part in parts:
        etag.update(bytes.fromhex(part.etag.strip('"')))
        own = checksums.new(algorithm)
        for block in _blocks(part):
            writer.write(block)
            content.update(block)
            (own if kind == "COMPOSITE" else whole).update(block)
        if kind == "COMPOSITE":
            whole.update(own.digest())
    value = writer.finish(content.hexdigest())
    return value, f"{etag.hexdigest()}-{len(parts)}", (kind, checksums.encoded(whole), len(parts))


def _checked(upload: Any, body: Iterator[tuple[int, str]]) -> list[Any]:
    parts: list[Any] = []
    for number, etag in body:
        part = upload.parts.get(number)
        if part is None or part.etag.strip('"') != etag.strip('"'):
            raise InvalidPart
        if parts and parts[-1].contentsize < settings.S3_UPLOAD_PART_MIN_SIZE:
            raise EntityTooSmall
        parts.append(part)
    if not parts:
        raise MalformedXML
    return parts


def _blocks(part: Any) -> Iterator[bytes]:
    buffer = part._value_buffer  # noqa: SLF001
    ticket = buffer.ticket if isinstance(buffer, BlobFile) else None
    if ticket is not None:
        yield from ticket.blob.blocks(ticket.start, ticket.length)
        return
    value = part.value
    for start in range(0, len(value), BLOCK):
        yield value[start : start + BLOCK]

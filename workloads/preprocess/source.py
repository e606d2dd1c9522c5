"""From the bytes of an upload to UTF-8 text in pieces: gzip, byte order marks, other encodings; and
sentences for what is no CSV at all.
"""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final, Protocol

from workloads.preprocess import encodings
from workloads.runtime.errors import StageError

PIECE_BYTES: Final = 4 << 20
SAMPLE_BYTES: Final = 2 << 20
"""Text from which encoding, dialect and column kinds are decided; fixed, so that they never depend
on how the bytes arrive.
"""
_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_MAX_RATIO: Final = 300
_GZIP_FREE_BYTES: Final = 256 << 20
"""Size below which no ratio is suspicious: a table of constants packs very well."""
_NUL_SHARE: Final = 0.01
_CONTROLS: Final = frozenset(range(0x20)) - frozenset(b"\t\n\v\f\r")
_MOST_CONTROLS: Final = 8
"""Kinds of control characters, beside blanks, that a text may hold: some files take a few for
delimiters and quotes.
"""

_FOREIGN: Final = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an Excel workbook of the old format",
    b"PAR1": "a Parquet file",
    b"BZh": "bzip2-compressed",
    b"\x28\xb5\x2f\xfd": "Zstandard-compressed",
    b"\xfd7zXZ": "xz-compressed",
    b"%PDF": "a PDF document",
    b"SQLite format 3": "an SQLite database",
    b"\x89HDF": "an HDF5 file",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
    b"<?xml": "an XML document",
}
_BYTE_ORDER_MARKS: Final = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",  # before UTF-16: the mark begins with the same two bytes
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


class ByteStream(Protocol):
    """Anything with `read(n)`: a file, an S3 reader.

    A short read is not the end; an empty one is.
    """

    def read(self, size: int, /) -> bytes | None:
        """At most `size` bytes."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """An upload as UTF-8."""

    pieces: Iterator[bytes]
    """The whole text without byte order mark, the sample included."""
    sample: bytes
    """The first SAMPLE_BYTES of it, or all."""
    whole: bool
    """Whether the sample is all there is."""
    encoding: str
    """What the upload was encoded in."""
    guessed: bool
    """Whether nothing in the file says so: the encoding is one of those that are no Unicode."""
    compression: str
    """`gzip` or `none`."""


def open_text(stream: ByteStream, *, piece_bytes: int = PIECE_BYTES) -> Text:
    """Recognises compression and encoding from the beginning of a stream and returns it as UTF-8.

    Bytes that are not valid in the encoding found reach the pieces as invalid UTF-8, so that the
    rows that hold them can be rejected. Memory: a few pieces. Raises StageError where the stream is
    empty or is recognisably not text.
    """
    raw = _pieces(stream, piece_bytes)
    head, raw = _peek(raw, 512)
    if not head:
        raise StageError(
            "the file is empty",
            hint="upload a CSV file with a header row and at least one row of data",
        )
    compressed = head.startswith(_GZIP_MAGIC)
    if compressed:
        head, raw = _peek(_gunzip(raw, piece_bytes), 512)
        if not head:
            raise StageError(
                "the file is gzip-compressed and empty inside",
                hint="upload a CSV file with a header row and at least one row of data",
            )
    for magic, name in _FOREIGN.items():
        if head[:64].lstrip().lower().startswith(magic.lower()):
            raise StageError(
                f"the file is {name}, not CSV text",
                hint="export the table as CSV (gzip is understood) and upload that",
            )

    beginning, raw = _peek(raw, SAMPLE_BYTES + 4)
    mark = next((mark for mark in _BYTE_ORDER_MARKS if beginning.startswith(mark)), b"")
    encoding = _BYTE_ORDER_MARKS[mark] if mark else _guess(beginning[:SAMPLE_BYTES])
    guessed = encoding in (*encodings.ONE_BYTE, *encodings.OTHERS)
    text = _skip(raw, len(mark))
    if encoding != "utf-8":
        text = _transcode(text, encoding)
    sample, text = _peek(text, SAMPLE_BYTES)
    _refuse_binary(sample)
    if not sample.strip():
        following, text = _peek(text, SAMPLE_BYTES + 1)
        if len(following) <= SAMPLE_BYTES:
            raise StageError(
                "the file holds blank lines only",
                hint="upload a CSV file with a header row and at least one row of data",
            )
    more, text = _peek(text, len(sample) + 1)
    return Text(
        pieces=text,
        sample=sample,
        whole=len(more) <= len(sample),
        encoding=encodings.name(encoding),
        guessed=guessed,
        compression="gzip" if compressed else "none",
    )


def _pieces(stream: ByteStream, size: int) -> Iterator[bytes]:
    """The stream in pieces of `size` bytes but for the last, however short its reads are."""
    buffer = bytearray()
    while data := stream.read(size - len(buffer)):
        if not buffer and len(data) == size:
            yield data
            continue
        buffer += data
        if len(buffer) == size:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)


def _peek(pieces: Iterator[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """The first `size` bytes (fewer only at the end), and an iterator that still gives
    everything.
    """
    taken: list[bytes] = []
    length = 0
    while length < size and (piece := next(pieces, None)) is not None:
        taken.append(piece)
        length += len(piece)
    return b"".join(taken)[:size], chain(taken, pieces)


def _skip(pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
    for piece in pieces:
        if count < len(piece):
            yield piece[count:] if count else piece
        count = max(0, count - len(piece))


def _gunzip(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Unpacks gzip of one or several members.

    Raises StageError for damaged, cut or absurdly compressible data.
    """
    unpacker = zlib.decompressobj(wbits=31)
    taken = given = 0
    for piece in pieces:
        taken += len(piece)
        rest = piece
        while rest:
            if unpacker.eof:
                unpacker = zlib.decompressobj(wbits=31)
            try:
                data = unpacker.decompress(rest, size)
            except zlib.error as error:
                raise StageError(
                    f"the file is gzip-compressed and damaged near byte {taken - len(rest)}"
                    f" ({error})",
                    hint="upload it again",
                ) from error
            given += len(data)
            if given > max(_GZIP_FREE_BYTES, taken * _GZIP_MAX_RATIO):
                raise StageError(
                    f"the gzip file unpacks to more than {_GZIP_MAX_RATIO} times its size:"
                    f" {taken:,} bytes became more than {given:,}",
                    hint="if this is a real table, upload it uncompressed",
                )
            if data:
                yield data
            rest = unpacker.unused_data.lstrip(b"\0") if unpacker.eof else unpacker.unconsumed_tail
    if not unpacker.eof:
        raise StageError(f"the gzip file is cut off after {taken:,} bytes", hint="upload it again")


def _refuse_binary(sample: bytes) -> None:
    if sample.count(0) > len(sample) * _NUL_SHARE:
        raise StageError(
            "the file holds binary data (many NUL bytes), not CSV text",
            hint="save it as UTF-8 text",
        )
    controls = sum(code in sample for code in _CONTROLS)
    if controls > _MOST_CONTROLS:
        raise StageError(
            f"the file holds binary data ({controls} kinds of control characters), not CSV text",
            hint="export the table as CSV text and upload that",
        )


def _guess(beginning: bytes) -> str:
    """UTF-8; UTF-16 where every other byte is zero; another where most lines with other characters
    than ASCII are not valid UTF-8.
    """
    if beginning.count(0) > len(beginning) * _NUL_SHARE and (wide := _utf_16(beginning)):
        return wide
    try:
        beginning.decode()
    except UnicodeDecodeError:
        pass
    else:
        return encodings.escaped(beginning) or "utf-8"
    good = bad = 0
    lines = beginning.split(b"\n")
    for line in (
        lines[:-1] if len(lines) > 1 else [beginning[:-3]]
    ):  # the last may be cut inside a character
        if not line.isascii():
            if _is_utf8(line):
                good += 1
            else:
                bad += 1
    return encodings.guess(beginning) if bad > good else "utf-8"


def _utf_16(beginning: bytes) -> str:
    """UTF-16 without its mark: in text of Latin letters and digits most upper halves are zero, and
    hardly a lower one.
    """
    even, odd = beginning[::2].count(0), beginning[1::2].count(0)
    half = max(1, len(beginning) // 2)
    for high, low, encoding in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if high > 0.4 * half and low < _NUL_SHARE * half:
            return encoding
    return ""


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _undecodable(error: UnicodeError) -> tuple[str, int]:
    """Bytes that are no character become a lone surrogate, which is no valid UTF-8."""
    if isinstance(error, UnicodeDecodeError):
        return "\udcff", error.end
    raise error


codecs.register_error("undecodable", _undecodable)


def _transcode(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    if encoding in encodings.ONE_BYTE:
        for piece in pieces:
            yield piece if piece.isascii() else piece.decode(encoding, "c1-control").encode()
        return
    # lone surrogates pass through, as bytes that are not valid UTF-8: their rows are rejected later
    # like any other undecodable row
    unicode = encoding.startswith("utf")
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass" if unicode else "undecodable")
    for piece in pieces:
        yield decoder.decode(piece).encode("utf-8", "surrogatepass")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        yield b"\xff"  # the file ends inside a character

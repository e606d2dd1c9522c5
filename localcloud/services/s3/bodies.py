"""Bodies that carry an object: read once, in pieces, unpacked from `aws-chunked`, and held to
everything that the request says of them.

Rules: S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload
in Multiple Chunks" and its page on trailing headers; S3 User Guide, "Checking object integrity".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from localcloud.protocol.signatures import UNSIGNED_PAYLOAD, signing_key
from localcloud.protocol.wire import Call, WireError
from localcloud.services.s3 import checksums
from localcloud.services.s3.blobs import BLOCK, BlobWriter, Ticket

CARRY_OBJECTS: Final = frozenset({"PutObject", "UploadPart"})
_SIGNED: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
_STREAMING: Final = frozenset({_SIGNED, f"{_SIGNED}-TRAILER", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"})
_EMPTY: Final = hashlib.sha256().hexdigest()
_LONGEST_LINE: Final = 4096
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


def receive(call: Call, directory: Path) -> None:
    """Reads the body of a call and leaves in its place, for moto, the plain content or the ticket
    of a file that holds it.

    Raises WireError where the body is shorter than it says, or is not what its hash, checksum or
    chunk signatures promise.
    """
    headers = dict(call.signed_request.headers)
    payload = headers.get("x-amz-content-sha256", UNSIGNED_PAYLOAD)
    writer = BlobWriter(directory)
    try:
        _take(call, headers, payload, writer)
    except BaseException:
        writer.discard()
        raise


def _take(call: Call, headers: dict[str, str], payload: str, writer: BlobWriter) -> None:
    if payload.startswith("STREAMING-") and payload not in _STREAMING:
        raise WireError(
            "InvalidRequest",
            f"x-amz-content-sha256 is {payload}, which this endpoint cannot verify",
        )
    chunked = payload in _STREAMING or "aws-chunked" in headers.get("content-encoding", "")
    stream = call.environ["wsgi.input"]
    source: Iterator[bytes] = (
        _Chunks(call, stream, payload, headers).blocks() if chunked else _plain(stream)
    )
    algorithms = _algorithms(headers)
    running = {name: checksums.new(name) for name in algorithms}
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    hashed = len(payload) == len(_EMPTY) and not chunked
    for block in source:
        writer.write(block)
        md5.update(block)
        if hashed:
            sha256.update(block)
        for each in running.values():
            each.update(block)
    stated = (
        headers.get("x-amz-decoded-content-length") if chunked else headers.get("content-length")
    )
    if stated is not None and writer.size != int(stated):
        raise WireError(
            "IncompleteBody",
            "You did not provide the number of bytes specified by the Content-Length HTTP header",
        )
    if hashed and sha256.hexdigest() != payload.lower():
        raise WireError(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )
    _check_md5(headers, md5.digest())
    found = {name: checksums.encoded(each) for name, each in running.items()}
    for name, value in found.items():
        promised = headers.get(f"x-amz-checksum-{name.lower()}")
        if promised is not None and promised != value:
            raise WireError(
                "BadDigest", f"The {name} you specified did not match the calculated checksum."
            )
    _rewrite(call, writer.finish(md5.hexdigest()), found)


def _plain(stream: Any) -> Iterator[bytes]:
    while block := stream.read(BLOCK):
        yield block


def _algorithms(headers: Mapping[str, str]) -> list[str]:
    """The checksums that a request states, in its headers or after its body, or asks to be
    computed.
    """
    trailers = [each.strip().lower() for each in headers.get("x-amz-trailer", "").split(",")]
    wanted = headers.get("x-amz-sdk-checksum-algorithm", "").upper()
    found = [
        each
        for each in checksums.ALGORITHMS
        if f"x-amz-checksum-{each.lower()}" in (*headers, *trailers) or each == wanted
    ]
    if wanted and wanted not in found:
        raise WireError(
            "InvalidRequest",
            f"The value specified in the x-amz-sdk-checksum-algorithm header is invalid: {wanted}",
        )
    if len(found) > 1:
        raise WireError(
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        )
    return found


def _check_md5(headers: Mapping[str, str], digest: bytes) -> None:
    stated = headers.get("content-md5")
    if stated is None:
        return
    try:
        expected = base64.b64decode(stated, validate=True)
    except binascii.Error:
        expected = b""
    if len(expected) != len(digest):
        raise WireError("InvalidDigest", "The Content-MD5 you specified was invalid.")
    if expected != digest:
        raise WireError(
            "BadDigest", "The Content-MD5 you specified did not match what we received."
        )


def _rewrite(call: Call, content: bytes, found: Mapping[str, str]) -> None:
    """The request as moto is to see it: one piece, its checksum in a header."""
    environ = call.environ
    call.body = content.text if isinstance(content, Ticket) else content
    environ["wsgi.input"] = BytesIO(call.body)
    environ["CONTENT_LENGTH"] = str(len(call.body))
    for name in (
        "HTTP_TRANSFER_ENCODING",
        "wsgi.input_terminated",
        "HTTP_X_AMZ_DECODED_CONTENT_LENGTH",
        "HTTP_X_AMZ_TRAILER",
    ):
        environ.pop(name, None)
    environ["HTTP_X_AMZ_CONTENT_SHA256"] = UNSIGNED_PAYLOAD
    if environ.get("CONTENT_TYPE", "").startswith(_FORMS):
        environ["CONTENT_TYPE"] = (
            "binary/octet-stream"  # an object, not a form, whatever the client's library puts there
        )
    for name, value in found.items():
        environ["HTTP_X_AMZ_SDK_CHECKSUM_ALGORITHM"] = name
        environ[f"HTTP_X_AMZ_CHECKSUM_{name}"] = value
    call.content = content  # keeps a file until moto has it


class _Chunks:
    """A body in `aws-chunked`: each chunk with its length, and its signature where the payload is
    signed; then the trailers.
    """

    def __init__(self, call: Call, stream: Any, payload: str, headers: dict[str, str]) -> None:
        self._stream = stream
        self._headers = headers
        self._signed = payload.startswith(_SIGNED)
        self._trailing = payload.endswith("-TRAILER")
        if self._signed:
            claim = call.claim
            if claim is None or claim.version != 4 or claim.presigned:
                raise WireError(
                    "InvalidRequest",
                    "a payload in signed chunks needs an Authorization header of Signature"
                    " Version 4",
                )
            self._key = signing_key(call.secret, claim.scope)
            self._prefix = f"{claim.signed_at:%Y%m%dT%H%M%SZ}\n{claim.scope}"
            self._previous = claim.signature

    def blocks(self) -> Iterator[bytes]:
        while True:
            size, signature = self._head()
            digest = hashlib.sha256()
            left = size
            while left:
                block = self._stream.read(min(BLOCK, left))
                if not block:
                    raise _incomplete()
                left -= len(block)
                digest.update(block)
                yield block
            if size:
                self._line()
            self._check(
                signature,
                (
                    f"AWS4-HMAC-SHA256-PAYLOAD\n{self._chain()}\n{_EMPTY}\n{digest.hexdigest()}"
                    if self._signed
                    else ""
                ),
            )
            if not size:
                self._trailers()
                return

    def _chain(self) -> str:
        return f"{self._prefix}\n{self._previous}"

    def _line(self) -> str:
        line = self._stream.readline(_LONGEST_LINE)
        return str(line.decode("latin-1").rstrip("\r\n"))

    def _head(self) -> tuple[int, str]:
        length, _, extension = self._line().partition(";")
        try:
            return int(length, 16), extension.partition("chunk-signature=")[2]
        except ValueError:
            raise _incomplete() from None

    def _check(self, signature: str, text: str) -> None:
        """Nothing of a file is kept before its last chunk has been found good."""
        if not self._signed:
            return
        expected = hmac.digest(self._key, text.encode(), "sha256").hex()
        if not hmac.compare_digest(expected, signature):
            message = (
                "The request signature we calculated does not match the signature you provided."
                " Check your key and signing method."
            )
            raise WireError("SignatureDoesNotMatch", message, status=403)
        self._previous = signature

    def _trailers(self) -> None:
        canonical, signature = "", ""
        while self._trailing and (line := self._line()):
            name, _, value = line.partition(":")
            if name.lower() == "x-amz-trailer-signature":
                signature = value.strip()
            else:
                self._headers[name.lower()] = value.strip()
                canonical += f"{name.lower()}:{value.strip()}\n"
        missing = [
            each.strip()
            for each in self._headers.get("x-amz-trailer", "").split(",")
            if each.strip()
        ]
        if any(each.lower() not in self._headers for each in missing):
            raise WireError(
                "MalformedTrailerError",
                "The request contained trailing data that was not well-formed or did not conform.",
            )
        if self._trailing and self._signed:
            digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
            self._check(signature, f"AWS4-HMAC-SHA256-TRAILER\n{self._chain()}\n{digest}")


def _incomplete() -> WireError:
    return WireError("IncompleteBody", "The request body terminated unexpectedly")

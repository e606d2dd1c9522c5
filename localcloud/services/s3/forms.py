"""Forms that upload an object (POST Object, "presigned POST"): read, checked, and made a PutObject.

Rules: Amazon S3 API Reference, "POST Object" and "Authenticating Requests in Browser-Based
Uploads Using POST". The file is read after the form has been found signed, and lies on disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from localcloud.protocol.signatures import (
    Claim,
    MalformedSignatureError,
    bucket_of_host,
    claim_of_form,
)
from localcloud.protocol.wire import Reply, WireError, header_value
from localcloud.services.s3.blobs import BLOCK
from localcloud.services.s3.form_policy import Policy

_MOST_BEFORE_THE_FILE: Final = 20_000
_HEADERS: Final = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-type",
    "expires",
)
_OF_THE_SIGNATURE: Final = frozenset(
    {
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-signature",
    }
)
_NO_FILE: Final = "POST requires exactly one file upload per request."


def is_form(environ: Mapping[str, Any]) -> bool:
    """Whether a request is one: nothing else of AWS is posted as multipart/form-data."""
    kind = str(environ.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()
    return environ["REQUEST_METHOD"] == "POST" and kind == "multipart/form-data"


class Form:
    """A form whose fields have been read, and its file not yet.

    Attributes:
        policy: The policy's text as it was signed.
        claim: Who signed it; None where nobody did.
        malformed: What is wrong with the signature, where it cannot be read.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        """Reads up to the file. Raises WireError."""
        self._environ = environ
        _, options = parse_options_header(environ["CONTENT_TYPE"])
        if not options.get("boundary"):
            raise _malformed("the Content-Type has no boundary")
        self._decoder = MultipartDecoder(
            options["boundary"].encode("latin-1"), max_form_memory_size=None
        )
        self._stream = environ["wsgi.input"]
        self._filename = ""
        self._fields = self._read_fields()
        self.policy = self._fields.get("policy", "")
        self.claim: Claim | None = None
        self.malformed = ""
        try:
            self.claim = claim_of_form(self._fields)
        except MalformedSignatureError as error:
            self.malformed = str(error)

    # ---- reading ------------------------------------------------------------------------------

    def _next(self) -> Any:
        """The next event of the decoder. Raises WireError for what is no form."""
        try:
            while isinstance(event := self._decoder.next_event(), NeedData):
                self._decoder.receive_data(self._stream.read(BLOCK) or None)
        except (ValueError, LookupError, RequestEntityTooLarge):
            raise _malformed("the body is no well-formed multipart/form-data") from None
        return event

    def _read_fields(self) -> dict[str, str]:
        """The fields before the file, by name in lower case; what comes after it does not count."""
        found: dict[str, bytes] = {}
        name, size = "", 0
        while True:
            event = self._next()
            if isinstance(event, Epilogue):
                raise WireError("InvalidArgument", _NO_FILE)
            if isinstance(event, (File, Field)) and not event.name:
                raise _malformed("a part has no name")
            if isinstance(event, File) or (isinstance(event, Field) and event.name == "file"):
                self._filename = getattr(event, "filename", "") or ""
                return {key: value.decode("utf-8", "replace") for key, value in found.items()}
            if isinstance(event, Field):
                name = event.name.lower()
                found[name] = b""
            elif isinstance(event, Data):
                found[name] += event.data
                size += len(event.data)
                if size > _MOST_BEFORE_THE_FILE:
                    raise WireError(
                        "MaxPostPreDataLengthExceeded",
                        "Your POST request fields preceding the upload file were too large.",
                    )

    # ---- what it asks for ---------------------------------------------------------------------

    @property
    def bucket(self) -> str:
        """Of the address."""
        of_host = bucket_of_host(str(self._environ.get("HTTP_HOST", "")))
        return of_host or str(self._environ["PATH_INFO"]).strip("/")

    @property
    def key(self) -> str:
        """Of the object; `${filename}` stands for the file's name without its folders."""
        name = self._filename.rpartition("/")[2]
        return self._fields.get("key", "").replace("${filename}", name)

    def put_environ(self) -> dict[str, Any]:
        """The environment of a PutObject with the form's fields as headers, without its body."""
        if not self.key:
            raise WireError(
                "InvalidArgument",
                "Bucket POST must contain a field named 'key'.  If it is specified, please check "
                "the order of the fields.",
            )
        if "tagging" in self._fields:
            raise WireError("NotImplemented", "the form's field tagging is not read", status=501)
        headers = {
            name: value
            for name, value in self._fields.items()
            if name in _HEADERS or (name.startswith("x-amz-") and name not in _OF_THE_SIGNATURE)
        }
        if "acl" in self._fields:
            headers["x-amz-acl"] = self._fields["acl"]
        headers.setdefault("content-type", "binary/octet-stream")
        path = f"/{self.bucket}/{self.key}"
        raw = quote(path)
        port = self._environ["SERVER_PORT"]
        made = {
            name: value
            for name, value in self._environ.items()
            if not name.startswith("HTTP_") and name not in ("CONTENT_TYPE", "CONTENT_LENGTH")
        }
        made |= {
            "REQUEST_METHOD": "PUT",
            "PATH_INFO": path.encode().decode("latin-1"),
            "RAW_URI": raw,
            "REQUEST_URI": raw,
            "QUERY_STRING": "",
            "HTTP_HOST": f"localhost:{port}",
            # moto lets only public objects be replaced by a request that is not signed
            "HTTP_AUTHORIZATION": "by its form",
            "CONTENT_TYPE": headers["content-type"],
            "localcloud.headers": [("host", f"localhost:{port}"), *headers.items()],
        }
        made.pop("wsgi.input_terminated", None)
        for name, value in headers.items():
            if name != "content-type":
                made[f"HTTP_{name.upper().replace('-', '_')}"] = value
        return made

    def check(self) -> None:
        """Raises WireError where the form does not keep to its policy."""
        Policy.of(self.policy).check({**self._fields, "key": self.key}, self.bucket)

    def file(self, directory: Path) -> Any:
        """The file, read into a nameless one in `directory`, from its beginning.

        Raises WireError.
        """
        policy, size = Policy.of(self.policy), 0
        directory.mkdir(parents=True, exist_ok=True)
        target = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - the caller's
        try:
            while isinstance(event := self._next(), Data):
                size += len(event.data)
                policy.check_size(size, whole=False)
                target.write(event.data)
                if not event.more_data:
                    break
            policy.check_size(size, whole=True)
        except BaseException:
            target.close()
            raise
        target.seek(0)
        return target

    # ---- the answer ---------------------------------------------------------------------------

    def answer(self, headers: list[tuple[str, str]]) -> Reply:
        """What S3 answers when the object is there, from the headers of the PutObject's answer."""
        tag = header_value(headers, "etag") or ""
        location = f"http://{self._environ['HTTP_HOST']}{self._environ['PATH_INFO'].rstrip('/')}"
        location = f"{location}/{quote(self.key)}"
        kept = [
            (name, value)
            for name, value in headers
            if name.lower() == "etag" or name.lower().startswith("x-amz-")
        ]
        redirect = self._fields.get("success_action_redirect") or self._fields.get("redirect")
        if redirect:
            query = urlencode({"bucket": self.bucket, "key": self.key, "etag": tag})
            target = f"{redirect}{'&' if '?' in redirect else '?'}{query}"
            return Reply(status=HTTPStatus.SEE_OTHER, headers=(*kept, ("Location", target)))
        kept.append(("Location", location))
        status = self._fields.get("success_action_status")
        if status != "201":
            return Reply(status=200 if status == "200" else 204, headers=tuple(kept))
        members = {
            "Location": location,
            "Bucket": self.bucket,
            "Key": self.key,
            "ETag": tag,
        }
        inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in members.items())
        return Reply(
            status=201,
            headers=(*kept, ("Content-Type", "application/xml")),
            body=(
                f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{inner}</PostResponse>'
            ).encode(),
        )


def _malformed(why: str) -> WireError:
    return WireError(
        "MalformedPOSTRequest",
        f"The body of your POST request is not well-formed multipart/form-data: {why}.",
    )


def error_of_s3(error: WireError) -> Reply:
    """The error of a form that cannot be read, as S3 writes it."""
    code, message = escape(error.code), escape(error.message)
    return Reply(
        status=error.status,
        headers=(("Content-Type", "application/xml"),),
        body=(
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        ).encode(),
    )

"""The AWS wire protocols from the server's side: what a request asks for, and how results and
errors are written.

Routing, parsing and serialising follow botocore's service models through moto's protocol classes,
so that a new operation needs no code here.
"""

from __future__ import annotations

import json
import uuid
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Any, Final
from urllib.parse import parse_qs, quote
from xml.sax.saxutils import escape

from botocore.exceptions import UnknownServiceError
from botocore.model import OperationNotFoundError
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException

from localcloud.protocol import signatures

_SERVICE_OF_SIGNING_NAME: Final = {
    "elasticfilesystem": "efs",
    "states": "stepfunctions",
    "monitoring": "cloudwatch",
    "eventbridge": "events",
    "tagging": "resourcegroupstaggingapi",
    "servicequotas": "service-quotas",
}
_LARGEST_STRUCTURED_BODY: Final = 64 << 20
"""Requests with members in their body are far smaller; whatever is bigger is an object of S3."""


class WireError(Exception):
    """An error answer of an AWS service: code, sentence, HTTP status."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A whole HTTP answer."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Call:
    """One API call: service (botocore's name), operation, and on demand its parameters."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ
        self.signed_request = signatures.Request.of(environ)
        self.claim: signatures.Claim | None = None
        self.malformed = ""
        """What is wrong with the signature, where it cannot be read."""
        self.secret = ""
        """Secret of the key that has signed the call, once that is proven."""
        try:
            self.claim = signatures.claim(self.signed_request)
        except signatures.MalformedSignatureError as error:
            self.malformed = str(error)
        self.signing_name = (
            self.claim.service.lower() if self.claim else _service_of_unsigned(environ)
        )
        self.service = _SERVICE_OF_SIGNING_NAME.get(self.signing_name, self.signing_name)
        if self.service == "s3":
            _to_path_style(environ)
        self.uri_params: dict[str, Any] = {}
        self.body: bytes | None = None
        self.content: bytes = b""
        """The object that the call carries, where it carries one and it has been received."""
        self.in_cbor = (
            "/operation/" in environ.get("PATH_INFO", "")
            and environ.get("HTTP_SMITHY_PROTOCOL") == "rpc-v2-cbor"
        )
        """Whether it came in Smithy's RPC v2 CBOR protocol, and is answered in it."""
        self.by_form = False
        """Whether it is the PutObject that a form asks for."""
        self.operation = self._operation()

    def _operation(self) -> str:
        target = self.environ.get("HTTP_X_AMZ_TARGET")
        if target:
            self.read_body()
            return str(target).rsplit(".", 1)[-1]
        if (
            self.environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
            and self.service != "s3"
        ):
            form = parse_qs(self.read_body().decode("utf-8", "replace"))
            if "Action" in form:
                return str(form["Action"][0])
        action = parse_qs(self.environ.get("QUERY_STRING", "")).get("Action")
        if action and self.service != "s3":
            return str(action[0])
        if "/operation/" in self.environ.get(
            "PATH_INFO", ""
        ):  # the CBOR protocol names it in the path
            return str(self.environ["PATH_INFO"]).rsplit("/", 1)[-1]
        try:
            operation, self.uri_params = get_service_router(self.service).match(self.request)
        except (HTTPException, UnknownServiceError, NotImplementedError):
            return ""
        return str(operation.name)

    def read_body(self) -> bytes:
        """The body, kept so that whoever answers the call can read it again.

        Not for calls that carry an object.
        """
        if self.body is None:
            length = int(self.environ.get("CONTENT_LENGTH") or 0)
            chunked = bool(self.environ.get("wsgi.input_terminated"))
            if length > _LARGEST_STRUCTURED_BODY:
                raise WireError(
                    "RequestEntityTooLarge",
                    f"the body of {self.service} calls is at most {_LARGEST_STRUCTURED_BODY} bytes",
                    status=413,
                )
            self.body = (
                self.environ["wsgi.input"].read()
                if chunked
                else self.environ["wsgi.input"].read(length)
            )
        self.environ["wsgi.input"] = BytesIO(self.body)
        return self.body

    def inflate(self) -> None:
        """Unpacks a compressed body (the trait `requestCompression`); an object of S3 stays as it
        is.

        Raises WireError where it is not what it says, or too large.
        """
        if self.service == "s3" or self.environ.get("HTTP_CONTENT_ENCODING") != "gzip":
            return
        unpacker = zlib.decompressobj(wbits=31)  # with gzip's header
        try:
            body = unpacker.decompress(self.read_body(), _LARGEST_STRUCTURED_BODY)
        except zlib.error as error:
            raise WireError("SerializationException", f"the body is no gzip: {error}") from None
        if not unpacker.eof:
            raise WireError("SerializationException", "the body is cut off, or too large")
        self.replace_body(body)
        del self.environ["HTTP_CONTENT_ENCODING"]

    def replace_body(self, body: bytes) -> None:
        """Puts another body in the place of the call's own."""
        self.body = body
        self.environ["wsgi.input"] = BytesIO(body)
        self.environ["CONTENT_LENGTH"] = str(len(body))
        self.environ.pop("wsgi.input_terminated", None)

    @property
    def request(self) -> Request:
        """Moto's view of the request; reads the body only where it has been read before."""
        environ = dict(self.environ)
        body = self.body or b""
        environ["wsgi.input"] = BytesIO(body)
        environ["CONTENT_LENGTH"] = str(
            len(body)
        )  # werkzeug takes a shorter body for a broken connection
        return Request(environ)

    @cached_property
    def params(self) -> dict[str, Any]:
        """Members of the operation's input, by botocore's names. Streams are left out."""
        model = self.model
        if model is None:
            return {}
        payload = (
            getattr(model.input_shape, "serialization", {}).get("payload")
            if model.input_shape
            else None
        )
        streams = payload is not None and model.input_shape.members[payload].type_name in (
            "blob",
            "string",
        )
        if not streams:
            self.read_body()
        request = self.request
        protocol = determine_request_protocol(model.service_model, request.content_type)
        parsed = PROTOCOL_PARSERS[protocol](model).parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": request.data,
                "url_path": request.path,
                "url_params": self.uri_params,
            }
        )
        return dict(parsed)

    @property
    def model(self) -> Any | None:
        """Botocore's model of the operation, where it has one."""
        try:
            return get_service_model(self.service).operation_model(self.operation)
        except (UnknownServiceError, OperationNotFoundError):
            return None

    # ---- answers ---------------------------------------------------------------------------------

    def result(self, value: dict[str, Any]) -> Reply:
        """The operation's output in its own protocol."""
        model = self.model
        if model is None:
            raise LookupError(f"{self.service} has no operation {self.operation}")
        protocol = determine_request_protocol(model.service_model, self.environ.get("CONTENT_TYPE"))
        written = get_serializer_class(self.service, protocol)(operation_model=model).serialize(
            value
        )
        body = written["body"]
        headers = [
            (str(k), str(v))
            for k, v in dict(written["headers"]).items()
            if k.lower() != "content-length"
        ]
        return Reply(
            status=written["status_code"],
            headers=tuple(headers),
            body=body.encode() if isinstance(body, str) else bytes(body),
        )

    def error(self, error: WireError) -> Reply:
        """The error in the service's own protocol, so that every SDK raises it under its code."""
        request_id = str(uuid.uuid4())
        protocol = self.protocol
        if self.environ["REQUEST_METHOD"] == "HEAD":
            return Reply(status=error.status, headers=(("x-amz-request-id", request_id),))
        if protocol in ("json", "rest-json", "smithy-rpc-v2-cbor"):
            # SDKs read the code from the header; __type is what the older ones and people look at
            members = {"__type": error.code, "message": error.message, "Message": error.message}
            headers = [("x-amzn-ErrorType", error.code), ("x-amzn-RequestId", request_id)]
            if self.query_compatible:
                headers.append(("x-amzn-query-error", f"{error.code};Sender"))
            if protocol == "smithy-rpc-v2-cbor":
                headers += [
                    ("Content-Type", "application/cbor"),
                    ("smithy-protocol", "rpc-v2-cbor"),
                ]
                return Reply(
                    status=error.status, headers=tuple(headers), body=cbor_of_texts(members)
                )
            headers.append(("Content-Type", "application/json"))
            return Reply(
                status=error.status, headers=tuple(headers), body=json.dumps(members).encode()
            )
        code, message = escape(error.code), escape(error.message)
        if protocol == "ec2":
            errors = (
                f"<Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
            )
            text = f"<Response>{errors}<RequestID>{request_id}</RequestID></Response>"
        elif protocol == "query":
            error_text = (
                f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            )
            text = f"<ErrorResponse>{error_text}<RequestId>{request_id}</RequestId></ErrorResponse>"
        else:
            told = f"<Code>{code}</Code><Message>{message}</Message>"
            text = f"<Error>{told}<RequestId>{request_id}</RequestId></Error>"
        headers = [
            ("Content-Type", "text/xml"),
            ("x-amzn-RequestId", request_id),
            ("x-amz-request-id", request_id),
        ]
        return Reply(
            status=error.status,
            headers=tuple(headers),
            body=f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode(),
        )

    @property
    def protocol(self) -> str:
        """The wire protocol of the request: that of its form, else that of its service."""
        if self.in_cbor:
            return "smithy-rpc-v2-cbor"
        if self.environ.get("HTTP_X_AMZ_TARGET"):
            return "json"
        try:
            found = str(get_service_model(self.service).metadata.get("protocol", "rest-xml"))
        except UnknownServiceError:
            return "rest-xml"
        return found if found in ("ec2", "rest-json", "rest-xml") else "query"

    @property
    def query_compatible(self) -> bool:
        """Whether the service still has the codes of the time when it spoke the query protocol."""
        try:
            return "awsQueryCompatible" in get_service_model(self.service).metadata
        except UnknownServiceError:
            return False


def _service_of_unsigned(environ: Mapping[str, Any]) -> str:
    """Whose words an unsigned call is refused in: a form is one of those that STS takes without a
    signature, all else may be S3's.
    """
    form = environ["REQUEST_METHOD"] == "POST" and environ.get("CONTENT_TYPE", "").startswith(
        "application/x-www-form-urlencoded"
    )
    return "sts" if form else "s3"


def _to_path_style(environ: dict[str, Any]) -> None:
    """Takes the bucket from a host such as `<bucket>.localhost` or `<bucket>.s3.localhost` into the
    path, which is all that is read.
    """
    bucket = signatures.bucket_of_host(str(environ.get("HTTP_HOST", "")))
    if bucket:
        for name in ("PATH_INFO", "RAW_URI", "REQUEST_URI"):
            rest = str(environ[name])
            environ[name] = f"/{bucket}{rest[1:] if rest == '/' or rest.startswith('/?') else rest}"
        environ["HTTP_HOST"] = f"localhost:{environ['SERVER_PORT']}"


def cbor_of_texts(members: Mapping[str, str]) -> bytes:
    """A map of texts (RFC 8949): major types 5 and 3, with lengths of two and of four bytes."""
    texts = [text.encode() for pair in members.items() for text in pair]
    return (
        b"\xb9"
        + len(members).to_bytes(2, "big")
        + b"".join(b"\x7a" + len(text).to_bytes(4, "big") + text for text in texts)
    )


def header_value(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    """A header's value, whatever the case of its name."""
    return next((value for key, value in headers if key.lower() == name.lower()), None)


def url_encoded_key(key: str) -> str:
    """An object key as direct S3 notifications carry it."""
    return quote(key, safe="/").replace("%20", "+")

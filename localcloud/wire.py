"""The AWS wire protocols from the server's side: what a request asks for, and how results and errors are written.

Routing, parsing and serialising follow botocore's service models through moto's protocol classes, so that a new operation needs no code
here.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable
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

_CREDENTIAL = re.compile(r"Credential=(?P<key>[^/]+)/\d+/[^/]*/(?P<service>[^/]+)/aws4_request")
_SERVICE_OF_SIGNING_NAME: Final = {"states": "stepfunctions", "monitoring": "cloudwatch", "eventbridge": "events"}
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
        match = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        query = environ.get("QUERY_STRING", "")
        if match is None and "X-Amz-Credential" in query:
            key, _, _, signing_name, _ = parse_qs(query)["X-Amz-Credential"][0].split("/")
        else:
            key, signing_name = (match["key"], match["service"]) if match else ("", "s3")
        self.access_key = key
        self.signing_name = signing_name.lower()
        self.service = _SERVICE_OF_SIGNING_NAME.get(self.signing_name, self.signing_name)
        self.uri_params: dict[str, Any] = {}
        self.body: bytes | None = None
        self.operation = self._operation()

    def _operation(self) -> str:
        target = self.environ.get("HTTP_X_AMZ_TARGET")
        if target:
            self.read_body()
            return str(target).rsplit(".", 1)[-1]
        if self.environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded") and self.service != "s3":
            form = parse_qs(self.read_body().decode("utf-8", "replace"))
            if "Action" in form:
                return str(form["Action"][0])
        action = parse_qs(self.environ.get("QUERY_STRING", "")).get("Action")
        if action and self.service != "s3":
            return str(action[0])
        if "/operation/" in self.environ.get("PATH_INFO", ""):  # the CBOR protocol names it in the path
            return str(self.environ["PATH_INFO"]).rsplit("/", 1)[-1]
        try:
            operation, self.uri_params = get_service_router(self.service).match(self.request)
        except (HTTPException, UnknownServiceError, NotImplementedError):
            return ""
        return str(operation.name)

    def read_body(self) -> bytes:
        """The body, kept so that whoever answers the call can read it again. Not for calls that carry an object."""
        if self.body is None:
            length = int(self.environ.get("CONTENT_LENGTH") or 0)
            chunked = bool(self.environ.get("wsgi.input_terminated"))
            if length > _LARGEST_STRUCTURED_BODY:
                raise WireError(
                    "RequestEntityTooLarge", f"the body of {self.service} calls is at most {_LARGEST_STRUCTURED_BODY} bytes", status=413
                )
            self.body = self.environ["wsgi.input"].read() if chunked else self.environ["wsgi.input"].read(length)
        self.environ["wsgi.input"] = BytesIO(self.body)
        return self.body

    @property
    def request(self) -> Request:
        """Moto's view of the request; reads the body only where it has been read before."""
        environ = dict(self.environ)
        body = self.body or b""
        environ["wsgi.input"] = BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))  # werkzeug takes a shorter body for a broken connection
        return Request(environ)

    @cached_property
    def params(self) -> dict[str, Any]:
        """Members of the operation's input, by botocore's names. Streams are left out."""
        model = self._model()
        if model is None:
            return {}
        payload = getattr(model.input_shape, "serialization", {}).get("payload") if model.input_shape else None
        streams = payload is not None and model.input_shape.members[payload].type_name in ("blob", "string")
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

    def _model(self) -> Any | None:
        try:
            return get_service_model(self.service).operation_model(self.operation)
        except (UnknownServiceError, OperationNotFoundError):
            return None

    # ---- answers -----------------------------------------------------------------------------------------------------------------------

    def result(self, value: dict[str, Any]) -> Reply:
        """The operation's output in its own protocol."""
        model = self._model()
        if model is None:
            raise LookupError(f"{self.service} has no operation {self.operation}")
        protocol = determine_request_protocol(model.service_model, self.environ.get("CONTENT_TYPE"))
        written = get_serializer_class(self.service, protocol)(operation_model=model).serialize(value)
        body = written["body"]
        headers = [(str(k), str(v)) for k, v in dict(written["headers"]).items() if k.lower() != "content-length"]
        return Reply(status=written["status_code"], headers=tuple(headers), body=body.encode() if isinstance(body, str) else bytes(body))

    def error(self, error: WireError) -> Reply:
        """The error in the service's own protocol, so that every SDK raises it under its code."""
        request_id = str(uuid.uuid4())
        protocol = "json" if self.environ.get("HTTP_X_AMZ_TARGET") else self._protocol()
        if self.environ["REQUEST_METHOD"] == "HEAD":
            return Reply(status=error.status, headers=(("x-amz-request-id", request_id),))
        if protocol in ("json", "rest-json", "smithy-rpc-v2-cbor"):
            # SDKs read the code from the header; __type is what the older ones and people look at
            body = json.dumps({"__type": error.code, "message": error.message, "Message": error.message}).encode()
            headers = (("Content-Type", "application/json"), ("x-amzn-ErrorType", error.code), ("x-amzn-RequestId", request_id))
            return Reply(status=error.status, headers=headers, body=body)
        code, message = escape(error.code), escape(error.message)
        if protocol == "ec2":
            errors = f"<Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
            text = f"<Response>{errors}<RequestID>{request_id}</RequestID></Response>"
        elif protocol == "query":
            error_text = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            text = f"<ErrorResponse>{error_text}<RequestId>{request_id}</RequestId></ErrorResponse>"
        else:
            text = f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{request_id}</RequestId></Error>"
        headers = (("Content-Type", "text/xml"), ("x-amzn-RequestId", request_id), ("x-amz-request-id", request_id))
        return Reply(status=error.status, headers=headers, body=f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode())

    def _protocol(self) -> str:
        try:
            return str(get_service_model(self.service).metadata.get("protocol", "rest-xml"))
        except UnknownServiceError:
            return "rest-xml"


def header_value(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    """A header's value, whatever the case of its name."""
    return next((value for key, value in headers if key.lower() == name.lower()), None)


def url_encoded_key(key: str) -> str:
    """An object key as direct S3 notifications carry it."""
    return quote(key, safe="/").replace("%20", "+")

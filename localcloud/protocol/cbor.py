"""Calls in Smithy's RPC v2 CBOR protocol, answered as the same calls in JSON.

SDKs for Go, Java, Rust and JavaScript speak it to Amazon CloudWatch and other services whose
models have both protocols; moto has the one in JSON alone. Rules: Smithy 2.0, "RPC v2 CBOR".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.parsers import JSONParser, ResponseParserError, RpcV2CBORParser
from botocore.serialize import RpcV2CBORSerializer

from localcloud.protocol.wire import Call, Reply, WireError, cbor_of_texts


def to_json(call: Call) -> None:
    """Makes a call in CBOR the one in JSON, once its signature has been looked at.

    Raises WireError where its body is no CBOR.
    """
    model = call.model
    body = call.read_body()
    if model is None or "json" not in model.service_model.metadata.get("protocols", ()):
        raise WireError(
            "UnknownOperationException",
            f"{call.service} has no operation {call.operation} in this protocol",
            status=404,
        )
    try:
        parser = RpcV2CBORParser()
        members = (
            parser.parse_data_item(parser.get_peekable_stream_from_bytes(body)) if body else {}
        )
        text = json.dumps(members, default=_in_json)
    except (ResponseParserError, ValueError, TypeError, OverflowError) as error:
        raise WireError("SerializationException", f"the body is no CBOR: {error}") from None
    prefix = model.service_model.metadata["targetPrefix"]
    call.replace_body(text.encode())
    call.environ |= {
        "PATH_INFO": "/",
        "RAW_URI": "/",
        "REQUEST_URI": "/",
        "CONTENT_TYPE": "application/x-amz-json-1.0",
        "HTTP_X_AMZ_TARGET": f"{prefix}.{call.operation}",
    }


def from_json(call: Call, status: int, headers: Mapping[str, str], body: bytes) -> Reply:
    """The answer in CBOR, from that in JSON; one that is in CBOR already stays."""
    if "cbor" in headers.get("content-type", ""):
        kept = tuple(headers.items())
        return Reply(status=status, headers=kept, body=body)
    found = json.loads(body or b"{}")
    serializer: Any = RpcV2CBORSerializer()
    encoded = bytearray()
    shape = call.model.output_shape if call.model is not None else None
    if status >= 400:
        encoded += cbor_of_texts({name: str(value) for name, value in found.items()})
    elif shape is None:
        encoded += cbor_of_texts({})
    else:
        parser: Any = JSONParser()
        parsed = parser._parse_shape(shape, found)  # noqa: SLF001 - botocore has no other way in
        serializer._serialize_data_item(encoded, parsed, shape)  # noqa: SLF001 - the same
    kept = tuple(
        (name, value)
        for name, value in headers.items()
        if name not in ("content-type", "content-length")
    )
    own = (("content-type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor"))
    return Reply(status=status, headers=(*kept, *own), body=bytes(encoded))


def _in_json(value: Any) -> Any:
    """A value that JSON lacks, as AWS's JSON protocols write it."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} in a request")

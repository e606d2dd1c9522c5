"""What moto cannot do, told in the service's own protocol, at once, and so that no SDK tries it
again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from botocore.validate import ParamValidator

from localcloud.protocol.model_check import violations
from localcloud.protocol.wire import Call, WireError

_log = logging.getLogger(__name__)
_CODE: Final = "NotImplemented"
_NO_ROUTE: Final = (b"<title>404 Not Found</title>", b"Not yet implemented")
_MISSING: Final = {
    "query": "MissingParameter",
    "ec2": "MissingParameter",
    "rest-xml": "InvalidRequest",
}


def missing(call: Call) -> WireError:
    """The error of an operation that the AWS in memory does not have."""
    what = (
        f"operation {call.operation}"
        if call.operation
        else f"{call.environ['REQUEST_METHOD']} {call.environ.get('PATH_INFO', '')}"
    )
    return WireError(
        _CODE,
        f"the AWS in memory has no {what} of {call.service}; docs/services.md lists what it has",
        status=501,
    )


def of_exception(call: Call, error: Exception) -> WireError:
    """The error for a call at which moto raised something that is no answer.

    Where the call lacks what the operation requires that is the reason, and AWS's own answer too.
    Everything else is a fault of moto's.
    """
    if isinstance(error, NotImplementedError):
        return missing(call)
    problem = _problem(call)
    if problem:
        return _invalid(call, problem)
    _log.error(
        "%s %s failed inside the AWS in memory", call.service, call.operation, exc_info=error
    )
    sentence = (
        f"the AWS in memory fails at {call.operation} of {call.service} where AWS would not"
        f" ({type(error).__name__}: {error})"
    )
    return WireError(_CODE, sentence, status=501)


def hold_to_model(call: Call) -> None:
    """Raises WireError where a call's members are not those of the operation's model."""
    problem = _problem(call)
    if problem:
        raise _invalid(call, problem)


def _invalid(call: Call, problem: str) -> WireError:
    code = (
        "ClientException"
        if call.service == "batch"
        else _MISSING.get(call.protocol, "ValidationException")
    )
    return WireError(code, problem, status=400)


def of_answer(
    call: Call, code: int, headers: list[tuple[str, str]], body: Iterable[bytes]
) -> WireError | None:
    """The error in place of an answer of moto's that is none: no such path, or a failure of its
    own; None where the answer stands.
    """
    if code == HTTPStatus.NOT_FOUND and any(
        key.lower() == "content-type" and "html" in value for key, value in headers
    ):
        text = b"".join(body)
        return missing(call) if any(each in text for each in _NO_ROUTE) else None
    if code == HTTPStatus.NOT_IMPLEMENTED:
        return missing(call)
    if code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        text = b"".join(body)
        return of_exception(call, RuntimeError(text[:500].decode("utf-8", "replace")))
    return None


def _problem(call: Call) -> str:
    """What the operation's model finds wrong with the call's members; empty where nothing is, or
    nothing is known.
    """
    shape: Any = call.model.input_shape if call.model is not None else None
    if shape is None:
        return ""
    try:
        params = call.params
    except WireError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a value of a wrong type does to the parser
        return f"the request cannot be read as {shape.name}: {error}"
    report = ParamValidator().validate(params, shape)
    if report.has_errors():
        return str(report.generate_report())
    return "; ".join(violations(shape, params))

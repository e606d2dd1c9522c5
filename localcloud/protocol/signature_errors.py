"""What each service says to a call whose signature it does not take.

Codes and statuses: the services' "Common errors" pages, Amazon S3's list of error codes, EC2's list
of client errors.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from localcloud.protocol.wire import Call, WireError


class Problem(Enum):
    """Why a call is not authenticated."""

    MISSING = auto()
    MALFORMED = auto()
    UNKNOWN_KEY = auto()
    WRONG_TOKEN = auto()
    EXPIRED_TOKEN = auto()
    WRONG_SIGNATURE = auto()
    WRONG_BODY = auto()
    SKEWED = auto()
    EXPIRED_URL = auto()


_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your AWS"
    " Secret Access Key and signing method. Consult the service documentation for details."
)
_INVALID_TOKEN: Final = "The security token included in the request is invalid."  # noqa: S105 - a sentence
_EXPIRED: Final = "The security token included in the request is expired"
_NO_TOKEN: Final = "Request is missing Authentication Token"  # noqa: S105 - a sentence

_S3: Final[dict[Problem, tuple[str, int, str]]] = {
    Problem.MISSING: ("AccessDenied", 403, "Access Denied"),
    Problem.MALFORMED: (
        "AuthorizationHeaderMalformed",
        400,
        "The authorization header is malformed",
    ),
    Problem.UNKNOWN_KEY: (
        "InvalidAccessKeyId",
        403,
        "The AWS Access Key Id you provided does not exist in our records.",
    ),
    Problem.WRONG_TOKEN: (
        "InvalidToken",
        400,
        "The provided token is malformed or otherwise invalid.",
    ),
    Problem.EXPIRED_TOKEN: ("ExpiredToken", 400, "The provided token has expired."),
    Problem.WRONG_SIGNATURE: (
        "SignatureDoesNotMatch",
        403,
        (
            "The request signature we calculated does not match the signature you provided. Check"
            " your key and signing method."
        ),
    ),
    Problem.WRONG_BODY: (
        "XAmzContentSHA256Mismatch",
        400,
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
    ),
    Problem.SKEWED: (
        "RequestTimeTooSkewed",
        403,
        "The difference between the request time and the current time is too large.",
    ),
    Problem.EXPIRED_URL: ("AccessDenied", 403, "Request has expired"),
}
_EC2: Final[dict[Problem, tuple[str, int, str]]] = {
    Problem.MISSING: (
        "MissingParameter",
        400,
        "The request must contain the parameter AWSAccessKeyId",
    ),
    Problem.MALFORMED: (
        "AuthFailure",
        401,
        "AWS was not able to validate the provided access credentials",
    ),
    Problem.UNKNOWN_KEY: (
        "AuthFailure",
        401,
        "AWS was not able to validate the provided access credentials",
    ),
    Problem.WRONG_TOKEN: (
        "AuthFailure",
        401,
        "AWS was not able to validate the provided access credentials",
    ),
    Problem.EXPIRED_TOKEN: ("RequestExpired", 400, "Request has expired."),
    Problem.WRONG_SIGNATURE: ("SignatureDoesNotMatch", 403, _MISMATCH),
    Problem.WRONG_BODY: ("SignatureDoesNotMatch", 403, _MISMATCH),
    Problem.SKEWED: ("RequestExpired", 400, "Request has expired."),
    Problem.EXPIRED_URL: ("RequestExpired", 400, "Request has expired."),
}
_QUERY: Final[dict[Problem, tuple[str, int, str]]] = {
    Problem.MISSING: ("MissingAuthenticationToken", 403, _NO_TOKEN),
    Problem.MALFORMED: (
        "IncompleteSignature",
        400,
        "The request signature does not conform to AWS standards.",
    ),
    Problem.UNKNOWN_KEY: ("InvalidClientTokenId", 403, _INVALID_TOKEN),
    Problem.WRONG_TOKEN: ("InvalidClientTokenId", 403, _INVALID_TOKEN),
    Problem.EXPIRED_TOKEN: ("ExpiredToken", 403, _EXPIRED),
    Problem.WRONG_SIGNATURE: ("SignatureDoesNotMatch", 403, _MISMATCH),
    Problem.WRONG_BODY: ("SignatureDoesNotMatch", 403, _MISMATCH),
    Problem.SKEWED: ("SignatureDoesNotMatch", 403, "Signature expired or not yet current"),
    Problem.EXPIRED_URL: ("SignatureDoesNotMatch", 403, "Signature expired or not yet current"),
}
_JSON: Final[dict[Problem, tuple[str, int, str]]] = {
    Problem.MISSING: ("MissingAuthenticationTokenException", 400, "Missing Authentication Token"),
    Problem.MALFORMED: (
        "IncompleteSignatureException",
        400,
        "The request signature does not conform to AWS standards.",
    ),
    Problem.UNKNOWN_KEY: ("UnrecognizedClientException", 400, _INVALID_TOKEN),
    Problem.WRONG_TOKEN: ("UnrecognizedClientException", 400, _INVALID_TOKEN),
    Problem.EXPIRED_TOKEN: ("ExpiredTokenException", 400, _EXPIRED),
    Problem.WRONG_SIGNATURE: ("InvalidSignatureException", 400, _MISMATCH),
    Problem.WRONG_BODY: ("InvalidSignatureException", 400, _MISMATCH),
    Problem.SKEWED: ("InvalidSignatureException", 400, "Signature expired or not yet current"),
    Problem.EXPIRED_URL: ("InvalidSignatureException", 400, "Signature expired or not yet current"),
}


def refusal(call: Call, problem: Problem, detail: str = "") -> WireError:
    """The error of the call's service; REST services in JSON say the same as the JSON ones, with
    status 403.
    """
    if call.protocol == "rest-xml":
        table = _S3
    elif call.protocol == "ec2":
        table = _EC2
    elif call.protocol == "query" or call.query_compatible:
        table = _QUERY
    else:
        table = _JSON
    code, status, message = table[problem]
    if table is _JSON and call.protocol == "rest-json":
        status = 403
    if detail and problem in (Problem.MALFORMED, Problem.SKEWED):
        message = f"{message.removesuffix('.')}: {detail}"
    return WireError(code, message, status=status)

"""Signatures of AWS calls, seen from the server: what is claimed, and whether by the secret.

Rules: IAM User Guide, "AWS Signature Version 4 for API requests"; Amazon S3 API Reference,
"Authenticating Requests" (header, query string, Signature Version 2).
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Self
from urllib.parse import quote_from_bytes, unquote_plus, unquote_to_bytes

UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_HEADER: Final = re.compile(
    rf"{_ALGORITHM}\s+(?=.*Credential=(?P<credential>[^,\s]+))(?=.*SignedHeaders=(?P<signed>[^,\s]+))(?=.*Signature=(?P<signature>[0-9a-f]+)).*"
)
_DATE: Final = "%Y%m%dT%H%M%SZ"
_OWN_HOST: Final = re.compile(r"(?:^|\.)(?:s3(?:\.[a-z0-9-]+)?\.)?localhost$")
_SUBRESOURCE_NAMES: Final = """
    acl cors delete lifecycle location logging notification partNumber policy requestPayment tagging torrent uploadId uploads versionId
    versioning versions website restore select select-type replication accelerate encryption inventory metrics analytics object-lock
    retention legal-hold publicAccessBlock ownershipControls response-cache-control response-content-disposition
    response-content-encoding response-content-language response-content-type response-expires
"""
_SUBRESOURCES: Final = frozenset(_SUBRESOURCE_NAMES.split())
"""Query parameters that Signature Version 2 of S3 covers."""


class MalformedSignatureError(Exception):
    """What stands in place of a signature cannot be read; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What of an HTTP request a signature covers."""

    method: str
    target: str
    """Path and query as they came over the line, still encoded."""
    headers: Mapping[str, str]
    """Headers by lower-case name; values of repeated headers joined by commas."""

    @classmethod
    def of(cls, environ: Mapping[str, Any]) -> Self:
        """The request in a WSGI environment of `http_server`."""
        headers: dict[str, str] = {}
        for spelt, value in environ["localcloud.headers"]:
            name = spelt.lower()
            headers[name] = f"{headers[name]},{value.strip()}" if name in headers else value.strip()
        return cls(method=environ["REQUEST_METHOD"], target=environ["RAW_URI"], headers=headers)

    @property
    def path(self) -> str:
        """The target's path, still encoded."""
        return self.target.partition("?")[0] or "/"

    @property
    def query(self) -> list[tuple[str, str]]:
        """Decoded names and values, in the order in which they came.

        A plus sign is a space only where it is one for the server too.
        """
        found = [each.partition("=") for each in self.target.partition("?")[2].split("&") if each]
        return [(unquote_plus(name), unquote_plus(value)) for name, _, value in found]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Whom a request says that it is from, and its proof."""

    access_key: str
    signature: str
    signed_at: datetime
    version: int
    """4, or 2."""
    presigned: bool
    expires_seconds: int | None = None
    """Seconds for which a presigned URL holds."""
    token: str | None = None
    """Session token of temporary credentials."""
    date: str = ""
    region: str = ""
    service: str = ""
    signed_headers: tuple[str, ...] = ()

    @property
    def scope(self) -> str:
        """The credential scope of version 4."""
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def claim(request: Request) -> Claim | None:
    """The claim of a request, None where it makes none. Raises MalformedSignatureError."""
    query = dict(request.query)
    authorization = request.headers.get("authorization", "")
    if authorization.startswith("AWS4-"):
        return _claim_of_header(request, authorization)
    if authorization.startswith("AWS "):
        key, _, signature = authorization.removeprefix("AWS ").partition(":")
        moment = _http_date(request.headers.get("x-amz-date") or request.headers.get("date", ""))
        token = request.headers.get("x-amz-security-token")
        return Claim(
            access_key=key,
            signature=signature,
            signed_at=moment,
            version=2,
            presigned=False,
            token=token,
            service="s3",
        )
    if authorization:
        raise MalformedSignatureError(
            "Authorization header is invalid -- one and only one ' ' (space) required"
        )
    if "X-Amz-Signature" in query:
        return _claim_of_query(query)
    if "Signature" in query and "AWSAccessKeyId" in query:
        if not query.get("Expires", "").isdigit():
            raise MalformedSignatureError("Invalid date (should be seconds since epoch): Expires")
        return Claim(
            access_key=query["AWSAccessKeyId"],
            signature=query["Signature"],
            signed_at=datetime.fromtimestamp(0, UTC),
            version=2,
            presigned=True,
            expires_seconds=int(query["Expires"]),
            token=query.get("x-amz-security-token"),
            service="s3",
        )
    return None


def claim_of_form(fields: Mapping[str, str]) -> Claim | None:
    """The claim of a form that uploads an object, None where it makes none.

    What is signed of it is its policy alone. Raises MalformedSignatureError.

    Args:
        fields: By name in lower case.
    """
    if "awsaccesskeyid" in fields:
        return Claim(
            access_key=fields["awsaccesskeyid"],
            signature=fields.get("signature", ""),
            signed_at=datetime.fromtimestamp(0, UTC),
            version=2,
            presigned=True,
            token=fields.get("x-amz-security-token"),
            service="s3",
        )
    if "x-amz-signature" not in fields:
        return None
    if fields.get("x-amz-algorithm") != _ALGORITHM:
        raise MalformedSignatureError(f"X-Amz-Algorithm only supports {_ALGORITHM}")
    return _version_four(
        fields.get("x-amz-credential", ""),
        signature=fields["x-amz-signature"],
        signed="",
        moment=_date(fields.get("x-amz-date", "")),
        token=fields.get("x-amz-security-token"),
        expires=None,
    )


def is_policy_signed_by(policy: str, found: Claim, secret: str) -> bool:
    """Whether the policy of a form, as it stands in it, carries the secret's signature."""
    text = policy.encode()
    if found.version == 2:
        proof = base64.b64encode(hmac.digest(secret.encode(), text, "sha1")).decode()
    else:
        proof = hmac.digest(signing_key(secret, found.scope), text, "sha256").hex()
    return hmac.compare_digest(proof.encode(), found.signature.encode())


def _claim_of_header(request: Request, authorization: str) -> Claim:
    match = _HEADER.fullmatch(authorization)
    if match is None:
        raise MalformedSignatureError(
            f"the Authorization header must be {_ALGORITHM} with Credential, SignedHeaders and"
            " Signature"
        )
    stated = request.headers.get("x-amz-date")
    moment = _date(stated) if stated else _http_date(request.headers.get("date", ""))
    return _version_four(
        match["credential"],
        signature=match["signature"],
        signed=match["signed"],
        moment=moment,
        token=request.headers.get("x-amz-security-token"),
        expires=None,
    )


def _claim_of_query(query: Mapping[str, str]) -> Claim:
    if query.get("X-Amz-Algorithm") != _ALGORITHM:
        raise MalformedSignatureError(f"X-Amz-Algorithm only supports {_ALGORITHM}")
    expires = query.get("X-Amz-Expires", "900")
    if not expires.isdigit() or not 1 <= int(expires) <= 604_800:
        raise MalformedSignatureError(
            "X-Amz-Expires must be between 1 second and a week (604800 seconds)"
        )
    return _version_four(
        query.get("X-Amz-Credential", ""),
        signature=query["X-Amz-Signature"],
        signed=query.get("X-Amz-SignedHeaders", ""),
        moment=_date(query.get("X-Amz-Date", "")),
        token=query.get("X-Amz-Security-Token"),
        expires=int(expires),
    )


def _version_four(
    credential: str,
    *,
    signature: str,
    signed: str,
    moment: datetime,
    token: str | None,
    expires: int | None,
) -> Claim:
    parts = credential.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request":
        raise MalformedSignatureError(
            "the Credential must be <access key>/<date>/<region>/<service>/aws4_request"
        )
    key, date, region, service, _ = parts
    if f"{moment:%Y%m%d}" != date:
        raise MalformedSignatureError(
            f"the date in the Credential, {date}, is not that of the request, {moment:%Y%m%d}"
        )
    return Claim(
        access_key=key,
        signature=signature,
        signed_at=moment,
        version=4,
        presigned=expires is not None,
        expires_seconds=expires,
        token=token,
        date=date,
        region=region,
        service=service,
        signed_headers=tuple(signed.split(";")),
    )


@functools.lru_cache(maxsize=256)
def signing_key(secret: str, scope: str) -> bytes:
    """The key that version 4 derives from a secret for one day, region and service."""
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def is_signed_by(request: Request, found: Claim, secret: str, payload_hash: str) -> bool:
    """Whether the request carries the signature that the secret gives.

    Args:
        request: The request.
        found: Its claim.
        secret: The secret of the claimed access key.
        payload_hash: For version 4: x-amz-content-sha256, or the SHA-256 of the body in hexadecimal
            digits.
    """
    if found.version == 2:
        texts = _texts_of_version_two(request, found)
        proofs = [
            base64.b64encode(hmac.digest(secret.encode(), text.encode("latin-1"), "sha1")).decode()
            for text in texts
        ]
        return any(hmac.compare_digest(proof, found.signature) for proof in proofs)
    if "host" not in found.signed_headers:
        return False
    key = signing_key(secret, found.scope)
    for path in _paths(request.path, found.service):
        canonical = "\n".join(
            [
                request.method,
                path,
                _canonical_query(request, found),
                *(
                    f"{name}:{' '.join(request.headers.get(name, '').split())}"
                    for name in found.signed_headers
                ),
                "",
                ";".join(found.signed_headers),
                payload_hash,
            ]
        )
        digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
        text = f"{_ALGORITHM}\n{found.signed_at:{_DATE}}\n{found.scope}\n{digest}"
        if hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), found.signature):
            return True
    return False


def _paths(path: str, service: str) -> Iterable[str]:
    """The canonical paths that senders may have signed: S3 encodes once and keeps every segment,
    the others encode what was sent again.

    SDKs agree on that, and not on which characters they encode in what they send, so the path
    counts both as it came and as AWS's `UriEncode` writes it.
    """
    if service == "s3":
        return (_encoded(path, safe="/"), path)
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == ".." and kept:
            kept.pop()
        elif segment not in ("", ".", ".."):
            kept.append(segment)
    normal = "/" + "/".join(kept) + ("/" if kept and path.endswith("/") else "")
    return (_again(normal), _again(_encoded(normal, safe="/")))


def _again(path: str) -> str:
    return quote_from_bytes(path.encode("latin-1"), safe="/~-_.")


def _canonical_query(request: Request, found: Claim) -> str:
    pairs = [each.partition("=") for each in request.target.partition("?")[2].split("&") if each]
    encoded = sorted(
        (_encoded(name.replace("+", "%20")), _encoded(value.replace("+", "%20")))
        for name, _, value in pairs
    )
    return "&".join(
        f"{name}={value}"
        for name, value in encoded
        if not (found.presigned and name == "X-Amz-Signature")
    )


def _encoded(text: str, *, safe: str = "") -> str:
    """AWS's `UriEncode` of what was sent, whatever the sender has encoded of it already."""
    return quote_from_bytes(unquote_to_bytes(text.encode("latin-1")), safe=f"{safe}~-_.")


def bucket_of_host(host: str) -> str:
    """The bucket in a host such as `<bucket>.localhost` or `<bucket>.s3.localhost`, empty where it
    names none.
    """
    name = host.partition(":")[0].lower()
    return _OWN_HOST.sub("", name) if name.endswith("localhost") else ""


def _texts_of_version_two(request: Request, found: Claim) -> list[str]:
    headers = request.headers
    amz = "".join(
        f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-amz-")
    )
    date = (
        str(found.expires_seconds)
        if found.presigned
        else ""
        if "x-amz-date" in headers
        else headers.get("date", "")
    )
    covered = sorted((name, value) for name, value in request.query if name in _SUBRESOURCES)
    bucket = bucket_of_host(headers.get("host", ""))
    path = f"/{bucket}{request.path}" if bucket else request.path
    query = (
        "?" + "&".join(f"{name}={value}" if value else name for name, value in covered)
        if covered
        else ""
    )
    if found.presigned and found.token:
        amz += f"x-amz-security-token:{found.token}\n"
    first = [request.method, headers.get("content-md5", ""), headers.get("content-type", ""), date]
    # of a bucket itself some sign the path as they send it, others with a slash at its end
    return [
        "\n".join([*first, f"{amz}{each}{query}"])
        for each in ({path, f"{path}/"} if path.count("/") == 1 else {path})
    ]


def _date(text: str) -> datetime:
    try:
        return datetime.strptime(text, _DATE).replace(tzinfo=UTC)
    except ValueError:
        raise MalformedSignatureError(
            f"X-Amz-Date must be in the ISO8601 Long Format yyyyMMdd'T'HHmmss'Z', found {text!r}"
        ) from None


def _http_date(text: str) -> datetime:
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except ValueError:
        raise MalformedSignatureError(
            "AWS authentication requires a valid Date or x-amz-date header"
        ) from None

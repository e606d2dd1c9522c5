"""S3 as the stages use it: one client, its errors, and whole objects."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError
from botocore.session import get_session

from workloads.runtime.errors import EXIT_AWS, EXIT_REFUSED, StageError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

_BODY_ATTEMPTS: Final = 5
_DELETE_BATCH: Final = 1000  # DeleteObjects takes no more
_NAMES_ACTION: Final = "is not authorized to perform: "
"""In what AWS says of most refusals; the answer to HEAD has no body, so it says nothing but its
status.
"""
_READING: Final = (
    "s3:GetObject (s3:GetObjectVersion for a version, s3:ListBucket on the bucket where there may"
    " be no such object)"
)
_ACTIONS: Final = {
    **dict.fromkeys(("HeadObject", "GetObject"), _READING),
    **dict.fromkeys(
        ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"),
        "s3:PutObject",
    ),
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "DeleteObjects": "s3:DeleteObject",
    "ListObjectsV2": "s3:ListBucket",
}
"""What each operation needs (S3 user guide, "Required permissions for Amazon S3 API
operations").
"""


@functools.cache
def client() -> S3Client:
    """The process's S3 client; thread safe.

    Region, credentials and endpoint come from the environment as botocore reads it. boto3 would
    load a tenth of a second of what no rank uses.
    """
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 6},
        connect_timeout=10,
        read_timeout=60,
        tcp_keepalive=True,
        max_pool_connections=32,
    )
    session: Any = get_session()
    made: S3Client = session.create_client("s3", config=config)
    return made


def aws_error(error: ClientError | BotoCoreError, *, what: str = "") -> StageError:
    """An AWS SDK error as one sentence; `what` names the object where the error itself does not."""
    subject = f" of {what}" if what else ""
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "unknown")
        message = error.response.get("Error", {}).get("Message", "")
        if code in {"AccessDenied", "403", "AccessDeniedException"}:
            needed = "" if _NAMES_ACTION in message else _ACTIONS.get(error.operation_name)
            return StageError(
                f"AWS denied {error.operation_name}{subject}: {message}",
                hint=(
                    f"the job role's policy has to allow {needed or 'this action'} on this resource"
                ),
                exit_code=EXIT_AWS,
            )
        missing = code in {"NoSuchKey", "NoSuchBucket", "NoSuchVersion", "404"}
        return StageError(
            f"AWS answered {error.operation_name}{subject} with {code}: {message}",
            exit_code=EXIT_REFUSED if missing else EXIT_AWS,
        )
    if isinstance(error, NoCredentialsError):
        return StageError(
            "no AWS credentials found",
            hint="a Batch job gets them from its job role",
            exit_code=EXIT_AWS,
        )
    return StageError(
        f"AWS could not be reached{subject and ' for a call' + subject}: {error}",
        exit_code=EXIT_AWS,
    )


@contextmanager
def named(bucket: str, key: str) -> Iterator[None]:
    """Errors of the AWS SDK in the block become a StageError that names the object."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise aws_error(error, what=f"s3://{bucket}/{key}") from error


# ---- whole objects -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ObjectInfo:
    """What HeadObject says of one version of an object."""

    bucket: str
    key: str
    size: int
    etag: str
    """ETag without quotation marks."""
    version_id: str | None
    """Version id, None where the bucket is not versioned."""


def head(bucket: str, key: str, version_id: str | None = None) -> ObjectInfo:
    """Size and identity of an object.

    Raises StageError, with exit code 1 where there is no such object.
    """
    with named(bucket, key):
        reply = client().head_object(Bucket=bucket, Key=key, **_version(version_id))
    found = reply.get("VersionId")
    return ObjectInfo(
        bucket=bucket,
        key=key,
        size=reply["ContentLength"],
        etag=reply["ETag"].strip('"'),
        version_id=None if found in {None, "null"} else found,
    )


def put_bytes(
    bucket: str, key: str, data: bytes, *, content_type: str = "application/octet-stream"
) -> None:
    """Writes a whole object; atomic. Raises StageError."""
    with named(bucket, key):
        client().put_object(Bucket=bucket, Key=key, Body=data, ContentType=content_type)


class ConflictError(Exception):
    """Somebody else wrote the object in the meantime."""


def put_if_unchanged(
    bucket: str,
    key: str,
    data: bytes,
    *,
    etag: str | None,
    content_type: str = "application/octet-stream",
    metadata: Mapping[str, str] | None = None,
) -> str:
    """Writes a whole object if it is still the one with this ETag, or still absent where `etag` is
    None; returns the new ETag.

    S3 answers 412 where the object is another one, 404 where it is gone, 409 where two such writes
    met (user guide, "Conditional writes").

    Raises ConflictError in those cases, StageError in others.
    """
    condition: dict[str, Any] = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": f'"{etag}"'}
    with named(bucket, key):
        try:
            reply = client().put_object(
                Bucket=bucket,
                Key=key,
                Body=data,
                ContentType=content_type,
                Metadata=metadata or {},
                **condition,
            )
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in {404, 409, 412}:
                raise ConflictError(f"s3://{bucket}/{key}") from error
            raise
    return reply["ETag"].strip('"')


def get_with_etag(bucket: str, key: str) -> tuple[bytes, str] | None:
    """A whole object and its ETag; None where there is none. Raises StageError."""
    found = get_with_metadata(bucket, key)
    return None if found is None else found[:2]


def get_with_metadata(bucket: str, key: str) -> tuple[bytes, str, dict[str, str]] | None:
    """A whole object, its ETag and the metadata of its writer; None where there is none.

    Raises StageError.
    """
    with named(bucket, key):
        try:
            reply = client().get_object(Bucket=bucket, Key=key)
            return reply["Body"].read(), reply["ETag"].strip('"'), reply["Metadata"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "NoSuchKey":
                return None
            raise


def keys(bucket: str, prefix: str) -> list[str]:
    """The keys that begin so. Raises StageError."""
    with named(bucket, prefix):
        pages = client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]


def delete(bucket: str, keys: Sequence[str]) -> None:
    """Removes objects; those that are gone already do not matter. Raises StageError."""
    for start in range(0, len(keys), _DELETE_BATCH):
        some = keys[start : start + _DELETE_BATCH]
        with named(bucket, some[0]):
            reply = client().delete_objects(
                Bucket=bucket, Delete={"Objects": [{"Key": key} for key in some], "Quiet": True}
            )
        if failed := reply.get("Errors"):
            raise StageError(
                f"S3 did not delete s3://{bucket}/{failed[0].get('Key')}:"
                f" {failed[0].get('Message')}",
                exit_code=EXIT_AWS,
            )


def get_bytes(bucket: str, key: str, version_id: str | None = None) -> bytes:
    """A whole object of moderate size.

    Raises StageError, with exit code 1 where there is no such object.
    """
    return _get(bucket, key, **_version(version_id))


def read_range(
    bucket: str,
    key: str,
    start: int,
    length: int,
    *,
    etag: str | None = None,
    version_id: str | None = None,
) -> bytes:
    """`length` bytes from byte `start`; with `etag` only of that very object.

    Raises StageError, also where the object is shorter.
    """
    pinned = {"IfMatch": f'"{etag}"'} if etag else {}
    data = _get(
        bucket, key, Range=f"bytes={start}-{start + length - 1}", **pinned, **_version(version_id)
    )
    if len(data) != length:
        raise StageError(
            f"s3://{bucket}/{key} ended at byte {start + len(data)}; expected {length} bytes from"
            f" byte {start}"
        )
    return data


def _get(bucket: str, key: str, **request: Any) -> bytes:
    """GetObject whose body is read again when the connection breaks half way; botocore itself
    retries only up to the headers.
    """
    for attempt in range(1, _BODY_ATTEMPTS + 1):
        try:
            return client().get_object(Bucket=bucket, Key=key, **request)["Body"].read()
        except (
            HTTPClientError
        ) as error:  # ResponseStreamingError, ReadTimeoutError, ConnectionError of the body
            if attempt == _BODY_ATTEMPTS:
                raise aws_error(error, what=f"s3://{bucket}/{key}") from error
            log.warning("s3://%s/%s: connection lost (%s); reading again", bucket, key, error)
            time.sleep(0.2 * 2**attempt)
        except (ClientError, BotoCoreError) as error:
            raise aws_error(error, what=f"s3://{bucket}/{key}") from error
    raise AssertionError  # the loop returns or raises


def _version(version_id: str | None) -> dict[str, Any]:
    return {"VersionId": version_id} if version_id else {}

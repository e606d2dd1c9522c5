"""Beginning runs: the deployed submit function is asked as an event would ask it, so that every
rule about runs stays in one place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cli.errors import CliError, ExitCode
from cli.target import Target
from workloads import names
from workloads.runtime.quoting import escaped

DONE = frozenset({"submitted", "exists", "ignored", "waiting"})
"""Outcomes after which nothing is left to do: begun, begun before, no upload, held by a pause until
`resume`.
"""


def begin(
    target: Target,
    key: str,
    etag: str,
    *,
    version_id: str | None = None,
    again: bool = False,
    first: str = "",
) -> dict[str, Any]:
    """Begins the run of one version of an object, or an ended one again from a stage on; returns
    the function's answer.
    """
    found = {"key": key, "etag": etag.strip('"')} | (
        {"version-id": version_id} if version_id else {}
    )
    detail: dict[str, Any] = {
        "bucket": {"name": target.output("ingest_bucket")},
        "object": found,
        "again": again,
    }
    if first:
        detail["from"] = first
    return target.invoke(target.output("submit_function"), {"detail": detail})


def head(target: Target, bucket: str, key: str, **version: str) -> Mapping[str, Any] | None:
    """What S3 says of an object; None where there is none."""
    from botocore.exceptions import ClientError

    try:
        found: Mapping[str, Any] = target.client("s3").head_object(
            Bucket=bucket, Key=key, **version
        )
    except ClientError as error:
        if error.response["Error"]["Code"] in {"404", "NoSuchKey", "NoSuchVersion", "405"}:
            return None
        raise
    return found


def uploaded(target: Target, key: str) -> Mapping[str, Any]:
    """What S3 says of an upload. Raises CliError where there is none."""
    bucket = target.output("ingest_bucket")
    found = head(target, bucket, key)
    if found is None:
        near, fault = ", ".join(_beside(target, bucket, key)), names.fault_of(key)
        then = f"and it would be no upload: {fault}" if fault else "upload it: that begins the run"
        raise CliError(
            f"there is no object s3://{bucket}/{escaped(key)}"
            + (f"; its folder holds {escaped(near)}" if near else "")
            + f"; {then}",
            ExitCode.NOT_FOUND,
        )
    return found


def _beside(target: Target, bucket: str, key: str) -> Iterator[str]:
    folder = key.rpartition("/")[0]
    listed = target.client("s3").list_objects_v2(Bucket=bucket, Prefix=f"{folder}/", MaxKeys=3)
    for found in listed.get("Contents", []) if folder else []:
        yield str(found["Key"])

"""Putting a CSV where the pipeline finds it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.errors import CliError, ExitCode
from workloads import names
from workloads.contract import Upload
from workloads.runtime.quoting import escaped


def check_csv(path: Path) -> Path:
    """The path, if there is a file to read. Raises CliError."""
    if not path.exists():
        raise CliError(f"there is no file {path}; give the path of a CSV file", ExitCode.USAGE)
    if not path.is_file():
        raise CliError(f"{path} is not a file; give the path of a CSV file", ExitCode.USAGE)
    return path


def upload(client: Any, bucket: str, path: Path, date: str = "") -> Upload:
    """Uploads a file under its own name into the folder of a day, today (UTC) unless told.

    A file with another ending than those of uploads gets `.csv` in its place. Returns the upload
    with its run id. Raises CliError where its name is none that an upload may have.
    """
    date = date or datetime.now(UTC).strftime("%Y%m%d")
    name = path.name if path.name.lower().endswith(names.ENDINGS) else f"{path.stem}.csv"
    key = f"{names.UPLOAD_PREFIX}{date}/{name}"
    if fault := names.fault_of(key):
        raise CliError(
            f"{escaped(str(path))} cannot be uploaded as {escaped(key)}: {fault}; rename the file",
            ExitCode.USAGE,
        )
    client.upload_file(str(path), bucket, key)
    head = client.head_object(Bucket=bucket, Key=key)
    return Upload(bucket=bucket, key=key, etag=head["ETag"], version_id=head.get("VersionId"))

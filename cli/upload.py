"""Putting a CSV where the pipeline finds it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.errors import CliError, ExitCode
from workloads.contract import Upload


def check_csv(path: Path) -> Path:
    """The path, if there is a file to read. Raises CliError."""
    if not path.exists():
        raise CliError(f"there is no file {path}; give the path of a CSV file", ExitCode.USAGE)
    if not path.is_file():
        raise CliError(f"{path} is not a file; give the path of a CSV file", ExitCode.USAGE)
    return path


def upload(client: Any, bucket: str, path: Path, date: str = "") -> Upload:
    """Uploads a file as `data/<date>/<name>.csv`, today's date (UTC) unless told; returns the upload with its run id."""
    date = date or datetime.now(UTC).strftime("%Y%m%d")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-.") or "table"
    key = f"data/{date}/{name}.csv"
    client.upload_file(str(path), bucket, key)
    head = client.head_object(Bucket=bucket, Key=key)
    return Upload(bucket=bucket, key=key, etag=head["ETag"], version_id=head.get("VersionId"))

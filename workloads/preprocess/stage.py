"""The stage: from an upload in the ingest bucket to cleaned table, rejected rows and manifest in
the intermediate bucket.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, cast, get_args

from workloads.contract import Run
from workloads.preprocess import declared
from workloads.preprocess.clean import Cleaned, RefusedError, Settings, clean
from workloads.preprocess.columns import IncompleteRows
from workloads.preprocess.plan import Wishes
from workloads.records import ColumnKind, Manifest
from workloads.runtime import disk, env, memory, places, s3, s3_streams
from workloads.runtime.errors import StageError
from workloads.variables import (
    ENV_COLUMNS,
    ENV_INCOMPLETE_ROWS,
    ENV_INGEST_BUCKET,
    ENV_INPUT_KEY,
    ENV_INPUT_VERSION_ID,
    ENV_INTERMEDIATE_BUCKET,
    ENV_MAX_REJECTED_PERCENT,
    ENV_SHOW_VALUES,
    ENV_TABLES_PATH,
    ENV_UNIT_ROWS,
    ENV_WRITE_CLEANED_CSV,
)

_MAX_UNIT_ROWS: Final = 1 << 24
_PARQUET: Final = "application/vnd.apache.parquet"
_LEAST_OF_FILE: Final = 0.5
"""Bytes of a cleaned table for each of its file, at the least: measured on the sample, on generated
tables of 2 to 40 numbers and on one of text they were 0.51 to 0.95.
"""
_CSV: Final = "text/csv; charset=utf-8"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What the environment of the job says."""

    input_key: str
    input_version_id: str | None
    ingest_bucket: str
    intermediate_bucket: str
    write_cleaned_csv: bool
    settings: Settings
    tables_path: Path | None
    """Directory for a copy of the table."""

    @classmethod
    def from_env(cls, run: Run, environ: Mapping[str, str] = os.environ) -> Self:
        """Reads the PIPELINE_* variables. Raises StageError with exit code 2."""
        return cls(
            input_key=env.text(ENV_INPUT_KEY, environ),
            input_version_id=environ.get(ENV_INPUT_VERSION_ID) or None,
            ingest_bucket=env.text(ENV_INGEST_BUCKET, environ),
            intermediate_bucket=env.text(ENV_INTERMEDIATE_BUCKET, environ),
            write_cleaned_csv=env.flag(ENV_WRITE_CLEANED_CSV, default=False, environ=environ),
            settings=settings_from_env(environ, run.dataset),
            tables_path=env.directory(ENV_TABLES_PATH, environ),
        )


def settings_from_env(environ: Mapping[str, str] = os.environ, dataset: str = "") -> Settings:
    """How a file is cleaned, by the PIPELINE_* variables. Raises StageError with exit code 2."""
    percent = env.number(ENV_MAX_REJECTED_PERCENT, default=20, low=0, high=100, environ=environ)
    incomplete = env.choice(
        ENV_INCOMPLETE_ROWS, allowed=("reject", "keep"), default="reject", environ=environ
    )
    return Settings(
        unit_rows=env.whole(
            ENV_UNIT_ROWS, default=65_536, low=1, high=_MAX_UNIT_ROWS, environ=environ
        ),
        incomplete_rows=cast("IncompleteRows", incomplete),
        max_rejected_percent=percent,
        wishes=Wishes(
            columns=declared.from_json(environ.get(ENV_COLUMNS, ""), dataset),
            incomplete_percent=percent,
            show_values=env.flag(ENV_SHOW_VALUES, default=True, environ=environ),
        ),
    )


def main(run: Run) -> dict[str, Any]:
    """Runs the stage; returns the figures for the stage record. Raises StageError."""
    started = time.monotonic()
    job = Job.from_env(run)
    where = f"s3://{job.ingest_bucket}/{job.input_key}"
    info = s3.head(job.ingest_bucket, job.input_key, job.input_version_id)
    if job.tables_path is not None:
        least = int(info.size * _LEAST_OF_FILE)
        disk.require(least, f"cleaned tables of files as large as {where}", job.tables_path)
    try:
        cleaned = clean(
            lambda: s3_streams.Reader(info),
            functools.partial(_outputs, run, job, info.size),
            job.settings,
        )
    except StageError as error:
        raise StageError(
            f"{where}: {error.sentence}", hint=error.hint, exit_code=error.exit_code
        ) from error

    manifest = _manifest(run, job, info, cleaned)
    s3.put_bytes(
        job.intermediate_bucket,
        run.manifest_key,
        manifest.to_json(),
        content_type="application/json",
    )
    seconds = time.monotonic() - started
    return {
        "rows_read": cleaned.rows_read,
        "rows": cleaned.rows,
        "rejected": cleaned.rejected,
        "units": len(cleaned.units),
        "columns": {
            kind: sum(column.kind == kind for column in cleaned.columns)
            for kind in get_args(ColumnKind)
        },
        "dialect": manifest.source["dialect"],
        "passes": cleaned.passes,
        "input_bytes": info.size,
        "table_bytes": cleaned.table_bytes,
        "seconds": cleaned.seconds,
        "megabytes_per_second": round(info.size / 1e6 / seconds, 1),
        "peak_rss_mib": memory.peak_rss_mib(),
    }


@dataclass(frozen=True, slots=True)
class _Objects:
    """Where the results of one pass go."""

    table: s3_streams.Writer
    lines: s3_streams.Writer
    rejected: s3_streams.Writer
    cleaned_csv: s3_streams.Writer | None


@contextmanager
def _outputs(run: Run, job: Job, size: int) -> Iterator[_Objects]:
    """Objects that appear when the block ends well; where the file is refused, the list of rejected
    rows alone.
    """
    with ExitStack() as stack:

        def writer(key: str, content_type: str, expected_bytes: int) -> s3_streams.Writer:
            how: dict[str, Any] = {"content_type": content_type, "expected_bytes": expected_bytes}
            bucket, copies = job.intermediate_bucket, job.tables_path
            return stack.enter_context(
                s3_streams.Writer(bucket, key, **how)
                if copies is None or key != run.table_key
                else places.CopyingWriter(bucket, key, directory=copies, **how)
            )

        objects = _Objects(
            table=writer(run.table_key, _PARQUET, 2 * size),
            lines=writer(run.lines_key, _PARQUET, size // 8),
            rejected=writer(run.rejected_key, _CSV, size),
            cleaned_csv=writer(run.cleaned_csv_key, _CSV, size) if job.write_cleaned_csv else None,
        )
        try:
            yield objects
        except RefusedError:
            objects.rejected.commit()
            raise


def _manifest(run: Run, job: Job, info: s3.ObjectInfo, cleaned: Cleaned) -> Manifest:
    """Only what follows from the input and the job's settings: a second run writes the same
    bytes.
    """
    return Manifest(
        run_id=run.run_id,
        source={
            "bucket": info.bucket,
            "key": info.key,
            "version_id": info.version_id,
            "etag": info.etag,
            "bytes": info.size,
            "dialect": {
                **cleaned.dialect.facts(),
                "decimal": cleaned.plan.decimal,
                "encoding": cleaned.encoding,
                "compression": cleaned.compression,
            },
        },
        rows_read=cleaned.rows_read,
        rows=cleaned.rows,
        rejected=cleaned.rejected,
        columns=cleaned.columns,
        remarks=cleaned.remarks,
        unit_rows=job.settings.unit_rows,
        lines_key=run.lines_key,
        table_key=run.table_key,
        table_bytes=cleaned.table_bytes,
        footer_offset=cleaned.footer_offset,
        units=cleaned.units,
    )

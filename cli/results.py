"""`results` and `report`: what a run found, for people and for other programs."""

from __future__ import annotations

import io
import json
import math
import sys
import webbrowser
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from cli import runs_index, show
from cli.documents import Findings, Reported
from cli.errors import CliError, ExitCode
from cli.frame import print_json, say
from cli.paths import STATE
from cli.runs_index import Entry
from cli.target import Target

_SHOWN: Final = 10
"""Remote rows on a terminal."""
FORMATS: Final = ("table", "csv", "json", "parquet")


def results(
    console: Console, target: Target, name: str, *, form: str, file: Path | None, most: int | None
) -> int:
    """Prints what a run found, or writes the remote rows to a file.

    Args:
        console: standard output.
        target: the stack.
        name: the run.
        form: one of FORMATS; empty follows the ending of the file, and is `table` without one.
        file: where to; standard output without it.
        most: how many remote rows; None for all, on a terminal for ten.

    Raises CliError where the run has no findings.
    """
    form = form or (file.suffix.lstrip(".").lower() if file is not None else "table")
    if form not in FORMATS:
        raise CliError(f"--format {form}: give one of {', '.join(FORMATS)}", ExitCode.USAGE)
    if form == "table" and file is not None:
        raise CliError(
            "a table goes to the terminal; give --format csv, json or parquet", ExitCode.USAGE
        )
    entry = runs_index.find(target, name)
    body = stored(target, entry, entry.run.summary_key)
    summary = json.loads(body)
    parquet = stored(target, entry, entry.run.findings_key)
    if form == "table":
        show.findings(console, body, most=most or _SHOWN, values=True)
        return ExitCode.OK
    if form == "parquet":
        _write(file, parquet if not most else _sliced(parquet, most))
    elif form == "csv":
        _write(file, _csv(parquet, most))
    else:
        document: Findings = {
            "run_id": entry.run_id,
            "digest": summary["digest"],
            "table": summary["table"],
            "remarks": summary["remarks"],
            "notable": summary["notable"],
            "drift": summary["drift"],
            "rows": _plain(_rows(parquet, most)),
        }
        if file is None:
            print_json(document)
        else:
            file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    if file is not None:
        say(f"written: {file}")
    return ExitCode.OK


def report(target: Target, name: str, *, file: Path | None, as_json: bool) -> int:
    """Saves the report of a run, and opens it where no file was named.

    Raises CliError where there is none.
    """
    entry = runs_index.find(target, name)
    body = stored(target, entry, entry.run.report_key)
    path = file or STATE / "reports" / f"{entry.run_id}.html"
    if file is None:
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.write_bytes(body)
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}", ExitCode.USAGE) from error
    opened = file is None and webbrowser.open(path.resolve().as_uri())
    document: Reported = {"run_id": entry.run_id, "path": str(path), "opened": opened}
    if as_json:
        print_json(document)
    else:
        say(f"{'opened' if opened else 'saved'}: {path}")
    return ExitCode.OK


def stored(target: Target, entry: Entry, key: str) -> bytes:
    """An object of a run in the results bucket. Raises CliError where there is none."""
    client = target.client("s3")
    try:
        body: bytes = client.get_object(Bucket=target.output("results_bucket"), Key=key)[
            "Body"
        ].read()
    except client.exceptions.NoSuchKey:
        raise CliError(
            f"run {entry.run_id} has no findings: it is {entry.state}; "
            f"`{target.command(f'show {entry.run_id}')}` says why",
            ExitCode.NOT_FOUND,
        ) from None
    return body


def _table(parquet: bytes, most: int | None) -> Any:
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(parquet))
    return table.slice(0, most) if most else table


def _rows(parquet: bytes, most: int | None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = _table(parquet, most).to_pylist()
    return rows


def _sliced(parquet: bytes, most: int | None) -> bytes:
    import pyarrow.parquet as pq

    written = io.BytesIO()
    pq.write_table(_table(parquet, most), written)
    return written.getvalue()


def _csv(parquet: bytes, most: int | None) -> bytes:
    import pyarrow.csv as pc

    written = io.BytesIO()
    pc.write_csv(_table(parquet, most), written)
    return written.getvalue()


def _plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Dates and times as ISO 8601; numbers that JSON lacks as null."""
    return [{name: _json(value) for name, value in row.items()} for row in rows]


def _json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value


def _write(file: Path | None, body: bytes) -> None:
    if file is not None:
        try:
            file.write_bytes(body)
        except OSError as error:
            raise CliError(f"{file} cannot be written: {error.strerror}", ExitCode.USAGE) from error
    elif sys.stdout.isatty() and b"\0" in body[:4096]:
        raise CliError("Parquet is no text for a terminal; name a file with --out", ExitCode.USAGE)
    else:
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()

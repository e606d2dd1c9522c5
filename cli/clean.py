"""`clean`: what the preprocess stage makes of a file, without any deployment."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from cli import cleaned_view
from cli.errors import CliError, ExitCode
from cli.frame import print_json
from workloads.names import dataset_of, title
from workloads.preprocess.clean import Cleaned, RefusedError, Settings, clean
from workloads.preprocess.files import Files
from workloads.preprocess.stage import settings_from_env
from workloads.runtime.errors import StageError
from workloads.runtime.quoting import OMITTED, escaped

_LARGE_BYTES: Final = 8 << 20
"""Smallest file whose progress is shown."""
_SHOWN_EVERY_SECONDS: Final = 0.2


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asks for."""

    file: Path
    out: Path | None = None
    as_json: bool = False
    stack: str = ""
    dataset: str = ""


def run(console: Console, errors: Console, wanted: Wanted) -> ExitCode:
    """Cleans a file and shows what was decided.

    Raises CliError (USAGE) where the file is refused or cannot be read or written.
    """
    settings = _settings(wanted)
    size = _size(wanted.file)
    with _folder(wanted.out) as folder:
        files = Files(folder, with_csv=wanted.out is not None)
        try:
            with _progress(errors, size) as (stream, progress):
                found = clean(
                    lambda: stream(wanted.file), files.written, settings, progress=progress
                )
        except RefusedError as error:
            kept = _moved(files.rejected, wanted.out)
            raise _refused(
                wanted.file,
                error,
                f"; the rejected rows are in {escaped(str(kept))}" if kept else "",
            ) from error
        except StageError as error:
            raise _refused(wanted.file, error) from error
        except OSError as error:
            raise CliError(
                f"{escaped(str(error.filename or wanted.file))}: {error.strerror or error}",
                ExitCode.USAGE,
            ) from error
        shown = settings.wishes.show_values
        rows = cleaned_view.first_rows(files.table) if shown else []
        written = (
            {name: str(_moved(path, wanted.out, folder)) for name, path in _results(files)}
            if wanted.out
            else {}
        )
    if wanted.as_json:
        print_json(_as_json(wanted.file, found, rows, written, shown=shown))
    else:
        cleaned_view.show(console, wanted.file, found, rows, written)
    return ExitCode.OK


def _settings(wanted: Wanted) -> Settings:
    """As the config of a stack says; without a stack, as a stack file that says nothing does."""
    if not wanted.stack:
        if wanted.dataset:
            raise CliError(
                "--dataset names a data set of a stack file; give the stack, too: --stack prod",
                ExitCode.USAGE,
            )
        return settings_from_env({})
    from cli import stack_files  # the shape of stack files takes half a second to import
    from components import cleaning

    config = stack_files.read(wanted.stack).unchecked()
    environment = cleaning.variables(config.jobs.preprocess) | cleaning.shown(config.pipeline)
    return settings_from_env(environment, dataset_of(wanted.dataset or title(wanted.file.name)))


def _size(file: Path) -> int:
    if file.is_dir():
        raise CliError(
            f"{escaped(str(file))} is a directory; give the path of a CSV file", ExitCode.USAGE
        )
    try:
        with file.open("rb"):
            return file.stat().st_size
    except OSError as error:
        raise _unusable(file, "cannot be read", error, "give the path of a CSV file") from error


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """Where files are written until the last of them is whole; on the same disk as `out`."""
    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".clean-", dir=out))
    except OSError as error:
        fix = "give a folder with --out" if out is None else "give another --out"
        raise _unusable(out, "cannot be written to", error, fix) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _results(files: Files) -> list[tuple[str, Path]]:
    return [
        ("table", files.table),
        ("lines", files.lines),
        ("rejected", files.rejected),
        ("cleaned_csv", files.cleaned_csv),
    ]


def _moved(path: Path, out: Path | None, folder: Path | None = None) -> Path | None:
    """Puts a file to its place, if it has one."""
    if out is None or not path.exists():
        return None
    target = out / (path.relative_to(folder) if folder else path.name)
    try:
        target.parent.mkdir(exist_ok=True)
        path.replace(target)
    except OSError as error:
        raise _unusable(target, "cannot be written", error, "give another --out") from error
    return target


def _unusable(path: Path | None, what: str, error: OSError, fix: str) -> CliError:
    return CliError(
        f"{escaped(str(path or tempfile.gettempdir()))} {what}: {error.strerror or error}; {fix}",
        ExitCode.USAGE,
    )


class _Counted(io.FileIO):
    """A file that knows how much of it was read."""

    def __init__(self, path: Path, told: Callable[[int], None]) -> None:
        super().__init__(path)
        self._told = told

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes."""
        data = super().read(-1 if size is None else size)
        self._told(len(data))
        return data


@contextmanager
def _progress(
    errors: Console, size: int
) -> Iterator[tuple[Callable[[Path], _Counted], Callable[[int, int], None]]]:
    """How to open the file, and whom to tell of rows; a line on the terminal says how far a large
    file is.
    """
    if size < _LARGE_BYTES or not errors.is_terminal:
        yield (lambda path: _Counted(path, lambda _count: None)), (lambda _kept, _rejected: None)
        return
    read = 0
    shown = 0.0
    with errors.status("reading") as status:

        def opened(path: Path) -> _Counted:
            nonlocal read
            if read:
                errors.print(
                    "the file holds what its beginning did not show; it is read again",
                    highlight=False,
                )
            read = 0
            return _Counted(path, count)

        def count(amount: int) -> None:
            nonlocal read
            read += amount

        def rows(kept: int, rejected: int) -> None:
            nonlocal shown
            if time.monotonic() - shown > _SHOWN_EVERY_SECONDS:
                shown = time.monotonic()
                status.update(
                    f"{min(100, 100 * read // size)} % read, {kept:,} rows kept, {rejected:,}"
                    " rejected"
                )

        yield opened, rows


def _refused(file: Path, error: StageError, more: str = "") -> CliError:
    hint = f". {error.hint[:1].upper()}{error.hint[1:]}" if error.hint else ""
    return CliError(
        f"{escaped(str(file))}: {escaped(error.sentence)}{more}{escaped(hint)}", ExitCode.USAGE
    )


def _as_json(
    file: Path, found: Cleaned, rows: list[dict[str, Any]], written: dict[str, str], *, shown: bool
) -> dict[str, Any]:
    structure = found.dialect.facts()
    if not shown:
        structure["preamble"] = [OMITTED] * len(structure["preamble"])
    columns = []
    for column in found.columns:
        values = asdict(column)
        columns.append(
            {
                "name": column.name,
                "source": column.source_name,
                "type": column.kind,
                "storage": column.type,
                **{name: values[name] for name in ("missing", "use", "reason")},
            }
        )
    return {
        "file": os.fspath(file),
        "rows_read": found.rows_read,
        "rows": found.rows,
        "rejected": found.rejected,
        "encoding": found.encoding,
        "compression": found.compression,
        **structure,
        "decimal": found.plan.decimal,
        "columns": columns,
        "remarks": [asdict(remark) for remark in found.remarks],
        "first_rows": rows,
        "files": written,
    }

"""The disk for temporary files: whose directory is whose, what is free, and the sentence where it
does not suffice.

A job with scratch has a directory of its own there, which goes with it. The disk is the instance's,
so that other jobs may be there too, and a job that was killed leaves its directory behind: each
holds a lock on its own, and takes away those that nobody holds.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from workloads.runtime import env
from workloads.runtime.errors import (
    EXIT_ENVIRONMENT,
    StageError,
    exhausted,
    free_bytes,
    no_space,
)
from workloads.variables import ENV_SCRATCH_PATH

_PREFIX: Final = "job-"


@contextmanager
def own_directory(environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Temporary files of this process, and of those that it starts, lie on the scratch disk; where
    the job has none, nothing changes.

    Raises StageError where the disk is not there, or is full.
    """
    root = env.directory(ENV_SCRATCH_PATH, environ)
    if root is None:
        yield
        return
    before = os.environ.get("TMPDIR"), tempfile.tempdir
    with ExitStack() as held:
        try:
            made = _made(root, held)
        except OSError as error:
            raise _unusable(root, error) from error
        os.environ["TMPDIR"] = tempfile.tempdir = str(made)
        try:
            yield
        finally:
            tempfile.tempdir = before[1]
            if before[0] is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = before[0]
            shutil.rmtree(made, ignore_errors=True)


def require(needed: int, what: str, place: Path | None = None) -> None:
    """Raises StageError where a directory, which need not be there yet, cannot have so many bytes
    more; by default that of temporary files.
    """
    place = Path(tempfile.gettempdir()) if place is None else place
    free = free_bytes(place)
    if free is not None and free < needed:
        raise no_space(place, needed=needed, what=what)


def _made(root: Path, held: ExitStack) -> Path:
    with _locked(root):
        for left in root.glob(f"{_PREFIX}*"):
            with suppress(OSError), _locked(left, wait=False):
                shutil.rmtree(left, ignore_errors=True)
        made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
        held.enter_context(_locked(made))
    return made


@contextmanager
def _locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Holds the lock of a directory, which any user may. Raises OSError where there is none, or
    somebody else has it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)


def _unusable(root: Path, error: OSError) -> StageError:
    return exhausted(error) or StageError(
        f"the scratch disk is not there: {root}: {error.strerror or error}",
        hint=(
            "the instance did not mount it when it booted, and its console output says why; or the"
            " job definition has no mount there"
        ),
        exit_code=EXIT_ENVIRONMENT,
    )

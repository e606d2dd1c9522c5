"""Exit codes of a stage, and the error whose text is meant for a person."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from workloads.variables import ENV_CHECKPOINTS_PATH, ENV_DISK_HINT, ENV_TABLES_PATH

EXIT_OK: Final = 0
EXIT_REFUSED: Final = 1
"""The stage understood what it was given and refuses it: bad data, a missing object, a contract
that is not kept.
"""
EXIT_ENVIRONMENT: Final = 2
"""An environment variable is missing or has a value that is not allowed."""
EXIT_AWS: Final = 69
"""AWS refused a call or could not be reached, after the client's own retries."""
EXIT_INTERNAL: Final = 70
"""A bug: the traceback is in the log."""
EXIT_NO_MEMORY: Final = 72
"""The process could not get the memory that it asked for, on the machine or on its GPU."""
EXIT_NO_SPACE: Final = 74
"""A file could not be written for want of space."""
EXIT_TERMINATED: Final = 143
"""SIGTERM: Batch or the host stops the container."""


_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class StageError(Exception):
    """A failure that a person can act on.

    Args:
        sentence: what is wrong, where, and what was found; one sentence.
        hint: what to do about it; empty where the sentence says so already.
        exit_code: status with which the stage ends.
    """

    def __init__(self, sentence: str, *, hint: str = "", exit_code: int = EXIT_REFUSED) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint
        self.exit_code = exit_code


def exhausted(error: BaseException) -> StageError | None:
    """The sentence on a machine that has no more memory or disk; None where an error says nothing
    of the kind.
    """
    if isinstance(error, MemoryError):
        return no_memory(str(error))
    if isinstance(error, OSError):
        # libraries pass the system's text on and not always its number
        if error.errno in _FULL or os.strerror(errno.ENOSPC) in str(error):
            return no_space(error.filename)
        if error.errno == errno.ENOMEM:
            return no_memory(str(error))
    return None


def no_memory(details: str = "") -> StageError:
    """Memory is used up."""
    more = f" ({details})" if details else ""
    return StageError(
        f"the stage has no more memory{more}",
        hint="raise memory_mib of the stage, or of a GPU take a larger one",
        exit_code=EXIT_NO_MEMORY,
    )


def no_space(
    path: str | os.PathLike[str] | None = None, *, needed: int | None = None, what: str = ""
) -> StageError:
    """The disk is full, or would be.

    Args:
        path: What was to be written, or where; by default temporary files.
        needed: Bytes that it takes, where they are known.
        what: What takes them.
    """
    place = tempfile.gettempdir() if path is None else os.fspath(path)
    found = free_bytes(Path(place))
    free = f"{place} has {'an unknown number of bytes' if found is None else size(found)} free"
    return StageError(
        f"the disk is full: {free}"
        if needed is None
        else f"the disk is too small: {what} need {size(needed)}, and {free}",
        hint=_hint(place),
        exit_code=EXIT_NO_SPACE,
    )


def size(count: int) -> str:
    """Bytes as the settings have them, in MiB or GiB."""
    return f"{count / 2**30:,.2f} GiB" if count >= 2**30 else f"{count / 2**20:,.1f} MiB"


def free_bytes(place: Path) -> int | None:
    """Bytes free at a path, which need not be there; None where nobody knows."""
    for each in (place, *place.parents):
        try:
            return shutil.disk_usage(each).free
        except OSError:
            continue
    return None


def _hint(place: str) -> str:
    """What to change: the sizes of shared memory, of a shared file system and of the job's own disk
    are settings of their own.
    """
    if place.startswith("/dev/shm"):  # noqa: S108 - named, not written to
        return "raise shared_memory_mib of the stage"
    volumes = [os.environ.get(name, "") for name in (ENV_TABLES_PATH, ENV_CHECKPOINTS_PATH)]
    if any(each and f"{place}/".startswith(f"{each}/") for each in volumes):
        return "raise size_gib of storage.lustre, or delete files there"
    return os.environ.get(ENV_DISK_HINT) or (
        "give the job a larger disk: ephemeral_storage_gib on Fargate, scratch or root_volume_gib"
        " of the environment on instances"
    )

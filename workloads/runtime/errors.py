"""Exit codes of a stage, and the error whose text is meant for a person."""

from __future__ import annotations

import errno
import os
from typing import Final

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
            return no_space(f": {error.filename}" if error.filename else "")
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


def no_space(where: str = "") -> StageError:
    """The disk is full."""
    return StageError(
        f"the scratch disk is full{where}",
        hint=(
            "take instance types with local disks and set scratch on the environment; the log names"
            " what was being written"
        ),
        exit_code=EXIT_NO_SPACE,
    )

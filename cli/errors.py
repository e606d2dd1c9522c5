"""How commands end: exit codes, and the error whose text is meant for a person."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command line."""

    OK = 0
    RUN_FAILED = 1
    """The run ended as FAILED."""
    USAGE = 2
    """The command line, a stack file or the CSV path is wrong, or AWS cannot be asked; nothing was started."""
    NOT_RUNNING = 3
    """The command needs the rehearsal of `up`, and none runs."""
    REHEARSAL_FAILED = 4
    """The local AWS could not be started, or the program could not be deployed into it."""
    NOT_READY = 5
    """The account lacks something that the stack needs to run; nothing was started."""


class CliError(Exception):
    """A failure that one or a few sentences explain; no traceback is shown."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.code = code

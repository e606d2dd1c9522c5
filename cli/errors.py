"""How commands end: exit codes, and the error whose text is meant for a person."""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class ExitCode(IntEnum):
    """Exit codes of the command line, each with its meaning; `--help` shows them."""

    meaning: str

    def __new__(cls, code: int, meaning: str = "") -> Self:
        """A member with its meaning; a look-up by value needs none."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    OK = 0, "done, and nothing is wrong; there may be warnings"
    RUN_FAILED = 1, "the run ended as FAILED"
    USAGE = 2, "wrong command line, stack file or CSV path, or no answer from AWS"
    NOT_RUNNING = 3, "the command needs the AWS in memory that `up` starts, and none runs"
    REHEARSAL_FAILED = 4, "the AWS in memory did not start, or the program does not deploy"
    NOT_READY = 5, "the account lacks something that the stack needs to run"


class CliError(Exception):
    """A failure that one or a few sentences explain; no traceback is shown."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.code = code

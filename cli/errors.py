"""How commands end: exit codes, and the error whose text is meant for a person."""

from __future__ import annotations

import sys
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
    RUN_FAILED = 1, "a run failed, or something that was asked for was not done"
    USAGE = 2, "wrong command line, stack file or CSV path"
    NOT_RUNNING = 3, "the command needs the AWS in memory that `up` starts, and none runs"
    REHEARSAL_FAILED = 4, "the AWS in memory did not start, or the program does not deploy"
    NOT_READY = 5, "something has to be mended: in the account, or in what was deployed"
    NOT_FOUND = 6, "no stack, run, job, queue or object of that name"
    AWS_REFUSED = 7, "AWS refused a call, or did not answer"


class CliError(Exception):
    """A failure that one or a few sentences explain; no traceback is shown."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.code = code


def of_aws(error: Exception) -> CliError | None:
    """What AWS or the way to it said, as one sentence; None where the error is of another kind.

    botocore is not imported for it: whoever raised one of its errors has done so.
    """
    exceptions = sys.modules.get("botocore.exceptions")
    if exceptions is None:
        return None
    if isinstance(error, exceptions.ClientError):
        said = error.response.get("Error", {})
        code, call = str(said.get("Code") or "?"), error.operation_name
        sentence = f"AWS refused {call} ({code}): {said.get('Message') or 'no reason given'}"
        if "NotFound" in code or "NoSuch" in code:
            sentence += (
                "; the stack's outputs name something that is gone: `batchref doctor` says what"
            )
        if "AccessDenied" in code or "Unauthorized" in code:
            sentence += "; docs/operating.md lists the rights that each command needs"
        return CliError(sentence, ExitCode.AWS_REFUSED)
    if isinstance(error, exceptions.NoCredentialsError):
        return CliError(
            "there are no AWS credentials; log in (aws sso login) or set AWS_PROFILE",
            ExitCode.AWS_REFUSED,
        )
    if isinstance(error, exceptions.BotoCoreError):
        return CliError(f"AWS could not be asked: {error}", ExitCode.AWS_REFUSED)
    return None

"""Exit codes of a stage, and the error whose text is meant for a person."""

from __future__ import annotations

from typing import Final

EXIT_OK: Final = 0
EXIT_REFUSED: Final = 1
"""The stage understood what it was given and refuses it: bad data, a missing object, a contract that is not kept."""
EXIT_ENVIRONMENT: Final = 2
"""An environment variable is missing or has a value that is not allowed."""
EXIT_AWS: Final = 69
"""AWS refused a call or could not be reached, after the client's own retries."""
EXIT_INTERNAL: Final = 70
"""A bug: the traceback is in the log."""
EXIT_TERMINATED: Final = 143
"""SIGTERM: Batch or the host stops the container."""


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

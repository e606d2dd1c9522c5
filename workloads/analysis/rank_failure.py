"""The line by which a failing rank tells the launcher on the main node what a person should read.

Ranks run behind mpirun, which hands on their output and an exit code; the sentence for the error
record has to travel in the output.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final, Self

_EVENT: Final = "rank-failed"


@dataclass(frozen=True, kw_only=True)
class RankFailure:
    """Why a rank ended the job."""

    sentence: str
    """Names rank, node and unit."""
    hint: str
    exit_code: int

    def to_line(self) -> str:
        """A line of JSON, in the manner of the other log lines."""
        return (
            json.dumps(
                {"level": "ERROR", "message": self.sentence, "event": _EVENT, **asdict(self)}
            )
            + "\n"
        )

    @classmethod
    def from_line(cls, line: str) -> Self | None:
        """The failure that to_line wrote; None for any other line."""
        if _EVENT not in line:
            return None
        try:
            found = json.loads(line)
            return cls(sentence=found["sentence"], hint=found["hint"], exit_code=found["exit_code"])
        except (ValueError, KeyError, TypeError):
            return None

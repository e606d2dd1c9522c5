"""What `why` says: causes, and a diagnosis of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Weight = Literal["blocks", "waits", "suspect", "later"]
"""`blocks`: nothing goes on until it is mended. `waits`: it goes on by itself in time. `suspect`:
it may be the cause, AWS does not say. `later`: not what it waits for, and it will fail of it when
it starts.
"""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One thing that keeps a job from running, or that ended it."""

    code: str
    """For programs: `MAX-VCPUS`."""
    weight: Weight = "blocks"
    what: str
    """One sentence on what is so."""
    setting: str = ""
    """The line of the stack file, or AWS's name of what blocks."""
    found: str = ""
    """The number or value that it has."""
    needed: str = ""
    """The number or value that it needs."""
    fix: str
    """A config line or a command, and what to do with it."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """The answer about one run, job or queue."""

    subject: str
    state: str
    """Of Batch or of the state item; for a queue its state."""
    verdict: str
    """One sentence."""
    causes: tuple[Cause, ...] = ()
    """The first is the one to mend."""
    seen: tuple[str, ...] = ()
    """What was looked at and is in order, a sentence each."""
    log: tuple[str, ...] = ()
    """Lines of the log that show the failure."""
    log_command: str = ""
    """Follows the same log."""
    unseen: tuple[str, ...] = field(default=())
    """What AWS did not tell, a sentence each."""

    @property
    def is_stuck(self) -> bool:
        """Whether somebody has to do something."""
        return any(cause.weight in {"blocks", "suspect"} for cause in self.causes)

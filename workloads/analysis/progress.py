"""What a rank is doing: for the figures of the run, for the sentence when it fails, and whether it
should stop.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType


@dataclass(kw_only=True)
class Progress:
    """Of one rank."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Stage -> seconds."""
    bytes: dict[str, int] = field(default_factory=dict)
    """Stage -> bytes that it moved: `read` from S3, `exchange` between ranks, `checkpoint` to
    S3.
    """
    evaluations: int = 0
    """Pairs of rows compared by matrix products; each counts once, also where it serves both
    rows.
    """
    unit: int | None = None
    """That is being worked on."""

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start

    def moved(self, stage: str, count: int) -> None:
        """Add bytes to a stage."""
        self.bytes[stage] = self.bytes.get(stage, 0) + count


@dataclass
class Stop:
    """Whether this process was asked to end. It does so when its results are stored."""

    requested: bool = False

    def listen(self) -> None:
        """From now on SIGTERM, and SIGUSR1 by which the launcher hands it on (mpirun keeps SIGTERM
        for itself), only set the flag.
        """
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._request)

    def _request(self, _signal: int, _frame: FrameType | None) -> None:
        self.requested = True


class StoppedError(Exception):
    """The ranks were asked to end; what they have done is stored, if this says so.

    Args:
        sentence: What was stored.
    """

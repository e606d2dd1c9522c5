"""What is under way in the background: events on their way, functions that nobody waits for."""

from __future__ import annotations

import threading
from concurrent.futures import Future


class Pending:
    """Counts what has begun and has not ended. Thread safe."""

    def __init__(self) -> None:
        self._count = 0
        self._ended = threading.Condition()

    def add(self, work: Future[None]) -> None:
        """Counts until it has ended; one that is forgotten ends too."""
        with self._ended:
            self._count += 1
        work.add_done_callback(self._done)

    def _done(self, _: Future[None]) -> None:
        with self._ended:
            self._count -= 1
            self._ended.notify_all()

    def settle(self, seconds: float) -> bool:
        """Waits until nothing is under way, for so long at most; whether nothing is."""
        with self._ended:
            return self._ended.wait_for(lambda: self._count == 0, seconds)

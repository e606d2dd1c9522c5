"""SQS's short polls, which ask some of the servers only and may find nothing although a message
lies there.

Rule: SQS developer guide, "Amazon SQS short and long polling". Here every other short poll of a
queue finds nothing, the first one among them, so that whoever takes an empty answer for an empty
queue is wrong at once. Long polls see everything.
"""

from __future__ import annotations

import threading
from typing import Any

from localcloud.moto.state import AwsState


class ShortPolls:
    """Which polls find nothing. Thread safe."""

    def __init__(self, state: AwsState) -> None:
        self._state = state
        self._last_missed: dict[str, bool] = {}
        self._lock = threading.Lock()

    def misses(self, params: dict[str, Any]) -> bool:
        """Whether a ReceiveMessage finds nothing, whatever the queue holds."""
        name = str(params.get("QueueUrl", "")).rsplit("/", 1)[-1]
        waits = params.get("WaitTimeSeconds")
        if int(waits if waits is not None else self._state.queue_wait_seconds(name)) > 0:
            return False
        with self._lock:
            missed = not self._last_missed.get(name, False)
            self._last_missed[name] = missed
        return missed

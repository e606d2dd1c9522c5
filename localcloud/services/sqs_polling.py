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


class Polls:
    """Which polls find nothing. Thread safe.

    Attributes:
        wait: Whether a long poll of an empty queue waits for a message. Without it the poll ends at
            once, as if its time had gone by: for those who know that no message comes.
    """

    def __init__(self, state: AwsState) -> None:
        self._state = state
        self.wait = True
        self._last_missed: dict[str, bool] = {}
        self._lock = threading.Lock()

    def misses(self, params: dict[str, Any]) -> bool:
        """Whether a ReceiveMessage finds nothing, without a look at the time that it would wait."""
        name = str(params.get("QueueUrl", "")).rsplit("/", 1)[-1]
        waits = params.get("WaitTimeSeconds")
        if int(waits if waits is not None else self._state.queue_wait_seconds(name)) > 0:
            return not self.wait and self._state.queue_is_empty(name)
        with self._lock:
            missed = not self._last_missed.get(name, False)
            self._last_missed[name] = missed
        return missed

"""How long a Wait state and the pause before a retry last here: a part of their seconds, for
nothing that a machine waits for takes as long in memory. A state that waits for a moment waits for
that moment.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Final

from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.timestamp import Timestamp
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import (
    WaitFunction,
)

PACE: Final = 0.2
"""Seconds here for one second there."""


def replacements() -> list[tuple[Any, str, Any]]:
    """(class or module, name, what is in its place)."""
    paced = SimpleNamespace(sleep=lambda seconds: time.sleep(seconds * PACE))
    return [
        (WaitFunction, "_wait_interval", _wait),
        (Timestamp, "_get_wait_seconds", _seconds_to_moment),
        (retrier_decl, "time", paced),
    ]


def _seconds_to_moment(self: Any, env: Any) -> float:
    """Moto takes the moment for one of the machine's time zone, and ends up to a second early."""
    self.string.eval(env=env)
    text = env.stack.pop()
    if self._from_timestamp_string(text) is None:
        raise FailureEventException(self._create_failure_event(env, text))
    return (datetime.fromisoformat(text) - datetime.now(UTC)).total_seconds()


def _wait(self: Any, env: Any, wait_seconds: float) -> None:
    """Until the time is over, or the execution has ended otherwise."""
    seconds = wait_seconds if isinstance(self, Timestamp) else wait_seconds * PACE
    until = time.monotonic() + seconds
    while env.is_running() and (left := until - time.monotonic()) > 0:
        env.program_state_event.wait(left)

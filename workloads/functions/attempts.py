"""When a job ran, by its description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def spans(job: Mapping[str, Any], now_ms: int) -> list[tuple[int, int]]:
    """Begin and end of every attempt that ran, and of the one that runs, whose end is now;
    milliseconds since 1970.
    """
    found = [
        (int(a["startedAt"]), int(a["stoppedAt"]))
        for a in job.get("attempts") or []
        if a.get("startedAt") and a.get("stoppedAt")
    ]
    began, ended = job.get("startedAt"), job.get("stoppedAt")
    if (
        began
        and int(began) not in {begin for begin, _ in found}
        and (job.get("status") == "RUNNING" or (ended and not found))
    ):
        found.append((int(began), int(ended or now_ms)))
    return found


def run_ms(some: list[tuple[int, int]]) -> int:
    """How long these took together; clocks that differ make none negative."""
    return sum(max(0, end - begin) for begin, end in some)

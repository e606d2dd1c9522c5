"""What commands print with --json. Their JSON Schemas stand in cli/schemas/, written by `schema --documents --write`.

Times are ISO 8601 in UTC, durations seconds, money US dollars. What is not known is null.
"""

from __future__ import annotations

from typing import TypedDict


class RunLine(TypedDict):
    """A run in a list."""

    run_id: str
    state: str
    """WAITING, CLAIMED, SUBMITTED, SUCCEEDED, FAILED or CANCELLED."""
    dataset: str
    date: str
    """Of the folder, YYYYMMDD."""
    key: str | None
    """Of the upload; null for a run whose jobs were submitted by hand."""
    attempt: int
    """Counts the times that the run was begun."""
    begun_at: str | None
    ended_at: str | None
    compute_seconds: float | None
    """Of all stages together."""
    usd: float | None
    failure: str | None
    """Why it failed or was cancelled."""

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


class Cancelled(TypedDict):
    """What `cancel` did."""

    run_id: str
    state: str
    by: str
    """Who asked, as AWS knows it."""
    execution_stopped: bool
    jobs_stopped: list[str]
    jobs_still_ending: list[str]


class Paused(TypedDict):
    """One pause."""

    queue: str | None
    """Name of the queue in the config; null for the pipeline."""
    since: str
    by: str
    reason: str | None
    environments: list[str]
    """Compute environments that were disabled for it."""


class Resumed(TypedDict):
    """What `resume` did."""

    queues: list[str]
    pipeline: bool
    begun: list[str]
    """Run ids of the uploads that had waited."""


class Retried(TypedDict):
    """How `retry` went."""

    run_id: str
    outcome: str
    """`submitted`; or `paused`, or `exists` where somebody else began it meanwhile."""
    attempt: int
    first: str
    """The stage that it begins at."""
    uses: str
    """What of earlier attempts is used again."""


class Begun(TypedDict):
    """What became of one upload that was to begin."""

    key: str
    outcome: str
    """`submitted`, `exists`, `waiting` (the pipeline is paused), `ignored`, `refused` or `paused`."""
    run_id: str | None
    reason: str | None


class Planned(TypedDict):
    """One object in the folders of a backfill."""

    key: str
    run_id: str | None
    """Null where it is no upload."""
    state: str | None
    """Of its run; null where it has none."""
    begins: bool
    why: str | None
    """Why it does not begin."""


class Backfilled(TypedDict):
    """A plan, its price, and what was begun of it: nothing without --yes."""

    plan: list[Planned]
    usd: float | None
    begun: list[Begun]


class Replayed(TypedDict):
    """Dead letters that a function was given again: what it answered, and what it raised."""

    function: str
    handled: list[str]
    failed: list[str]

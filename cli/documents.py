"""What commands print with --json. Their JSON Schemas stand in cli/schemas/, written by `schema
--write`.

Times are ISO 8601 in UTC, durations seconds, money US dollars. What is not known is null.
"""

from __future__ import annotations

from typing import Any, Final

from typing_extensions import TypedDict

from cli import file_documents
from cli.advice_documents import Drift, Health, Rightsized, Why


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
    """`submitted`, `exists`, `waiting` (the pipeline is paused), `ignored`, `refused` or
    `paused`.
    """
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


class Attempt(TypedDict):
    """One attempt of a job."""

    number: int
    started_at: str | None
    stopped_at: str | None
    seconds: float | None
    exit_code: int | None
    reason: str | None
    log_stream: str | None
    """Of the main node, where the job has several."""


class Part(TypedDict):
    """A node of a multi-node job, or a shard of an array job."""

    index: int
    status: str
    reason: str | None
    attempts: int
    seconds: float | None


class StageJob(TypedDict):
    """The job of a stage."""

    stage: str
    fallback: bool
    """Whether it took the place of an analysis that failed."""
    job_id: str
    job_name: str
    status: str
    reason: str | None
    """As AWS Batch gives it."""
    queue: str
    """As the config calls it."""
    created_at: str | None
    started_at: str | None
    stopped_at: str | None
    seconds: float | None
    """From start to stop, or until now."""
    attempts: list[Attempt]
    array: bool
    """Whether `parts` are shards of an array job; else they are nodes."""
    parts: list[Part]
    """Nodes or shards; empty for a job that has neither."""


class StageBeginning(TypedDict):
    """What was before the work of a stage's container."""

    stage: str
    job_id: str
    waited_seconds: float | None
    """From the job's creation to the pull of its image: the queue, and the machine."""
    pull_seconds: float
    """Of a multi-node job the main node's, of an array job one child's."""
    start_seconds: float
    """From the end of the pull to the first line of the program."""


class StageCost(TypedDict):
    """What a stage took and cost; a job that a fallback took the place of counts as `fallback`'s
    stage.
    """

    stage: str
    attempts: int
    seconds: float | None
    usd: float | None


class Reclaimed(TypedDict):
    """Attempts that ended because AWS took their machine back."""

    attempts: int
    jobs: int
    """Shards, or 1, that lost an attempt at least."""
    seconds: float | None
    usd: float | None
    """A part of the run's cost."""


class Killed(TypedDict):
    """A job that was killed for its memory, after which the run began again with more."""

    stage: str
    job_id: str
    memory_mib: int
    """What the next job asked for."""
    at: str | None


class Told(TypedDict):
    """One message."""

    what: str
    at: str | None
    """Null where it is not certain that anybody heard."""
    to: str


class Figures(TypedDict):
    """What the findings say, in short."""

    rows: int
    rejected_rows: int
    most_remote_line: int | None
    """Of the uploaded file; null where rows were not compared."""
    most_remote_score: float | None
    """Its distance to the k-th nearest row."""
    strongest_drift: str | None
    digest: str


class Shown(TypedDict):
    """A run with all that is known of it."""

    run: RunLine
    execution: str | None
    """ARN of the execution of the state machine; null where jobs depend on one another instead."""
    stages: list[StageJob]
    """Jobs that AWS Batch still knows: it forgets them some days after their end."""
    beginnings: list[StageBeginning]
    """Of jobs that have ended well, where their container agent told."""
    costs: list[StageCost]
    reclaimed: Reclaimed | None
    """Null where nobody asked AWS Batch, or nothing has ended yet."""
    killed: list[Killed]
    failed_stage: str | None
    what_to_do: str | None
    told: list[Told]
    figures: Figures | None
    """Null before the findings are there."""
    links: dict[str, str]


class LogLine(TypedDict):
    """One line of a log; `logs --json` prints one document a line."""

    time: str
    stage: str
    node: int | None
    shard: int | None
    attempt: int
    level: str | None
    """Null for a line that is not of this program's own form."""
    message: str
    fields: dict[str, Any]
    """What else the line holds."""
    stream: str


class Findings(TypedDict):
    """What a run found; the fields of summary.json that docs/data.md describes, and the remote rows
    of findings.parquet.
    """

    run_id: str
    digest: str
    table: dict[str, Any]
    remarks: list[dict[str, Any]]
    notable: list[dict[str, Any]]
    drift: dict[str, Any]
    rows: list[dict[str, Any]]


class Reported(TypedDict):
    """Where a report was saved."""

    run_id: str
    path: str
    opened: bool
    """Whether a browser took it."""


class Serving(TypedDict):
    """Where `ui` serves until it is ended."""

    stack: str | None
    """Null for the rehearsal."""
    url: str
    """Of the page of runs, with the token without which nothing is served."""


class Difference(TypedDict):
    """One thing that differs."""

    area: str
    what: str
    values: list[Any]
    """Of the first run and of the second."""


class Compared(TypedDict):
    """Two runs side by side."""

    runs: list[RunLine]
    differences: list[Difference]
    same: list[str]
    """Areas without a difference."""
    not_compared: list[str]
    """Areas that one of the two has nothing of."""


DOCUMENTS: Final[dict[str, Any]] = {
    "runs": list[RunLine],
    "show": Shown,
    "logs": LogLine,
    "results": Findings,
    "report": Reported,
    "ui": Serving,
    "compare": Compared,
    "run": Begun,
    "retry": Retried,
    "cancel": Cancelled,
    "pause": list[Paused],
    "resume": Resumed,
    "backfill": Backfilled,
    "replay": Replayed,
    "why": Why,
    "rightsize": Rightsized,
    "doctor": Health,
    "drift": Drift,
    **file_documents.DOCUMENTS,
}
"""What each command prints, by its name."""

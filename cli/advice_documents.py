"""What `why`, `rightsize`, `doctor` and `drift` print with --json; see cli/documents.py."""

from __future__ import annotations

from typing_extensions import TypedDict


class WhyCause(TypedDict):
    """One thing that keeps something from going on, or that ended it."""

    code: str
    """Names the kind of cause, for programs: MAX-VCPUS; docs/why.md lists them."""
    weight: str
    """blocks, suspect, waits (it goes on by itself), later (it will fail of it when it starts)."""
    what: str
    setting: str
    """Line of the stack file, or AWS's name of what blocks."""
    found: str
    """Number or value that it has."""
    needed: str
    fix: str


class Why(TypedDict):
    """Why a run, a job or a queue is where it is."""

    subject: str
    state: str
    verdict: str
    causes: list[WhyCause]
    """The first is the one to mend."""
    seen: list[str]
    """What was looked at and is in order."""
    log: list[str]
    """Lines that show a failure."""
    log_command: str
    unseen: list[str]
    """What AWS did not tell, and why."""
    stuck: bool
    """Whether somebody has to do something."""


class ResourceNeed(TypedDict):
    """One resource of a stage."""

    field: str
    """Of the stage in the stack file."""
    asks: float
    used_most: float
    used_high: float
    """95th percentile at the largest input that was seen."""
    model: str
    suggests: float


class StageAdvice(TypedDict):
    """What a stage should ask for."""

    stage: str
    runs: int
    """That were measured."""
    largest_mb: float
    """Largest input, 10^6 bytes."""
    seconds: float
    """Median."""
    needs: list[ResourceNeed]
    notes: list[str]
    changes: dict[str, float]
    """Dotted path in the stack file -> new value."""


class Rightsized(TypedDict):
    """What all stages should ask for."""

    file: str
    runs_a_month: float
    stages: list[StageAdvice]
    saves_usd_a_month: float | None
    """Negative where it costs more; null where a price is not known."""
    diff: str
    """Of the stack file, unified; empty for none."""
    applied: bool


class HealthFinding(TypedDict):
    """One answer of `doctor`."""

    level: str
    """ok, warning or error."""
    check: str
    what: str
    fix: str


class Health(TypedDict):
    """The health of a stack."""

    stack: str
    """Empty for the rehearsal."""
    findings: list[HealthFinding]


class Drifted(TypedDict):
    """A resource that is not as the program says."""

    operation: str
    """What `pulumi up` would do: create, update, replace or delete."""
    type: str
    name: str
    properties: list[str]
    """That differ, where Pulumi names them."""


class Drift(TypedDict):
    """What differs between a deployed stack and the program."""

    stack: str
    """Empty for the rehearsal."""
    differences: list[Drifted]

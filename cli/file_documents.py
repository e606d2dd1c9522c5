"""What the commands on stack files, CSV files, accounts and the rehearsal itself print with --json;
see cli/documents.py.
"""

from __future__ import annotations

from typing import Any, Final

from typing_extensions import TypedDict


class FoundProblem(TypedDict):
    """One thing that is wrong or doubtful in a stack file."""

    code: str
    """Names the rule; docs/config.md lists them."""
    level: str
    """error or warning."""
    path: str
    """Dotted, below the project's namespace."""
    found: Any
    """The value there; null where there is none."""
    message: str
    fix: str


class LinedProblem(FoundProblem):
    """The same with its line."""

    line: int | None
    """Null where the file does not say what the problem is about."""


class CheckedFile(TypedDict):
    """A stack file."""

    file: str
    stack: str
    errors: int
    warnings: int
    problems: list[LinedProblem]


class Checked(TypedDict):
    """What `check` found."""

    files: list[CheckedFile]


class CleanedColumn(TypedDict):
    """A column of the cleaned table."""

    name: str
    source: str
    """Name in the file's header."""
    type: str
    """number, date, timestamp, boolean or text."""
    storage: str
    """Arrow type."""
    missing: int
    use: str
    """compare, describe or keep."""
    reason: str


class CleanedRemark(TypedDict):
    """Something that was decided about the file."""

    code: str
    column: str
    """Empty where it is about the whole file."""
    sentence: str
    sure: bool


class CleanedFile(TypedDict):
    """What preprocessing makes of a file."""

    file: str
    rows_read: int
    rows: int
    rejected: dict[str, int]
    """Reason -> rows."""
    encoding: str
    compression: str
    delimiter: str
    quote: str
    escape: str
    header: bool
    header_rows: int
    header_line: int | None
    first_line: int
    preamble: list[str]
    decimal: str
    columns: list[CleanedColumn]
    remarks: list[CleanedRemark]
    first_rows: list[dict[str, Any]]
    """Empty where the stack shows no values."""
    files: dict[str, str]
    """What was written, by kind; empty without --out."""


class PriceList(TypedDict):
    """Where prices are from."""

    date: str
    source: str


class PriceLists(TypedDict):
    """The lists of an estimate."""

    region: str
    machines: PriceList
    services: PriceList


class CostLine(TypedDict):
    """One thing that costs."""

    what: str
    usd: float | None


class RestCost(TypedDict):
    """A month without a run."""

    usd_per_month: float | None
    lines: list[CostLine]


class EstimatedStage(TypedDict):
    """A stage of one run."""

    stage: str
    machines: str
    usd_per_hour: float | None
    minutes: float
    minutes_from: str
    """given, past runs or timeout."""
    usd: float | None
    worst_usd: float | None


class EstimatedRun(TypedDict):
    """One run."""

    usd: float | None
    stages: list[EstimatedStage]


class EstimatedMonth(TypedDict):
    """A month at rest, and its runs."""

    runs: int
    usd: float | None
    budget_usd: float


class EstimatedWorst(TypedDict):
    """What it costs at most."""

    run_usd: float | None
    month_usd: float | None
    ceiling_usd_per_hour: float | None


class Estimated(TypedDict):
    """What a stack costs, US dollars."""

    region: str | None
    prices: PriceLists
    rest: RestCost
    run: EstimatedRun
    month: EstimatedMonth
    worst: EstimatedWorst
    unpriced_types: list[str]
    not_counted: str


class ChangedField(TypedDict):
    """A field that differs."""

    path: str
    before: Any
    after: Any
    kind: str
    effect: str


class ChangedPrice(TypedDict):
    """An amount before and after."""

    what: str
    before: float | None
    after: float | None
    difference: float | None


class FilesCompared(TypedDict):
    """What a change of a stack file does."""

    before: str
    after: str
    stack: str
    changes: list[ChangedField]
    usd: list[ChangedPrice]
    problems: list[FoundProblem]
    """Of the second file."""


class AccountFinding(TypedDict):
    """One answer of the account."""

    level: str
    """ok, warning or error."""
    check: str
    what: str
    fix: str
    """Empty where there is nothing to do."""


class Preflight(TypedDict):
    """Whether an account can run a stack."""

    stack: str
    account: str
    region: str
    findings: list[AccountFinding]


class LeftoverThing(TypedDict):
    """Something that is still there."""

    kind: str
    name: str
    why: str
    costs: str
    remove: str
    """Command that removes it, or what to do in its place."""


class NotSeen(TypedDict):
    """A kind of thing that could not be looked for."""

    kind: str
    because: str


class Leftovers(TypedDict):
    """What an account still holds of a stack."""

    stack: str
    account: str
    region: str
    leftovers: list[LeftoverThing]
    unseen: list[NotSeen]


class S3Addresses(TypedDict):
    """Where S3 is."""

    path_style: str
    virtual_hosts: str


class JobFacts(TypedDict):
    """What jobs of one's own need to know."""

    path: str
    images: list[str]
    containers: str | None
    """The engine that runs containers of other images; null where they are refused."""
    limits_not_enforced: list[str]
    queues: dict[str, str]
    log_groups: dict[str, str]
    roles: dict[str, dict[str, str]]


class PulumiFacts(TypedDict):
    """How the Pulumi CLI works on this AWS."""

    environment: dict[str, str]
    program: str
    commands: list[str]


class RehearsalUp(TypedDict):
    """The AWS that `up` keeps."""

    stack: str
    pid: int
    environment: dict[str, str]
    """Variables by which SDKs and the aws CLI find it."""
    account_id: str
    s3: S3Addresses
    jobs: JobFacts
    outputs: dict[str, Any]
    """Of the stack."""
    pulumi: PulumiFacts


class RefreshedResource(TypedDict):
    """A resource that was changed by hand."""

    urn: str
    gone: bool
    """Whether it does not exist any more."""
    paths: dict[str, str]
    """Property -> what a deployment would do to bring it back: update, add or delete."""


DOCUMENTS: Final[dict[str, Any]] = {
    "check": Checked,
    "clean": CleanedFile,
    "estimate": Estimated,
    "diff": FilesCompared,
    "preflight": Preflight,
    "leftovers": Leftovers,
    "up": RehearsalUp,
    "refresh": list[RefreshedResource],
}
"""What each of these commands prints."""

"""What the stages agree on: object keys, the manifest, environment variables, table keys.

This module is the only thing that the stages share, and it needs the standard library alone, so
that the Lambda functions can carry it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, Self

from workloads import names

Stage = Literal["preprocess", "analysis", "postprocess"]
STAGES: Final[tuple[Stage, ...]] = ("preprocess", "analysis", "postprocess")

# ---- environment variables -----------------------------------------------------------------------

ENV_RUN_ID: Final = "PIPELINE_RUN_ID"
ENV_INPUT_KEY: Final = "PIPELINE_INPUT_KEY"
ENV_INPUT_VERSION_ID: Final = "PIPELINE_INPUT_VERSION_ID"
ENV_INGEST_BUCKET: Final = "PIPELINE_INGEST_BUCKET"
ENV_INTERMEDIATE_BUCKET: Final = "PIPELINE_INTERMEDIATE_BUCKET"
ENV_RESULTS_BUCKET: Final = "PIPELINE_RESULTS_BUCKET"
ENV_TABLE: Final = "PIPELINE_TABLE"
ENV_STACK: Final = "PIPELINE_STACK"
ENV_UNIT_ROWS: Final = "PIPELINE_UNIT_ROWS"
"""Rows of one analysis unit; a property of the data set, never of the rank count."""
ENV_INCOMPLETE_ROWS: Final = "PIPELINE_INCOMPLETE_ROWS"
"""`reject` or `keep`: what becomes of a row that lacks a value in a compared or required column."""
ENV_MAX_REJECTED_PERCENT: Final = "PIPELINE_MAX_REJECTED_PERCENT"
"""Share above which of rejected rows the file is refused as a whole; columns whose gaps would cost
more rows are not compared.
"""
ENV_COLUMNS: Final = "PIPELINE_COLUMNS"
"""JSON object, data set -> column -> {"type", "use", "required"}: what the owner of the data set
declares about its columns.
"""
ENV_WRITE_CLEANED_CSV: Final = "PIPELINE_WRITE_CLEANED_CSV"
ENV_SHOW_VALUES: Final = "PIPELINE_SHOW_VALUES"
"""`false`: no cell of the file stands in a message, a log or an item of the table; objects in the
buckets hold them.
"""
ENV_ARRAY_BACKEND: Final = "PIPELINE_ARRAY_BACKEND"
"""`numpy` or `cupy`; a job that is told `cupy` and finds no GPU fails."""
ENV_RANKS_PER_NODE: Final = "PIPELINE_RANKS_PER_NODE"
ENV_EXCHANGE: Final = "PIPELINE_EXCHANGE"
"""`host`, `cuda-aware` or `nccl`: how ranks hand rows to one another; the latter two only where a
self-test passes.
"""
ENV_SHARDS: Final = "PIPELINE_SHARDS"
"""Children of the array job that is the analysis; unset or 1 where it is no array job.

Whoever submits it gives both the same number.
"""
ENV_EXACT_QUANTILES: Final = "PIPELINE_EXACT_QUANTILES"
"""`true`: quantiles without error, at the cost of two more reads of the table."""
ENV_ANOMALY_MODE: Final = "PIPELINE_ANOMALY_MODE"
"""`off`, `top` (the most remote rows, exactly) or `full` (a score for every row)."""
ENV_ANOMALY_NEIGHBOURS: Final = "PIPELINE_ANOMALY_NEIGHBOURS"
"""k: a row's score is the distance to its k-th nearest neighbour."""
ENV_ANOMALY_TOP: Final = "PIPELINE_ANOMALY_TOP"
"""N: how many of the most remote rows are reported."""
ENV_ANOMALY_SCALING: Final = "PIPELINE_ANOMALY_SCALING"
"""`robust` (median and interquartile range) or `standard` (mean and standard deviation)."""
ENV_ANOMALY_METRIC: Final = "PIPELINE_ANOMALY_METRIC"
"""`euclidean` (of the scaled columns), `mahalanobis` (their correlations taken out) or `cosine`
(directions from the centre).
"""
ENV_MAX_DOLLARS: Final = "PIPELINE_MAX_DOLLARS"
"""The mode `full` is refused where it is predicted to cost more; unset: no limit."""
ENV_BLOCK_MEMORY_MIB: Final = "PIPELINE_BLOCK_MEMORY_MIB"
"""Memory of a node for rows and their neighbours; what does not fit is read again.

The interpreter and its libraries come on top.
"""
ENV_RECLAIM_SIGNAL: Final = "PIPELINE_RECLAIM_SIGNAL"
"""Name of the signal by which a container on Spot learns that its machine is taken back:
`SIGWINCH`, which the instance's own watch sends and a program that is not yet listening does not
mind, or on Fargate `SIGTERM`; unset: the container goes on until it is killed.
"""
ENV_COUNT_RECLAIMS: Final = "PIPELINE_COUNT_RECLAIMS"
"""`true`: postprocess asks AWS Batch how many attempts of the analysis lost their machine."""
ENV_CHECKPOINT_FLOOR_SECONDS: Final = "PIPELINE_CHECKPOINT_FLOOR_SECONDS"
"""Checkpoints are never closer together than this, but for the ends of stages and a SIGTERM."""
ENV_NODE_MTBF_HOURS: Final = "PIPELINE_NODE_MTBF_HOURS"
"""Mean time between failures of one node, from which the cadence of checkpoints follows."""
ENV_JOIN_DEADLINE_SECONDS: Final = "PIPELINE_JOIN_DEADLINE_SECONDS"
ENV_TABLES_PATH: Final = "PIPELINE_TABLES_PATH"
"""Directory on a volume where cleaned tables lie by the keys of their objects; unset: in S3
alone.
"""
ENV_CHECKPOINTS_PATH: Final = "PIPELINE_CHECKPOINTS_PATH"
"""Directory on a volume for checkpoints; unset: the results bucket."""
ENV_SCRATCH_PATH: Final = "PIPELINE_SCRATCH_PATH"
"""Directory on a disk of the instance for temporary files; unset: the container's own."""
ENV_DISK_HINT: Final = "PIPELINE_DISK_HINT"
"""What to change in the stack file where the job's disk is too small, one clause."""
ENV_LAUNCH_TOKEN: Final = "PIPELINE_LAUNCH_TOKEN"  # noqa: S105 - the name of a variable
"""Shared secret by which the nodes of one job know each other; comes from Secrets Manager."""
ENV_SLACK_WEBHOOK_URL: Final = "PIPELINE_SLACK_WEBHOOK_URL"
ENV_SLACK_WEBHOOK_SECRET_ARN: Final = "PIPELINE_SLACK_WEBHOOK_SECRET_ARN"  # noqa: S105 - the name of a variable
"""Functions read the webhook from Secrets Manager themselves; jobs get it as ENV_SLACK_WEBHOOK_URL.

Empty: nobody is told.
"""
ENV_STAGE_PRICES: Final = "PIPELINE_STAGE_PRICES"
"""JSON object, stage -> US dollars per hour of all the machines that the stage reserves; for the
notify function with `fallback` beside.
"""
ENV_CONSOLE_URL: Final = "PIPELINE_CONSOLE_URL"
"""Where a person can open an object of the results bucket: the URL prefix to which a key is
appended.
"""
ENV_JOB_QUEUES: Final = "PIPELINE_JOB_QUEUES"
"""JSON object, stage -> job queue ARN (submit function)."""
ENV_JOB_DEFINITIONS: Final = "PIPELINE_JOB_DEFINITIONS"
"""JSON object, stage -> {"name": job definition ARN without revision, "multi_node": whether it is
of type multinode, "shards": size of the array job, 1 for none} (submit function).
"""
ENV_SHARE_IDENTIFIERS: Final = "PIPELINE_SHARE_IDENTIFIERS"
"""JSON object, stage -> share identifier, for the stages whose queue has a fair-share policy
(submit function).
"""
ENV_STATE_MACHINE_ARN: Final = "PIPELINE_STATE_MACHINE_ARN"
"""State machine that runs the stages; unset where the submit function chains the jobs itself
(submit function).
"""
ENV_DEADLINE_HOURS: Final = "PIPELINE_DEADLINE_HOURS"
"""How long a run of the state machine may take (submit function)."""
ENV_SUBMIT_FUNCTION: Final = "PIPELINE_SUBMIT_FUNCTION"
"""ARN of the submit function (daily function; notify function, where a stage's memory may grow)."""
ENV_MEMORY_GROWTH: Final = "PIPELINE_MEMORY_GROWTH"
"""JSON object, stage -> list of MiB that it asks for, one after the other, when it was killed for
its memory (submit and notify function).
"""
ENV_REDRIVEN: Final = "PIPELINE_REDRIVEN"
"""JSON object, short name of a function -> {"url": of its dead-letter queue, "function": its name}
(redrive function).
"""
ENV_GUARD_QUEUE: Final = "PIPELINE_GUARD_QUEUE"
"""ARN of the job queue that the guard watches (guard function)."""
ENV_GUARD_LIMIT_USD: Final = "PIPELINE_GUARD_LIMIT_USD"
"""Cost so far of the queue's unfinished jobs above which the guard acts (guard function)."""
ENV_GUARD_RATES: Final = "PIPELINE_GUARD_RATES"
"""JSON list, one object of US dollars per hour for each environment of the queue (guard function):
{"instance", "vcpu", "gib", "gpu"}, the dearest of its types in each respect, or on Fargate {"vcpu",
"gib"}.
"""

RUN_ID_TAG: Final = "pipeline-run-id"
STAGE_TAG: Final = "pipeline-stage"
JOB_FAILED_ERROR: Final = "JobFailed"
"""Error of an execution of the state machine that a failed job ended: the job's own event tells of
it.
"""
JOB_TERMINATED_ERROR: Final = "JobTerminated"
"""Error of an execution whose job somebody ended where a fallback would have followed a failure."""
DEADLINE_ERROR: Final = "DeadlineExceeded"
"""Error of an execution that stopped its job because the run took too long."""
RUN_SUCCEEDED_EVENT: Final = "Run Succeeded"
"""Detail type of the event by which postprocess hands on a message that Slack did not take:
{"run_id", "message": webhook body}.
"""
OWN_STOP: Final = "Stopped by the "
"""How a reason begins for which this program itself ends a job."""
FALLBACK_ENDING: Final = "-fallback"
"""How the name of a job ends that took the place of an analysis."""
FALLBACK_TAG: Final = "pipeline-fallback"
"""Tag of a job whose failure need not be the end of its run, which goes on with another job; its
value is one of the next three.
"""
FALLBACK_FOLLOWS: Final = "follows"
"""The state machine goes on, however the job failed, unless somebody ended it."""
FALLBACK_AFTER_LOSS: Final = "follows-a-loss"
"""The state machine goes on where the job's machines were lost, see workloads/functions/losses.py;
what the code itself reports fails the run.
"""
FALLBACK_BY_NOTIFY: Final = "follows-a-loss-in-the-chain"
"""The same, and the notify function asks the submit function to go on."""
LOST_REASONS: Final = ("Host EC2", "Your Spot Task was interrupted")
"""How the status reason of an attempt begins that lost its machine, on instances and on Fargate
(AWS Batch user guide, job_retries; Amazon ECS developer guide, "Stopped task error messages").
"""
RECLAIMED_EXIT: Final = 75
"""Exit code of a job that left because its machine is being taken back (EX_TEMPFAIL of sysexits):
the next attempt goes on.
"""
ANALYSIS_TARGET_NODES: Final = "0:"
"""Node range of the analysis job; open-ended so that `numNodes` may be overridden at submit.

Overrides must repeat it exactly.
"""


class ContractError(ValueError):
    """A name, object or variable is not what the stages agreed on; the message is one sentence for
    the person who sent it.
    """


SETTING_FILE_MARK: Final = "@"
"""What a function's variable begins with whose text stands in a file beside its code, for Lambda
takes 4 KB of variables in all. JSON does not begin so.
"""


def setting_file(variable: str) -> str:
    """The file of such a variable."""
    return f"{variable.lower()}.json"


def require_env(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """The value of an environment variable that the stage cannot do without.

    Raises ContractError where it is unset or empty.
    """
    value = environ.get(name, "").strip()
    if not value:
        raise ContractError(
            f"environment variable {name} is not set; the job definition or the submit request has"
            " to give it"
        )
    return value


# ---- uploads and run ids -------------------------------------------------------------------------

_RUN_ID = re.compile(
    rf"(?P<date>\d{{8}})-(?P<dataset>{names.DATASET_PATTERN})-(?P<digest>[0-9a-f]{{12}})"
)
_EXECUTION_NAME_MAX = 80
FINDINGS_PREFIX: Final = "findings/"
"""Prefix in the results bucket: `dataset_id=<id>/run_date=<YYYYMMDD>/<run id>/findings.parquet`,
folders that readers know as Hive's.
"""
RUNS_PAGE_KEY: Final = "index.html"
"""In the results bucket: the page of the newest runs."""
MONTH_PAGES_PREFIX: Final = "months/"
"""In the results bucket: the pages of the months."""


def month_page_key(month: str) -> str:
    """The page of a month, YYYYMM, in the results bucket."""
    return f"{MONTH_PAGES_PREFIX}{month[:4]}-{month[4:]}.html"


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One version of one object with a table in the ingest bucket.

    The run id follows from bucket, key and ETag. The ETag and not the version id, so that the same
    bytes uploaded again under the same key are the same upload, while changed bytes make a new run
    (S3 object ETags of SSE-S3 objects are digests of the content).
    """

    bucket: str
    key: str
    etag: str
    version_id: str | None = None

    def __post_init__(self) -> None:
        fault = names.fault_of(self.key)
        if fault:
            raise ContractError(
                f"s3://{self.bucket}/{self.key} is not an upload: {fault}; expected"
                " data/<YYYYMMDD>/<name>.csv, for example data/20260131/sales.csv"
            )

    @property
    def date(self) -> str:
        """Date of the folder, YYYYMMDD."""
        return self.key.split("/")[1]

    @property
    def dataset(self) -> str:
        """Id of the data set that the file's name stands for (names.dataset_of)."""
        return names.dataset_of(names.title(self.key))

    @property
    def run_id(self) -> str:
        """`<YYYYMMDD>-<dataset>-<12 hex>`: the same upload always gives the same id."""
        identity = "\n".join((self.bucket, self.key, self.etag.strip('"')))
        return f"{self.date}-{self.dataset}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def concerns_uploads(key: str) -> bool:
    """Whether an object lies where uploads do, so that somebody wants to hear what becomes of it;
    folder markers are nobody's upload.
    """
    return key.startswith(names.UPLOAD_PREFIX) and not key.endswith("/")


# ---- where a run keeps its objects ---------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """A run id and the names that follow from it."""

    run_id: str

    def __post_init__(self) -> None:
        match = _RUN_ID.fullmatch(self.run_id)
        if match is None or not names.is_date(match["date"]):
            raise ContractError(
                f"{self.run_id[:100]!a} is not a run id: expected <YYYYMMDD>-<name>-<12 hex"
                " digits>, for example 20260131-sales-0123456789ab"
            )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """The run that this process belongs to. Raises ContractError."""
        return cls(require_env(ENV_RUN_ID, environ))

    @property
    def date(self) -> str:
        """Date of the upload, YYYYMMDD."""
        return self.run_id[:8]

    @property
    def dataset(self) -> str:
        """Data set id: what the runs of one daily file have in common."""
        return self.run_id[9:-13]

    def job_name(self, stage: Stage, attempt: int = 1) -> str:
        """Name of the Batch job of a stage.

        A run that is done again has new names, by which its jobs are told from the old ones.
        """
        return f"{self.run_id}-{stage}" if attempt == 1 else f"{self.run_id}-{stage}-{attempt}"

    def job_environment(self, upload: Upload) -> dict[str, str]:
        """Variables by which a job knows its run; whoever submits it gives them."""
        variables = {ENV_RUN_ID: self.run_id, ENV_INPUT_KEY: upload.key}
        return (
            {**variables, ENV_INPUT_VERSION_ID: upload.version_id}
            if upload.version_id
            else variables
        )

    def execution_name(self, attempt: int = 1) -> str:
        """Name of the state machine execution: the run id, its data set cut to what the 80
        characters of Step Functions leave.
        """
        ending = f"-{self.run_id[-12:]}" if attempt == 1 else f"-{self.run_id[-12:]}-{attempt}"
        return f"{self.run_id[:-13][: _EXECUTION_NAME_MAX - len(ending)]}{ending}"

    # intermediate bucket

    @property
    def cleaned_prefix(self) -> str:
        """Folder of the cleaned table in the intermediate bucket."""
        return f"data/{self.date}/{self.run_id}/"

    @property
    def table_key(self) -> str:
        """Parquet file whose row groups are the analysis units; alone in its folder, so that the
        folder can be read as a data set.
        """
        return f"{self.cleaned_prefix}table/table.parquet"

    @property
    def lines_key(self) -> str:
        """Which line of the file each row came from: Parquet with the int64 columns `row` and
        `line`, both ascending.

        From `row` on, the kept row r stands in line `line + (r - row)`, until the next entry. Rows
        count from 0, lines of the file from 1.
        """
        return f"{self.cleaned_prefix}lines.parquet"

    @property
    def manifest_key(self) -> str:
        """Written last by preprocess: without it there is no cleaned table."""
        return f"{self.cleaned_prefix}manifest.json"

    @property
    def rejected_key(self) -> str:
        """Rejected rows: line, reason, raw row."""
        return f"{self.cleaned_prefix}rejected.csv"

    @property
    def cleaned_csv_key(self) -> str:
        """The cleaned table as CSV, where the config asks for it."""
        return f"{self.cleaned_prefix}cleaned.csv"

    # results bucket

    @property
    def results_prefix(self) -> str:
        """Folder of the run in the results bucket."""
        return f"runs/{self.run_id}/"

    @property
    def partials_prefix(self) -> str:
        """Partial results, keyed by data, never by rank."""
        return f"{self.results_prefix}partials/"

    @property
    def checkpoints_prefix(self) -> str:
        """Checkpoints, keyed by data, never by rank."""
        return f"{self.results_prefix}checkpoints/"

    @property
    def shards_prefix(self) -> str:
        """Below the checkpoints: what the shards of an array job store for one another."""
        return f"{self.checkpoints_prefix}shards/"

    @property
    def scores_prefix(self) -> str:
        """Anomaly scores of every row, a Parquet file for each unit; mode `full` only."""
        return f"{self.results_prefix}scores/"

    @property
    def success_key(self) -> str:
        """Written last by the analysis: without it the partial results do not count."""
        return f"{self.results_prefix}_SUCCESS.json"

    @property
    def profile_key(self) -> str:
        """The merged profile: what a later run of the data set measures its drift against."""
        return f"{self.results_prefix}profile.npz"

    @property
    def summary_key(self) -> str:
        """Findings for programs."""
        return f"{self.results_prefix}summary.json"

    @property
    def findings_key(self) -> str:
        """The most remote rows as a flat Parquet file; those of all runs of a data set are one
        folder, and one table.
        """
        folder = f"dataset_id={self.dataset}/run_date={self.date}/{self.run_id}"
        return f"{FINDINGS_PREFIX}{folder}/findings.parquet"

    @property
    def ddl_key(self) -> str:
        """Statements by which Amazon Athena knows the cleaned tables and the findings of the data
        set.
        """
        return f"{self.results_prefix}athena.sql"

    @property
    def report_key(self) -> str:
        """Findings for people; one file that needs no network."""
        return f"{self.results_prefix}report.html"

    def stage_record_key(self, stage: Stage) -> str:
        """What a stage says of itself when it succeeded: see StageRecord."""
        return f"{self.results_prefix}stages/{stage}.json"

    def error_key(self, stage: Stage) -> str:
        """What a stage says of itself when it failed: `{"stage", "error", "hint", "at"}`, `error`
        being one sentence.
        """
        return f"{self.results_prefix}errors/{stage}.json"

    # metrics table

    @property
    def partition_key(self) -> str:
        """`pk` of every item of the data set."""
        return f"{DATA_SET_KEY_PREFIX}{self.dataset}"

    @property
    def sort_key_prefix(self) -> str:
        """Beginning of `sk` of every item of the run."""
        return f"RUN#{self.date}#{self.run_id}#"

    @property
    def state_key(self) -> dict[str, str]:
        """Key of the run's state item."""
        return {"pk": self.partition_key, "sk": f"{self.sort_key_prefix}STATE"}

    @property
    def summary_item_key(self) -> dict[str, str]:
        """Key of the item with the findings of the whole table."""
        return {"pk": self.partition_key, "sk": f"{self.sort_key_prefix}SUMMARY"}

    def metric_key(self, column: str) -> dict[str, str]:
        """Key of the item with the findings of one column."""
        return {"pk": self.partition_key, "sk": f"{self.sort_key_prefix}METRIC#{column}"}

    @property
    def latest_key(self) -> dict[str, str]:
        """Key of the item that names the newest successful run of the data set."""
        return {"pk": self.partition_key, "sk": "LATEST"}


def event_source(stack: str) -> str:
    """Source of the events that the stages of a stack send."""
    return f"batch-reference.{stack}"


DATA_SET_KEY_PREFIX: Final = "DS#"
"""How the partition key of all items of a data set begins."""
GUARD_KEY_PREFIX: Final = "GUARD#"
REFUSED_KEY_PREFIX: Final = "REFUSED#"
"""`pk` begins so of the items that say which objects were refused as uploads, so that each is told
once.
"""


def guard_partition_key(queue_arn: str) -> str:
    """`pk` of the items in which the guard records that it disabled a queue."""
    return f"{GUARD_KEY_PREFIX}{queue_arn.rsplit('/', 1)[-1]}"


RunState = Literal["WAITING", "CLAIMED", "SUBMITTED", "SUCCEEDED", "FAILED", "CANCELLED"]
"""`state` of the state item: held by a pause, claimed by a submit function, all jobs submitted;
three ends.
"""
USABLE_MEMORY_SHARE: Final = 0.94
"""Part of an instance's nominal memory that jobs can count on; `config.facts` says why."""

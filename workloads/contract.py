"""What the stages agree on: runs, object keys, the manifest, table keys.

The stages share this module and the names of their environment variables, `variables`; both need
the standard library alone, so that the Lambda functions can carry them.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, Self

from workloads import names
from workloads.variables import ENV_INPUT_KEY, ENV_INPUT_VERSION_ID, ENV_RUN_ID

Stage = Literal["preprocess", "analysis", "postprocess"]
STAGES: Final[tuple[Stage, ...]] = ("preprocess", "analysis", "postprocess")

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

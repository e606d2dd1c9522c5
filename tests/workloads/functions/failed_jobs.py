"""Events of a run's jobs that failed, and the run's state item."""

from __future__ import annotations

from typing import Any

from tests.workloads.functions.metrics_table import metrics_table
from workloads import contract
from workloads.contract import Run, Upload
from workloads.functions.states import RunStates
from workloads.variables import ENV_RUN_ID

RUN = Run("20260131-sales-0123456789ab")
BUCKET, CREATED_MS = "results", 1_770_000_000_000
ENVIRONMENT = [
    {"name": "PIPELINE_STACK", "value": "dev"},
    {"name": ENV_RUN_ID, "value": RUN.run_id},
]


def attempt(
    exit_code: int | None = None,
    reason: str = "",
    status_reason: str = "Essential container in task exited",
) -> dict[str, Any]:
    container: dict[str, Any] = {"logStreamName": "preprocess/default/abc", "reason": reason}
    if exit_code is not None:
        container["exitCode"] = exit_code
    return {
        "container": container,
        "startedAt": CREATED_MS + 60_000,
        "stoppedAt": CREATED_MS + 90_000,
        "statusReason": status_reason,
    }


def event(
    *attempts: dict[str, Any], stage: str = "preprocess", job_id: str = "job-1", **changes: Any
) -> dict[str, Any]:
    """A `Batch Job State Change`; `changes` go into the detail."""
    detail = {
        "jobId": job_id,
        "jobName": RUN.job_name(stage),  # type: ignore[arg-type]
        "jobQueue": "arn:aws:batch:eu-west-1:123456789012:job-queue/cheap",
        "status": "FAILED",
        "statusReason": attempts[-1]["statusReason"] if attempts else "",
        "createdAt": CREATED_MS,
        "attempts": list(attempts),
        "tags": {contract.RUN_ID_TAG: RUN.run_id, contract.STAGE_TAG: stage},
        "container": {
            "environment": ENVIRONMENT,
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {"awslogs-group": "/batch/dev"},
            },
        },
    }
    return {
        "source": "aws.batch",
        "detail-type": "Batch Job State Change",
        "region": "eu-west-1",
        "detail": detail | changes,
    }


def states() -> RunStates:
    return RunStates(metrics_table())


def claim() -> None:
    upload = Upload(bucket="ingest", key="data/20260131/sales.csv", etag="e")
    states().claim(RUN, upload, token="t", now_ms=CREATED_MS, expires_ms=CREATED_MS + 1)

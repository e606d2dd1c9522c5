"""Whole events, messages and items, as the functions meet them."""

from __future__ import annotations

import json
from decimal import Decimal

from tests.workloads.functions.failed_jobs import CREATED_MS, RUN, attempt, event
from workloads import contract, metrics
from workloads.contract import Upload
from workloads.functions import slack
from workloads.variables import ENV_INPUT_KEY

QUEUE = "arn:aws:batch:eu-west-1:123456789012:job-queue/gpu"

UPLOAD = Upload(bucket="ingest", key="data/20260131/sales.csv", etag="0123")


CREATED = {
    "detail-type": "Object Created",
    "detail": {
        "bucket": {"name": "ingest"},
        "object": {"key": UPLOAD.key, "etag": "0123", "version-id": "v1"},
        "again": True,
        "from": "analysis",
    },
}
BLOCKED = {
    "detail-type": "Batch Job Queue Blocked",
    "region": "eu-west-1",
    "detail": {
        "jobId": "job-1",
        "jobName": "n",
        "jobQueue": QUEUE,
        "statusReason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - x",
    },
}
EXECUTION = {
    "detail-type": "Step Functions Execution Status Change",
    "region": "eu-west-1",
    "detail": {
        "status": "FAILED",
        "error": "Batch.BatchException",
        "cause": "denied",
        "executionArn": "arn:aws:states:eu-west-1:123456789012:execution:m:n",
        "name": "n",
        "startDate": CREATED_MS,
        "input": json.dumps({"run_id": RUN.run_id, "environment": []}),
    },
}
INPUT = {
    "run_id": RUN.run_id,
    "environment": [{"Name": ENV_INPUT_KEY, "Value": UPLOAD.key}],
}
FINDINGS = {
    "detail-type": contract.RUN_SUCCEEDED_EVENT,
    "detail": {
        "run_id": RUN.run_id,
        "message": {"text": "done", "blocks": [slack.header("h"), slack.section("s")]},
    },
}
ALARM = {
    "AlarmName": "dev-at-max",
    "AlarmDescription": "An environment is full\nWait\ndocs/runbook.md",
    "OldStateValue": "OK",
    "NewStateValue": "ALARM",
    "NewStateReason": "Threshold crossed",
    "StateChangeTime": "2026-02-02T02:41:24.123+0000",
    "AlarmArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:dev-at-max",
    "TriggeringChildren": [{"Arn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:child"}],
    "Trigger": {"Namespace": metrics.NAMESPACE, "MetricName": metrics.USD_PER_HOUR, "Period": 60},
}
ARRAY = event(
    attempt(1),
    job_id="job-1:3",
    statusReason="Host EC2 (instance i-0ab) terminated.",
    isTerminated=False,
)
NODES = event(
    attempt(1),
    nodeProperties={
        "numNodes": 2,
        "nodeRangeProperties": [{"container": {"command": ["python", "-m", "x"]}}],
    },
)
SCHEDULED = {"detail-type": "Scheduled Event", "time": "2026-03-31T04:00:00Z", "detail": {}}
ITEM = {
    **RUN.state_key,
    "run_id": RUN.run_id,
    "state": "FAILED",
    "attempt": Decimal(1),
    "claim_token": "t",
    "claim_expires_ms": Decimal(1),
    "first_claimed_ms": Decimal(1),
    "ended_ms": Decimal(CREATED_MS + 1),
    "tell_until_ms": Decimal(1),
    "jobs": {"preprocess": "job-1", "analysis": "job-2"},
    "replaced": "job-0",
    "failure": {"stage": "preprocess", "error": "e", "job_id": "job-1"},
    "upload": {"bucket": "ingest", "key": UPLOAD.key, "etag": "0123"},
}
UNDER_WAY = {
    **{name: value for name, value in ITEM.items() if name not in {"ended_ms", "failure"}},
    "state": "SUBMITTED",
    "upload": {"bucket": "ingest", "key": UPLOAD.key, "etag": "0123", "version_id": "v1"},
    "killed": [{"stage": "preprocess", "job_id": "job-9", "memory_mib": Decimal(2048)}],
}
"""A run whose job was killed for its memory once."""
KILLED = {
    "detail-type": "Object Created",
    "detail": {
        "bucket": {"name": "ingest"},
        "object": {"key": UPLOAD.key, "etag": "0123", "version-id": "v1"},
        "killed": {"stage": "preprocess", "job_id": "job-1"},
    },
}
STOP = {
    "pk": "GUARD#x",
    "sk": "STOP#2026",
    "usd": Decimal("7.5"),
    "limit_usd": Decimal(5),
    "jobs": ["job-1"],
}

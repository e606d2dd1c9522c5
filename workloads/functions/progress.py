"""How far a run got, in a few words for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import boto3

from workloads.contract import STAGES


def how_far(item: Mapping[str, Any]) -> str:
    """What a state item says of its run, and AWS Batch of its jobs.

    `item` is empty where there is no run. Raises botocore's errors.
    """
    state = item.get("state")
    if state is None:
        return "no run has begun"
    if state == "WAITING":
        return "held back by a pause (batchref resume)"
    if state == "FAILED":
        failure = item.get("failure") or {}
        return (
            f"failed in {failure.get('stage') or 'unknown'}:"
            f" {failure.get('error') or 'no cause given'}"
        )
    if state != "SUBMITTED":
        return (
            "claimed, and its jobs are not all submitted"
            if state == "CLAIMED"
            else str(state).lower()
        )
    jobs = {stage: item["jobs"][stage] for stage in STAGES if stage in (item.get("jobs") or {})}
    if not jobs:
        return "submitted, and no job has begun"
    found: dict[str, Any] = {
        job["jobId"]: job
        for job in boto3.client("batch").describe_jobs(jobs=list(jobs.values()))["jobs"]
    }
    for stage, job_id in jobs.items():
        status = found.get(job_id, {}).get("status")
        if status != "SUCCEEDED":
            return f"{stage} is {status or 'no longer known to AWS Batch'}"
    return f"{list(jobs)[-1]} is done"

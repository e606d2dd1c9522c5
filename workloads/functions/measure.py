"""Lambda function: publishes what AWS Batch does not, by looking on a schedule and by counting the
stages' ends as they happen.

On a schedule: jobs of every queue by state, how long its front has waited, vCPUs and health of
every environment, running cost. On EventBridge's `Batch Job State Change`, status SUCCEEDED or
FAILED: one more for the stage. An event that comes twice counts twice.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import boto3

from workloads import contract, metrics
from workloads.contract import STAGES, ContractError
from workloads.functions import arrays, forms, settings
from workloads.functions.embedded import publish
from workloads.functions.log import log
from workloads.functions.reasons import is_cascade


@dataclass(frozen=True, kw_only=True)
class Environment:
    """An environment to look at."""

    name: str
    arn: str
    rates: Mapping[str, float] | None
    """US dollars per hour, `vcpu` and `gib`; None where a price is not known."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the function is told by its environment."""

    queues: Mapping[str, str]
    """Name -> ARN."""
    environments: tuple[Environment, ...]

    @classmethod
    def from_env(cls) -> Self:
        """Raises ContractError where the variable is missing or not of its form."""
        text = settings.read(metrics.ENV_MEASURED)
        try:
            found = json.loads(text)
            environments = tuple(
                Environment(name=str(k), arn=str(v["arn"]), rates=v["rates"])
                for k, v in found["environments"].items()
            )
            return cls(queues=dict(found["queues"]), environments=environments)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ContractError(
                f"environment variable {metrics.ENV_MEASURED} is not of its form ({error!r});"
                " deploy the stack again"
            ) from error


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Entry point.

    Returns `{"outcome"}`: `looked`, `counted` or `ignored`. Raises ContractError and botocore's
    errors.
    """
    forms.check(event, {"detail-type?": forms.TEXT, "time?": forms.MOMENT}, what="the event")
    at_ms = _moment_ms(event)
    if event.get("detail-type") == "Batch Job State Change":
        forms.check(event, {"detail": forms.JOB}, what="the event")
        detail = event["detail"]
        if arrays.is_parent(detail) and detail["status"] == "FAILED":
            detail = {
                **detail,
                "statusReason": (
                    (arrays.notifying_child(boto3.client("batch"), detail["jobId"]) or detail).get(
                        "statusReason"
                    )
                ),
            }
        return {"outcome": "counted" if count_end(detail, at_ms=at_ms) else "ignored"}
    look(boto3.client("batch"), Measured.from_env(), at_ms=at_ms)
    return {"outcome": "looked"}


def _moment_ms(event: Mapping[str, Any]) -> int:
    """When the event happened; a delayed one is not of this moment."""
    moment = event.get("time")
    return int((datetime.fromisoformat(moment).timestamp() if moment else time.time()) * 1000)


def count_end(detail: Mapping[str, Any], *, at_ms: int) -> bool:
    """Counts the end of a stage's job; False where the job is a node or a shard, is of no stage, or
    failed only with the one before it.
    """
    stage = (detail.get("tags") or {}).get(contract.STAGE_TAG) or str(
        detail.get("jobName") or ""
    ).rpartition("-")[2]
    if (
        stage not in STAGES
        or "#" in str(detail["jobId"])
        or arrays.parent_id(str(detail["jobId"]))
        or is_cascade(detail)
    ):
        return False
    if detail["status"] != "SUCCEEDED":
        publish({metrics.FAILED: 1}, at_ms=at_ms, Stage=stage)
        return True
    values: dict[str, float] = {metrics.SUCCEEDED: 1}
    if detail.get("startedAt") and detail.get("stoppedAt"):
        values[metrics.SECONDS] = (detail["stoppedAt"] - detail["startedAt"]) / 1000
    publish(values, at_ms=at_ms, Stage=stage)
    return True


def look(batch: Any, measured: Measured, *, at_ms: int) -> None:
    """Publishes the state of all queues and environments."""
    running: list[str] = []
    for name, arn in measured.queues.items():
        ids = _job_ids(batch, arn)
        running += ids["STARTING"] + ids["RUNNING"]
        counts: dict[str, float] = {
            metrics.jobs_metric(status): len(found) for status, found in ids.items()
        }
        publish(
            {**counts, metrics.FRONT_WAITED: front_waited_seconds(batch, arn, at_ms=at_ms)},
            at_ms=at_ms,
            Queue=name,
        )

    arns = [environment.arn for environment in measured.environments]
    pages = batch.get_paginator("describe_compute_environments").paginate(computeEnvironments=arns)
    described = {
        found["computeEnvironmentArn"]: found
        for page in pages
        for found in page["computeEnvironments"]
    }
    usd = _usd_per_hour(batch, measured, described, running)
    for environment in measured.environments:
        values = environment_values(described.get(environment.arn))
        if usd is not None and environment.name in usd:
            values[metrics.USD_PER_HOUR] = usd[environment.name]
        publish(values, at_ms=at_ms, Environment=environment.name)

    totals: dict[str, float] = {metrics.LOOKS: 1}
    if usd is None:
        log(
            "running cost not known",
            reason="the price list lacks an instance type of an environment",
        )
    else:
        totals[metrics.USD_PER_HOUR] = math.fsum(usd.values())
    publish(totals, at_ms=at_ms)


def _job_ids(batch: Any, queue_arn: str) -> dict[str, list[str]]:
    """Ids of a queue's jobs by state; children stand for their array, whose parent is PENDING while
    they run.
    """
    pages = {
        status: batch.get_paginator("list_jobs").paginate(jobQueue=queue_arn, jobStatus=status)
        for status in metrics.QUEUE_STATES
    }
    found = {
        status: [job for page in listed for job in page["jobSummaryList"]]
        for status, listed in pages.items()
    }
    parents = list(
        dict.fromkeys(
            job["jobId"] for jobs in found.values() for job in jobs if arrays.is_parent(job)
        )
    )
    return {
        status: (
            [job["jobId"] for job in jobs if not arrays.is_parent(job)]
            + [
                child["jobId"]
                for parent in parents
                for child in arrays.children(batch, parent, status)
            ]
        )
        for status, jobs in found.items()
    }


def front_waited_seconds(batch: Any, queue_arn: str, *, at_ms: int) -> float:
    """How long the RUNNABLE job has stood at its place that has stood longest, by the queue's
    snapshot of its first 100 jobs.
    """
    jobs = (batch.get_job_queue_snapshot(jobQueue=queue_arn).get("frontOfQueue") or {}).get(
        "jobs"
    ) or []
    return max(
        (max(0, at_ms - int(job["earliestTimeAtPosition"])) / 1000 for job in jobs), default=0.0
    )


def environment_values(found: Mapping[str, Any] | None) -> dict[str, float]:
    """The gauges of an environment as DescribeComputeEnvironments shows it; one that is gone is as
    bad as an invalid one.
    """
    values: dict[str, float] = {
        metrics.VALID: float(found is not None and found.get("status") != "INVALID")
    }
    resources = (found or {}).get("computeResources") or {}
    if "maxvCpus" in resources:
        values[metrics.MAX_VCPUS] = resources["maxvCpus"]
    if "desiredvCpus" in resources:
        values[metrics.DESIRED_VCPUS] = resources["desiredvCpus"]
        values[metrics.AT_MAX] = float(resources["desiredvCpus"] >= resources["maxvCpus"])
    return values


def _usd_per_hour(
    batch: Any, measured: Measured, described: Mapping[str, Any], running: Sequence[str]
) -> dict[str, float] | None:
    """By environment; of several on Fargate, of which AWS Batch does not tell who runs what, all
    under the names together.
    """
    if any(environment.rates is None for environment in measured.environments):
        return None
    resources = {
        e.arn: described.get(e.arn, {}).get("computeResources") or {} for e in measured.environments
    }
    fargate = [
        e
        for e in measured.environments
        if str(resources[e.arn].get("type", "")).startswith("FARGATE")
    ]
    usd = {
        e.name: (e.rates or {})["vcpu"] * resources[e.arn].get("desiredvCpus", 0)
        for e in measured.environments
        if e not in fargate
    }
    if not fargate:
        return usd
    jobs = (
        arrays.describe(batch, running) if running else []
    )  # each once: a job may move on from one list to the next meanwhile
    rates = fargate[0].rates or {}
    return {
        **usd,
        ", ".join(e.name for e in fargate): math.fsum(
            fargate_usd_per_hour(job, rates) for job in jobs
        ),
    }


def fargate_usd_per_hour(job: Mapping[str, Any], rates: Mapping[str, float]) -> float:
    """What an hour of a job costs that runs on Fargate; 0 for one that does not."""
    if "FARGATE" not in (job.get("platformCapabilities") or []) or not job.get("container"):
        return 0.0
    asked = {
        each["type"]: float(each["value"])
        for each in job["container"].get("resourceRequirements") or []
    }
    return asked.get("VCPU", 0) * rates["vcpu"] + asked.get("MEMORY", 0) / 1024 * rates["gib"]

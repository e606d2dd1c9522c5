"""The guard: called on a schedule, it stops the queue of the analysis when the queue's unfinished
jobs have cost more than the limit.

What a job has cost is the run time of all its attempts times the dearest machines that it may run
on; an array job costs what its children do, those that have ended too. Machines that start or idle
are not counted. A queue that the guard has stopped stays disabled until somebody enables it:
`pulumi up` does not.

One stop is one item of the metrics table, so that Slack is told once, whatever is repeated: an
invocation that finds a stop which nobody was told of finishes it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Self

import boto3
from boto3.dynamodb.conditions import Key

from workloads import contract, metrics
from workloads.formats import dollars, now
from workloads.functions import arrays, clients, forms, slack
from workloads.functions.attempts import run_ms, spans
from workloads.functions.ending import command
from workloads.functions.log import log
from workloads.functions.webhook import tell
from workloads.variables import ENV_GUARD_LIMIT_USD, ENV_GUARD_QUEUE, ENV_GUARD_RATES

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

_SHOWN_JOBS: Final = 10
_MS_PER_HOUR: Final = 3_600_000
_STOP: Final = {
    "pk": forms.TEXT,
    "sk": forms.TEXT,
    "jobs": [forms.TEXT],
    "usd": forms.NUMBER,
    "limit_usd": forms.NUMBER,
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the function is told by its environment."""

    queue_arn: str
    limit_usd: float
    rates: tuple[Mapping[str, float], ...]
    """One for each environment of the queue; see ENV_GUARD_RATES."""

    @classmethod
    def from_env(cls) -> Self:
        """Raises ContractError where a variable is missing or not of its form."""
        try:
            rates = tuple(
                {str(k): float(v) for k, v in each.items()}
                for each in json.loads(contract.require_env(ENV_GUARD_RATES))
            )
            limit_usd = float(contract.require_env(ENV_GUARD_LIMIT_USD))
        except contract.ContractError:
            raise
        except (ValueError, TypeError, AttributeError) as error:
            names = f"{ENV_GUARD_RATES} or {ENV_GUARD_LIMIT_USD}"
            raise contract.ContractError(
                f"environment variable {names} is not of its form ({error}); deploy the stack again"
            ) from error
        if not rates or not 0 < limit_usd < math.inf:
            raise contract.ContractError(
                f"{ENV_GUARD_RATES} has {len(rates)} entries and"
                f" {ENV_GUARD_LIMIT_USD} is {limit_usd:g}; expected at least one entry and"
                " a limit above zero; deploy the stack again"
            )
        return cls(
            queue_arn=contract.require_env(ENV_GUARD_QUEUE),
            limit_usd=limit_usd,
            rates=rates,
        )

    @property
    def queue(self) -> str:
        """Name of the queue."""
        return self.queue_arn.rsplit("/", 1)[-1]


def handler(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Entry point. Returns `{"outcome", "usd"}`, where the outcome is `below`, `stopped`, or
    `finished` for a stop begun earlier.

    Raises SlackError and botocore's errors: Lambda calls again, and the next look comes anyway.
    """
    settings = Settings.from_env()
    batch = boto3.client("batch")
    stops = Stops(clients.metrics_table(), settings.queue_arn)
    now_ms = int(time.time() * 1000)
    jobs = unfinished_jobs(batch, settings.queue_arn)
    usd = math.fsum(job_usd(job, settings.rates, now_ms) for job in running_jobs(batch, jobs))
    last = stops.last()
    over = usd > settings.limit_usd
    if not over and (last is None or "told_at" in last):
        log(
            "guard looked",
            queue=settings.queue,
            usd=round(usd, 2),
            limit_usd=settings.limit_usd,
            jobs=len(jobs),
        )
        return {"outcome": "below", "usd": round(usd, 2)}

    # first no new jobs, then those that are there: the other way round one could slip in between
    batch.update_job_queue(jobQueue=settings.queue_arn, state="DISABLED")
    jobs = unfinished_jobs(batch, settings.queue_arn)
    known = last is not None and {job["jobId"] for job in jobs} <= set(last["jobs"])
    if last is None or (over and not known):
        last = stops.begin(usd=usd, limit_usd=settings.limit_usd, jobs=jobs)
    reason = (
        f"{contract.OWN_STOP}running-cost guard: the jobs on queue {settings.queue} cost"
        f" {dollars(usd)}, "
    )
    reason += f"the limit is {dollars(settings.limit_usd)}"
    for job in jobs:
        batch.terminate_job(jobId=job["jobId"], reason=reason)
    log(
        "guard stopped the queue",
        queue=settings.queue,
        usd=round(usd, 2),
        limit_usd=settings.limit_usd,
        jobs=[job["jobId"] for job in jobs],
    )
    if "told_at" in last:
        return {"outcome": "finished", "usd": round(usd, 2)}
    tell(stop_message(settings, last, jobs))
    stops.told(last)
    return {"outcome": "stopped", "usd": round(usd, 2)}


def unfinished_jobs(batch: Any, queue_arn: str) -> list[dict[str, Any]]:
    """Descriptions of all jobs of a queue that have not ended."""
    pages = batch.get_paginator("list_jobs")
    ids = [
        job["jobId"]
        for status in metrics.QUEUE_STATES
        for page in pages.paginate(jobQueue=queue_arn, jobStatus=status)
        for job in page["jobSummaryList"]
    ]
    found = arrays.describe(
        batch, ids
    )  # each once: a job may move on from one list to the next meanwhile
    return [job for job in found if job["status"] in metrics.QUEUE_STATES]


def running_jobs(batch: Any, jobs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The jobs that cost something: the children in place of each array."""
    parents = [str(job["jobId"]) for job in jobs if arrays.is_parent(job)]
    ids = [
        str(child["jobId"])
        for parent in parents
        for child in arrays.children(batch, parent, *arrays.STATUSES)
    ]
    return [job for job in jobs if not arrays.is_parent(job)] + arrays.describe(batch, ids)


def job_usd(job: Mapping[str, Any], rates: Sequence[Mapping[str, float]], now_ms: int) -> float:
    """What a job has cost so far, US dollars: all its attempts, the one that runs included."""
    return (
        run_ms(spans(job, now_ms)) / _MS_PER_HOUR * max(_usd_per_hour(job, each) for each in rates)
    )


def _usd_per_hour(job: Mapping[str, Any], rates: Mapping[str, float]) -> float:
    if job.get("nodeProperties"):
        return float(job["nodeProperties"]["numNodes"]) * rates.get("instance", 0.0)
    if not job.get(
        "container"
    ):  # tasks of several containers, which the pipeline makes none of: as a whole machine
        return float(rates.get("instance", 0.0))
    vcpus, gib, gpus = _sizes(job["container"])
    if "instance" not in rates:
        return vcpus * rates["vcpu"] + gib * rates["gib"]
    return min(
        rates["instance"], max(vcpus * rates["vcpu"], gib * rates["gib"], gpus * rates["gpu"])
    )


def _sizes(container: Mapping[str, Any]) -> tuple[float, float, float]:
    """VCPUs, GiB and GPUs that a container asks for."""
    asked = {
        each["type"]: float(each["value"]) for each in container.get("resourceRequirements") or []
    }
    return (
        asked.get("VCPU", container.get("vcpus") or 0),
        asked.get("MEMORY", container.get("memory") or 0) / 1024,
        asked.get("GPU", 0),
    )


@dataclass(frozen=True)
class Stops:
    """The items that record when the guard stopped the queue, newest last.

    Methods raise botocore's ClientError.
    """

    table: Table
    queue_arn: str

    def last(self) -> dict[str, Any] | None:
        """The newest one. Raises ContractError where it is not of its form."""
        of_queue = Key("pk").eq(contract.guard_partition_key(self.queue_arn))
        items = self.table.query(
            KeyConditionExpression=of_queue, ScanIndexForward=False, Limit=1, ConsistentRead=True
        )["Items"]
        if not items:
            return None
        forms.check(items[0], _STOP, what="the item of the guard's last stop")
        return dict(items[0])

    def begin(
        self, *, usd: float, limit_usd: float, jobs: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Records a stop that nobody has been told of yet."""
        item: dict[str, Any] = {
            "pk": contract.guard_partition_key(self.queue_arn),
            "sk": f"STOP#{now()}",
            "usd": Decimal(f"{usd:.2f}"),
            "limit_usd": Decimal(f"{limit_usd:.2f}"),
            "jobs": [str(job["jobId"]) for job in jobs],
        }
        self.table.put_item(Item=item)
        return item

    def told(self, stop: Mapping[str, Any]) -> None:
        """Records that Slack knows, or that the stack has no Slack."""
        self.table.update_item(
            Key={"pk": stop["pk"], "sk": stop["sk"]},
            UpdateExpression="SET told_at = :now",
            ExpressionAttributeValues={":now": now()},
        )


def stop_message(
    settings: Settings, stop: Mapping[str, Any], jobs: Sequence[Mapping[str, Any]]
) -> slack.Message:
    """What was stopped, why, and how to go on."""
    title = f"Queue {settings.queue} stopped: its jobs cost more than the limit"
    enable = command(f"resume --queue {settings.queue}")
    names = list(_names(jobs))
    blocks = (
        slack.header(title),
        slack.fields(
            [
                ("Cost so far", dollars(stop["usd"])),
                ("Limit", dollars(stop["limit_usd"])),
                ("Jobs terminated", str(len(stop["jobs"]))),
            ]
        ),
        *([slack.section("*Jobs*\n" + "\n".join(names))] if names else []),
        slack.section(
            "*What to do*\nFind out why the jobs took so long; raise `budget.guard.limit_usd` if"
            " they have to. The queue takes no jobs until somebody enables"
            f" it:\n{slack.code(enable)}"
        ),
    )
    return slack.Message(
        text=slack.escape(f"{title} ({dollars(stop['usd'])} of {dollars(stop['limit_usd'])})"),
        blocks=blocks,
    )


def _names(jobs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for job in jobs[:_SHOWN_JOBS]:
        yield slack.code(str(job["jobName"]))
    if len(jobs) > _SHOWN_JOBS:
        yield f"and {len(jobs) - _SHOWN_JOBS} more"

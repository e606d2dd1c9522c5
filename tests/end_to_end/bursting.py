"""Many uploads at once whose events come more than once and in no order, with jobs that do nothing:
what becomes of them.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from cli.rehearsal import IMAGES, Rehearsal, rehearsal
from tests.localcloud.conftest import until
from workloads.contract import STAGES, Run, Stage, Upload
from workloads.metrics import QUEUE_STATES

MOST_COPIES = 3
"""Deliveries of one event."""


@dataclass(frozen=True, kw_only=True)
class Burst:
    """What a burst has left behind."""

    runs: list[Run]
    deliveries: int
    """Of the events of all uploads."""
    failed_deliveries: int
    workers: int
    """Processes of the submit function that took part."""
    ran: Counter[str]
    """Containers that ran, by job id; of a multi-node job the main node's alone."""
    jobs: dict[str, list[str]]
    """Name -> ids of the jobs that were submitted under it, and nothing else was."""
    states: dict[str, dict[str, Any]]
    """Run id -> state item."""
    dead_letters: int
    seconds: dict[str, float]
    """Since the first upload: until all were uploaded, until all jobs had run, until everything had
    ended.
    """

    def job(self, run: Run, stage: Stage) -> list[str]:
        """The ids of the jobs of a stage."""
        return self.jobs.get(run.job_name(stage), [])


@dataclass(frozen=True)
class TrivialStack:
    """A deployed stack whose stages do nothing.

    Everything from the event of the upload to the end of the last job is as it always is.
    """

    ready: Rehearsal
    _ran: Counter[str]

    def burst(self, count: int, random: Random) -> Burst:
        """Uploads so many files, delivers each event once or more, in random order, and waits for
        the end of everything.
        """
        s3, bucket = self.ready.client("s3"), self.ready.outputs["ingest_bucket"]
        began = time.monotonic()
        seconds: dict[str, float] = {}
        with self.ready.cloud.disorder(random, most_copies=MOST_COPIES) as deliveries:
            runs = [_upload(s3, bucket, number) for number in range(count)]
            seconds["uploaded"] = time.monotonic() - began
        patience = 60 + count
        until(
            lambda: self._main_nodes().total() >= len(STAGES) * count,
            what="the end of all jobs",
            seconds=patience,
            pause=0.5,
        )
        seconds["ran"] = time.monotonic() - began
        until(
            lambda: self._measured("Invocations") >= len(deliveries) and self._all_ended(),
            what="the end of everything",
            seconds=patience,
            pause=0.5,
        )
        seconds["ended"] = time.monotonic() - began
        return Burst(
            runs=runs,
            deliveries=len(deliveries),
            failed_deliveries=self._measured("Errors"),
            workers=self._workers(),
            ran=self._main_nodes(),
            jobs=self._jobs(),
            states=self._states(),
            dead_letters=self._dead_letters(),
            seconds=seconds,
        )

    def _main_nodes(self) -> Counter[str]:
        return Counter(
            {
                job.partition("#")[0]: times
                for job, times in list(self._ran.items())
                if not job.endswith("#1")
            }
        )

    def _measured(self, metric: str) -> int:
        now = datetime.now(UTC)
        found = self.ready.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName=metric,
            Dimensions=[{"Name": "FunctionName", "Value": self.ready.outputs["submit_function"]}],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=86400,
            Statistics=["Sum"],
        )
        return int(sum(point["Sum"] for point in found["Datapoints"]))

    def _queues(self) -> set[str]:
        return set(self.ready.outputs["stage_queues"].values())

    def _all_ended(self) -> bool:
        batch = self.ready.client("batch")
        return not any(
            batch.list_jobs(jobQueue=queue, jobStatus=status)["jobSummaryList"]
            for queue in self._queues()
            for status in QUEUE_STATES
        )

    def _workers(self) -> int:
        logs = self.ready.client("logs")
        groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
        (group,) = [name for name in groups if name.endswith("pipeline-submit")]
        return len(logs.describe_log_streams(logGroupName=group)["logStreams"])

    def _jobs(self) -> dict[str, list[str]]:
        jobs: dict[str, list[str]] = {}
        pages = self.ready.client("batch").get_paginator("list_jobs")
        for queue in self._queues():
            for page in pages.paginate(
                jobQueue=queue, filters=[{"name": "JOB_NAME", "values": ["*"]}]
            ):
                for job in page["jobSummaryList"]:
                    jobs.setdefault(job["jobName"], []).append(job["jobId"])
        return jobs

    def _states(self) -> dict[str, dict[str, Any]]:
        read = TypeDeserializer().deserialize
        pages = (
            self.ready.client("dynamodb")
            .get_paginator("scan")
            .paginate(TableName=self.ready.outputs["table"])
        )
        items = [
            {name: read(value) for name, value in item.items()}
            for page in pages
            for item in page["Items"]
        ]
        return {item["run_id"]: item for item in items if item["sk"].endswith("#STATE")}

    def _dead_letters(self) -> int:
        sqs = self.ready.client("sqs")
        depth = "ApproximateNumberOfMessages"
        urls = sqs.list_queues()["QueueUrls"]
        return sum(
            int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[depth])["Attributes"][depth])
            for url in urls
        )


@contextmanager
def trivial_stack(
    directory: Path, *, config: Mapping[str, str] | None = None
) -> Iterator[TrivialStack]:
    """The local stack, its images replaced by a program that notes the job and succeeds."""
    ran: Counter[str] = Counter()
    lock = threading.Lock()

    def succeed(environment: Mapping[str, str], _: threading.Event) -> int:
        with lock:
            ran[environment["AWS_BATCH_JOB_ID"]] += 1
        return 0

    with rehearsal(
        "local", directory, config=config, images=dict.fromkeys(IMAGES, succeed), say=lambda _: None
    ) as ready:
        yield TrivialStack(ready, ran)


def _upload(s3: Any, bucket: str, number: int) -> Run:
    key = f"data/20260101/burst-{number}.csv"
    reply = s3.put_object(Bucket=bucket, Key=key, Body=b"a\n%d\n" % number)
    return Run(
        Upload(bucket=bucket, key=key, etag=reply["ETag"], version_id=reply["VersionId"]).run_id
    )

"""AWS Batch and the clock as the submit function sees them, and an upload with its run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.session import get_session
from botocore.validate import ParamValidator

from tests.workloads.functions.metrics_table import (
    aws_with_table,
    fresh_table,
    metrics_table,
)
from workloads.contract import STAGES, Run, Upload
from workloads.functions import states, submit
from workloads.variables import (
    ENV_JOB_DEFINITIONS,
    ENV_JOB_QUEUES,
    ENV_SHARE_IDENTIFIERS,
    ENV_SLACK_WEBHOOK_SECRET_ARN,
)

TIMEOUT_SECONDS, LIST_JOBS_LAG_SECONDS = 60.0, 10.0
UPLOAD = Upload(bucket="ingest", key="data/20260131/Sales EU.csv", etag="0123", version_id="v1")
RUN = Run(UPLOAD.run_id)
ARN = "arn:aws:batch:eu-west-1:123456789012:job-definition"
_SUBMIT_SHAPE: Any = (
    get_session().get_service_model("batch").operation_model("SubmitJob").input_shape
)


@dataclass
class World:
    """Batch as it is seen by the function, its clock, and the steps at which something is planned
    to happen.
    """

    now: float = 1_770_000_000.0
    jobs: list[dict[str, Any]] = field(default_factory=list)
    steps: int = 0
    at_step: Callable[[int], None] = lambda _: None
    throttles: int = 0

    def step(self) -> None:
        self.steps += 1
        self.at_step(self.steps)

    def submit_job(self, **request: Any) -> dict[str, str]:
        report = ParamValidator().validate(request, _SUBMIT_SHAPE)
        assert not report.has_errors(), report.generate_report()
        if self.throttles:
            self.throttles -= 1
            raise ClientError(
                {"Error": {"Code": "TooManyRequestsException", "Message": "slow down"}}, "SubmitJob"
            )
        self.step()
        job_id = f"job-{len(self.jobs)}"
        self.jobs.append({**request, "jobId": job_id, "createdAt": int(self.now * 1000)})
        self.step()
        return {"jobId": job_id}

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_jobs"
        return SimpleNamespace(paginate=self._pages)

    def _pages(self, *, jobQueue: str, filters: list[dict[str, Any]]) -> list[dict[str, Any]]:  # noqa: N803
        wanted = filters[0]["values"][0].lower()
        shown = [
            {"jobName": job["jobName"], "jobId": job["jobId"], "createdAt": job["createdAt"]}
            for job in self.jobs
            if job["jobQueue"] == jobQueue
            and job["jobName"].lower() == wanted
            and job["createdAt"] / 1000 <= self.now - LIST_JOBS_LAG_SECONDS
        ]
        return [{"jobSummaryList": [job]} for job in shown] or [{"jobSummaryList": []}]

    def context(self, seconds: float = TIMEOUT_SECONDS) -> Any:
        deadline = self.now + seconds
        return SimpleNamespace(
            get_remaining_time_in_millis=lambda: max(0, int((deadline - self.now) * 1000))
        )

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def aws(monkeypatch):
    environ = {
        ENV_JOB_QUEUES: json.dumps({stage: f"{stage}-queue" for stage in STAGES}),
        ENV_JOB_DEFINITIONS: json.dumps(
            {s: {"name": f"{ARN}/{s}", "multi_node": s == "analysis"} for s in STAGES}
        ),
        ENV_SHARE_IDENTIFIERS: json.dumps({"preprocess": "daily"}),
        ENV_SLACK_WEBHOOK_SECRET_ARN: "",
    }
    with aws_with_table(monkeypatch, environ):
        yield fresh_table


@pytest.fixture
def world(aws, monkeypatch):
    return install(aws, monkeypatch)


def install(fresh: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> World:
    """A world with an empty table, whose Batch and whose clock the function sees."""
    fresh()
    world = World()
    real = boto3.client

    def client(service: str, **options: Any) -> Any:
        if service != "batch":
            return real(service, **options)  # type: ignore[call-overload]
        assert options["config"].retries == {
            "total_max_attempts": 1
        }  # botocore must not repeat a SubmitJob that may have worked
        return world

    monkeypatch.setattr(boto3, "client", client)
    monkeypatch.setattr(submit, "time", SimpleNamespace(time=lambda: world.now, sleep=world.sleep))
    for name in ("claim", "write_jobs"):
        original = getattr(states.RunStates, name)

        def stepped(*args: Any, _original: Any = original, **kwargs: Any) -> Any:
            world.step()
            result = _original(*args, **kwargs)
            world.step()
            return result

        monkeypatch.setattr(states.RunStates, name, stepped)
    return world


def event(key: str = UPLOAD.key, **changes: Any) -> dict[str, Any]:
    found = {
        "key": key,
        "size": 10,
        "etag": UPLOAD.etag,
        "version-id": UPLOAD.version_id,
        "sequencer": "0",
    } | changes
    return {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": UPLOAD.bucket}, "object": found},
    }


def state() -> dict[str, Any]:
    return states.RunStates(metrics_table()).get(RUN)


def assert_one_whole_run(world: World) -> None:
    assert [job["jobName"] for job in world.jobs] == [RUN.job_name(stage) for stage in STAGES]
    assert [job.get("dependsOn") for job in world.jobs] == [
        None,
        [{"jobId": "job-0"}],
        [{"jobId": "job-1"}],
    ]
    item = state()
    assert item["state"] == "SUBMITTED"
    assert item["jobs"] == {"preprocess": "job-0", "analysis": "job-1", "postprocess": "job-2"}

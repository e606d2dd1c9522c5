"""What a failed run has cost is told to Slack and kept in its state item."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.workloads.functions.failed_jobs import CREATED_MS, RUN, claim, event, states
from workloads import contract
from workloads.contract import Upload
from workloads.functions import arrays, notify
from workloads.variables import ENV_STAGE_PRICES

HOUR_MS = 3_600_000
PRICES = {"preprocess": 0.5, "analysis": 200.0, "fallback": 2.0}


class Jobs:
    """Batch as far as DescribeJobs."""

    def __init__(self, *jobs: dict[str, Any]) -> None:
        self.jobs = {job["jobId"]: job for job in jobs}
        self.asked: list[str] = []

    def describe_jobs(self, jobs: list[str]) -> dict[str, Any]:
        self.asked += jobs
        return {"jobs": [self.jobs[job_id] for job_id in jobs if job_id in self.jobs]}


def job(stage: str, job_id: str, *hours: float, name: str = "", **more: Any) -> dict[str, Any]:
    """A job whose attempts took so many hours, one after the other."""
    begins = [CREATED_MS + 10 * HOUR_MS * n for n in range(len(hours))]
    attempts = [
        {"startedAt": begin, "stoppedAt": begin + int(h * HOUR_MS)}
        for begin, h in zip(begins, hours, strict=True)
    ]
    return {
        "jobId": job_id,
        "jobName": name or RUN.job_name(stage),  # type: ignore[arg-type]
        "tags": {contract.STAGE_TAG: stage},
        "attempts": attempts,
        **more,
    }


@pytest.fixture
def priced(world, monkeypatch):
    """The world with prices and three jobs in the state item; `knows(jobs...)` sets what Batch
    knows.
    """
    monkeypatch.setenv(ENV_STAGE_PRICES, json.dumps(PRICES))
    claim()
    ids = {"preprocess": "job-0", "analysis": "job-1", "postprocess": "job-2"}
    boto3.resource("dynamodb").Table("metrics").update_item(
        Key=RUN.state_key,
        UpdateExpression="SET jobs = :jobs",
        ExpressionAttributeValues={":jobs": ids},
    )
    real = boto3.client

    def knows(*jobs: dict[str, Any]) -> Jobs:
        batch = Jobs(*jobs)
        monkeypatch.setattr(
            boto3,
            "client",
            lambda service, **more: batch if service == "batch" else real(service, **more),
        )
        return batch

    return SimpleNamespace(knows=knows, messages=world.messages)


def told_cost(world: Any) -> str:
    fields = [
        field["text"] for block in world.messages[-1]["blocks"] for field in block.get("fields", [])
    ]
    found: str = next(
        text.partition("\n")[2] for text in fields if text.startswith("*Cost so far*")
    )
    return found


def test_a_failed_run_tells_and_keeps_what_it_cost(priced):
    batch = priced.knows(
        job("preprocess", "job-0", 0.1, 0.3),
        {"jobId": "job-2", "jobName": RUN.job_name("postprocess"), "attempts": []},
    )
    failed = event(
        stage="analysis",
        **job("analysis", "job-1", 0.5, 1.0),
        statusReason="Essential container in task exited",
    )
    assert notify.handler(failed, None)["outcome"] == "failed"
    item = states().get(RUN)
    assert float(item["usd"]) == pytest.approx(0.4 * 0.5 + 1.5 * 200)
    assert float(item["seconds"]) == pytest.approx(1.9 * 3600)
    by_job = {
        name: (int(spent["attempts"]), float(spent["usd"])) for name, spent in item["spent"].items()
    }
    assert by_job == {"preprocess": (2, 0.2), "analysis": (2, 300)}
    parts = (
        "preprocess 24 min 0 s in 2 attempts, $0.2000; analysis 1 h 30 min in 2 attempts, $300.00"
    )
    assert told_cost(priced) == f"$300.20 ({parts})"
    assert "job-1" not in batch.asked, "the event has the failed job, and Batch may lag behind it"


def test_the_fallback_costs_besides_what_it_took_the_place_of(priced):
    first = job("analysis", "job-1", 1.0)
    priced.knows(first)
    follows = event(
        stage="analysis",
        **{**first, "tags": {contract.STAGE_TAG: "analysis", contract.FALLBACK_TAG: "follows"}},
    )
    assert notify.handler(follows, None)["outcome"] == "fallback"
    boto3.resource("dynamodb").Table(
        "metrics"
    ).update_item(  # as the state machine does when it has submitted the fallback
        Key=RUN.state_key,
        UpdateExpression="SET jobs.analysis = :id",
        ExpressionAttributeValues={":id": "job-3"},
    )
    priced.knows(first, job("preprocess", "job-0", 0.2))
    second = job("analysis", "job-3", 2.0, name=f"{RUN.job_name('analysis')}-fallback")
    assert notify.handler(event(**second), None)["outcome"] == "failed"
    assert float(states().get(RUN)["usd"]) == pytest.approx(0.2 * 0.5 + 200 + 2 * 2)


@pytest.mark.parametrize("why", ["no price", "no answer"])
def test_a_cost_that_is_not_known_is_said_to_be_unknown(priced, monkeypatch, why):
    batch = priced.knows(job("preprocess", "job-0", 0.4))
    if why == "no price":
        monkeypatch.setenv(ENV_STAGE_PRICES, '{"preprocess": 0.5}')
    else:
        batch.describe_jobs = lambda **_: (_ for _ in ()).throw(
            ClientError({"Error": {"Code": "AccessDenied"}}, "DescribeJobs")
        )
    assert notify.handler(event(**job("analysis", "job-1", 1.0)), None)["outcome"] == "failed"
    item = states().get(RUN)
    assert item.get("usd") is None
    assert "not known" in told_cost(priced)


def test_an_array_costs_what_its_shards_took(priced, monkeypatch):
    """The price of the analysis is that of the machines of all shards."""
    array = {**job("analysis", "job-1"), "arrayProperties": {"size": 4}}
    shards = [
        job("analysis", f"job-1:{index}", *hours, tags={})
        for index, hours in enumerate([(1.0,), (2.0,), (1.0, 3.0)])
    ]
    priced.knows(job("preprocess", "job-0", 0.4), array, *shards)
    monkeypatch.setattr(
        arrays,
        "children",
        lambda _batch, parent, *_: [shard for shard in shards if parent == "job-1"],
    )
    failed = shards[-1] | {"arrayProperties": {"index": 2}}
    assert notify.handler(event(**failed), None)["outcome"] == "failed"
    assert float(states().get(RUN)["usd"]) == pytest.approx(0.4 * 0.5 + 7 / 4 * 200)
    assert "analysis 1 h 45 min in 2 attempts, $350.00" in told_cost(priced)


def test_a_run_that_is_begun_again_counts_from_nothing(priced):
    priced.knows(job("preprocess", "job-0", 0.4))
    notify.handler(event(**job("analysis", "job-1", 1.0)), None)
    upload = Upload(bucket="ingest", key="data/20260131/sales.csv", etag="e")
    states().claim(RUN, upload, token="t", now_ms=CREATED_MS, expires_ms=CREATED_MS + 1, again=True)
    assert not states().get(RUN).keys() & {"usd", "seconds", "spent", "replaced"}

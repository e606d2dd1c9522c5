"""What thousands of failed children cost: one read each, and the calls of one message."""

from __future__ import annotations

from collections import Counter
from typing import Any

import boto3
import pytest

from tests.workloads.functions.failed_jobs import attempt, claim, event
from workloads.functions import clients, notify

FED = 150
"""Events that are delivered; every further one costs what the last one did."""


class Batch:
    """AWS Batch with an array of which every child has failed; counts the calls."""

    def __init__(self, children: int) -> None:
        self.children, self.calls = children, Counter[str]()

    def describe_jobs(self, *, jobs: list[str]) -> dict[str, Any]:
        self.calls["DescribeJobs"] += 1
        assert len(jobs) <= 100
        return {"jobs": [self.job(job) for job in jobs]}

    def get_paginator(self, _: str) -> Batch:
        return self

    def paginate(self, *, arrayJobId: str, jobStatus: str) -> Any:  # noqa: N803 - boto3's names
        failed = range(self.children) if jobStatus == "FAILED" else range(0)
        for start in range(0, max(len(failed), 1), 100):
            self.calls["ListJobs"] += 1
            yield {
                "jobSummaryList": [
                    {"jobId": f"{arrayJobId}:{n}", "stoppedAt": n}
                    for n in failed[start : start + 100]
                ]
            }

    def job(self, job_id: str) -> dict[str, Any]:
        parent, _, index = job_id.partition(":")
        if not index:
            array = {"size": self.children}
            return dict(
                event(
                    stage="analysis",
                    job_id=parent,
                    arrayProperties=array,
                    statusReason="Array Child Job failed",
                )["detail"]
            )
        return dict(
            event(
                attempt(1),
                stage="analysis",
                job_id=job_id,
                tags={},
                arrayProperties={"index": int(index)},
            )["detail"]
        )


@pytest.mark.parametrize("children", [100, 10_000])
def test_notify_is_linear_in_the_children_that_fail(world, monkeypatch, children):
    claim()
    batch, real, reads = Batch(children), boto3.client, Counter[str]()
    monkeypatch.setattr(
        boto3, "client", lambda name, **more: batch if name == "batch" else real(name, **more)
    )
    clients.metrics_table().meta.client.meta.events.register(
        "before-call.dynamodb", lambda model, **_: reads.update([model.name])
    )

    def deliver(index: int) -> str:
        detail = batch.job(f"array-1:{index}")
        return str(
            notify.handler({"detail-type": "Batch Job State Change", "detail": detail}, None)[
                "outcome"
            ]
        )

    assert deliver(0) == "failed"
    first = batch.calls.total()
    assert first <= 6 + 2 * children / 100, (
        "the parent, and the pages and descriptions of all children once"
    )
    reads.clear()
    fed = min(children, FED)
    assert {deliver(index) for index in range(1, fed)} == {"ended already"}
    parent = {"detail-type": "Batch Job State Change", "detail": batch.job("array-1")}
    assert notify.handler(parent, None)["outcome"] == "ended already"
    assert batch.calls.total() == first, "AWS Batch is asked nothing more"
    assert reads == {"GetItem": fed}
    assert len(world.messages) == 1

"""Listing jobs: filters that count together, and ten thousand jobs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from localcloud.batch import listing, submission
from tests.localcloud.conftest import Stage


def test_a_share_and_a_status_count_together(stage: Stage) -> None:
    policy = stage.batch.create_scheduling_policy(
        name=stage.name("policy"), fairsharePolicy={"shareDecaySeconds": 60}
    )["arn"]
    queue = stage.queue(stage.environment(), schedulingPolicyArn=policy)
    for share, command in (("a", "true"), ("a", "false"), ("b", "true")):
        job = stage.submit(
            queue,
            stage.definition([command], definition={"schedulingPriority": 1}),
            shareIdentifier=share,
        )
        stage.wait(job)
    mine = [{"name": "SHARE_IDENTIFIER", "values": ["a"]}]
    assert len(stage.batch.list_jobs(jobQueue=queue, filters=mine)["jobSummaryList"]) == 2
    assert (
        len(
            stage.batch.list_jobs(jobQueue=queue, filters=mine, jobStatus="FAILED")[
                "jobSummaryList"
            ]
        )
        == 1
    )


@pytest.fixture
def stopped(stage: Stage) -> Iterator[str]:
    """A queue whose jobs stay RUNNABLE."""
    stage.cloud.batch.withhold_capacity("*")
    yield stage.queue(stage.environment())
    stage.cloud.batch.withhold_capacity()


@pytest.mark.timeout(120)
def test_ten_thousand_jobs_are_listed_quickly(stage: Stage, stopped: str) -> None:
    plane, definition = stage.cloud.batch, stage.definition(["true"])
    with plane.store.lock:
        for number in range(10_000):
            params = {"jobName": f"job-{number}", "jobQueue": stopped, "jobDefinition": definition}
            plane.states.add(submission.build(plane.store, params, plane.now()))
    mine = {"jobQueue": stopped, "filters": [{"name": "JOB_NAME", "values": ["job-*"]}]}
    pages = list(stage.batch.get_paginator("list_jobs").paginate(**mine))
    assert sum(len(page["jobSummaryList"]) for page in pages) == 10_000
    asked: tuple[dict[str, Any], ...] = (
        {**mine, "nextToken": "9900"},
        {"jobQueue": stopped, "jobStatus": "RUNNABLE"},
    )
    for each in asked:
        began = time.thread_time()
        assert len(listing.list_jobs(plane.store, each)["jobSummaryList"]) == 100
        taken = time.thread_time() - began
        assert taken < 0.1, f"a page takes {taken * 1000:.0f} ms of a processor"

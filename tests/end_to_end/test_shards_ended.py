"""One part of an analysis that somebody ends: no fallback follows, though the array itself says no
more than that a child failed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress

import pytest

from cli.paths import ROOT
from localcloud.deployment.stack_file import read_stack
from localcloud.protocol.wire import Call, Reply
from tests.end_to_end.failing import Behaviour, Planted, answering, planted_stack
from tests.end_to_end.test_shards import ANALYSIS
from tests.end_to_end.test_step_functions import FALLBACK, PIPELINE
from tests.localcloud.conftest import until
from workloads.contract import Run

pytestmark = pytest.mark.timeout(600)

SECONDS = 90
SHARDS, WAITING = 8, 7
"""The environments hold six shards at once: the last ones wait."""
ENDED = 1
"""The shard that somebody ends while it runs."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    of_stack = json.loads(read_stack(ROOT, "local", {}, {}).config["batch-reference:jobs"])
    jobs = {"fallback": FALLBACK, "analysis": of_stack["analysis"] | ANALYSIS | {"shards": SHARDS}}
    with planted_stack(tmp_path_factory.mktemp("ended"), pipeline=PIPELINE, jobs=jobs) as planted:
        yield planted


def _child(stack: Planted, run: Run, index: int, *statuses: str) -> str:
    """A shard, when it is in one of these states."""
    batch = stack.ready.client("batch")

    def look() -> str | None:
        parent = stack.job_id(run, "analysis")
        child = f"{parent}:{index}"
        found = batch.describe_jobs(jobs=[child])["jobs"] if parent else []
        return child if found and found[0]["status"] in statuses else None

    return str(until(look, what=f"shard {index} of {run.run_id} in {statuses}"))


def _ended(stack: Planted, run: Run, state: str) -> None:
    until(
        lambda: stack.state(run) == state,
        what=lambda: f"{state}, {stack.state_item(run)}",
        seconds=SECONDS,
    )


def _no_fallback(stack: Planted, run: Run, reason: str) -> None:
    _ended(stack, run, "FAILED")
    until(lambda: stack.messages(run.run_id), what="nobody is told", seconds=SECONDS)
    (text,) = stack.messages(run.run_id)
    assert reason in text
    assert f"{run.job_name('analysis')}-fallback" not in stack.jobs_of(run)
    assert stack.ready.cloud.denials == []


def _let_the_others(stack: Planted, run: Run, what: Behaviour, ended: int) -> None:
    """The shards that hang lose their machines; their next attempts, and those that wait, do as
    told.
    """
    stack.behaviour[run.run_id, "analysis"] = what
    batch, parent = stack.ready.client("batch"), stack.job_id(run, "analysis")
    for index in set(range(SHARDS)) - {ended}:
        child = f"{parent}:{index}"
        if batch.describe_jobs(jobs=[child])["jobs"][0]["status"] == "RUNNING":
            with suppress(LookupError):  # one that began after the change has ended meanwhile
                stack.ready.cloud.batch.lose_host(child)
    for index in set(range(SHARDS)) - {ended}:
        _child(stack, run, index, "SUCCEEDED" if what == "succeed" else "FAILED")


def _without_flags(stack: Planted, call: Call) -> Reply | None:
    """DescribeJobs that says of the parent of an array neither that it was terminated nor that it
    was cancelled.
    """
    if call.operation != "DescribeJobs":
        return None
    found = stack.ready.client("batch").describe_jobs(jobs=call.params["jobs"])["jobs"]
    for job in found:
        if "size" in (job.get("arrayProperties") or {}):
            del job["isTerminated"], job["isCancelled"]
    return call.result({"jobs": found})


def _one_by_one(stack: Planted, call: Call) -> Reply | None:
    """ListJobs that has one child on each page, as AWS may: MaxResults is the most that a page
    holds.
    """
    if call.operation != "ListJobs":
        return None
    found = stack.ready.client("batch").list_jobs(**{**call.params, "maxResults": 1})
    return call.result(
        {each: found[each] for each in ("jobSummaryList", "nextToken") if each in found}
    )


@pytest.mark.parametrize("others", ["succeed", "fail"])
def test_a_shard_that_somebody_ends_alone_is_not_begun_elsewhere(
    stack: Planted, others: Behaviour
) -> None:
    run = stack.upload(analysis="hang")
    shard = _child(stack, run, ENDED, "RUNNING")
    with answering(stack, _one_by_one):
        stack.ready.client("batch").terminate_job(jobId=shard, reason="the wrong table, says ann")
        _child(stack, run, ENDED, "FAILED")
        _let_the_others(stack, run, others, ENDED)
        parent = shard.partition(":")[0]
        (described,) = stack.ready.client("batch").describe_jobs(jobs=[parent])["jobs"]
        assert (described["statusReason"], described["isTerminated"]) == (
            "Array Child Job failed",
            False,
        )
        _no_fallback(stack, run, "the wrong table, says ann")


def test_a_waiting_shard_that_somebody_cancels_is_not_begun_elsewhere(stack: Planted) -> None:
    run = stack.upload(analysis="hang")
    shard = _child(stack, run, WAITING, "RUNNABLE")
    _child(stack, run, ENDED, "RUNNING")
    stack.ready.client("batch").cancel_job(jobId=shard, reason="enough, says bob")
    _child(stack, run, WAITING, "FAILED")
    _let_the_others(stack, run, "succeed", WAITING)
    _no_fallback(stack, run, "enough, says bob")


def test_a_shard_that_fails_by_itself_is_made_good(stack: Planted) -> None:
    run = stack.upload(analysis="fail")
    _ended(stack, run, "SUCCEEDED")
    assert f"{run.job_name('analysis')}-fallback" in stack.jobs_of(run)
    assert stack.messages(run.run_id) == []


@pytest.mark.parametrize(
    "reason", ["Stopped by the running-cost guard: too dear", "too dear, says bob"]
)
def test_an_array_whose_own_description_does_not_say_so(stack: Planted, reason: str) -> None:
    """TerminateJob's reference does not say that the parent of an array carries the flag."""
    run = stack.upload(analysis="hang")
    shard = _child(stack, run, ENDED, "RUNNING")
    with answering(stack, _without_flags):
        stack.ready.client("batch").terminate_job(jobId=shard.partition(":")[0], reason=reason)
        _no_fallback(stack, run, reason)

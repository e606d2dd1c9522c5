"""What the functions that watch the queues make of an array job on a live Batch: counts, cost, and
the child that tells why.
"""

from __future__ import annotations

import time

from tests.localcloud.conftest import Stage, until
from workloads.functions import arrays, guard, measure

RATES = ({"instance": 0.34, "vcpu": 0.04, "gib": 0.02, "gpu": 0.0},)


def test_children_are_counted_and_paid_for_in_place_of_their_parent(stage: Stage) -> None:
    queue = stage.queue(stage.environment(max_vcpus=8))  # room for two children of 4 vCPUs
    code = (
        "import os, sys, time; one = os.environ['AWS_BATCH_JOB_ARRAY_INDEX'] == '0'; time.sleep(0.5"
        " if one else 300); sys.exit(3 * one)"
    )
    parent = stage.submit(queue, stage.python(code, vcpus="4"), arrayProperties={"size": 4})
    waiting = stage.submit(queue, stage.python("print('after')"), dependsOn=[{"jobId": parent}])
    until(lambda: stage.job(parent)["arrayProperties"]["statusSummary"]["FAILED"] == 1)
    until(lambda: stage.job(parent)["arrayProperties"]["statusSummary"]["RUNNING"] == 2)

    ids = measure._job_ids(stage.batch, queue)
    assert {status: sorted(found) for status, found in ids.items()} == {
        "SUBMITTED": [],
        "PENDING": [waiting],
        "RUNNABLE": [f"{parent}:3"],
        "STARTING": [],
        "RUNNING": [f"{parent}:1", f"{parent}:2"],
    }

    jobs = guard.unfinished_jobs(stage.batch, queue)
    assert sorted(job["jobId"] for job in jobs) == sorted([parent, waiting])
    paid = guard.running_jobs(stage.batch, jobs)
    assert sorted(job["jobId"] for job in paid) == sorted(
        [waiting, *(f"{parent}:{index}" for index in range(4))]
    )
    in_an_hour = int((time.time() + 3600) * 1000)
    usd = {job["jobId"].removeprefix(parent): guard.job_usd(job, RATES, in_an_hour) for job in paid}
    assert 0.16 < usd[":1"] < 0.17, "one hour of four vCPUs"
    assert 0 < usd[":0"] < 0.001, "the half second of the child that has failed counts too"
    assert (usd[":3"], usd[waiting]) == (0, 0)

    told = arrays.notifying_child(stage.batch, parent)
    assert told is not None
    assert (told["jobId"], told["attempts"][0]["container"]["exitCode"]) == (f"{parent}:0", 3)
    for job in jobs:
        stage.batch.terminate_job(jobId=job["jobId"], reason="too dear")
    until(lambda: stage.job(parent)["status"] == "FAILED")
    assert stage.job(parent)["arrayProperties"]["statusSummary"]["FAILED"] == 4
    assert arrays.notifying_child(stage.batch, parent)["jobId"] == f"{parent}:0", (  # type: ignore[index]
        "the first that failed tells why"
    )


def test_an_array_that_failed_with_the_job_before_it_has_no_child_of_its_own_to_tell(
    stage: Stage,
) -> None:
    queue = stage.queue(stage.environment(max_vcpus=8))
    first = stage.submit(queue, stage.python("raise SystemExit(1)"))
    parent = stage.submit(
        queue, stage.python("print()"), arrayProperties={"size": 2}, dependsOn=[{"jobId": first}]
    )
    assert stage.wait(parent)["statusReason"] == "Array Child Job failed"
    told = arrays.notifying_child(stage.batch, parent)
    assert told is not None
    assert told["statusReason"] == "Dependent Job failed"

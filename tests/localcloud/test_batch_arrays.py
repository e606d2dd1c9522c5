"""Array jobs: children, their parent, retries and placement of each child, limits, ends."""

from __future__ import annotations

import itertools

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.conftest import Stage, until


def test_array_jobs(stage: Stage, queue: str) -> None:
    code = (
        "import os, sys; print(os.environ['AWS_BATCH_JOB_ARRAY_INDEX'],"
        " os.environ['AWS_BATCH_JOB_ARRAY_SIZE'])"
    )
    definition = stage.python(code)
    first = stage.submit(
        queue, definition, arrayProperties={"size": 3}, dependsOn=[{"type": "SEQUENTIAL"}]
    )
    second = stage.submit(
        queue,
        definition,
        arrayProperties={"size": 3},
        dependsOn=[{"jobId": first, "type": "N_TO_N"}],
    )
    parent = stage.wait(second)
    assert parent["arrayProperties"]["statusSummary"]["SUCCEEDED"] == 3
    ones, twos = ([stage.job(f"{job}:{n}") for n in range(3)] for job in (first, second))
    assert [stage.log(each["container"]["logStreamName"]) for each in ones] == [
        ["0 3"],
        ["1 3"],
        ["2 3"],
    ]
    assert all(
        earlier["stoppedAt"] <= later["startedAt"] for earlier, later in itertools.pairwise(ones)
    )
    assert all(one["stoppedAt"] <= two["startedAt"] for one, two in zip(ones, twos, strict=True))
    listed = stage.batch.list_jobs(arrayJobId=first, jobStatus="SUCCEEDED")["jobSummaryList"]
    assert [each["arrayProperties"]["index"] for each in listed] == [0, 1, 2]
    assert stage.batch.list_jobs(arrayJobId=first)["jobSummaryList"] == [], (
        "without a status only what runs is listed"
    )
    failing = stage.submit(
        queue,
        stage.python("import os, sys; sys.exit(os.environ['AWS_BATCH_JOB_ARRAY_INDEX'] == '1')"),
        arrayProperties={"size": 2},
    )
    assert stage.wait(failing)["status"] == "FAILED"
    assert stage.job(f"{failing}:0")["status"] == "SUCCEEDED"


def test_a_parent_waits_for_all_children_and_each_child_is_retried_and_placed_by_itself(
    stage: Stage,
) -> None:
    spot = stage.queue(
        stage.environment("SPOT", max_vcpus=4)
    )  # room for one child of 4 vCPUs at a time
    code = "import os, time; print(os.environ['AWS_BATCH_JOB_ATTEMPT']); time.sleep(1.0)"
    retry = {
        "attempts": 2,
        "evaluateOnExit": [
            {"onStatusReason": "Host EC2*", "action": "RETRY"},
            {"onReason": "*", "action": "EXIT"},
        ],
    }
    parent = stage.submit(
        spot,
        stage.python(code, vcpus="4"),
        arrayProperties={"size": 3},
        retryStrategy=retry,
        tags={"team": "a"},
        timeout={"attemptDurationSeconds": 60},
    )
    after = stage.submit(spot, stage.python("print('after')"), dependsOn=[{"jobId": parent}])
    stage.wait(f"{parent}:0", "RUNNING")
    stage.cloud.batch.lose_host(f"{parent}:0")

    def seen() -> dict[str, int] | None:
        summary = stage.job(parent)["arrayProperties"]["statusSummary"]
        return summary if summary["SUCCEEDED"] == 1 else None

    summary = until(seen)
    assert (
        sum(summary.values()),
        summary["FAILED"],
        summary["STARTING"] + summary["RUNNING"] <= 1,
    ) == (3, 0, True), summary
    assert (stage.job(parent)["status"], stage.job(after)["status"]) == ("PENDING", "PENDING")
    assert [
        job["jobId"]
        for job in stage.batch.list_jobs(jobQueue=spot, jobStatus="PENDING")["jobSummaryList"]
    ] == [after, parent]
    assert all(
        ":" not in job["jobId"]
        for job in stage.batch.list_jobs(jobQueue=spot, jobStatus="RUNNING")["jobSummaryList"]
    )
    assert stage.wait(after)["status"] == "SUCCEEDED"
    children = [stage.job(f"{parent}:{index}") for index in range(3)]
    assert sorted(len(child["attempts"]) for child in children) == [1, 1, 2]
    assert len(children[0]["attempts"]) == 2
    assert stage.job(after)["startedAt"] >= max(child["stoppedAt"] for child in children)
    assert stage.job(parent)["tags"] == {"team": "a"}
    assert children[1]["tags"] == {}
    with pytest.raises(ClientError, match="child of an array job"):
        stage.batch.list_tags_for_resource(resourceArn=children[1]["jobArn"])


def test_terminating_a_parent_ends_all_children_and_a_failed_child_fails_the_parent_last(
    stage: Stage, queue: str
) -> None:
    code = (
        "import os, sys, time; one = os.environ['AWS_BATCH_JOB_ARRAY_INDEX'] == '1'; time.sleep(0.1"
        " if one else 2); sys.exit(one)"
    )
    parent = stage.submit(queue, stage.python(code), arrayProperties={"size": 2})
    after = stage.submit(
        queue,
        stage.python("print('never')"),
        dependsOn=[{"jobId": parent}],
        arrayProperties={"size": 2},
    )
    assert stage.wait(f"{parent}:1")["status"] == "FAILED"
    assert stage.job(parent)["status"] == "PENDING", "the parent ended before its other child"
    assert stage.wait(parent)["statusReason"] == "Array Child Job failed"
    assert stage.job(parent)["stoppedAt"] >= stage.job(f"{parent}:0")["stoppedAt"]
    assert stage.wait(after)["status"] == "FAILED"
    assert [stage.job(f"{after}:{index}")["statusReason"] for index in range(2)] == [
        "Dependent Job failed"
    ] * 2

    endless = stage.submit(
        queue, stage.python("import time; time.sleep(300)"), arrayProperties={"size": 3}
    )
    stage.wait(f"{endless}:2", "RUNNING")
    stage.batch.terminate_job(jobId=endless, reason="enough")
    assert stage.wait(endless)["arrayProperties"]["statusSummary"]["FAILED"] == 3
    assert [stage.job(f"{endless}:{index}")["statusReason"] for index in range(3)] == ["enough"] * 3


@pytest.mark.parametrize("size", [0, 1, 10_001])
def test_the_size_of_an_array_has_limits(stage: Stage, queue: str, size: int) -> None:
    with pytest.raises(ClientError, match="between 2 and 10000"):
        stage.submit(queue, stage.python("print()"), arrayProperties={"size": size})


def test_cancelling_an_array_ends_every_child(stage: Stage) -> None:
    queue = stage.queue(stage.environment(max_vcpus=4))
    job = stage.submit(queue, stage.definition(["true"], vcpus="8"), arrayProperties={"size": 3})
    stage.wait(f"{job}:2", "RUNNABLE")
    stage.batch.cancel_job(jobId=job, reason="no longer")
    parent = stage.wait(job)
    assert (parent["status"], parent["arrayProperties"]["statusSummary"]["FAILED"]) == ("FAILED", 3)

"""Causes of RUNNABLE and PENDING that lie in the line: jobs before it, shares, reservations,
priorities, dependencies, a disabled queue.
"""

from __future__ import annotations

from tests.cli.why.conftest import FOREVER, Asking
from tests.localcloud.conftest import until


def test_a_job_behind_one_that_can_never_start(asking: Asking) -> None:
    stage = asking.stage
    queue = stage.queue(stage.environment())
    front = stage.submit(queue, stage.python(FOREVER, memory="900000"))
    stage.wait(front, "RUNNABLE")
    job = stage.submit(queue, stage.python(FOREVER))
    stage.wait(job, "RUNNABLE")
    cause = asking.cause(job, "FRONT-JOB-MEMORY")
    assert front in cause.what
    assert f"aws batch terminate-job --job-id {front}" in cause.fix
    of_queue = asking.why(queue)
    assert of_queue.verdict.startswith(f"2 wait in it; the first, {front}")
    assert of_queue.causes[0].code == "JOB-MEMORY"


def test_a_share_that_has_used_more(asking: Asking) -> None:
    stage = asking.stage
    policy = stage.batch.create_scheduling_policy(
        name=stage.name("policy"),
        fairsharePolicy={
            "shareDistribution": [
                {"shareIdentifier": "a", "weightFactor": 2.0},
                {"shareIdentifier": "b"},
            ]
        },
    )["arn"]
    queue = stage.queue(stage.environment(max_vcpus=4), schedulingPolicyArn=policy)
    definition = stage.python(FOREVER, vcpus="4")
    stage.wait(
        stage.submit(queue, definition, shareIdentifier="a", schedulingPriorityOverride=1),
        "RUNNING",
    )
    mine = stage.submit(queue, definition, shareIdentifier="a", schedulingPriorityOverride=1)
    other = stage.submit(queue, definition, shareIdentifier="b", schedulingPriorityOverride=1)
    for job in (mine, other):
        stage.wait(job, "RUNNABLE")
    found = asking.why(mine)
    cause = next(cause for cause in found.causes if cause.code == "FAIR-SHARE")
    assert f"number 2 in queue {queue.rsplit('/', 1)[-1]}, behind {other}" in cause.what
    assert "its share a (weight 2) uses 4 vCPUs" in cause.what


def test_a_reservation_that_leaves_too_little(asking: Asking) -> None:
    stage = asking.stage
    policy = stage.batch.create_scheduling_policy(
        name=stage.name("policy"),
        fairsharePolicy={
            "computeReservation": 50,
            "shareDistribution": [{"shareIdentifier": "a"}],
        },
    )["arn"]
    queue = stage.queue(stage.environment(max_vcpus=4), schedulingPolicyArn=policy)
    job = stage.submit(
        queue,
        stage.python(FOREVER, vcpus="3"),
        shareIdentifier="a",
        schedulingPriorityOverride=1,
    )
    cause = asking.cause(job, "RESERVATION")
    assert (cause.found, cause.needed) == ("2", "3")


def test_a_queue_of_higher_priority_on_the_same_environment(asking: Asking) -> None:
    stage = asking.stage
    environment = stage.environment(max_vcpus=4)
    high, low = stage.queue(environment, priority=9), stage.queue(environment, priority=1)
    definition = stage.python(FOREVER, vcpus="4")
    stage.wait(stage.submit(high, definition), "RUNNING")
    stage.wait(stage.submit(high, definition), "RUNNABLE")
    job = stage.submit(low, definition)
    stage.wait(job, "RUNNABLE")
    found = asking.why(job)
    cause = next(cause for cause in found.causes if cause.code == "PRIORITY")
    assert (cause.found, cause.needed) == ("1", "more than 9")


def test_a_dependency_is_followed_to_what_blocks_it(asking: Asking) -> None:
    stage = asking.stage
    queue = stage.queue(stage.environment())
    first = stage.submit(queue, stage.python(FOREVER, gpus="1"))
    second = stage.submit(queue, stage.python(FOREVER), dependsOn=[{"jobId": first}])
    third = stage.submit(queue, stage.python(FOREVER), dependsOn=[{"jobId": second}])
    stage.wait(third, "PENDING")
    found = until(lambda: (d := asking.why(third)).causes and len(d.causes) > 2 and d)
    assert [cause.code for cause in found.causes] == ["JOB-GPUS", "DEPENDENCY", "DEPENDENCY"]
    assert found.verdict.startswith(f"it waits for job {second}")


def test_an_array_speaks_by_the_child_that_waits(asking: Asking) -> None:
    stage = asking.stage
    queue = stage.queue(stage.environment(max_vcpus=2))
    array = stage.submit(queue, stage.python(FOREVER, vcpus="3"), arrayProperties={"size": 2})
    found = until(lambda: (d := asking.why(array)).causes and d)
    assert found.causes[0].code == "MAX-VCPUS"
    assert "child 0" in found.verdict
    assert "2 RUNNABLE" in found.verdict


def test_a_disabled_queue_says_so_and_its_jobs_go_on(asking: Asking) -> None:
    stage = asking.stage
    queue = stage.queue(stage.environment())
    stage.batch.update_job_queue(jobQueue=queue, state="DISABLED")
    name = queue.rsplit("/", 1)[-1]
    found = asking.why("main", queues={"main": name})
    assert found.causes[0].code == "QUEUE-DISABLED"
    assert found.causes[0].setting == "queues.main.enabled"

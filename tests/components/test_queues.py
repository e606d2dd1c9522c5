"""Job queues: order, limits, fair share."""

from __future__ import annotations

import pytest

from tests.components.program import STACKS, config_of, deploy, deployed

QUEUE = "aws:batch/jobQueue:JobQueue"
POLICY = "aws:batch/schedulingPolicy:SchedulingPolicy"
CE = "aws:batch/computeEnvironment:ComputeEnvironment"


@pytest.mark.parametrize("stack", STACKS)
def test_queues_try_their_environments_in_the_order_of_the_config(stack: str) -> None:
    made, config = deployed(stack), config_of(stack)
    made.all(QUEUE, count=len(config.queues))
    for name, section in config.queues.items():
        queue = made.one(QUEUE, f"queues-{name}")
        arns = [made.one(CE, f"environments-{e}").outputs["arn"] for e in section.environments]
        assert queue.inputs["computeEnvironmentOrders"] == [
            {"order": n, "computeEnvironment": arn} for n, arn in enumerate(arns, start=1)
        ]
        assert (queue.inputs["priority"], queue.inputs["state"]) == (section.priority, "ENABLED")
        assert "name" not in queue.inputs, "a queue that is replaced would meet its own name"


def test_a_job_that_cannot_start_is_cancelled() -> None:
    limits = deployed("prod").one(QUEUE, "queues-gpu").inputs["jobStateTimeLimitActions"]
    assert len(limits) == 3
    assert limits[0] == {
        "reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
        "state": "RUNNABLE",
        "maxTimeSeconds": 240 * 60,
        "action": "CANCEL",
    }
    assert all(600 <= limit["maxTimeSeconds"] <= 86_400 for limit in limits)


def test_fair_share_is_a_policy_of_its_own() -> None:
    made = deployed("prod")
    policy = made.one(POLICY)
    assert policy.inputs["fairSharePolicy"] == {
        "shareDecaySeconds": 3600,
        "computeReservation": 0,
        "shareDistributions": [
            {"shareIdentifier": "adhoc", "weightFactor": 2},
            {"shareIdentifier": "pipeline", "weightFactor": 1},
        ],
    }
    assert made.one(QUEUE, "queues-main").inputs["schedulingPolicyArn"] == policy.outputs["arn"]
    assert "schedulingPolicyArn" not in made.one(QUEUE, "queues-gpu").inputs
    deployed("dev").none(POLICY)


def test_a_closed_queue_is_disabled() -> None:
    made = deploy(
        "dev",
        changes={"queues": {"main": {"enabled": False}}, "pipeline": {"enabled": False}},
        until="queues",
    )
    assert {q.name: q.inputs["state"] for q in made.all(QUEUE)} == {
        "queues-gpu": "ENABLED",
        "queues-main": "DISABLED",
    }

"""How an environment leaves: what is tried again and for how long, who is waited for and what is
said when patience ends.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components.environment_hooks import RETRY_PAUSES, departure_hooks, dispersed, released
from tests.components.program import STACKS, config_of, deployed

CE = "aws:batch/computeEnvironment:ComputeEnvironment"
RELATED = (
    "deleting Batch Compute Environment (x): ClientException: Cannot delete, found existing"
    " JobQueue relationship."
)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that were slept away, without sleeping."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return pauses


def failed(*errors: str, operation: str = "delete") -> pulumi.ErrorHookArgs:
    """A failed operation; the newest error first."""
    return pulumi.ErrorHookArgs(
        urn="urn",
        id="ce-1",
        name="environments-x",
        type=CE,
        failed_operation=operation,
        errors=list(errors),
    )


@pytest.mark.parametrize("stack", STACKS)
def test_every_environment_leaves_by_the_same_two_hooks(stack: str) -> None:
    environments = deployed(stack).all(CE, count=len(config_of(stack).environments))
    # the state of deployed stacks holds these names: another name needs the old one kept
    hooks = {"before_delete": ("environments-drained",), "on_error": ("environments-released",)}
    assert [environment.options.hooks for environment in environments] == [hooks] * len(
        environments
    )


def test_only_a_deletion_that_a_queue_forbids_is_tried_again_and_not_for_ever(
    slept: list[float],
) -> None:
    for other in ("ServerException: try later", "AccessDenied"):
        assert not asyncio.run(released(failed(other)))
        assert not asyncio.run(released(failed(other, RELATED)))
    for operation in ("create", "update"):
        assert not asyncio.run(released(failed(RELATED, operation=operation)))
    assert slept == []
    tries = 0
    while asyncio.run(released(failed(*[RELATED] * (tries + 1)))):
        tries += 1
    assert slept == list(RETRY_PAUSES)
    assert slept == sorted(slept)
    assert 540 <= sum(slept) <= 660
    assert tries < 100  # what the engine allows


ARN = "arn:aws:ecs:r:1:cluster/AWSBatch-x"


def drain(
    monkeypatch: pytest.MonkeyPatch,
    tasks: list[int | Exception],
    section: Any = None,
    outputs: Any = ARN,
    **made: Any,
) -> list[int | Exception]:
    """Runs the hook of the deletion; answers with what was not asked for.

    `outputs`: of the environment, or its cluster's ARN.
    """
    left = list(tasks)

    def get_cluster_output(*, cluster_name: str) -> Any:
        assert cluster_name == "AWSBatch-x"
        told = left.pop(0) if len(left) > 1 else left[0]
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if isinstance(told, Exception):
            future.set_exception(told)
        else:
            future.set_result(SimpleNamespace(running_tasks_count=told, pending_tasks_count=0))
        return SimpleNamespace(future=lambda: future)

    hooks: dict[str, Any] = {}
    monkeypatch.setattr(aws.ecs, "get_cluster_output", get_cluster_output)
    monkeypatch.setattr(pulumi, "ResourceHook", hooks.setdefault)
    monkeypatch.setattr(pulumi, "ErrorHook", hooks.setdefault)
    departure_hooks("e", {} if section is None else {"e-x": section})
    told = {"ecsClusterArn": outputs} if isinstance(outputs, str) else outputs
    args = pulumi.ResourceHookArgs(
        urn="urn",
        id="x-1",
        name="e-x",
        type=CE,
        old_inputs={"updatePolicy": made},
        old_outputs=told,
    )
    asyncio.run(hooks["e-drained"](args))
    return left


def section(minutes: int, *, stop: bool = False) -> Any:
    return SimpleNamespace(update_timeout_minutes=minutes, terminate_jobs_on_update=stop)


def test_the_deletion_waits_until_no_task_was_there_twice_in_a_row(
    monkeypatch: pytest.MonkeyPatch, slept: list[float]
) -> None:
    assert drain(monkeypatch, [2, 1, 0, 1, 0, 0, 99]) == [99]
    assert len(slept) == 5
    slept.clear()
    assert drain(monkeypatch, [0, 0, 99]) == [99]
    assert len(slept) == 1


@pytest.mark.parametrize(
    ("today", "made", "minutes"),
    [
        (section(5), {"jobExecutionTimeoutMinutes": 50}, 5),
        (None, {"jobExecutionTimeoutMinutes": 50}, 50),
        (None, {}, 30),
    ],
    ids=["config", "removed from the config", "Fargate"],
)
def test_patience_ends_with_a_sentence_and_without_a_deletion(
    monkeypatch: pytest.MonkeyPatch,
    slept: list[float],
    today: Any,
    made: dict[str, Any],
    minutes: int,
) -> None:
    with pytest.raises(
        RuntimeError,
        match=rf"after {minutes} minutes 3 tasks still run in compute environment x-1\. It stays",
    ):
        drain(monkeypatch, [3], today, **made)
    assert minutes * 60 <= sum(slept) <= minutes * 60 + 30


@pytest.mark.parametrize(
    "outputs",
    [None, {}, {"ecsClusterArn": None}, ""],
    ids=["no outputs", "no ARN", "none", "empty"],
)
def test_an_environment_without_a_cluster_has_no_tasks(
    monkeypatch: pytest.MonkeyPatch, slept: list[float], outputs: Any
) -> None:
    """One that never became VALID: whatever keeps it, it is not a task."""
    assert drain(monkeypatch, [3, 4], outputs=outputs) == [3, 4]
    assert slept == []


@pytest.mark.parametrize(
    "told",
    [
        "empty result",
        "couldn't find resource",
        "ClusterNotFoundException: Cluster not found.",
        "INACTIVE",
    ],
)
def test_a_cluster_that_is_gone_has_no_tasks(
    monkeypatch: pytest.MonkeyPatch, slept: list[float], told: str
) -> None:
    gone = Exception(
        "invocation of aws:ecs/getCluster:getCluster returned an error: reading ECS Cluster"
        f" (AWSBatch-x): {told}"
    )
    assert drain(monkeypatch, [gone]) == [gone]
    assert len(slept) == 1


def test_a_placement_group_waits_for_its_instances_and_not_for_ever(slept: list[float]) -> None:
    busy = (
        "deleting EC2 Placement Group (g): api error InvalidPlacementGroup.InUse: The placement"
        " group g is in use and may not be deleted."
    )
    assert not asyncio.run(dispersed(failed("AccessDenied")))
    assert not asyncio.run(dispersed(failed(busy, operation="create")))
    tries = 0
    while asyncio.run(dispersed(failed(*[busy] * (tries + 1)))):
        tries += 1
    assert slept == list(RETRY_PAUSES)


def test_who_wants_jobs_stopped_is_not_made_to_wait_and_doubt_does_not_delete(
    monkeypatch: pytest.MonkeyPatch, slept: list[float]
) -> None:
    assert drain(monkeypatch, [3, 4], section(5, stop=True)) == [3, 4]
    assert drain(monkeypatch, [3, 4], terminateJobsOnUpdate=True) == [3, 4]
    with pytest.raises(
        RuntimeError,
        match=r"nobody could say whether jobs run in .* x-1 \(denied\)\. .*ecs:DescribeClusters",
    ):
        drain(monkeypatch, [Exception("denied")])
    assert slept == []

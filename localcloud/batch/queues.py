"""Job queues and fair-share scheduling policies: create, update, describe, delete.

Rules: Batch API reference (CreateJobQueue, UpdateJobQueue, FairsharePolicy, ShareAttributes,
JobStateTimeLimitAction).
"""

from __future__ import annotations

import re
from typing import Any, Final

from localcloud.batch.records import JobQueue, SchedulingPolicy, Store, client_error

_NAME: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}")
_SHARE: Final = re.compile(r"[0-9A-Za-z]{1,254}\*?")
TIME_LIMIT_REASONS: Final = (
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
)


def create(store: Store, params: dict[str, Any]) -> JobQueue:
    """CreateJobQueue. Raises ClientException."""
    name = params.get("jobQueueName", "")
    if not _NAME.fullmatch(name):
        raise client_error(
            "jobQueueName should match valid pattern: letters, digits, hyphens and underscores, at"
            " most 128 characters"
        )
    if name in store.queues:
        raise client_error("Object already exists")
    policy = params.get("schedulingPolicyArn") or None
    if policy is not None and store.policy(policy) is None:
        raise client_error(f"Scheduling policy {policy} does not exist")
    queue = JobQueue(
        name=name,
        arn=store.state.arn("batch", f"job-queue/{name}"),
        state=_state(params.get("state", "ENABLED")),
        priority=_priority(params.get("priority")),
        environments=[],
        order=[],
        policy=policy,
        time_limits=_time_limits(params.get("jobStateTimeLimitActions") or []),
        tags=dict(params.get("tags") or {}),
    )
    _connect(store, queue, params.get("computeEnvironmentOrder") or [])
    store.queues[name] = queue
    return queue


def update(store: Store, params: dict[str, Any]) -> JobQueue:
    """UpdateJobQueue. Raises ClientException."""
    queue = existing(store, params.get("jobQueue", ""))
    policy = params.get("schedulingPolicyArn")
    if policy is not None and policy != queue.policy:
        if queue.policy is None:
            raise client_error(
                "A job queue that was created without a scheduling policy cannot get one"
            )
        if not policy:
            raise client_error("A scheduling policy can be replaced but not removed")
        if store.policy(policy) is None:
            raise client_error(f"Scheduling policy {policy} does not exist")
    if params.get("computeEnvironmentOrder"):
        before = queue.environments
        _connect(store, queue, params["computeEnvironmentOrder"])
        store.let_go(set(before) - set(queue.environments))
    queue.policy = policy or queue.policy
    queue.state = _state(params.get("state", queue.state))
    queue.priority = _priority(params.get("priority", queue.priority))
    if "jobStateTimeLimitActions" in params:
        queue.time_limits = _time_limits(params["jobStateTimeLimitActions"] or [])
    return queue


def delete(store: Store, name_or_arn: str) -> JobQueue | None:
    """DeleteJobQueue; the caller ends its jobs. Raises ClientException."""
    queue = store.queue(name_or_arn)
    if queue is None:
        return None
    if queue.state != "DISABLED":
        raise client_error("Cannot delete, job queue must be disabled first")
    store.let_go(queue.environments)
    return store.queues.pop(queue.name)


def existing(store: Store, name_or_arn: str) -> JobQueue:
    """The queue. Raises ClientException where there is none."""
    queue = store.queue(name_or_arn)
    if queue is None:
        raise client_error(f"JobQueue {name_or_arn} does not exist")
    return queue


def describe(queue: JobQueue) -> dict[str, Any]:
    """As DescribeJobQueues shows it."""
    detail = {
        "jobQueueName": queue.name,
        "jobQueueArn": queue.arn,
        "state": queue.state,
        "status": "VALID",
        "statusReason": "JobQueue Healthy",
        "priority": queue.priority,
        "computeEnvironmentOrder": queue.order,
        "jobQueueType": "ECS",
        "tags": queue.tags,
        "jobStateTimeLimitActions": queue.time_limits,
    }
    return {**detail, "schedulingPolicyArn": queue.policy} if queue.policy else detail


def _state(state: str) -> str:
    if state not in ("ENABLED", "DISABLED"):
        raise client_error(f"state must be ENABLED or DISABLED, found {state!r}")
    return state


def _priority(priority: Any) -> int:
    if not isinstance(priority, int) or not 0 <= priority <= 1000:
        raise client_error(f"priority must be between 0 and 1000, found {priority!r}")
    return priority


def _connect(store: Store, queue: JobQueue, order: list[dict[str, Any]]) -> None:
    if not 1 <= len(order) <= 3:
        raise client_error(f"A job queue needs 1 to 3 compute environments, found {len(order)}")
    numbers = [entry.get("order") for entry in order]
    if len(set(numbers)) != len(numbers):
        raise client_error(f"Order of compute environments must be unique, found {numbers}")
    environments = []
    for entry in sorted(order, key=lambda each: each.get("order", 0)):
        environment = store.environment(entry.get("computeEnvironment", ""))
        if environment is None:
            raise client_error(
                f"computeEnvironment {entry.get('computeEnvironment')} does not exist"
            )
        if environment.status != "VALID":
            raise client_error(f"{environment.arn} is not VALID: {environment.status_reason}")
        environments.append(environment)
    if len({each.name for each in environments}) != len(environments):
        raise client_error("A compute environment may stand only once in a job queue")
    if len({each.is_fargate for each in environments}) > 1:
        raise client_error("EC2 and Fargate compute environments can't be mixed in a job queue")
    shapes = store.state.instance_shapes()
    architectures = {
        shapes[name].architecture
        for each in environments
        for name in each.resources.get("instanceTypes", [])
        if name in shapes
    }
    if len(architectures) > 1:
        raise client_error(
            "All compute environments of a job queue must share one architecture; found "
            + ", ".join(sorted(architectures))
        )
    queue.environments = [each.arn for each in environments]
    queue.order = [
        {"order": entry["order"], "computeEnvironment": arn}
        for entry, arn in zip(
            sorted(order, key=lambda each: each["order"]), queue.environments, strict=True
        )
    ]


def _time_limits(actions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for action in actions:
        if action.get("reason") not in TIME_LIMIT_REASONS:
            raise client_error(
                f"jobStateTimeLimitActions reason {action.get('reason')!r} is not one of"
                f" {', '.join(TIME_LIMIT_REASONS)}"
            )
        if action.get("state") != "RUNNABLE" or action.get("action") != "CANCEL":
            raise client_error(
                "jobStateTimeLimitActions supports state RUNNABLE and action CANCEL only"
            )
        if not 600 <= action.get("maxTimeSeconds", 0) <= 86400:
            raise client_error(
                "jobStateTimeLimitActions maxTimeSeconds must be between 600 and 86400, found"
                f" {action.get('maxTimeSeconds')}"
            )
    return actions


# ---- scheduling policies -------------------------------------------------------------------------


def create_policy(store: Store, params: dict[str, Any]) -> SchedulingPolicy:
    """CreateSchedulingPolicy. Raises ClientException."""
    name = params.get("name", "")
    if not _NAME.fullmatch(name):
        raise client_error(
            "name should match valid pattern: letters, digits, hyphens and underscores, at most 128"
            " characters"
        )
    arn = store.state.arn("batch", f"scheduling-policy/{name}")
    if arn in store.policies:
        raise client_error("Object already exists")
    policy = SchedulingPolicy(
        name=name, arn=arn, fairshare=_fairshare(params), tags=dict(params.get("tags") or {})
    )
    store.policies[arn] = policy
    return policy


def update_policy(store: Store, params: dict[str, Any]) -> None:
    """UpdateSchedulingPolicy. Raises ClientException."""
    policy = store.policy(params.get("arn", ""))
    if policy is None:
        raise client_error(f"Scheduling policy {params.get('arn')} does not exist")
    policy.fairshare = _fairshare(params)


def delete_policy(store: Store, arn: str) -> None:
    """DeleteSchedulingPolicy. Raises ClientException."""
    if any(queue.policy == arn for queue in store.queues.values()):
        raise client_error("Cannot delete, the scheduling policy is used by a job queue")
    store.policies.pop(arn, None)


def describe_policy(policy: SchedulingPolicy) -> dict[str, Any]:
    """As DescribeSchedulingPolicies shows it."""
    return {
        "name": policy.name,
        "arn": policy.arn,
        "fairsharePolicy": policy.fairshare,
        "tags": policy.tags,
    }


def _fairshare(params: dict[str, Any]) -> dict[str, Any]:
    fairshare = dict(params.get("fairsharePolicy") or {})
    if not 0 <= fairshare.get("shareDecaySeconds", 0) <= 604800:
        raise client_error("shareDecaySeconds must be between 0 and 604800")
    if not 0 <= fairshare.get("computeReservation", 0) <= 99:
        raise client_error("computeReservation must be between 0 and 99")
    names: list[str] = []
    for share in fairshare.get("shareDistribution", []):
        name = share.get("shareIdentifier", "")
        if not _SHARE.fullmatch(name):
            raise client_error(
                f"shareIdentifier {name!r} must be alphanumeric, with an optional trailing *"
            )
        if not 0.0001 <= share.get("weightFactor", 1.0) <= 999.9999:
            raise client_error(f"weightFactor of {name} must be between 0.0001 and 999.9999")
        for other in names:
            if _covers(other, name) or _covers(name, other):
                raise client_error(f"shareIdentifiers {other} and {name} overlap")
        names.append(name)
    return fairshare


def _covers(pattern: str, name: str) -> bool:
    return (
        name.removesuffix("*").startswith(pattern[:-1])
        if pattern.endswith("*")
        else pattern == name
    )

"""Jobs as DescribeJobs and ListJobs show them."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, get_args

from localcloud.batch import node_ranges
from localcloud.batch.records import Attempt, Job, Status

_STATUSES: Final = get_args(Status)
_ONLY_CONTAINER: Final = "default"
_SHARES_SHOWN: Final = 20
_OF_TASK: Final = ("jobRoleArn", "executionRoleArn", "volumes", "instanceType")


def millis(moment: float | None) -> int | None:
    """Milliseconds since 1970, which Batch uses throughout."""
    return None if moment is None else int(moment * 1000)


def describe(job: Job) -> dict[str, Any]:
    """A JobDetail."""
    detail = _common(job)
    detail["attempts"] = [_attempt(job, attempt) for attempt in job.attempts]
    if job.multinode:
        properties = job.definition.spec["nodeProperties"]
        detail["nodeProperties"] = {
            **properties,
            "numNodes": len(job.nodes),
            "mainNode": job.main_node,
        }
    else:
        detail.update(_running_on(job, 0, job.latest.nodes[0] if job.latest else {}))
    if job.array_size is not None:
        detail["arrayProperties"] = {"size": job.array_size, "statusSummary": _children(job)}
    elif job.parent is not None:
        detail["arrayProperties"] = {"index": job.array_index, "statusSummary": {}}
    return _without_none(detail)


def describe_node(job: Job, node: int) -> dict[str, Any]:
    """A JobDetail of one node of a multi-node job, `<job id>#<node>`."""
    latest = job.latest
    state = latest.nodes[node] if latest else {}
    detail = _common(job)
    detail.update(
        jobId=f"{job.id}#{node}",
        jobArn=f"{job.arn}#{node}",
        status=state.get("status", job.status),
        startedAt=millis(state.get("started")),
        stoppedAt=millis(state.get("stopped")),
        dependsOn=[],
        attempts=[_attempt(job, attempt, node) for attempt in job.attempts],
        **_running_on(job, node, state),
        nodeDetails={"nodeIndex": node, "isMainNode": node == job.main_node},
    )
    return _without_none(detail)


def summary(job: Job) -> dict[str, Any]:
    """A JobSummary."""
    result: dict[str, Any] = {
        "jobArn": job.arn,
        "jobId": job.id,
        "jobName": job.name,
        "jobDefinition": job.definition.arn,
        "createdAt": millis(job.created_at),
        "status": job.status,
        "statusReason": job.status_reason or None,
        "startedAt": millis(job.started_at),
        "stoppedAt": millis(job.stopped_at),
        "shareIdentifier": job.share,
    }
    latest = job.latest
    if job.multinode:
        result["nodeProperties"] = {"numNodes": len(job.nodes)}
    elif latest and "exitCode" in latest.nodes[0]:
        result["container"] = {
            "exitCode": latest.nodes[0]["exitCode"],
            "reason": latest.nodes[0].get("reason"),
        }
    if job.array_size is not None:
        result["arrayProperties"] = {"size": job.array_size, "statusSummary": _children(job)}
    elif job.parent is not None:
        result["arrayProperties"] = {"index": job.array_index}
    return _without_none(result)


def node_summary(job: Job, node: int) -> dict[str, Any]:
    """A JobSummary of one node of a multi-node job."""
    latest = job.latest
    state = latest.nodes[node] if latest else {}
    result: dict[str, Any] = {
        "jobArn": f"{job.arn}#{node}",
        "jobId": f"{job.id}#{node}",
        "jobName": job.name,
        "createdAt": millis(job.created_at),
        "status": state.get("status", job.status),
        "startedAt": millis(state.get("started")),
        "stoppedAt": millis(state.get("stopped")),
        "container": (
            {"exitCode": state["exitCode"], "reason": state.get("reason")}
            if "exitCode" in state
            else None
        ),
        "nodeProperties": {
            "isMainNode": node == job.main_node,
            "numNodes": len(job.nodes),
            "nodeIndex": node,
        },
    }
    return _without_none(result)


def node_status(job: Job, node: int) -> str:
    """Of one node of a multi-node job."""
    latest = job.latest
    return str((latest.nodes[node] if latest else {}).get("status", job.status))


def utilization(held: list[tuple[str, float]], *, by_share: bool) -> dict[str, Any]:
    """A QueueSnapshotUtilizationDetail, but for its moment.

    Args:
        held: Share and vCPUs of each job of the queue that holds resources.
        by_share: Whether the queue has a fair-share policy.
    """
    shares: dict[str, float] = {}
    for share, vcpus in held:
        shares[share] = shares.get(share, 0.0) + vcpus
    largest = sorted(shares.items(), key=lambda each: -each[1])
    found: dict[str, Any] = {"totalCapacityUsage": [_usage(sum(vcpus for _, vcpus in held))]}
    if by_share:
        found["fairshareUtilization"] = {
            "activeShareCount": len(shares),
            "topCapacityUtilization": [
                {"shareIdentifier": share, "capacityUsage": [_usage(vcpus)]}
                for share, vcpus in largest[:_SHARES_SHOWN]
            ],
        }
    return found


def _usage(vcpus: float) -> dict[str, Any]:
    return {"capacityUnit": "VCPU", "quantity": float(vcpus)}


def _children(job: Job) -> dict[str, int]:
    counts = Counter(child.status for child in job.children)
    return {status: counts[status] for status in _STATUSES}


def _common(job: Job) -> dict[str, Any]:
    return {
        "jobArn": job.arn,
        "jobName": job.name,
        "jobId": job.id,
        "jobQueue": job.queue.arn,
        "status": job.status,
        "statusReason": job.status_reason or None,
        "shareIdentifier": job.share,
        "schedulingPriority": job.priority if job.share else None,
        "createdAt": millis(job.created_at),
        "startedAt": millis(job.started_at),
        "stoppedAt": millis(job.stopped_at),
        "retryStrategy": {"attempts": 1, "evaluateOnExit": [], **job.retry},
        "dependsOn": job.depends_on,
        "jobDefinition": job.definition.arn,
        "parameters": job.parameters,
        "timeout": {"attemptDurationSeconds": job.timeout_seconds} if job.timeout_seconds else None,
        "tags": job.tags,
        "propagateTags": job.request.get("propagateTags", False),
        "platformCapabilities": job.definition.spec["platformCapabilities"],
        "isCancelled": job.cancelled,
        "isTerminated": job.terminated,
    }


def _container(job: Job, node: int) -> dict[str, Any]:
    container = dict(job.nodes[node])  # what is in it stays as it was submitted
    for member in (
        "command",
        "volumes",
        "environment",
        "mountPoints",
        "ulimits",
        "resourceRequirements",
        "secrets",
    ):
        container.setdefault(member, [])
    container.setdefault("networkInterfaces", [])
    return container


def _ecs_task(job: Job, node: int) -> dict[str, Any] | None:
    """The element of `taskProperties` that a job of ecsProperties was defined with; None for one of
    containerProperties.
    """
    spec = job.definition.spec
    if job.multinode:
        groups = {
            str(group["targetNodes"]): group
            for group in spec["nodeProperties"]["nodeRangeProperties"]
        }
        spec = groups[node_ranges.range_of(node, list(groups), len(job.nodes))]
    properties = spec.get("ecsProperties")
    return dict(properties["taskProperties"][0]) if properties else None


def _running_on(job: Job, node: int, state: dict[str, Any]) -> dict[str, Any]:
    """`container`, or `ecsProperties` where the job was defined with them (EcsPropertiesDetail,
    TaskContainerDetails).
    """
    task = _ecs_task(job, node)
    if task is None:
        return {"container": {**_container(job, node), **_public(state)}}
    container = {name: value for name, value in job.nodes[node].items() if name not in _OF_TASK}
    container.setdefault("name", _ONLY_CONTAINER)
    for member in (
        "command",
        "environment",
        "mountPoints",
        "resourceRequirements",
        "secrets",
        "dependsOn",
    ):
        container.setdefault(member, [])
    own, of_container = _by_task(state)
    return {
        "ecsProperties": {
            "taskProperties": [{**task, **own, "containers": [{**container, **of_container}]}]
        }
    }


def _by_task(state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What of a container's state is of its task, and what of itself."""
    shown = _public(state)
    own: dict[str, Any] = {
        name: shown.pop(name) for name in ("taskArn", "containerInstanceArn") if name in shown
    }
    return own, {"networkInterfaces": [], **shown}


def _attempt(job: Job, attempt: Attempt, node: int | None = None) -> dict[str, Any]:
    number = job.main_node if node is None else node
    state = attempt.nodes[number]
    task = _ecs_task(job, number)
    shown: dict[str, Any] = {"container": _public(state)}
    if task is not None:
        own, container = _by_task(state)
        shown = {
            "taskProperties": [
                {
                    **own,
                    "containers": [
                        {"name": job.nodes[number].get("name", _ONLY_CONTAINER), **container}
                    ],
                }
            ]
        }
    return _without_none(
        {
            **shown,
            "startedAt": millis(attempt.started_at if node is None else state.get("started")),
            "stoppedAt": millis(attempt.stopped_at if node is None else state.get("stopped")),
            "statusReason": attempt.status_reason,
        }
    )


def _public(state: dict[str, Any]) -> dict[str, Any]:
    hidden = ("status", "started", "stopped")
    return {key: value for key, value in state.items() if key not in hidden}


def _without_none(detail: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in detail.items() if value is not None}

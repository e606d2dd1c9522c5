"""SubmitJob: from the request and the job definition to jobs, with AWS's checks.

Rules: Batch API reference (SubmitJob, ContainerOverrides, NodeOverrides) and User Guide
(dependencies, array jobs, multi-node jobs).
"""

from __future__ import annotations

import json
import re
from copy import deepcopy
from typing import Any, Final

from localcloud.batch import node_ranges
from localcloud.batch.definitions import (
    check_container,
    check_retry,
    check_timeout,
    containers_of_ecs,
)
from localcloud.batch.records import Job, JobDefinition, JobQueue, Store, client_error, long_id

_JOB_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_SHARE: Final = re.compile(r"[A-Za-z0-9]{1,255}")
_LARGEST_PAYLOAD: Final = 30 * 1024
_LARGEST_OVERRIDES: Final = 8192
_MEMBERS_OF_OVERRIDES: Final = ("command", "instanceType")


def build(store: Store, params: dict[str, Any], now: float) -> Job:
    """The job that a SubmitJob request makes, array children included.

    The caller holds the lock and adds it. Raises ClientException.
    """
    _check_request(params)
    queue = store.queue(params["jobQueue"])
    if queue is None:
        raise client_error(f"Job queue {params['jobQueue']} does not exist")
    if queue.state != "ENABLED":
        raise client_error(f"{queue.arn} is disabled and does not accept jobs")
    definition = store.definition(params["jobDefinition"])
    if definition is None or definition.status != "ACTIVE":
        raise client_error(
            f"Job definition {params['jobDefinition']} does not exist or is not ACTIVE"
        )
    environments = [store.environment(arn) for arn in queue.environments]
    if definition.on_fargate != any(each is not None and each.is_fargate for each in environments):
        wanted, found = ("FARGATE", "EC2") if definition.on_fargate else ("EC2", "FARGATE")
        raise client_error(
            f"Job definition {definition.name} has platformCapabilities {wanted} but job queue"
            f" {queue.name} is of {found} environments"
        )
    share, priority = _fair_share(queue, definition, params)
    parameters = {**definition.spec.get("parameters", {}), **(params.get("parameters") or {})}
    nodes = _nodes(store, definition, params)
    retry = params.get("retryStrategy") or definition.spec.get("retryStrategy") or {}
    timeout = params.get("timeout") or definition.spec.get("timeout") or {}
    propagate = params.get("propagateTags", definition.spec.get("propagateTags", False))
    tags = dict(params.get("tags") or {})
    if propagate and len({**definition.spec.get("tags", {}), **tags}) > 50:
        raise client_error(
            "The tags of job and job definition together exceed 50, which ECS tasks can have"
        )
    job = Job(
        id=long_id(),
        name=params["jobName"],
        queue=queue,
        definition=definition,
        nodes=[_with_parameters(node, parameters) for node in nodes],
        request={
            "propagateTags": propagate,
            **({"nodeOverrides": params["nodeOverrides"]} if params.get("nodeOverrides") else {}),
        },
        retry=retry,
        timeout_seconds=timeout.get("attemptDurationSeconds"),
        created_at=now,
        parameters=parameters,
        tags={**(definition.spec.get("tags", {}) if propagate else {}), **tags},
        share=share,
        priority=priority,
        main_node=definition.spec.get("nodeProperties", {}).get("mainNode", 0),
        depends_on=_dependencies(store, params),
    )
    size = (params.get("arrayProperties") or {}).get("size")
    if size is not None:
        _make_array(job, size)
    return job


def _check_request(params: dict[str, Any]) -> None:
    name = params.get("jobName", "")
    if not _JOB_NAME.fullmatch(name):
        raise client_error(
            "Job name should match valid pattern: letters, digits, hyphens and underscores, at most"
            " 128 characters"
        )
    if len(json.dumps(params)) > _LARGEST_PAYLOAD:
        raise client_error(f"SubmitJob payload must be at most {_LARGEST_PAYLOAD} bytes")
    if len(json.dumps(params.get("containerOverrides") or {})) > _LARGEST_OVERRIDES:
        raise client_error(f"Container Overrides length must be at most {_LARGEST_OVERRIDES}")
    check_retry(params.get("retryStrategy"))
    check_timeout(params.get("timeout"))
    size = (params.get("arrayProperties") or {}).get("size")
    if size is not None and not 2 <= size <= 10000:
        raise client_error(f"Array size must be between 2 and 10000, found {size}")


def _fair_share(
    queue: JobQueue, definition: JobDefinition, params: dict[str, Any]
) -> tuple[str | None, int]:
    share, override = params.get("shareIdentifier"), params.get("schedulingPriorityOverride")
    if queue.policy is None:
        if share:
            raise client_error(
                "Share identifier cannot be specified for a job queue without a scheduling policy"
            )
        return None, 0
    if not share:
        raise client_error("Share identifier is required for a job queue with a scheduling policy")
    if not _SHARE.fullmatch(share):
        raise client_error(
            f"Share identifier {share!r} must be alphanumeric and at most 255 characters"
        )
    priority = override if override is not None else definition.spec.get("schedulingPriority")
    if priority is None:
        raise client_error(
            "Either schedulingPriority in job definition or schedulingPriorityOverride should be"
            " specified"
        )
    if not 0 <= priority <= 9999:
        raise client_error(
            f"schedulingPriorityOverride must be between 0 and 9999, found {priority}"
        )
    return share, priority


def _dependencies(store: Store, params: dict[str, Any]) -> list[dict[str, Any]]:
    dependencies = list(params.get("dependsOn") or [])
    if len(dependencies) > 20:
        raise client_error(f"A job can depend on at most 20 jobs, found {len(dependencies)}")
    size = (params.get("arrayProperties") or {}).get("size")
    for dependency in dependencies:
        kind, job_id = dependency.get("type"), dependency.get("jobId")
        if kind not in (None, "SEQUENTIAL", "N_TO_N"):
            raise client_error(f"Dependency type must be SEQUENTIAL or N_TO_N, found {kind!r}")
        if kind is not None and size is None:
            raise client_error(f"Dependency type {kind} is only for array jobs")
        if kind == "SEQUENTIAL":
            if job_id:
                raise client_error("A SEQUENTIAL dependency takes no jobId")
            continue
        other = store.jobs.get(job_id or "")
        if other is None or (other.queue.name not in store.queues):
            raise client_error(f"Job {job_id} in dependsOn does not exist")
        if kind == "N_TO_N" and other.array_size != size:
            raise client_error(
                f"N_TO_N dependency needs an array job of the same size {size}, {job_id} has"
                f" {other.array_size}"
            )
    return dependencies


def _make_array(job: Job, size: int) -> None:
    job.array_size = size
    for index in range(size):
        child = Job(
            id=f"{job.id}:{index}",
            name=job.name,
            queue=job.queue,
            definition=job.definition,
            nodes=job.nodes,
            request=job.request,
            retry=job.retry,
            timeout_seconds=job.timeout_seconds,
            created_at=job.created_at,
            parameters=job.parameters,
            # AWS Batch keeps none for children: TagResource and ListTagsForResource refuse their
            # ARNs
            tags={},
            share=job.share,
            priority=job.priority,
            array_index=index,
            parent=job,
            depends_on=job.depends_on,
        )
        job.children.append(child)


# ---- overrides -----------------------------------------------------------------------------------


def _nodes(store: Store, definition: JobDefinition, params: dict[str, Any]) -> list[dict[str, Any]]:
    if definition.kind == "multinode":
        if params.get("containerOverrides"):
            raise client_error(
                "Container overrides cannot be set for multi-node parallel jobs; use nodeOverrides"
            )
        if params.get("arrayProperties"):
            raise client_error("Multi-node parallel jobs cannot be array jobs")
        return _multinode(
            store, definition.spec["nodeProperties"], params.get("nodeOverrides") or {}
        )
    if params.get("eksPropertiesOverride"):
        raise client_error("eksPropertiesOverride is only for job definitions with eksProperties")
    if params.get("ecsPropertiesOverride") and not definition.spec.get("ecsProperties"):
        raise client_error("ecsPropertiesOverride is only for job definitions with ecsProperties")
    if params.get("nodeOverrides"):
        raise client_error("nodeOverrides are only for multi-node parallel jobs")
    overrides = params.get("containerOverrides") or {}
    if definition.spec.get("ecsProperties"):
        if overrides:
            raise client_error("Container overrides should not be set for ecsProperties jobs.")
        container = containers_of_ecs(definition.spec["ecsProperties"])
        tasks = (params.get("ecsPropertiesOverride") or {}).get("taskProperties") or [{}]
        overrides = next(iter(tasks[0].get("containers") or [{}]))
    else:
        container = definition.spec["containerProperties"]
    return [_overridden(store, container, overrides, fargate=definition.on_fargate)]


def _multinode(
    store: Store, properties: dict[str, Any], overrides: dict[str, Any]
) -> list[dict[str, Any]]:
    groups = {str(group["targetNodes"]): group for group in properties["nodeRangeProperties"]}
    count = overrides.get("numNodes") or properties["numNodes"]
    if overrides.get("numNodes"):
        if not any(node_ranges.is_open(target) for target in groups):
            raise client_error(
                "numNodes can only be overridden where a node range of the job definition is"
                " open-ended, such as 0:"
            )
        if properties["mainNode"] >= count:
            raise client_error(
                f"mainNode {properties['mainNode']} must be less than the overridden numNodes"
                f" {count}"
            )
        node_ranges.check_ranges(list(groups), count)
    by_range = {}
    for override in overrides.get("nodePropertyOverrides") or []:
        target = str(override.get("targetNodes"))
        if target not in groups:
            raise client_error(
                f"NodeOverride targets should match job definition. Non matching targets - {target}"
            )
        by_range[target] = override.get("containerOverrides") or {}
    nodes = []
    for index in range(count):
        target = node_ranges.range_of(index, list(groups), count)
        group = groups[target]
        container = group.get("container") or containers_of_ecs(group["ecsProperties"])
        container = _overridden(store, container, by_range.get(target, {}), fargate=False)
        if group.get("instanceTypes") and not container.get("instanceType"):
            container["instanceType"] = group["instanceTypes"][0]
        nodes.append(container)
    return nodes


def _overridden(
    store: Store, container: dict[str, Any], overrides: dict[str, Any], *, fargate: bool
) -> dict[str, Any]:
    result = deepcopy(container)
    for member in _MEMBERS_OF_OVERRIDES:
        if overrides.get(member):
            result[member] = overrides[member]
    if overrides.get("environment"):
        merged = {entry["name"]: entry for entry in result.get("environment", [])}
        merged.update({entry["name"]: entry for entry in overrides["environment"]})
        result["environment"] = list(merged.values())
    for member in ("vcpus", "memory"):
        if overrides.get(member) is not None and not fargate:
            _override_old_field(result, member, overrides[member])
    requirements = {entry["type"]: entry for entry in result.get("resourceRequirements", [])}
    requirements.update(
        {entry["type"]: entry for entry in overrides.get("resourceRequirements") or []}
    )
    if requirements:
        result["resourceRequirements"] = list(requirements.values())
    if overrides:
        check_container(store, result, fargate=fargate)
    return result


def _override_old_field(container: dict[str, Any], member: str, value: int) -> None:
    """An override by an old field changes the old field alone, and no requirement (API reference,
    ContainerOverrides).
    """
    if member in container:
        container[member] = value


def _with_parameters(container: dict[str, Any], parameters: dict[str, str]) -> dict[str, Any]:
    command = container.get("command")
    if not command:
        return container
    replaced = []
    for word in command:
        if word.startswith("Ref::"):
            name = word.removeprefix("Ref::")
            # a reference without a value stays as it is, which the program then sees
            replaced.append(str(parameters.get(name, word)))
        else:
            replaced.append(word)
    return {**container, "command": replaced}

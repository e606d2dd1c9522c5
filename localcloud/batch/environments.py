"""Compute environments: create, update, describe, delete, with the checks that AWS makes at once.

Rules: Batch API reference (ComputeResourceUpdate) and User Guide, as collected in
the project's notes on Batch.
"""

from __future__ import annotations

import re
import time
from typing import Any, Final

from localcloud.batch.environment_checks import SPOT_STRATEGIES, check_resources
from localcloud.batch.infrastructure_updates import begin, refuse_meanwhile
from localcloud.batch.records import ComputeEnvironment, Job, Store, client_error
from localcloud.moto.state import ACCOUNT_ID

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_UPDATABLE_STRATEGIES: Final = (
    "BEST_FIT_PROGRESSIVE",
    "BEST_FIT_PROGRESSIVE_ORDERED",
    *SPOT_STRATEGIES,
)
_FARGATE_CHANGES: Final = {"maxvCpus", "subnets", "securityGroupIds"}
_SCALING_FIELDS: Final = {"minvCpus", "maxvCpus", "desiredvCpus"}
_SERVICE_LINKED: Final = (
    f"arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"
)


def create(
    store: Store, params: dict[str, Any], placement_groups: dict[str, Any]
) -> ComputeEnvironment:
    """Checks the request as AWS does and adds the environment. Raises ClientException.

    Args:
        store: All records; the caller holds its lock.
        params: The request.
        placement_groups: EC2 placement groups by name.
    """
    name = params.get("computeEnvironmentName", "")
    if not _NAME.fullmatch(name):
        raise client_error(
            "computeEnvironmentName should match valid pattern: letters, digits, hyphens and"
            " underscores, at most 128 characters"
        )
    if name in store.environments:
        raise client_error("Object already exists")
    kind = params.get("type", "")
    if kind not in ("MANAGED", "UNMANAGED"):
        raise client_error(f"computeEnvironment type must be MANAGED or UNMANAGED, found {kind!r}")
    _check_state(params.get("state", "ENABLED"))
    role = params.get("serviceRole")
    if role and store.state.role(role) is None:
        raise client_error(f"Role {role} does not exist or is not a service role ARN")
    if kind == "UNMANAGED" and not role:
        raise client_error("serviceRole is required for UNMANAGED compute environments")
    resources = dict(params.get("computeResources") or {})
    if kind == "MANAGED":
        if not resources:
            raise client_error(
                "computeResources must be provided for a MANAGED compute environment"
            )
        check_resources(store, resources, placement_groups)
    environment = ComputeEnvironment(
        name=name,
        arn=store.state.arn("batch", f"compute-environment/{name}"),
        type=kind,
        state=params.get("state", "ENABLED"),
        resources=resources,
        service_role=role or _SERVICE_LINKED,
        tags=dict(params.get("tags") or {}),
    )
    store.environments[name] = environment
    return environment


def update(
    store: Store, params: dict[str, Any], placement_groups: dict[str, Any]
) -> ComputeEnvironment:
    """UpdateComputeEnvironment. Raises ClientException."""
    environment = existing(store, params.get("computeEnvironment", ""))
    refuse_meanwhile(environment, "update")
    change = dict(params.get("computeResources") or {})
    changed = {name for name in change if change[name] != environment.resources.get(name)}
    _check_market(environment, change)
    infrastructure = set(change) - _SCALING_FIELDS
    if infrastructure and not environment.is_fargate:
        in_place = (
            environment.service_role == _SERVICE_LINKED
            and environment.resources.get("allocationStrategy") in _UPDATABLE_STRATEGIES
        )
        if not in_place:
            raise client_error(
                f"Error executing request: {', '.join(sorted(infrastructure))} can only be updated"
                " with the service-linked role and where allocationStrategy is one of"
                f" {', '.join(_UPDATABLE_STRATEGIES)}"
            )
    merged = {**environment.resources, **change}
    desired = change.get("desiredvCpus")
    if desired is not None and desired < environment.vcpus:
        raise client_error(
            "Manually scaling down compute environment is not supported. Disconnecting job queues"
            " may be used instead."
        )
    if environment.type == "MANAGED":
        check_resources(store, merged, placement_groups)
    if "state" in params:
        _check_state(params["state"])
        environment.state = params["state"]
    role = params.get("serviceRole")
    if role and (role == _SERVICE_LINKED) != (environment.service_role == _SERVICE_LINKED):
        raise client_error(
            "The service role of a compute environment cannot change from or to the service-linked"
            " role"
        )
    environment.service_role = role or environment.service_role
    environment.resources = merged
    environment.update_policy = params.get("updatePolicy") or environment.update_policy
    environment.status, environment.status_reason = "VALID", "ComputeEnvironment Healthy"
    begin(store, environment, changed)
    return environment


def _check_market(environment: ComputeEnvironment, change: dict[str, Any]) -> None:
    """On Fargate the type stays, and neither becomes the other (Batch API reference,
    ComputeResourceUpdate).
    """
    before, after = environment.resources.get("type", ""), change.get("type")
    if environment.is_fargate:
        fixed = sorted(
            name
            for name in set(change) - _FARGATE_CHANGES
            if change[name] != environment.resources.get(name)
        )
        if fixed:
            allowed = ", ".join(sorted(_FARGATE_CHANGES))
            raise client_error(
                f"{', '.join(fixed)} cannot be updated in a {before} compute environment, only"
                f" {allowed} can"
            )
    elif after is not None and after.startswith("FARGATE"):
        raise client_error(f"computeResources type cannot be updated from {before} to {after}")


def delete(store: Store, name_or_arn: str) -> list[Job]:
    """DeleteComputeEnvironment; one that does not exist is no error, as on AWS.

    Returns the jobs whose instances go with it. An environment of Fargate with active jobs is not
    deleted, it becomes invalid (Batch API reference); what AWS does with jobs on instances is not
    documented, here they lose their hosts. Raises ClientException.
    """
    environment = store.environment(name_or_arn)
    if environment is None:
        return []
    refuse_meanwhile(environment, "delete")
    queued = any(environment.arn in queue.environments for queue in store.queues.values())
    if queued or time.monotonic() < environment.related_until:
        raise client_error("Cannot delete, found existing JobQueue relationship.")
    if environment.state != "DISABLED":
        raise client_error("Cannot delete, compute environment must be disabled first")
    jobs = store.running_in(environment)
    if environment.is_fargate and jobs:
        environment.status, environment.status_reason = (
            "INVALID",
            "CLIENT_ERROR - active jobs must be terminated before the deletion",
        )
        return []
    del store.environments[environment.name]
    group = environment.resources.get("placementGroup")
    now = time.monotonic()
    if group and (
        environment.instances or now < environment.instance_left + store.shutdown_seconds
    ):
        store.placements_busy[group] = now + store.shutdown_seconds
    return jobs


def existing(store: Store, name_or_arn: str) -> ComputeEnvironment:
    """The environment. Raises ClientException where there is none."""
    environment = store.environment(name_or_arn)
    if environment is None:
        raise client_error(f"ComputeEnvironment {name_or_arn} does not exist")
    return environment


def describe(environment: ComputeEnvironment) -> dict[str, Any]:
    """As DescribeComputeEnvironments shows it."""
    detail: dict[str, Any] = {
        "computeEnvironmentName": environment.name,
        "computeEnvironmentArn": environment.arn,
        "ecsClusterArn": (
            environment.arn.replace(":batch:", ":ecs:").replace(
                f"compute-environment/{environment.name}",
                f"cluster/AWSBatch-{environment.name}-{environment.uuid}",
            )
        ),
        "tags": environment.tags,
        "type": environment.type,
        "state": environment.state,
        "status": environment.status,
        "statusReason": environment.status_reason,
        "serviceRole": environment.service_role,
        "containerOrchestrationType": "ECS",
        "uuid": environment.uuid,
    }
    if environment.resources:
        detail["computeResources"] = dict(environment.resources)
        if not environment.is_fargate:
            detail["computeResources"]["desiredvCpus"] = int(environment.vcpus)
    if environment.update_policy:
        detail["updatePolicy"] = environment.update_policy
    return detail


def describe_cluster(store: Store, environment: ComputeEnvironment) -> dict[str, Any]:
    """The ECS cluster behind it, as ECS's DescribeClusters shows it."""
    arn = describe(environment)["ecsClusterArn"]
    nodes = [
        node
        for job in store.running_in(environment)
        if job.current is not None
        for node in job.current.nodes
    ]
    return {
        "clusterArn": arn,
        "clusterName": arn.rpartition("/")[2],
        "status": "ACTIVE",
        "runningTasksCount": sum(node["status"] == "RUNNING" for node in nodes),
        "pendingTasksCount": sum(node["status"] == "STARTING" for node in nodes),
        "registeredContainerInstancesCount": (
            0 if environment.is_fargate else len(environment.instances)
        ),
        "activeServicesCount": 0,
    }


def _check_state(state: str) -> None:
    if state not in ("ENABLED", "DISABLED"):
        raise client_error(f"state must be ENABLED or DISABLED, found {state!r}")

"""Compute environments: create, update, describe, delete, with the checks that AWS makes at once.

Rules: Batch API reference (ComputeResource, ComputeResourceUpdate) and User Guide, as collected in
the project's notes on Batch.
"""

from __future__ import annotations

import re
import time
from typing import Any, Final

from localcloud.batch.infrastructure_updates import begin, refuse_meanwhile
from localcloud.batch.records import ComputeEnvironment, Job, Store, client_error
from localcloud.moto.state import ACCOUNT_ID

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_SPOT_STRATEGIES: Final = (
    "SPOT_CAPACITY_OPTIMIZED",
    "SPOT_PRICE_CAPACITY_OPTIMIZED",
    "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED",
)
_STRATEGIES: Final = (
    "BEST_FIT",
    "BEST_FIT_PROGRESSIVE",
    "BEST_FIT_PROGRESSIVE_ORDERED",
    *_SPOT_STRATEGIES,
)
_UPDATABLE_STRATEGIES: Final = (
    "BEST_FIT_PROGRESSIVE",
    "BEST_FIT_PROGRESSIVE_ORDERED",
    *_SPOT_STRATEGIES,
)
_GROUPS: Final = ("optimal", "default_x86_64", "default_arm64")
_FARGATE_CHANGES: Final = {"maxvCpus", "subnets", "securityGroupIds"}
_FARGATE_FIELDS: Final = {"type", "maxvCpus", "subnets", "securityGroupIds"}
_RETIRED_IMAGES: Final = ("ECS_AL2", "ECS_AL2_NVIDIA", "ECS_AL1")
_IMAGES: Final = ("ECS_AL2023", "ECS_AL2023_NVIDIA")
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
        _check_resources(store, resources, placement_groups)
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
        _check_resources(store, merged, placement_groups)
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


def _check_resources(
    store: Store, resources: dict[str, Any], placement_groups: dict[str, Any]
) -> None:
    market = resources.get("type", "")
    if market not in ("EC2", "SPOT", "FARGATE", "FARGATE_SPOT"):
        raise client_error(
            "computeResources type must be one of EC2, SPOT, FARGATE, FARGATE_SPOT, found"
            f" {market!r}"
        )
    maximum, minimum = resources.get("maxvCpus"), resources.get("minvCpus", 0)
    if not isinstance(maximum, int) or maximum < 1:
        raise client_error("maxvCpus must be a positive number")
    _check_network(store, resources, fargate=market.startswith("FARGATE"))
    if market.startswith("FARGATE"):
        extra = set(resources) - _FARGATE_FIELDS
        if extra:
            raise client_error(
                f"{', '.join(sorted(extra))} not applicable for {market} compute environments"
            )
        return
    if not 0 <= minimum <= resources.get("desiredvCpus", minimum) <= maximum:
        raise client_error(
            f"minvCpus ({minimum}) <= desiredvCpus <= maxvCpus ({maximum}) does not hold"
        )
    _check_strategy(store, resources, market)
    _check_instances(store, resources)
    profile = resources.get("instanceRole")
    if not profile:
        raise client_error(f"instanceRole must be provided for {market} compute environments")
    if store.state.instance_profile_role(profile) is None:
        raise client_error(f"Instance profile {profile} does not exist or has no role")
    _check_images(resources)
    group = resources.get("placementGroup")
    if group and group not in placement_groups:
        raise client_error(f"The placement group {group} does not exist")
    _check_launch_template(store, resources)


def _check_images(resources: dict[str, Any]) -> None:
    for configuration in resources.get("ec2Configuration", []):
        image = configuration.get("imageType", "")
        if image in _RETIRED_IMAGES and not configuration.get("imageIdOverride"):
            raise client_error(
                f"imageType {image} is no longer supported for new compute environments. Use"
                " ECS_AL2023 or ECS_AL2023_NVIDIA."
            )
        if image not in (*_IMAGES, *_RETIRED_IMAGES):
            raise client_error(f"imageType {image!r} is not one of {', '.join(_IMAGES)}")


def _check_network(store: Store, resources: dict[str, Any], *, fargate: bool) -> None:
    subnets = resources.get("subnets") or []
    if not 1 <= len(subnets) <= 16:
        raise client_error(f"computeResources needs 1 to 16 subnets, found {len(subnets)}")
    for subnet in subnets:
        if store.state.subnet(subnet) is None:
            raise client_error(f"The subnet ID '{subnet}' does not exist")
    vpcs = {store.state.subnet(subnet).vpc_id for subnet in subnets}  # type: ignore[union-attr]
    if len(vpcs) > 1:
        raise client_error("All subnets of a compute environment must be in the same VPC")
    groups = resources.get("securityGroupIds") or []
    if len(groups) > 5 or (fargate and not groups):
        raise client_error(
            f"securityGroupIds takes {'1' if fargate else '0'} to 5 groups, found {len(groups)}"
        )
    for group in groups:
        found = store.state.security_group(group)
        if found is None:
            raise client_error(f"The security group '{group}' does not exist")
        if found.vpc_id not in vpcs:
            raise client_error(
                f"Security group {group} and the subnets belong to different networks"
            )


def _check_strategy(store: Store, resources: dict[str, Any], market: str) -> None:
    strategy = resources.setdefault("allocationStrategy", "BEST_FIT")
    if strategy not in _STRATEGIES:
        raise client_error(
            f"allocationStrategy {strategy!r} is not one of {', '.join(_STRATEGIES)}"
        )
    if strategy in _SPOT_STRATEGIES and market != "SPOT":
        raise client_error(
            f"Allocation strategy {strategy} is only available for Spot Instance compute resources"
        )
    if strategy == "BEST_FIT_PROGRESSIVE_ORDERED" and market != "EC2":
        raise client_error(
            "Allocation strategy BEST_FIT_PROGRESSIVE_ORDERED is only available for On-Demand"
            " compute resources"
        )
    fleet_role = resources.get("spotIamFleetRole")
    if market == "SPOT" and strategy == "BEST_FIT" and not fleet_role:
        raise client_error(
            "spotIamFleetRole is required for SPOT compute environments with allocation strategy"
            " BEST_FIT"
        )
    if market == "EC2" and (fleet_role or resources.get("bidPercentage")):
        raise client_error(
            "spotIamFleetRole and bidPercentage are only for SPOT compute environments"
        )
    if fleet_role and store.state.role(fleet_role) is None:
        raise client_error(f"spotIamFleetRole {fleet_role} does not exist")
    if not 0 <= resources.get("bidPercentage", 100) <= 100:
        raise client_error("bidPercentage must be between 0 and 100")


def _check_instances(store: Store, resources: dict[str, Any]) -> None:
    types = resources.get("instanceTypes") or []
    if not types:
        raise client_error("instanceTypes must be provided for EC2 and SPOT compute environments")
    shapes = store.state.instance_shapes()
    families = {shape.family for shape in shapes.values()}
    for each in types:
        if each not in _GROUPS and each not in shapes and each not in families:
            raise client_error(f"Instance type {each} does not exist in {store.state.region}")
    architectures = {shapes[each].architecture for each in types if each in shapes}
    if len(architectures) > 1:
        raise client_error(
            "Instance types of a compute environment must share one architecture; found "
            + ", ".join(sorted(architectures))
        )


def _check_launch_template(store: Store, resources: dict[str, Any]) -> None:
    reference = resources.get("launchTemplate")
    if not reference:
        if not resources.get("securityGroupIds"):
            raise client_error(
                "securityGroupIds or a launch template with security groups is required"
            )
        return
    if bool(reference.get("launchTemplateId")) == bool(reference.get("launchTemplateName")):
        raise client_error("Exactly one of launchTemplateId and launchTemplateName must be given")
    data = store.state.launch_template_data(reference)
    if data is None:
        raise client_error(f"Launch template {reference} does not exist in this version")
    interfaces = data.get("NetworkInterfaces") or data.get("NetworkInterface") or []
    if interfaces and resources.get("securityGroupIds"):
        raise client_error(
            "Either compute environment Security Groups or Network Interfaces in Launch template"
            " are exclusively allowed"
        )
    if (
        not interfaces
        and not resources.get("securityGroupIds")
        and not (data.get("SecurityGroupIds") or data.get("SecurityGroupId"))
    ):
        raise client_error("securityGroupIds or a launch template with security groups is required")

"""What AWS checks at once of the resources of a compute environment.

Rules: Batch API reference (ComputeResource) and User Guide, as collected in the project's notes on
Batch.
"""

from __future__ import annotations

from typing import Any, Final

from localcloud.batch.records import Store, client_error

SPOT_STRATEGIES: Final = (
    "SPOT_CAPACITY_OPTIMIZED",
    "SPOT_PRICE_CAPACITY_OPTIMIZED",
    "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED",
)
"""Allocation strategies of Spot Instances alone."""
_STRATEGIES: Final = (
    "BEST_FIT",
    "BEST_FIT_PROGRESSIVE",
    "BEST_FIT_PROGRESSIVE_ORDERED",
    *SPOT_STRATEGIES,
)
_GROUPS: Final = ("optimal", "default_x86_64", "default_arm64")
_FARGATE_FIELDS: Final = {"type", "maxvCpus", "subnets", "securityGroupIds"}
_RETIRED_IMAGES: Final = ("ECS_AL2", "ECS_AL2_NVIDIA", "ECS_AL1")
_IMAGES: Final = ("ECS_AL2023", "ECS_AL2023_NVIDIA")


def check_resources(
    store: Store, resources: dict[str, Any], placement_groups: dict[str, Any]
) -> None:
    """Checks `computeResources` of a managed environment as AWS does. Raises ClientException.

    Args:
        store: All records; the caller holds its lock.
        resources: Of the request; an allocation strategy that is not given is put in.
        placement_groups: EC2 placement groups by name.
    """
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
    if strategy in SPOT_STRATEGIES and market != "SPOT":
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
    families = store.state.instance_families()
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

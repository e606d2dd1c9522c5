"""Part `prepared_image` of an environment: an AMI with the stack's container images on it."""

from __future__ import annotations

from typing import Final

from config.base import InstanceTypeName, Section, setting

SMALLEST_VOLUME_GIB: Final = 30
"""Root volume of the AMIs that it is made from (Amazon ECS developer guide, ecs-optimized_AMI)."""


class PreparedImage(Section):
    """An AMI that EC2 Image Builder makes from the ECS-optimized one of the environment's
    image_type, with the container images of the jobs that run there, and renews by schedule.
    """

    builder_type: InstanceTypeName | None = setting(
        None,
        about=(
            "Type of the instance that builds and tests the AMI; without it the cheapest of the"
            " environment's own. With ECS_AL2023_NVIDIA it needs a GPU."
        ),
        change="in place",
    )
    volume_gib: int = setting(
        SMALLEST_VOLUME_GIB,
        about=(
            "Root volume of the AMI, at most root_volume_gib. Changing it builds another AMI while"
            " `pulumi up` waits."
        ),
        change="in place",
        ge=SMALLEST_VOLUME_GIB,
        le=16_384,
    )
    renewal_days: int = setting(
        7,
        about=(
            "How often Image Builder looks whether the ECS-optimized AMI has changed, and only then"
            " builds anew. The next `pulumi up` brings the new AMI to the environment."
        ),
        change="in place",
        ge=1,
        le=90,
    )
    keep: int = setting(
        3,
        about=(
            "AMIs kept with their snapshots, besides those that instances were launched from in the"
            " last 90 days."
        ),
        change="in place",
        ge=2,
        le=10,
    )
    initialization_mibps: int | None = setting(
        None,
        about=(
            "Rate in MiB/s at which EBS fetches the AMI's blocks when an instance boots, at a price"
            " for each instance; without it blocks come when they are first read."
        ),
        change="in place",
        ge=100,
        le=300,
    )

"""Section `environments`: AWS Batch compute environments by name, a union on `kind`.

A field exists only where AWS gives it a meaning: strategies belong to one purchase option,
instances do not exist on Fargate.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from config.base import CapacityReservationId, ImageId, InstanceTypeName, Section, setting
from config.disks import ScratchOrNone
from config.prepared import PreparedImage

DEFAULT_UPDATE_MINUTES: Final = 30
"""How long AWS waits for the jobs of an environment that changes where nothing else is said (API
reference, UpdatePolicy).
"""


class _Managed(Section):
    max_vcpus: int = setting(
        about="Ceiling of the environment, in vCPUs of instances, not of jobs.",
        change="in place",
        ge=1,
        le=100_000,
    )
    enabled: bool = setting(
        True, about="Whether new jobs are placed here; running jobs go on.", change="in place"
    )


class _Instances(_Managed):
    image_type: Literal["ECS_AL2023", "ECS_AL2023_NVIDIA"] = setting(
        "ECS_AL2023", about="Which of the AMIs of AWS Batch the instances boot.", change="in place"
    )
    image_id: ImageId | None = setting(
        None,
        about=(
            "An AMI of your own in place of Batch's; it must match image_type. Put in or taken away"
            " it replaces the environment."
        ),
        change="in place",
    )
    prepared_image: PreparedImage | None = setting(
        None,
        about=(
            "An AMI of the stack's own that has the container images of its jobs, so that instances"
            " need not pull them. Put in or taken away it replaces the environment."
        ),
        change="in place",
    )
    root_volume_gib: int = setting(
        50,
        about="Size of the root volume, which also holds the images.",
        change="in place",
        ge=30,
        le=16_384,
    )
    scratch: ScratchOrNone = setting(
        None,
        about=(
            "Disk for temporary files, which jobs find at /scratch: those of the instance type, or"
            " a volume of its own."
        ),
        change="in place",
    )
    update_timeout_minutes: int = setting(
        DEFAULT_UPDATE_MINUTES,
        about=(
            "How long an infrastructure update, or the deletion after a replacement, waits for"
            " running jobs."
        ),
        change="in place",
        ge=1,
        le=360,
    )
    terminate_jobs_on_update: bool = setting(
        False,
        about=(
            "Whether an infrastructure update, or the deletion after a replacement, stops running"
            " jobs."
        ),
        change="in place",
    )


class OnDemandEnvironment(_Instances):
    """EC2 On-Demand instances of several types."""

    kind: Literal["on-demand"] = setting(
        about="What sort of environment this is.", change="replaces"
    )
    instance_types: tuple[InstanceTypeName, ...] = setting(
        about="Types to choose from.", change="in place", min_length=1
    )
    min_vcpus: int = setting(
        0, about="vCPUs kept running, and paid for, without any job.", change="in place", ge=0
    )
    allocation_strategy: Literal["BEST_FIT_PROGRESSIVE"] = setting(
        "BEST_FIT_PROGRESSIVE",
        about="How types are chosen; the strategies that AWS updates in place.",
        change="in place",
    )


class SpotEnvironment(_Instances):
    """EC2 Spot instances of several types. AWS Batch runs no multi-node jobs here."""

    kind: Literal["spot"] = setting(about="What sort of environment this is.", change="replaces")
    instance_types: tuple[InstanceTypeName, ...] = setting(
        about="Types to choose from; ten or more find capacity best.",
        change="in place",
        min_length=1,
    )
    min_vcpus: int = setting(
        0, about="vCPUs kept running, and paid for, without any job.", change="in place", ge=0
    )
    allocation_strategy: Literal["SPOT_PRICE_CAPACITY_OPTIMIZED", "SPOT_CAPACITY_OPTIMIZED"] = (
        setting(
            "SPOT_PRICE_CAPACITY_OPTIMIZED",
            about="How types are chosen; the strategies that AWS updates in place.",
            change="in place",
        )
    )
    bid_percent: int | None = setting(
        None,
        about="Highest Spot price as a share of the On-Demand price; leave it out unless you must.",
        change="in place",
        ge=1,
        le=100,
    )


class FargateEnvironment(_Managed):
    """Fargate: no instances to look after, slower start, no GPU."""

    kind: Literal["fargate", "fargate-spot"] = setting(
        about="What sort of environment this is.", change="replaces"
    )


class HpcEnvironment(_Instances):
    """EC2 On-Demand instances of one type, side by side in one zone, for multi-node jobs."""

    kind: Literal["hpc"] = setting(about="What sort of environment this is.", change="replaces")
    instance_type: InstanceTypeName = setting(
        about="The one type; all nodes of a multi-node job are of it.", change="in place"
    )
    efa: bool = setting(
        False, about="Whether each network card gets an Elastic Fabric Adapter.", change="in place"
    )
    placement_group: bool = setting(
        True, about="Whether instances are packed in a cluster placement group.", change="replaces"
    )
    zone_index: int = setting(
        0, about="Which of the network's zones, from 0.", change="in place", ge=0, le=5
    )
    capacity_reservation_id: CapacityReservationId | None = setting(
        None,
        about="On-Demand capacity reservation or Capacity Block to start the instances in.",
        change="in place",
    )
    capacity_block: bool = setting(
        False, about="Whether the reservation is a Capacity Block for ML.", change="in place"
    )
    allocation_strategy: Literal["BEST_FIT_PROGRESSIVE"] = setting(
        "BEST_FIT_PROGRESSIVE",
        about="How capacity is looked for; the strategy that AWS updates in place.",
        change="in place",
    )


InstanceEnvironment = OnDemandEnvironment | SpotEnvironment | HpcEnvironment

Environment = Annotated[
    OnDemandEnvironment | SpotEnvironment | FargateEnvironment | HpcEnvironment,
    Field(discriminator="kind"),
]

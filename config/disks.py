"""Disks of the instances of an environment for temporary files, a union on `kind`.

Fargate has a disk for each container instead: `jobs.<stage>.ephemeral_storage_gib`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from config.base import Section, setting

GP3_IOPS: Final = 3000
"""IOPS that a gp3 volume of any size has at no cost of its own."""
GP3_MIBPS: Final = 125
"""The same of its throughput, MiB/s."""
GP3_IOPS_PER_GIB: Final = 500
"""IOPS that can be bought for each GiB."""
GP3_MIBPS_PER_IOPS: Final = 0.25
"""Throughput that can be bought for each of its IOPS, MiB/s (Amazon EBS user guide,
general-purpose; the limits of September 2025).
"""
FARGATE_GIB: Final = 20
"""Disk of a container on Fargate where nothing else is said (Amazon ECS developer guide,
fargate-task-storage)."""


class InstanceStore(Section):
    """The instance-store disks of the instance type, joined (RAID 0): part of its price."""

    kind: Literal["instance-store"] = setting(
        about="Disks that the instance type has.", change="in place"
    )


class Gp3(Section):
    """A volume of Amazon EBS of type gp3 for each instance: encrypted, and deleted with it."""

    kind: Literal["gp3"] = setting(about="A volume of its own.", change="in place")
    size_gib: int = setting(about="Size.", change="in place", ge=1, le=65_536)
    iops: int = setting(
        GP3_IOPS,
        about="IOPS, at most 500 for each GiB; those above 3000 are paid for.",
        change="in place",
        ge=GP3_IOPS,
        le=80_000,
    )
    throughput_mibps: int = setting(
        GP3_MIBPS,
        about="Throughput, at most a quarter of iops; what is above 125 is paid for.",
        change="in place",
        ge=GP3_MIBPS,
        le=2000,
    )


def _of_old(value: Any) -> Any:
    """Stack files of version 0.1.0 say whether there is one, which was of the first kind."""
    if isinstance(value, bool):
        return {"kind": "instance-store"} if value else None
    return value


Scratch = Annotated[InstanceStore | Gp3, Field(discriminator="kind")]
ScratchOrNone = Annotated[Scratch | None, BeforeValidator(_of_old)]

"""File systems that jobs share, in section `storage`, and the volumes by which jobs mount them, in
section `jobs`.

Each file system is a union on `kind`: one that the stack creates, or one that is there already.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from config.base import (
    ContainerPath,
    DirectoryPath,
    FileSystemId,
    HostName,
    LustreMountName,
    Section,
    setting,
)

LINKED_DIRECTORY: Final = "/intermediate"
"""Directory of a Lustre file system whose files are the objects of the intermediate bucket."""

FileSystem = Literal["efs", "lustre"]


class _Efs(Section):
    user_id: int = setting(
        10_001,
        about="POSIX user as which every job reads and writes; by default that of the images.",
        change="replaces",
        ge=1,
        le=4_294_967_295,
    )
    group_id: int = setting(
        10_001,
        about="POSIX group of the same.",
        change="replaces",
        ge=1,
        le=4_294_967_295,
    )


class CreatedEfs(_Efs):
    """A file system of Amazon EFS that the stack creates: encrypted, reached by TLS alone and by
    the access points of its jobs alone, with a mount target in every zone.
    """

    kind: Literal["created"] = setting(about="Made by this stack.", change="replaces")
    throughput_mode: Literal["elastic", "bursting", "provisioned"] = setting(
        "elastic",
        about="How throughput is paid: by what is moved, with the stored bytes, or by the month.",
        change="in place",
    )
    provisioned_mibps: float | None = setting(
        None,
        about="Throughput of mode provisioned, MiB/s.",
        change="in place",
        ge=1,
        le=3414,
    )
    infrequent_access_days: Literal[1, 7, 14, 30, 60, 90, 180, 270, 365] | None = setting(
        30,
        about="Days without a read until a file moves to Infrequent Access; none: never.",
        change="in place",
    )
    backup: bool = setting(
        True, about="Whether AWS Backup keeps a copy of each day for 35 days.", change="in place"
    )


class ExistingEfs(_Efs):
    """A file system of Amazon EFS that is there already.

    The stack makes access points and mount targets, which AWS allows in one VPC at a time. Its
    policy, life cycle and backup stay as they are.
    """

    kind: Literal["existing"] = setting(about="Made elsewhere.", change="replaces")
    id: FileSystemId = setting(about="Which one; it has no mount targets yet.", change="replaces")


class CreatedLustre(Section):
    """A file system of Amazon FSx for Lustre that the stack creates, in one zone."""

    kind: Literal["created"] = setting(about="Made by this stack.", change="replaces")
    deployment: Literal["scratch_2", "persistent_2"] = setting(
        "scratch_2",
        about="Without replicas of its servers and disks, or with them.",
        change="replaces",
    )
    size_gib: int = setting(
        1200,
        about="Capacity: 1200, 2400, or a multiple of 2400; it grows in place, and never shrinks.",
        change="in place",
        ge=1200,
    )
    throughput_mbps_per_tib: Literal[125, 250, 500, 1000] | None = setting(
        None,
        about="Throughput of a persistent one for each TiB; a scratch one has 200 MB/s.",
        change="replaces",
    )
    zone_index: int = setting(
        0, about="Which of the network's zones, from 0.", change="replaces", ge=0, le=5
    )
    compression: bool = setting(
        True, about="Whether files are compressed (LZ4).", change="in place"
    )
    link_intermediate: bool = setting(
        True,
        about=(
            "Whether its directory /intermediate is the intermediate bucket: objects appear as"
            " files, files are written back as objects, by themselves."
        ),
        change="in place",
    )


class ExistingLustre(Section):
    """A file system of Amazon FSx for Lustre that is there already, and that lets this network
    in.
    """

    kind: Literal["existing"] = setting(about="Made elsewhere.", change="replaces")
    id: FileSystemId = setting(about="Which one.", change="in place")
    dns_name: HostName = setting(about="Its DNS name.", change="in place")
    mount_name: LustreMountName = setting(about="Its mount name.", change="in place")


Efs = Annotated[CreatedEfs | ExistingEfs, Field(discriminator="kind")]
Lustre = Annotated[CreatedLustre | ExistingLustre, Field(discriminator="kind")]


class Volume(Section):
    """A directory of a shared file system, as a job sees it."""

    file_system: FileSystem = setting(
        about="Which of storage.efs and storage.lustre.", change="new revision"
    )
    path: ContainerPath = setting(
        about="Where the containers of the job find it.", change="new revision"
    )
    directory: DirectoryPath = setting(
        "/shared",
        about="Directory of the file system; jobs that name the same one share its files.",
        change="new revision",
    )
    read_only: bool = setting(
        False, about="Whether the job can only read there.", change="new revision"
    )


def is_linked(directory: str) -> bool:
    """Whether a directory of a linked Lustre file system is the bucket's, or lies in it."""
    return f"{directory}/".startswith(f"{LINKED_DIRECTORY}/")

"""The file systems that jobs share, and what each job needs to mount its volumes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import pulumi

from components.context import StackContext
from components.efs import EfsArgs, SharedEfs
from components.lustre import LustreArgs, SharedLustre
from components.network import Network
from components.policies import statement
from components.storage import Storage
from config.stack import StackConfig
from config.topology import Job, environments_of, jobs, mounting
from config.volumes import Volume, is_linked
from workloads.contract import Stage

LUSTRE_HOST_PATH: Final = "/lustre"
"""Where instances mount the file system of FSx for Lustre."""


@dataclass(frozen=True, kw_only=True)
class LustreMount:
    """What instances mount when they boot."""

    dns_name: pulumi.Output[str]
    mount_name: pulumi.Output[str]
    directories: tuple[str, ...]
    """Directories that jobs may write to, made if need be."""


@dataclass(frozen=True, kw_only=True)
class Volumes:
    """The file systems of a stack, None for those that it does not have."""

    config: StackConfig
    efs: SharedEfs | None
    lustre: SharedLustre | None

    @classmethod
    def made(
        cls, config: StackConfig, context: StackContext, network: Network, storage: Storage
    ) -> Self:
        """Makes what section `storage` says."""
        section = config.storage
        efs = lustre = None
        if section.efs is not None:
            efs = SharedEfs(
                "efs",
                EfsArgs(
                    context=context,
                    section=section.efs,
                    network=network,
                    volumes=_of_efs(jobs(config)),
                    protect=section.protect,
                ),
            )
        if section.lustre is not None:
            lustre = SharedLustre(
                "lustre",
                LustreArgs(
                    context=context,
                    section=section.lustre,
                    network=network,
                    linked_bucket=storage.intermediate.bucket,
                    protect=section.protect,
                ),
            )
        return cls(config=config, efs=efs, lustre=lustre)

    @property
    def ready(self) -> list[pulumi.Resource]:
        """Resources without which nothing can be mounted: environments depend on them."""
        return [each for one in (self.efs, self.lustre) if one is not None for each in one.ready]

    def mounts(self, name: str, job: Job) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """`volumes` and `mountPoints` of a job's container properties.

        Args:
            name: Of the job: its stage, or `fallback`.
            job: The job.
        """
        volumes: list[dict[str, Any]] = []
        points: list[dict[str, Any]] = []
        for index, volume in enumerate(job.volumes):
            label = _name(name, index)
            if volume.file_system == "efs" and self.efs is not None:
                how: dict[str, Any] = {
                    "efsVolumeConfiguration": {
                        "fileSystemId": self.efs.file_system_id,
                        "transitEncryption": "ENABLED",
                        "authorizationConfig": {
                            "accessPointId": self.efs.access_point_ids[label],
                            "iam": "ENABLED",
                        },
                    }
                }
            else:
                how = {"host": {"sourcePath": f"{LUSTRE_HOST_PATH}{volume.directory}"}}
            volumes.append({"name": label, **how})
            points.append(
                {
                    "sourceVolume": label,
                    "containerPath": volume.path,
                    "readOnly": volume.read_only,
                }
            )
        return volumes, points

    def statements(self, stage: Stage) -> list[dict[str, Any]]:
        """What the role of a stage may do on EFS: mount by its own access points, and write where
        its volume is not read-only.
        """
        efs = self.efs
        if efs is None:
            return []
        own = _of_efs(
            {
                name: job
                for name, job in jobs(self.config).items()
                if name == stage or (name == "fallback" and stage == "analysis")
            }
        )
        asked = {
            "MountVolumes": ("elasticfilesystem:ClientMount", list(own)),
            "WriteVolumes": (
                "elasticfilesystem:ClientWrite",
                [label for label, volume in own.items() if not volume.read_only],
            ),
        }
        return [
            statement(
                sid,
                actions=[action],
                resources=[efs.file_system_arn],
                conditions={
                    "ArnEquals": {
                        "elasticfilesystem:AccessPointArn": [
                            efs.access_point_arns[label] for label in labels
                        ]
                    }
                },
            )
            for sid, (action, labels) in asked.items()
            if labels
        ]

    def lustre_of(self, environment: str) -> LustreMount | None:
        """What the instances of an environment mount; None where none of its jobs has a volume."""
        if self.lustre is None:
            return None
        directories = dict.fromkeys(
            volume.directory
            for job in mounting(self.config, "lustre").values()
            if environment in environments_of(self.config, job.queue)
            for volume in job.volumes
            if volume.file_system == "lustre"
        )
        if not directories:
            return None
        return LustreMount(
            dns_name=self.lustre.dns_name,
            mount_name=self.lustre.mount_name,
            directories=tuple(
                each for each in directories if not (self.lustre.linked and is_linked(each))
            ),
        )


def _name(job: str, index: int) -> str:
    """Of a volume among all of the stack."""
    return f"{job}-{index}"


def _of_efs(wanted: Mapping[str, Job]) -> dict[str, Volume]:
    """Those volumes of the jobs that are of EFS, by their names."""
    return {
        _name(name, index): volume
        for name, job in wanted.items()
        for index, volume in enumerate(job.volumes)
        if volume.file_system == "efs"
    }

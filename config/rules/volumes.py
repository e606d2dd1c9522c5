"""File systems that jobs share: which job mounts what, where, and whether it can."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from config.environments import FargateEnvironment
from config.jobs import AnalysisJob, PreprocessJob
from config.problems import Problem
from config.rules.base import Rule
from config.stack import StackConfig
from config.topology import Job, environments_of, jobs, mounting, volume_of
from config.volumes import LINKED_DIRECTORY, CreatedLustre, FileSystem, is_linked

_TAKEN: Final = (
    *("/app", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/opt", "/proc", "/root"),
    *("/run", "/sbin", "/scratch", "/sys", "/tmp", "/usr", "/var"),  # noqa: S108 - of containers
)
"""Directories of the images and of the container runtime; /scratch is that of the instances'
disks.
"""


class VolumesAreOfFileSystems(Rule):
    """A volume is of a file system that section storage has."""

    code = "VOLUME-FILE-SYSTEM"
    reason = "There would be nothing to mount: RegisterJobDefinition wants the file system's id."
    source = "AWS Batch API, EFSVolumeConfiguration fileSystemId"
    reads = frozenset({"jobs", "storage"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each volume of a file system that is not declared."""
        for name, job in jobs(config).items():
            for index, volume in enumerate(job.volumes):
                if getattr(config.storage, volume.file_system) is None:
                    yield self.problem(
                        f"jobs.{name}.volumes.{index}.file_system",
                        volume.file_system,
                        f"the stack has no storage.{volume.file_system}",
                        f"add storage.{volume.file_system}, or remove the volume",
                    )


class MountPathsAreApart(Rule):
    """Volumes of a job lie beside one another, and hide nothing of its image."""

    code = "VOLUME-PATH"
    reason = "One mount hides what lies below it: files of the image, or of another volume."
    source = "AWS Batch API, MountPoint containerPath; mount(8)"
    reads = frozenset({"jobs"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each path that is taken, or at, above or below another."""
        for name, job in jobs(config).items():
            for index, volume in enumerate(job.volumes):
                at = f"jobs.{name}.volumes.{index}.path"
                others = {
                    other.path: f"the path of volume {place}"
                    for place, other in enumerate(job.volumes[:index])
                }
                others |= dict.fromkeys(_TAKEN, "a directory of the image or the runtime")
                met = next((path for path in others if _meet(path, volume.path)), None)
                if met is not None:
                    yield self.problem(
                        at,
                        volume.path,
                        f"{met} is {others[met]}, and one of the two would hide the other",
                        "take a path of its own, for example /mnt/shared",
                    )


def _meet(one: str, other: str) -> bool:
    first, second = PurePosixPath(one), PurePosixPath(other)
    return first.is_relative_to(second) or second.is_relative_to(first)


class LustreIsNotOnFargate(Rule):
    """A job that mounts Lustre runs on instances."""

    code = "VOLUME-FARGATE"
    reason = "Fargate has no host to mount it on: RegisterJobDefinition refuses host volumes there."
    source = "AWS Batch API, Volume host; Amazon FSx for Lustre user guide, mounting from ECS"
    reads = frozenset({"environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each such job on a queue with Fargate."""
        for name, job in mounting(config, "lustre").items():
            environments = environments_of(config, job.queue)
            fargate = [
                each for each, one in environments.items() if isinstance(one, FargateEnvironment)
            ]
            if fargate:
                index = next(i for i, v in enumerate(job.volumes) if v.file_system == "lustre")
                yield self.problem(
                    f"jobs.{name}.volumes.{index}.file_system",
                    "lustre",
                    f"environment {fargate[0]} of queue {job.queue} is of Fargate, which mounts EFS"
                    " alone",
                    "use efs, or a queue of instances",
                )


class LustreIsInTheZoneOfItsJobs(Rule):
    """Instances that mount Lustre are in the zone of the file system."""

    code = "VOLUME-ZONE"
    level = "warning"
    reason = "Every byte crosses zones: it comes later, and is paid for in both directions."
    source = "Amazon FSx for Lustre user guide, accessing file systems; EC2 pricing, data transfer"
    reads = frozenset({"environments", "jobs", "network", "queues", "storage"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each environment of such a job that starts instances in other zones."""
        lustre = config.storage.lustre
        if not isinstance(lustre, CreatedLustre) or config.network.az_count <= lustre.zone_index:
            return
        environments = {
            name: environment
            for job in mounting(config, "lustre").values()
            for name, environment in environments_of(config, job.queue).items()
        }
        for name, environment in environments.items():
            if isinstance(environment, FargateEnvironment):
                continue
            if environment.kind == "hpc":
                if environment.zone_index != lustre.zone_index:
                    yield self.problem(
                        "storage.lustre.zone_index",
                        lustre.zone_index,
                        f"environment {name}, whose jobs mount it, is in zone"
                        f" {environment.zone_index}",
                        f"write zone_index {environment.zone_index}",
                    )
            elif config.network.az_count > 1:
                yield self.problem(
                    "storage.lustre.zone_index",
                    lustre.zone_index,
                    f"environment {name}, whose jobs mount it, starts instances in"
                    f" {config.network.az_count} zones",
                    "mount it in jobs of an environment of kind hpc, which is in one zone",
                )


class ImagesHaveClients(Rule):
    """The AMI of instances whose jobs mount a shared file system has its client."""

    code = "VOLUME-CLIENT"
    level = "warning"
    reason = (
        "Without the ECS volume plugin or the Lustre client nothing is mounted, and the job fails"
        " before it starts."
    )
    source = (
        "Amazon ECS developer guide, efs-volumes (own AMIs); Amazon FSx for Lustre user guide,"
        " install-lustre-client"
    )
    reads = frozenset({"environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each environment with an AMI of its own that serves a job with volumes."""
        needs: dict[FileSystem, str] = {
            "efs": "amazon-efs-utils and a running amazon-ecs-volume-plugin",
            "lustre": "lustre-client, or a package source that has it",
        }
        told = set[str]()
        for file_system, client in needs.items():
            for stage, job in mounting(config, file_system).items():
                for name, environment in environments_of(config, job.queue).items():
                    image = getattr(environment, "image_id", None)
                    if image is None or f"{name} {file_system}" in told:
                        continue
                    told.add(f"{name} {file_system}")
                    yield self.problem(
                        f"environments.{name}.image_id",
                        image,
                        f"job {stage} mounts {file_system} there, for which this AMI needs"
                        f" {client}",
                        "check the AMI, or leave image_id out: the AMIs of AWS Batch have it",
                    )


class PathsLieOnVolumes(Rule):
    """Directories for tables and checkpoints lie on volumes of the job."""

    code = "VOLUME-DIRECTORY"
    reason = "They would lie in the container and be gone with it, or could not be written."
    source = "this program's stages: workloads/runtime/places.py"
    reads = frozenset({"jobs"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each such path on no volume, and each that is written on a read-only one."""
        for name, job in jobs(config).items():
            for field, written in (
                ("tables_path", isinstance(job, PreprocessJob)),
                ("checkpoints_path", True),
            ):
                path = getattr(job, field, None)
                if path is None:
                    continue
                volume = volume_of(job, path)
                if volume is None:
                    found = ", ".join(each.path for each in job.volumes) or "none"
                    yield self.problem(
                        f"jobs.{name}.{field}",
                        path,
                        f"it lies on no volume of this job; its volumes are at: {found}",
                        "name a directory at or below the path of a volume",
                    )
                elif written and volume.read_only:
                    yield self.problem(
                        f"jobs.{name}.{field}",
                        path,
                        f"the job writes there, and the volume at {volume.path} is read-only",
                        "take read_only away, or another volume",
                    )


class TablesGetThere(Rule):
    """Where the analysis reads tables on a volume, one thing puts them there."""

    code = "VOLUME-TABLES"
    level = "warning"
    reason = (
        "The analysis finds no table there and reads from S3, as if it had no volume; or two write"
        " one file."
    )
    source = "this program's stages: workloads/runtime/places.py"
    reads = frozenset({"jobs", "storage"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each analysis whose directory neither preprocess writes nor the bucket fills, and a
        directory of the bucket that preprocess writes to as well.
        """
        lustre, source = config.storage.lustre, config.jobs.preprocess
        written = _place(source, source.tables_path)
        filled = {written}
        if isinstance(lustre, CreatedLustre) and lustre.link_intermediate:
            filled.add(("lustre", LINKED_DIRECTORY))
            if written is not None and written[0] == "lustre" and is_linked(written[1]):
                yield self.problem(
                    "jobs.preprocess.tables_path",
                    source.tables_path,
                    f"{written[1]} is the intermediate bucket, where the table comes by itself",
                    "remove it",
                )
        for name, job in jobs(config).items():
            if not isinstance(job, AnalysisJob) or job.tables_path is None:
                continue
            place = _place(job, job.tables_path)
            if place is not None and place not in filled and not _kept_elsewhere(config, place):
                yield self.problem(
                    f"jobs.{name}.tables_path",
                    job.tables_path,
                    f"it is {place[1]} of {place[0]}, where nothing puts cleaned tables",
                    "set jobs.preprocess.tables_path to the same directory, or mount"
                    f" {LINKED_DIRECTORY} of a linked Lustre file system",
                )


def _place(job: Job, path: str | None) -> tuple[str, str] | None:
    """File system and directory in it that a path of a job is; None where it is on no volume."""
    volume = None if path is None else volume_of(job, path)
    if volume is None or path is None:
        return None
    below = PurePosixPath(path).relative_to(volume.path)
    return volume.file_system, str(PurePosixPath(volume.directory) / below)


def _kept_elsewhere(config: StackConfig, place: tuple[str, str]) -> bool:
    """Whether the file system was there before the stack, so that others may fill it."""
    section = getattr(config.storage, place[0])
    return section is not None and section.kind == "existing"

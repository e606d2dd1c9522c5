"""The volumes of a container: which folder of this machine stands for each.

A folder belongs to a directory of a file system, so that exactly those containers share it that
would share it on AWS. Mounting asks what AWS asks: a mount target in the zone, security groups
that let NFS or Lustre through, and of EFS the policies of the job's role and of the file system
(Amazon EFS user guide, iam-access-control-nfs-efs).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.batch.instance_mounts import lustre_mount
from localcloud.batch.records import ComputeEnvironment
from localcloud.batch.tasks import StartError
from localcloud.iam.access import Access, Denial
from localcloud.iam.policy_evaluation import resource_policy_decision
from localcloud.iam.requirement import Requirement
from localcloud.moto.boot_script import script_of
from localcloud.moto.state import AwsState

_log = logging.getLogger(__name__)
_NFS: Final = 2049
_LUSTRE: Final = 988
_SERVER: Final = "127.0.0.1:/"
"""What the mount helper mounts where TLS is on: its own end of the tunnel."""


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A folder of this machine at a path of a container."""

    path: str
    folder: Path
    read_only: bool


class LustreFiles(Protocol):
    """File systems of FSx for Lustre, as containers see them."""

    def mounted(self, dns_name: str, mount_name: str) -> dict[str, Any] | None:
        """The file system that a mount names; None where there is none."""

    def bring(self, file_system: dict[str, Any], root: Path) -> None:
        """Makes the objects of linked buckets files below `root`."""

    def take_back(self, file_system_id: str, root: Path) -> None:
        """Makes what has changed below `root` objects of linked buckets."""


class Volumes:
    """Mounts of containers. Thread safe.

    Args:
        state: The AWS in memory.
        access: Decides and records.
        fsx: File systems of FSx.
        root: Holds the folders.
    """

    def __init__(self, state: AwsState, access: Access, fsx: LustreFiles, root: Path) -> None:
        self._state, self._access, self._fsx, self._root = state, access, fsx, root

    def mounts(self, spec: dict[str, Any], environment: ComputeEnvironment) -> list[Mount]:
        """What a container mounts of shared file systems. Raises StartError with ECS's reason.

        Args:
            spec: Its container properties.
            environment: Where it starts.
        """
        volumes = {each["name"]: each for each in spec.get("volumes") or []}
        found = []
        for point in spec.get("mountPoints") or []:
            volume, read_only = volumes[point["sourceVolume"]], bool(point.get("readOnly"))
            if volume.get("efsVolumeConfiguration"):
                asked = _Asked(volume["efsVolumeConfiguration"], spec.get("jobRoleArn"))
                folder, writable = self._efs(asked, environment, write=not read_only)
                read_only = read_only or not writable
            else:
                host = (volume.get("host") or {}).get("sourcePath", "")
                place = self._lustre(host, environment)
                if place is None:
                    continue
                folder = place
            found.append(Mount(path=point["containerPath"], folder=folder, read_only=read_only))
        return found

    # ---- EFS -------------------------------------------------------------------------------------

    def _efs(
        self, asked: _Asked, environment: ComputeEnvironment, *, write: bool
    ) -> tuple[Path, bool]:
        """The folder, and whether it may be written to."""
        try:
            self._reach(asked, environment)
            root = self._efs_root(asked)
            self._let_in(asked, "elasticfilesystem:ClientMount")
        except _MountError as error:
            raise StartError(_efs_reason(str(error), fargate=environment.is_fargate)) from None
        writable = write and self._may(asked, "elasticfilesystem:ClientWrite")
        folder = self._root / asked.file_system_id / root.strip("/")
        folder.mkdir(parents=True, exist_ok=True)
        return folder, writable

    def _reach(self, asked: _Asked, environment: ComputeEnvironment) -> None:
        state, name = self._state, asked.file_system_id
        if state.efs_file_system(name) is None:
            raise _MountError(_unresolved(name, state.region))
        groups = state.environment_groups(environment.resources)
        for subnet_id in environment.resources["subnets"]:
            subnet = state.subnet(subnet_id)
            zone = "" if subnet is None else str(subnet.availability_zone)
            target = state.efs_mount_target(name, zone)
            if subnet is None or target is None or target.vpc_id != subnet.vpc_id:
                raise _MountError(
                    f"{_unresolved(name, state.region)} [found here: no mount target in {zone}]"
                )
            cidr = str(subnet.cidr_block)
            if not state.lets_through(groups, cidr, target.security_groups or [], _NFS):
                raise _MountError(
                    f"mount.nfs4: Connection timed out [found here: the security groups of the"
                    f" mount target in {zone} let no TCP {_NFS} in from {', '.join(groups)}]"
                )

    def _efs_root(self, asked: _Asked) -> str:
        if asked.access_point_id is None:
            root = str(asked.configuration.get("rootDirectory") or "/")
            if root != "/" and not (self._root / asked.file_system_id / root.strip("/")).is_dir():
                raise _no_directory(asked.file_system_id, root)
            return root
        point = self._state.efs_access_point(asked.access_point_id)
        if point is None or point.file_system_id != asked.file_system_id:
            raise _MountError(f"mount.nfs4: access denied by server while mounting {_SERVER}")
        directory = point.root_directory or {}
        root = str(directory.get("Path") or "/")
        folder = self._root / asked.file_system_id / root.strip("/")
        if root != "/" and not folder.is_dir() and not directory.get("CreationInfo"):
            raise _no_directory(asked.file_system_id, root)
        return root

    def _let_in(self, asked: _Asked, action: str) -> None:
        if self._may(asked, action):
            return
        arn = self._state.arn("elasticfilesystem", f"file-system/{asked.file_system_id}")
        who = asked.role or "an anonymous client"
        sentence = f"{who} is not authorized to perform: {action} on resource: {arn}"
        self._access.refused(Denial(principal=who, action=action, resource=arn, sentence=sentence))
        raise _MountError(
            f"mount.nfs4: access denied by server while mounting {_SERVER} [found here: {sentence}]"
        )

    def _may(self, asked: _Asked, action: str) -> bool:
        """Whether the client has a permission: of its role's policies or the file system's; where
        the file system has none, everybody has all of them.
        """
        policy = self._state.efs_policy(asked.file_system_id)
        if policy is None:
            return True
        arn = self._state.arn("elasticfilesystem", f"file-system/{asked.file_system_id}")
        context: dict[str, str | list[str]] = {
            "aws:securetransport": str(asked.encrypted).lower(),
            "elasticfilesystem:accessedviamounttarget": "true",
        }
        if asked.access_point_id is not None:
            context["elasticfilesystem:accesspointarn"] = self._state.arn(
                "elasticfilesystem", f"access-point/{asked.access_point_id}"
            )
        principals = {"AWS": asked.role} if asked.role is not None else {}
        own = resource_policy_decision(policy, principals, action, arn, context)
        if own == "explicit deny" or asked.role is None:
            return own == "allowed"
        theirs = self._access.decision(
            asked.role, Requirement(action=action, resource=arn, context=context)
        )
        return theirs == "allowed" or (own == "allowed" and theirs != "explicit deny")

    # ---- Lustre ----------------------------------------------------------------------------------

    def _lustre(self, host_path: str, environment: ComputeEnvironment) -> Path | None:
        """The folder of a path of the instance below its mount of Lustre; None where the path is
        one of its own.
        """
        mount = lustre_mount(script_of(self._state, environment.resources))
        below = None if mount is None else mount.below(host_path)
        if mount is None or below is None:
            return None
        file_system = self._fsx.mounted(mount.dns_name, mount.mount_name)
        groups = self._state.environment_groups(environment.resources)
        subnets = [self._state.subnet(each) for each in environment.resources["subnets"]]
        reached = file_system is not None and all(
            self._state.lets_through(
                groups, str(subnet.cidr_block), file_system["SecurityGroupIds"], _LUSTRE
            )
            for subnet in subnets
            if subnet is not None
        )
        if file_system is None or not reached:
            why = "no such file system" if file_system is None else f"TCP {_LUSTRE} is not let in"
            raise StartError(
                "CannotStartContainerError: Error response from daemon: error while creating mount"
                f" source path '{host_path}': mkdir {mount.path}: not a directory [found here:"
                f" {mount.dns_name} was not mounted, {why}]"
            )
        folder = self._root / str(file_system["FileSystemId"]) / below
        folder.mkdir(parents=True, exist_ok=True)
        self._fsx.bring(file_system, self._root / str(file_system["FileSystemId"]))
        return folder

    def take_back(self, mounts: Sequence[Mount]) -> None:
        """Writes back to linked buckets what containers have left on Lustre.

        What cannot be written stays where it is, as on AWS, and is no matter of the job.
        """
        for name in {mount.folder.relative_to(self._root).parts[0] for mount in mounts}:
            try:
                self._fsx.take_back(name, self._root / name)
            except (BotoCoreError, ClientError, OSError) as error:
                _log.warning("files of %s do not go to their bucket: %s", name, error)


class _MountError(Exception):
    """What the mount helper says."""


@dataclass(frozen=True)
class _Asked:
    """A volume of EFS as its definition says."""

    configuration: dict[str, Any]
    job_role: str | None

    @property
    def file_system_id(self) -> str:
        return str(self.configuration["fileSystemId"])

    @property
    def encrypted(self) -> bool:
        return self.configuration.get("transitEncryption") == "ENABLED"

    @property
    def access_point_id(self) -> str | None:
        return (self.configuration.get("authorizationConfig") or {}).get("accessPointId")

    @property
    def role(self) -> str | None:
        """Who comes; None where nobody in particular does."""
        iam = (self.configuration.get("authorizationConfig") or {}).get("iam") == "ENABLED"
        return self.job_role if iam else None


def _unresolved(file_system_id: str, region: str) -> str:
    name = f"{file_system_id}.efs.{region}.amazonaws.com"
    return (
        f'Failed to resolve "{name}" - check that your file system ID is correct, and ensure that'
        " the VPC has an EFS mount target for this file system ID."
    )


def _no_directory(file_system_id: str, path: str) -> _MountError:
    return _MountError(
        f"mount.nfs4: mounting {file_system_id}:{path} failed, reason given by server: No such file"
        " or directory"
    )


def _efs_reason(problem: str, *, fargate: bool) -> str:
    """The words of ECS: on Fargate before there is a container, on instances by Docker's plugin."""
    if fargate:
        return (
            "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS"
            f" volumes: stderr: b'{problem}' : unsuccessful EFS utils command execution; code: 32"
        )
    return (
        "CannotStartContainerError: Error response from daemon: error while mounting volume:"
        f" VolumeDriver.Mount: mounting volume failed: '{problem}'"
    )

"""A file system of Amazon EFS for jobs: access points, mount targets, policy, backup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from components.context import Component, StackContext
from components.network import Network
from components.policies import document, statement, tls_only
from config.volumes import CreatedEfs, Efs, Volume

_PORT: Final = 2049
_MOUNTING: Final = ("elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite")
_AS_ROOT: Final = "elasticfilesystem:ClientRootAccess"


@dataclass(frozen=True, kw_only=True)
class EfsArgs:
    """What SharedEfs needs."""

    context: StackContext
    section: Efs
    network: Network
    volumes: Mapping[str, Volume]
    """Volumes of jobs by a name of their own, `<job>-<number>`; each has an access point."""
    protect: bool


class SharedEfs(Component):
    """A file system that the jobs of a stack mount, each by an access point of its own.

    An access point decides as whom a job acts and what is its root, whatever the job says; its
    role may mount by no other, and write only where its volume is not read-only. Those who come
    without TLS, or by no access point of the stack, are refused by the file system's own policy.
    """

    file_system_id: pulumi.Output[str]
    access_point_ids: dict[str, pulumi.Output[str]]
    """By the name of the volume."""
    access_point_arns: dict[str, pulumi.Output[str]]
    file_system_arn: pulumi.Output[str]
    ready: list[pulumi.Resource]
    """Resources without which a job cannot mount it."""

    def __init__(
        self, name: str, args: EfsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        context, section = args.context, args.section
        if isinstance(section, CreatedEfs):
            self.file_system_id = self._file_system(section).id
        else:
            self.file_system_id = pulumi.Output.from_input(section.id)
        self.file_system_arn = pulumi.Output.concat(
            f"arn:{context.partition}:elasticfilesystem:{context.region}:{context.account_id}"
            ":file-system/",
            self.file_system_id,
        )
        points = {each: self._access_point(each, volume) for each, volume in args.volumes.items()}
        self.access_point_ids = {each: point.id for each, point in points.items()}
        self.access_point_arns = {each: point.arn for each, point in points.items()}
        self.ready = [*points.values(), *self._mount_targets()]
        if isinstance(section, CreatedEfs):
            self.ready.append(self._policy())
        self.register_outputs(
            {"file_system_id": self.file_system_id, "access_point_ids": self.access_point_ids}
        )

    def _file_system(self, section: CreatedEfs) -> aws.efs.FileSystem:
        name, args = self._name, self._args
        days = section.infrequent_access_days
        file_system = aws.efs.FileSystem(
            name,
            encrypted=True,
            throughput_mode=section.throughput_mode,
            provisioned_throughput_in_mibps=section.provisioned_mibps,
            lifecycle_policies=(
                [
                    # AWS's own word for one day is in the singular
                    aws.efs.FileSystemLifecyclePolicyArgs(
                        transition_to_ia=f"AFTER_{days}_DAY{'S' if days > 1 else ''}"
                    ),
                    aws.efs.FileSystemLifecyclePolicyArgs(
                        transition_to_primary_storage_class="AFTER_1_ACCESS"
                    ),
                ]
                if days is not None
                else None
            ),
            tags=args.context.named_tags(name),
            opts=self.child(protect=args.protect),
        )
        aws.efs.BackupPolicy(
            name,
            file_system_id=file_system.id,
            backup_policy=aws.efs.BackupPolicyBackupPolicyArgs(
                status="ENABLED" if section.backup else "DISABLED"
            ),
            opts=self.child(),
        )
        return file_system

    def _access_point(self, label: str, volume: Volume) -> aws.efs.AccessPoint:
        section, name = self._args.section, f"{self._name}-{label}"
        return aws.efs.AccessPoint(
            name,
            file_system_id=self.file_system_id,
            posix_user=aws.efs.AccessPointPosixUserArgs(uid=section.user_id, gid=section.group_id),
            root_directory=aws.efs.AccessPointRootDirectoryArgs(
                path=volume.directory,
                # of a directory that does not exist yet; one that does keeps its owner
                creation_info=aws.efs.AccessPointRootDirectoryCreationInfoArgs(
                    owner_uid=section.user_id, owner_gid=section.group_id, permissions="0750"
                ),
            ),
            tags=self._args.context.named_tags(name),
            opts=self.child(),
        )

    def _mount_targets(self) -> list[pulumi.Resource]:
        """One in every zone, and the group that lets the jobs' NFS in."""
        name, network, context = self._name, self._args.network, self._args.context
        group = aws.ec2.SecurityGroup(
            f"{name}-mount",
            description="Mount targets of EFS: NFS from jobs and instances",
            vpc_id=network.vpc_id,
            tags=context.named_tags(f"{name}-mount"),
            opts=self.child(),
        )
        rules = [
            aws.vpc.SecurityGroupIngressRule(
                f"{name}-from-{caller}",
                security_group_id=group.id,
                ip_protocol="tcp",
                from_port=_PORT,
                to_port=_PORT,
                referenced_security_group_id=caller_id,
                description=f"NFS from the {caller} security group",
                tags=context.tags,
                opts=self.child(),
            )
            for caller, caller_id in network.caller_group_ids.items()
        ]
        targets = [
            aws.efs.MountTarget(
                f"{name}-{index}",
                file_system_id=self.file_system_id,
                subnet_id=subnet_id,
                security_groups=[group.id],
                opts=self.child(),
            )
            for index, subnet_id in enumerate(network.private_subnet_ids)
        ]
        return [*rules, *targets]

    def _policy(self) -> pulumi.Resource:
        """Whom roles let in may come, but for these.

        (EFS user guide, iam-access-control-nfs-efs.)
        """
        arns = list(self.access_point_arns.values())
        refused = [
            tls_only("*", [self.file_system_arn]),
            statement(
                "NobodyIsRoot",
                actions=[_AS_ROOT],
                resources=[self.file_system_arn],
                effect="Deny",
                principal={"AWS": "*"},
            ),
        ]
        if arns:
            refused.append(
                statement(
                    "ByOwnAccessPoints",
                    actions=_MOUNTING,
                    resources=[self.file_system_arn],
                    effect="Deny",
                    principal={"AWS": "*"},
                    conditions={
                        "ArnNotEquals": {"elasticfilesystem:AccessPointArn": arns},
                    },
                )
            )
        return aws.efs.FileSystemPolicy(
            self._name,
            file_system_id=self.file_system_id,
            policy=document(*refused),
            opts=self.child(),
        )

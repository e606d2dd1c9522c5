"""A file system of Amazon FSx for Lustre for jobs on instances, linked to a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from components.context import Component, StackContext
from components.network import Network
from config.volumes import LINKED_DIRECTORY, CreatedLustre, Lustre

_VERSION: Final = "2.15"
"""Of the servers: what the client of Amazon Linux 2023 speaks, and what links to buckets need."""
_PORTS: Final = ((988, 988), (1018, 1023))
"""Lustre's (FSx for Lustre user guide, limit-access-security-groups)."""
_EVENTS: Final = ("NEW", "CHANGED", "DELETED")


@dataclass(frozen=True, kw_only=True)
class LustreArgs:
    """What SharedLustre needs."""

    context: StackContext
    section: Lustre
    network: Network
    linked_bucket: pulumi.Input[str]
    """Name of the bucket whose objects are the files of its directory `/intermediate`."""
    protect: bool


class SharedLustre(Component):
    """A file system that instances mount when they boot, and their jobs see through them.

    Whoever reaches it may mount it: Lustre knows no roles, so that its security group decides. The
    groups of the instances let its servers in, and still nobody else.
    """

    dns_name: pulumi.Output[str]
    mount_name: pulumi.Output[str]
    linked: bool
    """Whether its directory `/intermediate` is the bucket's."""
    ready: list[pulumi.Resource]
    """Resources without which an instance cannot mount it."""

    def __init__(
        self, name: str, args: LustreArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        self.ready = []
        section = args.section
        self.linked = isinstance(section, CreatedLustre) and section.link_intermediate
        if isinstance(section, CreatedLustre):
            file_system = self._file_system(section)
            self.dns_name, self.mount_name = file_system.dns_name, file_system.mount_name
            if section.link_intermediate:
                self._link(file_system)
        else:
            self.dns_name = pulumi.Output.from_input(section.dns_name)
            self.mount_name = pulumi.Output.from_input(section.mount_name)
        self.register_outputs({"dns_name": self.dns_name, "mount_name": self.mount_name})

    def _file_system(self, section: CreatedLustre) -> aws.fsx.LustreFileSystem:
        name, args = self._name, self._args
        file_system = aws.fsx.LustreFileSystem(
            name,
            deployment_type=section.deployment.upper(),
            storage_type="SSD",
            storage_capacity=section.size_gib,
            per_unit_storage_throughput=section.throughput_mbps_per_tib,
            data_compression_type="LZ4" if section.compression else "NONE",
            file_system_type_version=_VERSION,
            subnet_ids=args.network.private_subnet_ids[section.zone_index],
            security_group_ids=[self._security_group()],
            tags=args.context.named_tags(name),
            opts=self.child(protect=args.protect),
        )
        self.ready.append(file_system)
        return file_system

    def _security_group(self) -> pulumi.Output[str]:
        """Its servers reach one another and the instances, and these reach them (FSx for Lustre
        user guide, limit-access-security-groups).
        """
        name, network, context = self._name, self._args.network, self._args.context
        group = aws.ec2.SecurityGroup(
            f"{name}-mount",
            description="Servers of FSx for Lustre: Lustre among them and from instances",
            vpc_id=network.vpc_id,
            tags=context.named_tags(f"{name}-mount"),
            opts=self.child(),
        )
        ingress, egress = aws.vpc.SecurityGroupIngressRule, aws.vpc.SecurityGroupEgressRule
        parties = {"members": group.id, **network.instance_group_ids}
        for party, party_id in parties.items():
            self._lets(ingress, f"from-{party}", group=group.id, other=party_id)
            self._lets(egress, f"to-{party}", group=group.id, other=party_id)
            if party != "members":  # servers call clients back, for locks
                self._lets(ingress, f"into-{party}", group=party_id, other=group.id)
        return group.id

    def _lets(
        self,
        rule: type[aws.vpc.SecurityGroupIngressRule | aws.vpc.SecurityGroupEgressRule],
        label: str,
        *,
        group: pulumi.Output[str],
        other: pulumi.Output[str],
    ) -> None:
        for low, high in _PORTS:
            self.ready.append(
                rule(
                    f"{self._name}-{low}-{label}",
                    security_group_id=group,
                    ip_protocol="tcp",
                    from_port=low,
                    to_port=high,
                    referenced_security_group_id=other,
                    description=f"Lustre, {label}",
                    tags=self._args.context.tags,
                    opts=self.child(),
                )
            )

    def _link(self, file_system: aws.fsx.LustreFileSystem) -> None:
        events = list(_EVENTS)
        self.ready.append(
            aws.fsx.DataRepositoryAssociation(
                f"{self._name}-intermediate",
                file_system_id=file_system.id,
                file_system_path=LINKED_DIRECTORY,
                data_repository_path=pulumi.Output.concat("s3://", self._args.linked_bucket),
                batch_import_meta_data_on_create=True,
                s3=aws.fsx.DataRepositoryAssociationS3Args(
                    auto_import_policy=aws.fsx.DataRepositoryAssociationS3AutoImportPolicyArgs(
                        events=events
                    ),
                    auto_export_policy=aws.fsx.DataRepositoryAssociationS3AutoExportPolicyArgs(
                        events=events
                    ),
                ),
                tags=self._args.context.named_tags(f"{self._name}-intermediate"),
                opts=self.child(),
            )
        )

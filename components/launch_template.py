"""Launch template of the instances of one compute environment."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

import pulumi
import pulumi_aws as aws

from components.context import Component, StackContext
from components.efa import efa_interfaces
from components.user_data import SCRATCH_DEVICE, LustreSource, user_data
from components.volumes import LUSTRE_HOST_PATH, LustreMount
from config.disks import Gp3
from config.environments import HpcEnvironment, InstanceEnvironment, SpotEnvironment
from config.facts import instance_type

ROOT_DEVICE: Final = "/dev/xvda"
"""Root of Amazon Linux 2023, which also holds the container images."""


@dataclass(frozen=True, kw_only=True)
class LaunchTemplateArgs:
    """What LaunchTemplate needs."""

    context: StackContext
    environment: InstanceEnvironment
    efa_security_group_id: pulumi.Input[str]
    """Security group of every interface, where the template declares interfaces."""
    lustre: LustreMount | None = None
    """What the instances mount when they boot."""
    prepared: bool = False
    """Whether the AMI has the images of the jobs."""


class LaunchTemplate(Component):
    """Disks, metadata service, boot script, network interfaces and capacity of instances.

    AWS Batch copies the template and sets type, profile, subnets and Spot itself.
    """

    template_id: pulumi.Output[str]
    version: pulumi.Output[str]
    """A number. `$Latest` would be read once, when the environment is made: a later change of the
    template would never reach it.
    """
    declares_interfaces: bool
    """Whether the template declares interfaces: then the environment must not name security groups:
    AWS accepts one of the two (aws/aws-cdk#21577).
    """

    def __init__(
        self, name: str, args: LaunchTemplateArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        environment, tags = args.environment, args.context.named_tags(name)
        hpc = environment if isinstance(environment, HpcEnvironment) else None
        efa = hpc is not None and hpc.efa
        self.declares_interfaces = efa
        template = aws.ec2.LaunchTemplate(
            f"{name}-template",
            description=f"AWS Batch environment of kind {environment.kind}",
            block_device_mappings=_disks(environment, prepared=args.prepared),
            metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled",
                http_tokens="required",
                # a process on the host needs no more, and containers on the bridge are a hop
                # further
                http_put_response_hop_limit=1,
            ),
            network_interfaces=(
                _interfaces(hpc, args.efa_security_group_id) if hpc is not None and efa else None
            ),
            capacity_reservation_specification=_reservation(hpc),
            instance_market_options=_market(hpc),
            # the instances themselves have the tags of the environment's compute resources, which
            # do not reach these two
            tag_specifications=[
                aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=tags)
                for kind in ("volume", "network-interface")
            ],
            user_data=_user_data(environment, efa=efa, args=args),
            tags=args.context.tags,
            opts=self.child(),
        )
        self.template_id = template.id
        self.version = template.latest_version.apply(lambda version: str(int(version)))
        self.register_outputs({"template_id": self.template_id, "version": self.version})


def _user_data(
    environment: InstanceEnvironment, *, efa: bool, args: LaunchTemplateArgs
) -> pulumi.Input[str]:
    lustre = args.lustre
    made = partial(
        user_data,
        scratch=environment.scratch,
        efa=efa,
        spot=isinstance(environment, SpotEnvironment),
        prepared=args.prepared,
    )
    if lustre is None:
        return made()
    return pulumi.Output.all(lustre.dns_name, lustre.mount_name).apply(
        lambda names: made(
            lustre=LustreSource(
                path=LUSTRE_HOST_PATH,
                dns_name=names[0],
                mount_name=names[1],
                directories=lustre.directories,
            ),
        )
    )


def _disks(
    environment: InstanceEnvironment, *, prepared: bool
) -> list[aws.ec2.LaunchTemplateBlockDeviceMappingArgs]:
    image = environment.prepared_image if prepared else None
    root = aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
        volume_size=environment.root_volume_gib,
        volume_type="gp3",
        volume_initialization_rate=None if image is None else image.initialization_mibps,
        encrypted="true",
        delete_on_termination="true",
    )
    disks = {ROOT_DEVICE: root}
    if isinstance(environment.scratch, Gp3):
        disks[SCRATCH_DEVICE] = aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
            volume_size=environment.scratch.size_gib,
            volume_type="gp3",
            iops=environment.scratch.iops,
            throughput=environment.scratch.throughput_mibps,
            encrypted="true",
            delete_on_termination="true",
        )
    return [
        aws.ec2.LaunchTemplateBlockDeviceMappingArgs(device_name=name, ebs=ebs)
        for name, ebs in disks.items()
    ]


def _interfaces(
    environment: HpcEnvironment, security_group_id: pulumi.Input[str]
) -> list[aws.ec2.LaunchTemplateNetworkInterfaceArgs]:
    return [
        aws.ec2.LaunchTemplateNetworkInterfaceArgs(
            network_card_index=interface.card,
            device_index=interface.device,
            interface_type=interface.type,
            security_groups=[security_group_id],
            delete_on_termination="true",
        )
        for interface in efa_interfaces(
            environment.instance_type, instance_type(environment.instance_type)
        )
    ]


def _reservation(
    environment: HpcEnvironment | None,
) -> aws.ec2.LaunchTemplateCapacityReservationSpecificationArgs | None:
    if environment is None or environment.capacity_reservation_id is None:
        return None
    return aws.ec2.LaunchTemplateCapacityReservationSpecificationArgs(
        capacity_reservation_target=aws.ec2.LaunchTemplateCapacityReservationSpecificationCapacityReservationTargetArgs(
            capacity_reservation_id=environment.capacity_reservation_id
        )
    )


def _market(
    environment: HpcEnvironment | None,
) -> aws.ec2.LaunchTemplateInstanceMarketOptionsArgs | None:
    """AWS Batch ignores Spot options here, but not Capacity Blocks: AWS's own sample for P5 on AWS
    Batch asks for one so.
    """
    if environment is None or not environment.capacity_block:
        return None
    return aws.ec2.LaunchTemplateInstanceMarketOptionsArgs(market_type="capacity-block")

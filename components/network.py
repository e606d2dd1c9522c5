"""The VPC: subnets, routes, endpoints, security groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from components.context import Component, StackContext
from components.endpoint_policies import OPEN_POLICY, gateway_policy, interface_policy
from config.network import NetworkSection
from config.subnets import plan_subnets

_ANYWHERE: Final = "0.0.0.0/0"
_ALL_PROTOCOLS: Final = "-1"


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """What Network needs."""

    context: StackContext
    section: NetworkSection


class Network(Component):
    """A VPC with a private subnet in each zone, where all jobs run, and where there is NAT with a
    public one beside it.

    The public subnets hold nothing but NAT gateways: AWS gives the interfaces of multi-node
    containers no public address, so such a job would have no way out of a public subnet. Without
    NAT there is no internet gateway either, and the endpoints lead to this account alone.
    """

    vpc_id: pulumi.Output[str]
    zones: list[str]
    """Names of the Availability Zones; plain."""
    public_subnet_ids: list[pulumi.Output[str]]
    """Subnet ids by index of the zone; empty without NAT."""
    private_subnet_ids: list[pulumi.Output[str]]
    """Subnet ids by index of the zone."""
    instance_security_group_id: pulumi.Output[str]
    """Nothing in, everything out: instances and Fargate tasks."""
    hpc_security_group_id: pulumi.Output[str]
    """Everything among its members, everything out: interfaces with EFA."""
    default_security_group_id: pulumi.Output[str]
    """The VPC's own, as AWS made it (all among its members, all out). Containers of a multi-node
    job take it where their environment names no security groups, which it cannot where a launch
    template has the interfaces (AWS Batch user guide, mnp-ce).
    """
    ready: list[pulumi.Resource]
    """Resources without which an instance starts and never registers, or cannot fetch its image:
    environments depend on them.
    """

    def __init__(
        self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        self._name, self._context, section = name, args.context, args.section
        self.zones = _zones(args.context, section.az_count)
        plan = plan_subnets(section.cidr_block, section.room_for_zones)
        self._closed = section.nat == "none"
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=section.cidr_block,
            enable_dns_support=True,
            enable_dns_hostnames=True,  # private DNS of interface endpoints needs both
            tags=args.context.named_tags(f"{name}-vpc"),
            opts=self.child(),
        )
        self._vpc, self.vpc_id = vpc, vpc.id
        self.default_security_group_id = vpc.default_security_group_id
        self.ready = []

        public = (
            []
            if self._closed
            else [
                self._subnet("public", i, cidr)
                for i, cidr in enumerate(plan.public[: section.az_count])
            ]
        )
        private = [
            self._subnet("private", i, cidr)
            for i, cidr in enumerate(plan.private[: section.az_count])
        ]
        self.public_subnet_ids, self.private_subnet_ids = (
            [s.id for s in public],
            [s.id for s in private],
        )
        way_out = self._public_routes(public) if public else []
        nat = [
            self._nat(i, subnet, way_out) for i, subnet in enumerate(public[: section.nat_gateways])
        ]
        tables = [
            self._private_routes(i, subnet, nat[min(i, len(nat) - 1)] if nat else None)
            for i, subnet in enumerate(private)
        ]

        self.instance_security_group_id = self._security_group(
            "instance", "Batch instances and Fargate tasks"
        ).id
        self.hpc_security_group_id = self._hpc_security_group().id
        for service in ("s3", "dynamodb"):
            self._gateway_endpoint(service, tables)
        if section.endpoint_services:
            self._interface_endpoints(section.endpoint_services)
        self.register_outputs(
            {
                "vpc_id": self.vpc_id,
                "zones": self.zones,
                "public_subnet_ids": self.public_subnet_ids,
                "private_subnet_ids": self.private_subnet_ids,
                "instance_security_group_id": self.instance_security_group_id,
                "hpc_security_group_id": self.hpc_security_group_id,
                "default_security_group_id": self.default_security_group_id,
            }
        )

    @property
    def instance_group_ids(self) -> dict[str, pulumi.Output[str]]:
        """Security groups of instances by a word for them."""
        return {"instance": self.instance_security_group_id, "hpc": self.hpc_security_group_id}

    @property
    def caller_group_ids(self) -> dict[str, pulumi.Output[str]]:
        """Those and that of the interfaces of multi-node containers."""
        return {**self.instance_group_ids, "default": self.default_security_group_id}

    def _subnet(self, kind: str, index: int, cidr_block: str) -> aws.ec2.Subnet:
        name = f"{self._name}-{kind}-{index}"
        return aws.ec2.Subnet(
            name,
            vpc_id=self.vpc_id,
            availability_zone=self.zones[index],
            cidr_block=cidr_block,
            map_public_ip_on_launch=False,
            tags=self._context.named_tags(name),
            opts=self.child(),
        )

    def _route_table(self, label: str) -> aws.ec2.RouteTable:
        name = f"{self._name}-{label}"
        return aws.ec2.RouteTable(
            name, vpc_id=self.vpc_id, tags=self._context.named_tags(name), opts=self.child()
        )

    def _public_routes(self, subnets: list[aws.ec2.Subnet]) -> list[pulumi.Resource]:
        """All that makes the subnets public. A NAT gateway without any part of it leads nowhere."""
        name = f"{self._name}-internet"
        gateway = aws.ec2.InternetGateway(
            name,
            vpc_id=self.vpc_id,
            tags=self._context.named_tags(name),
            # AWS does not let it go from a VPC in which public addresses are mapped: a new VPC gets
            # one of its own
            opts=self.child(replace_on_changes=["vpcId"]),
        )
        table = self._route_table("public")
        route = aws.ec2.Route(
            f"{self._name}-public",
            route_table_id=table.id,
            destination_cidr_block=_ANYWHERE,
            gateway_id=gateway.id,
            opts=self.child(),
        )
        associations = [
            aws.ec2.RouteTableAssociation(
                f"{self._name}-public-{index}",
                route_table_id=table.id,
                subnet_id=subnet.id,
                opts=self.child(),
            )
            for index, subnet in enumerate(subnets)
        ]
        return [gateway, route, *associations]

    def _nat(
        self, index: int, subnet: aws.ec2.Subnet, way_out: list[pulumi.Resource]
    ) -> aws.ec2.NatGateway:
        name = f"{self._name}-nat-{index}"
        tags = self._context.named_tags(name)
        # Both work only in a VPC that has its internet gateway already (CloudFormation reference,
        # AWS::EC2::EIP and ::NatGateway). And while environments drain before a deletion, instances
        # tell the ends of their tasks by this way, so all of it goes after them. A gateway that is
        # replaced keeps its address until it is gone, which is after the new one was made: that one
        # has its own.
        address = aws.ec2.Eip(
            name,
            domain="vpc",
            tags=tags,
            opts=self.child(depends_on=way_out, replace_with=[subnet]),
        )
        return aws.ec2.NatGateway(
            name,
            allocation_id=address.id,
            subnet_id=subnet.id,
            tags=tags,
            opts=self.child(depends_on=way_out),
        )

    def _private_routes(
        self, index: int, subnet: aws.ec2.Subnet, nat: aws.ec2.NatGateway | None
    ) -> aws.ec2.RouteTable:
        name = f"{self._name}-private-{index}"
        table = self._route_table(f"private-{index}")
        self.ready.append(
            aws.ec2.RouteTableAssociation(
                name, route_table_id=table.id, subnet_id=subnet.id, opts=self.child()
            )
        )
        if nat is not None:
            self.ready.append(
                aws.ec2.Route(
                    name,
                    route_table_id=table.id,
                    destination_cidr_block=_ANYWHERE,
                    nat_gateway_id=nat.id,
                    opts=self.child(),
                )
            )
        return table

    def _security_group(self, label: str, description: str) -> aws.ec2.SecurityGroup:
        """A group with a way out; the provider takes away the rule that AWS itself makes for
        that.
        """
        name = f"{self._name}-{label}"
        group = aws.ec2.SecurityGroup(
            name,
            description=description,
            vpc_id=self.vpc_id,
            tags=self._context.named_tags(name),
            opts=self.child(),
        )
        self.ready.append(
            aws.vpc.SecurityGroupEgressRule(
                f"{name}-out",
                security_group_id=group.id,
                ip_protocol=_ALL_PROTOCOLS,
                cidr_ipv4=_ANYWHERE,
                description="Everything out",
                tags=self._context.tags,
                opts=self.child(),
            )
        )
        return group

    def _hpc_security_group(self) -> aws.ec2.SecurityGroup:
        """A group whose members reach one another.

        EFA traffic that bypasses the operating system passes only where the group itself is named,
        in both directions; an address range is not enough (EC2 user guide, efa-start).
        """
        group = self._security_group("hpc", "Interfaces of HPC instances: EFA among its members")
        for rule, direction in (
            (aws.vpc.SecurityGroupIngressRule, "from"),
            (aws.vpc.SecurityGroupEgressRule, "to"),
        ):
            self.ready.append(
                rule(
                    f"{self._name}-hpc-{direction}-members",
                    security_group_id=group.id,
                    ip_protocol=_ALL_PROTOCOLS,
                    referenced_security_group_id=group.id,
                    description=f"Everything {direction} members of this group",
                    tags=self._context.tags,
                    opts=self.child(),
                )
            )
        return group

    def _gateway_endpoint(self, service: str, tables: list[aws.ec2.RouteTable]) -> None:
        name = f"{self._name}-{service}"
        self.ready.append(
            aws.ec2.VpcEndpoint(
                name,
                vpc_id=self.vpc_id,
                service_name=f"com.amazonaws.{self._context.region}.{service}",
                vpc_endpoint_type="Gateway",
                policy=gateway_policy(service, self._context) if self._closed else OPEN_POLICY,
                route_table_ids=[table.id for table in tables],
                tags=self._context.named_tags(name),
                opts=self.child(),
            )
        )

    def _interface_endpoints(self, services: tuple[str, ...]) -> None:
        group = self._security_group(
            "endpoints", "Interface endpoints: HTTPS from jobs and instances"
        )
        for caller, caller_id in self.caller_group_ids.items():
            self.ready.append(
                aws.vpc.SecurityGroupIngressRule(
                    f"{self._name}-endpoints-from-{caller}",
                    security_group_id=group.id,
                    ip_protocol="tcp",
                    from_port=443,
                    to_port=443,
                    referenced_security_group_id=caller_id,
                    description=f"HTTPS from the {caller} security group",
                    tags=self._context.tags,
                    opts=self.child(),
                )
            )
        for service in services:
            name = f"{self._name}-{service.replace('.', '-')}"
            self.ready.append(
                aws.ec2.VpcEndpoint(
                    name,
                    vpc_id=self.vpc_id,
                    service_name=f"com.amazonaws.{self._context.region}.{service}",
                    vpc_endpoint_type="Interface",
                    policy=interface_policy(service, self._context, closed=self._closed),
                    subnet_ids=self.private_subnet_ids,
                    security_group_ids=[group.id],
                    private_dns_enabled=True,
                    tags=self._context.named_tags(name),
                    opts=self.child(),
                )
            )


def _zones(context: StackContext, count: int) -> list[str]:
    """The first zones by name, in whatever state: were an impaired one left out, all after it would
    move up and their subnets with them.

    Those that an account has to opt into (Local Zones, Wavelength) have no place here. Raises
    pulumi.RunError where the region has too few.
    """
    names = sorted(
        aws.get_availability_zones(
            filters=[
                aws.GetAvailabilityZonesFilterArgs(
                    name="opt-in-status", values=["opt-in-not-required"]
                )
            ]
        ).names
    )
    if len(names) < count:
        raise pulumi.RunError(
            f"network.az_count is {count}, and region {context.region} offers this account"
            f" {len(names)} zones ({', '.join(names)}). Fix: lower az_count to {len(names)} or"
            " less, or take another region."
        )
    return names[:count]

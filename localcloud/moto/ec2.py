"""Instance types and networks, as far as the other parts need to know of moto's EC2."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from moto.ec2.utils import generate_route_id

from config.facts import usable_memory_mib
from localcloud.moto.backends import Backends


@dataclass(frozen=True, kw_only=True)
class InstanceShape:
    """One EC2 instance type, with the memory that its ECS agent registers."""

    name: str
    vcpus: int
    memory_mib: int
    gpus: int
    architecture: str

    @property
    def family(self) -> str:
        """What stands before the dot."""
        return self.name.partition(".")[0]


@cache
def _instance_shapes() -> Mapping[str, InstanceShape]:
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    shapes = {}
    for name, facts in INSTANCE_TYPES.items():
        architectures = facts.get("ProcessorInfo", {}).get("SupportedArchitectures", [])
        shapes[name] = InstanceShape(
            name=name,
            vcpus=facts["VCpuInfo"]["DefaultVCpus"],
            memory_mib=usable_memory_mib(facts["MemoryInfo"]["SizeInMiB"]),
            gpus=sum(gpu.get("Count", 0) for gpu in facts.get("GpuInfo", {}).get("Gpus", [])),
            architecture="arm64" if "arm64" in architectures else "x86_64",
        )
    return MappingProxyType(shapes)


@cache
def _instance_families() -> frozenset[str]:
    return frozenset(shape.family for shape in _instance_shapes().values())


class Ec2(Backends):
    """The part of `AwsState` about EC2."""

    def __init__(self, region: str) -> None:
        super().__init__(region)
        self._offered: dict[str, set[str]] = {}

    def instance_shapes(self) -> Mapping[str, InstanceShape]:
        """Every instance type of moto's DescribeInstanceTypes data."""
        return _instance_shapes()

    def instance_families(self) -> frozenset[str]:
        """What the names of all types begin with."""
        return _instance_families()

    def offers(self, zone: str, instance_type: str) -> bool:
        """Whether EC2 sells the type in a zone; yes where nothing is known of the zone."""
        from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS

        if not self._offered:
            for each in INSTANCE_TYPE_OFFERINGS["availability-zone"].get(self.region, []):
                self._offered.setdefault(each["Location"], set()).add(each["InstanceType"])
        return zone not in self._offered or instance_type in self._offered[zone]

    def addresses_of(self, launch_template: dict[str, str]) -> int:
        """Addresses that an instance takes: one for each interface that is not of type efa-only."""
        data = self.launch_template_data(launch_template) if launch_template else None
        interfaces = (
            (data or {}).get("NetworkInterfaces") or (data or {}).get("NetworkInterface") or [{}]
        )
        return sum(each.get("InterfaceType") != "efa-only" for each in interfaces) or 1

    def image(self, image_id: str) -> Any | None:
        """Moto's AMI, or None."""
        return self._regional("ec2").amis.get(image_id)

    def subnet(self, subnet_id: str) -> Any | None:
        """Moto's subnet object, or None."""
        return next(
            (
                zone[subnet_id]
                for zone in list(self._regional("ec2").subnets.values())
                if subnet_id in zone
            ),
            None,
        )

    def nat_gateways(self) -> list[Any]:
        """Moto's NAT gateway objects, those too that are deleted."""
        return list(self._regional("ec2").nat_gateways.values())

    def free_addresses(self, gateway: Any) -> None:
        """Takes the Elastic IP addresses of a NAT gateway away from it."""
        backend = self._regional("ec2")
        held = {each.get("allocationId") for each in gateway.address_set}
        for address in list(backend.addresses):
            if address.allocation_id in held and address.association_id:
                backend.disassociate_address(association_id=address.association_id)

    def keep_routed_tables(self, endpoint_id: str) -> None:
        """Takes from a gateway endpoint the route tables that have no route by it, or are gone."""
        backend = self._regional("ec2")
        endpoint = backend.vpc_end_points.get(endpoint_id)
        if endpoint is None or endpoint.vpc_endpoint_type == "Interface":
            return
        endpoint.vpc_endpoint_type = endpoint.vpc_endpoint_type or "Gateway"  # AWS's default
        prefixes = endpoint.destination_prefix_list_id
        endpoint.route_table_ids = [
            each
            for each in endpoint.route_table_ids
            if each in backend.route_tables
            and generate_route_id(each, prefixes) in backend.route_tables[each]._routes  # noqa: SLF001
        ]

    def security_group(self, group_id: str) -> Any | None:
        """Moto's security group object, or None."""
        return next(
            (
                groups[group_id]
                for groups in list(self._regional("ec2").groups.values())
                if group_id in groups
            ),
            None,
        )

    def environment_groups(self, resources: dict[str, Any]) -> list[str]:
        """Security groups of the instances or tasks of a compute environment: its own, or those of
        its launch template.
        """
        if resources.get("securityGroupIds"):
            return list(resources["securityGroupIds"])
        data = self.launch_template_data(resources.get("launchTemplate") or {}) or {}
        listed = data.get("SecurityGroupIds") or data.get("SecurityGroupId") or []
        for interface in _listed(data.get("NetworkInterfaces") or data.get("NetworkInterface")):
            listed = [
                *listed,
                *_listed(interface.get("Groups") or interface.get("SecurityGroupId")),
            ]
        return [str(group) for group in _listed(listed)]

    def lets_through(
        self, callers: list[str], addresses: str, targets: list[str], port: int
    ) -> bool:
        """Whether the security groups of something let those of its callers in.

        Args:
            callers: Groups of those who call.
            addresses: CIDR block that they call from.
            targets: Groups of what is called.
            port: Of TCP.
        """
        block = ipaddress.IPv4Network(addresses)
        for group in (self.security_group(each) for each in targets):
            for rule in [] if group is None else group.ingress_rules:
                of_port = rule.ip_protocol == "-1" or (
                    rule.ip_protocol == "tcp" and rule.from_port <= port <= rule.to_port
                )
                cidr = rule.ip_range.get("CidrIp")
                if of_port and (
                    rule.source_group.get("GroupId") in callers
                    or (cidr and block.subnet_of(ipaddress.IPv4Network(cidr)))
                ):
                    return True
        return False

    def default_security_group(self, vpc_id: str) -> Any | None:
        """The VPC's default group."""
        groups = self._regional("ec2").groups.get(vpc_id, {})
        return next((group for group in list(groups.values()) if group.name == "default"), None)

    def instance_store_bytes(self, name: str) -> int:
        """Bytes of all instance-store disks of a type; 0 where it has none, or is unknown."""
        from moto.ec2.models.instance_types import INSTANCE_TYPES

        storage = INSTANCE_TYPES.get(name, {}).get("InstanceStorageInfo") or {}
        return int(storage.get("TotalSizeInGB") or 0) * 10**9

    def launch_template_data(self, reference: dict[str, str]) -> dict[str, Any] | None:
        """Data of the version that a compute environment's launchTemplate names, or None where it
        does not exist.
        """
        templates = list(self._regional("ec2").launch_templates.values())
        wanted = reference.get("launchTemplateId"), reference.get("launchTemplateName")
        template = next(
            (each for each in templates if each.id == wanted[0] or each.name == wanted[1]), None
        )
        if template is None:
            return None
        version = str(reference.get("version") or "$Default").lower()
        newest = {
            "$default": template.default_version_number,
            "$latest": template.latest_version_number,
        }
        number = str(newest.get(version, version))
        found = next((each for each in template.versions if str(each.number) == number), None)
        return None if found is None else dict(found.data)

    def route_table(self, subnet: Any) -> Any | None:
        """The route table that a subnet uses: its own, or its VPC's main one."""
        tables = [
            table
            for table in list(self._regional("ec2").route_tables.values())
            if table.vpc_id == subnet.vpc_id
        ]
        own = [
            table
            for table in tables
            if any(each.get("SubnetId") == subnet.id for each in table.associations)
        ]
        return next(iter(own or [table for table in tables if table.main_association_id]), None)

    def vpc_endpoints(self, vpc_id: str) -> list[Any]:
        """Moto's endpoint objects of a VPC; it keeps those that are deleted, as EC2 does for an
        hour.
        """
        return [
            each
            for each in list(self._regional("ec2").vpc_end_points.values())
            if each.vpc_id == vpc_id and each.state != "deleted"
        ]


def _listed(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]

"""Address space, zones and ways out."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from config.environments import FargateEnvironment, HpcEnvironment
from config.facts import EFA_ONLY_FAMILIES, instance_type
from config.problems import Problem
from config.rules.base import Rule
from config.stack import StackConfig
from config.subnets import plan_subnets
from config.topology import environments_of, known_types_of

_DOCKER_BRIDGE: Final = ipaddress.IPv4Network("172.17.0.0/16")
_SLACK: Final = "slack-webhook-url"


class ZoneIndexExists(Rule):
    """The zone of an hpc environment is one of the network's."""

    code = "HPC-ZONE"
    reason = "The environment would have no subnet."
    source = "this program's network: one private subnet per zone"
    reads = frozenset({"environments", "network"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each index beyond the zones."""
        for name, environment in config.environments.items():
            if (
                isinstance(environment, HpcEnvironment)
                and environment.zone_index >= config.network.az_count
            ):
                yield self.problem(
                    f"environments.{name}.zone_index",
                    environment.zone_index,
                    f"network.az_count is {config.network.az_count}, so indexes go from 0 to"
                    f" {config.network.az_count - 1}",
                    "lower zone_index, or raise az_count",
                )


class ZonesHaveRoom(Rule):
    """The address space is cut for at least as many zones as there are."""

    code = "NETWORK-ROOM"
    reason = "There would be no address space for the subnets of the last zones."
    source = "this program's network: one cut of the block, of which az_count zones are used"
    reads = frozenset({"network"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """More zones than room."""
        network = config.network
        if network.az_count > network.room_for_zones:
            message = f"network.az_count is {network.az_count}"
            fix = (
                "leave it out (6) in a new stack; in a living one lower az_count, for another cut"
                " makes the network anew"
            )
            yield self.problem("network.room_for_zones", network.room_for_zones, message, fix)


class SeveralZones(Rule):
    """Environments that need not lie in one zone have several."""

    code = "NETWORK-ZONES"
    level = "warning"
    reason = (
        "When the one zone fails, or has no capacity of a type, nothing runs; each zone is a Spot"
        " pool of its own."
    )
    source = "AWS Batch user guide, compute environments; EC2 user guide, spot-best-practices"
    reads = frozenset({"environments", "network"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """A network of one zone, unless all environments are of kind hpc, which lies in one
        anyway.
        """
        spread = [
            name
            for name, environment in config.environments.items()
            if not isinstance(environment, HpcEnvironment)
        ]
        if config.network.az_count == 1 and spread:
            message = f"environment {spread[0]} could use several zones, and there is one"
            yield self.problem("network.az_count", 1, message, "use 2 or more")


class NodesFitSubnet(Rule):
    """The subnet of the environment has an address for every interface of all nodes."""

    code = "MNP-ADDRESSES"
    reason = (
        "Instances do not launch in a subnet without free addresses, and AWS Batch waits for all"
        " nodes at once."
    )
    source = (
        "EC2 user guide, efa: an interface of type efa has an address, one of type efa-only none;"
        " AWS Batch user guide, mnp-ce: one more for each container"
    )
    reads = frozenset({"environments", "jobs", "network", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """A network too small for the analysis alone."""
        nodes, network = config.jobs.analysis.nodes, config.network
        free = plan_subnets(network.cidr_block, network.room_for_zones).private_addresses
        for name, environment in environments_of(config, config.jobs.analysis.queue).items():
            facts = (
                instance_type(environment.instance_type)
                if isinstance(environment, HpcEnvironment)
                else None
            )
            if facts is None or not isinstance(environment, HpcEnvironment) or nodes == 1:
                continue
            one_address = not environment.efa or environment.instance_type.startswith(
                EFA_ONLY_FAMILIES
            )
            each = (1 if one_address else facts.network_cards) + 1
            if nodes * each > free:
                yield self.problem(
                    "network.cidr_block",
                    network.cidr_block,
                    f"a private subnet of it has {free} addresses, and {nodes} nodes of {name} take"
                    f" {each} each, {nodes * each} in all",
                    "take a larger block (a smaller number after the slash), or a lower"
                    " room_for_zones",
                )


class InstancesFitSubnets(Rule):
    """The private subnets have an address for every instance that max_vcpus allows."""

    code = "SUBNET-ADDRESSES"
    level = "warning"
    reason = "Without free addresses instances do not launch, long before max_vcpus is reached."
    source = "EC2 user guide: each instance has an address; Fargate: each task has one"
    reads = frozenset({"environments", "network"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each environment, by itself, whose smallest instances would use the addresses up."""
        network = config.network
        free = (
            plan_subnets(network.cidr_block, network.room_for_zones).private_addresses
            * network.az_count
        )
        for name, environment in config.environments.items():
            known = known_types_of(environment)
            if isinstance(environment, HpcEnvironment) or not (
                known or isinstance(environment, FargateEnvironment)
            ):
                continue
            smallest = min((facts.vcpus for facts in known.values()), default=1)
            instances = environment.max_vcpus // smallest
            if instances > free:
                what = (
                    f"{instances}"
                    f" {'tasks' if isinstance(environment, FargateEnvironment) else 'instances'} of"
                    f" {smallest} vCPUs"
                )
                message = (
                    f"{what} need an address each, and the private subnets of {network.cidr_block}"
                    f" have {free}"
                )
                fix = "lower max_vcpus, or take a larger cidr_block"
                yield self.problem(
                    f"environments.{name}.max_vcpus", environment.max_vcpus, message, fix
                )


class VpcIsNotTheDockerBridge(Rule):
    """The VPC leaves Docker its own network."""

    code = "NETWORK-DOCKER"
    level = "warning"
    reason = (
        "Instances reach no address of the VPC that lies in the network of their Docker bridge,"
        " 172.17.0.0/16."
    )
    source = "Docker documentation, bridge network; the ECS-optimized AMI keeps Docker's default"
    reads = frozenset({"network"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """A block that overlaps."""
        block = ipaddress.IPv4Network(config.network.cidr_block)
        if block.overlaps(_DOCKER_BRIDGE):
            message = (
                f"it overlaps {_DOCKER_BRIDGE}, which Docker takes for its bridge on every instance"
            )
            yield self.problem(
                "network.cidr_block",
                config.network.cidr_block,
                message,
                "take another private range",
            )


class SlackIsReachable(Rule):
    """Private subnets have a way to Slack where a message goes there."""

    code = "NAT-SLACK"
    reason = (
        "The postprocess job posts to hooks.slack.com, which no endpoint of AWS leads to: the call"
        " hangs until it times out."
    )
    source = "AWS Batch user guide, VPC endpoints; VPC user guide, NAT gateways"
    reads = frozenset({"network", "secrets"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """A webhook in a network without NAT."""
        if config.network.nat == "none" and _SLACK in config.secrets:
            message = f"the stack has the secret {_SLACK}, and without NAT jobs reach AWS alone"
            yield self.problem(
                "network.nat",
                "none",
                message,
                f"use single or per-zone, or remove the secret {_SLACK}",
            )


class EndpointsPayOff(Rule):
    """Interface endpoints beside NAT are worth their price."""

    code = "NAT-ENDPOINTS"
    level = "warning"
    reason = (
        "Each interface endpoint costs per zone and hour; beside NAT, which reaches the same"
        " services, it has to save traffic."
    )
    source = "config/service_prices.json"
    reads = frozenset({"network"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Endpoints that cost more than the NAT gateways that they stand beside."""
        from config.prices import (
            service_prices,
        )  # prices are of machines, whose look-ups the rules share

        network, prices = config.network, service_prices().prices
        services = len(set(network.interface_endpoints))
        endpoints = services * network.az_count * prices["interface-endpoint-zone-hour"].usd
        gateways = network.nat_gateways * prices["nat-gateway-hour"].usd
        if gateways and endpoints > gateways:
            message = (
                f"{services} endpoints in {network.az_count} zones cost {endpoints:.3f} dollars an"
                f" hour, more than the NAT gateways beside them ({gateways:.3f})"
            )
            fix = "keep the one or the other: nat none, or fewer endpoints"
            yield self.problem(
                "network.interface_endpoints", list(network.interface_endpoints), message, fix
            )

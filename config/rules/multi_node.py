"""What multi-node parallel jobs need."""

from __future__ import annotations

from collections.abc import Iterator

from config.environments import HpcEnvironment
from config.facts import instance_type
from config.problems import Problem
from config.rules.base import Rule, environments_of
from config.stack import StackConfig
from config.subnets import plan_subnets


class MultiNodeQueueHasOneHpcEnvironment(Rule):
    """An analysis of several nodes runs on a queue with exactly one environment, of kind hpc."""

    code = "MNP-ENVIRONMENT"
    reason = "AWS Batch runs multi-node jobs neither on Spot nor on Fargate, and the first of several environments can block the queue."
    source = "AWS Batch user guide, multi-node-parallel-jobs and job-queue-blocked"
    reads = frozenset({"environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """A queue with another environment, or several."""
        queue, nodes = config.jobs.analysis.queue, config.jobs.analysis.nodes
        environments = environments_of(config, queue)
        if nodes == 1:
            return  # a plain container job
        for name, environment in environments.items():
            if not isinstance(environment, HpcEnvironment):
                yield self.problem(
                    f"environments.{name}.kind",
                    environment.kind,
                    f"jobs.analysis has {nodes} nodes on queue {queue}, and multi-node jobs run on kind hpc only",
                    "send the analysis to a queue with an hpc environment",
                )
        if len(environments) > 1:
            yield self.problem(
                f"queues.{queue}.environments", list(environments), "the queue of a multi-node job has one environment", "keep one"
            )


class NodesFitMaxVcpus(Rule):
    """All nodes of the analysis fit the environment at once."""

    code = "MNP-CAPACITY"
    reason = (
        "AWS Batch waits for all nodes at once; below that the job stays in RUNNABLE (MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE)."
    )
    source = "AWS Batch user guide, mnp-ce"
    reads = frozenset({"environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Too small a ceiling."""
        nodes = config.jobs.analysis.nodes
        for name, environment in environments_of(config, config.jobs.analysis.queue).items():
            if not isinstance(environment, HpcEnvironment):
                continue
            facts = instance_type(environment.instance_type)
            if facts is not None and nodes * facts.vcpus > environment.max_vcpus:
                need = nodes * facts.vcpus
                yield self.problem(
                    f"environments.{name}.max_vcpus",
                    environment.max_vcpus,
                    f"jobs.analysis.nodes {nodes} x {facts.vcpus} vCPUs of {environment.instance_type} need {need}",
                    f"raise max_vcpus to {need}, or take fewer nodes",
                )


class EfaIsSupported(Rule):
    """EFA is asked for only where the type has it, with a placement group."""

    code = "EFA"
    reason = "The instances do not launch with an interface that their type lacks; EFA traffic wants one cluster placement group."
    source = "EC2 user guide, efa; AWS Batch user guide, efa"
    reads = frozenset({"environments"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each environment with efa and without what it needs."""
        for name, environment in config.environments.items():
            if not isinstance(environment, HpcEnvironment) or not environment.efa:
                continue
            facts = instance_type(environment.instance_type)
            if facts is not None and not facts.efa_interfaces:
                message = f"{environment.instance_type} has no EFA"
                yield self.problem(f"environments.{name}.efa", environment.efa, message, "turn efa off, or take a type with EFA")
            if not environment.placement_group and not environment.capacity_block:
                yield self.problem(
                    f"environments.{name}.placement_group",
                    environment.placement_group,
                    "EFA needs all nodes in one cluster placement group (a Capacity Block is one by itself)",
                    "turn placement_group on",
                )


class ZoneIndexExists(Rule):
    """The zone of an hpc environment is one of the network's."""

    code = "HPC-ZONE"
    reason = "The environment would have no subnet."
    source = "this program's network: one private subnet per zone"
    reads = frozenset({"environments", "network"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each index beyond the zones."""
        for name, environment in config.environments.items():
            if isinstance(environment, HpcEnvironment) and environment.zone_index >= config.network.az_count:
                yield self.problem(
                    f"environments.{name}.zone_index",
                    environment.zone_index,
                    f"network.az_count is {config.network.az_count}, so indexes go from 0 to {config.network.az_count - 1}",
                    "lower zone_index, or raise az_count",
                )


class NodesFitSubnet(Rule):
    """The subnet of the environment has an address for every interface of all nodes."""

    code = "MNP-ADDRESSES"
    reason = "Instances do not launch in a subnet without free addresses, and AWS Batch waits for all nodes at once."
    source = "EC2 user guide, efa: an interface of type efa has an address; AWS Batch user guide, mnp-ce: one more for each container"
    reads = frozenset({"environments", "jobs", "network", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """A network too small for the analysis alone."""
        nodes, network = config.jobs.analysis.nodes, config.network
        free = plan_subnets(network.cidr_block, network.az_count).private_addresses
        for name, environment in environments_of(config, config.jobs.analysis.queue).items():
            facts = instance_type(environment.instance_type) if isinstance(environment, HpcEnvironment) else None
            if facts is None or not isinstance(environment, HpcEnvironment) or nodes == 1:
                continue
            each = (facts.network_cards if environment.efa else 1) + 1
            if nodes * each > free:
                yield self.problem(
                    "network.cidr_block",
                    network.cidr_block,
                    f"a private subnet of it has {free} addresses, and {nodes} nodes of {name} take {each} each, {nodes * each} in all",
                    "take a larger block (a smaller number after the slash), or fewer zones",
                )

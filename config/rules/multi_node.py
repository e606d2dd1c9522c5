"""What multi-node parallel jobs need."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from config.environments import HpcEnvironment
from config.facts import instance_type
from config.problems import Problem
from config.rules.base import Rule
from config.stack import StackConfig
from config.topology import environments_of


class MultiNodeQueueHasOneHpcEnvironment(Rule):
    """An analysis of several nodes runs on a queue with exactly one environment, of kind hpc."""

    code = "MNP-ENVIRONMENT"
    reason = (
        "AWS Batch runs multi-node jobs neither on Spot nor on Fargate, and the first of several"
        " environments can block the queue."
    )
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
                    f"jobs.analysis has {nodes} nodes on queue {queue}, and multi-node jobs run on"
                    " kind hpc only",
                    "send the analysis to a queue with an hpc environment, or set nodes to 1 and"
                    " shards to what was nodes",
                )
        if len(environments) > 1:
            yield self.problem(
                f"queues.{queue}.environments",
                list(environments),
                "the queue of a multi-node job has one environment",
                "keep one",
            )


class NodesFitMaxVcpus(Rule):
    """All nodes of the analysis fit the environment at once."""

    code = "MNP-CAPACITY"
    reason = (
        "AWS Batch waits for all nodes at once; below that the job stays in RUNNABLE"
        " (MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE)."
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
                    f"jobs.analysis.nodes {nodes} x {facts.vcpus} vCPUs of"
                    f" {environment.instance_type} need {need}",
                    f"raise max_vcpus to {need}, or take fewer nodes",
                )


class EfaIsSupported(Rule):
    """EFA is asked for only where the type has it, with the nodes side by side."""

    code = "EFA"
    reason = (
        "The instances do not launch with an interface that their type lacks; EFA traffic wants one"
        " cluster placement group."
    )
    source = "EC2 user guide, efa; AWS Batch user guide, efa"
    reads = frozenset({"environments"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each environment with efa and without what it needs; reserved machines stand side by side
        by themselves.
        """
        for name, environment in config.environments.items():
            if not isinstance(environment, HpcEnvironment) or not environment.efa:
                continue
            facts = instance_type(environment.instance_type)
            if facts is not None and not facts.efa_interfaces:
                message = f"{environment.instance_type} has no EFA"
                yield self.problem(
                    f"environments.{name}.efa",
                    environment.efa,
                    message,
                    "turn efa off, or take a type with EFA",
                )
            if not environment.placement_group and environment.capacity_reservation_id is None:
                yield self.problem(
                    f"environments.{name}.placement_group",
                    environment.placement_group,
                    "EFA needs all nodes in one cluster placement group, and no capacity is"
                    " reserved that would lie in one",
                    "turn placement_group on",
                )


class _FastNetwork(Rule):
    """What makes the nodes of an analysis fast together."""

    level = "warning"
    reads = frozenset({"environments", "jobs", "queues"})

    @abstractmethod
    def doubt(self, environment: HpcEnvironment) -> tuple[str, Any, str, str] | None:
        """Field, value, message and fix where the environment lacks it."""

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each environment of a multi-node analysis that lacks it."""
        job = config.jobs.analysis
        for name, environment in environments_of(config, job.queue).items():
            if job.nodes > 1 and isinstance(environment, HpcEnvironment):
                found = self.doubt(environment)
                if found is not None:
                    field, value, message, fix = found
                    yield self.problem(
                        f"environments.{name}.{field}",
                        value,
                        f"jobs.analysis has {job.nodes} nodes, and {message}",
                        fix,
                    )


class MultiNodeUsesEfa(_FastNetwork):
    """Nodes that have EFA talk through it."""

    code = "MNP-EFA"
    reason = "MPI falls back on TCP, many times slower between nodes; EFA costs nothing."
    source = "EC2 user guide, efa"

    def doubt(self, environment: HpcEnvironment) -> tuple[str, Any, str, str] | None:
        """EFA left out where the type has it."""
        facts = instance_type(environment.instance_type)
        if environment.efa or facts is None or not facts.efa_interfaces:
            return None
        return (
            "efa",
            environment.efa,
            f"{environment.instance_type} has EFA, which costs nothing",
            "turn efa on",
        )


class MultiNodeIsPlacedTogether(_FastNetwork):
    """Nodes stand side by side."""

    code = "MNP-PLACEMENT"
    reason = "Nodes in different parts of a zone have several times the latency between them."
    source = "EC2 user guide, placement-strategies"

    def doubt(self, environment: HpcEnvironment) -> tuple[str, Any, str, str] | None:
        """No placement group, where EFA would not demand one and nothing is reserved."""
        if (
            environment.placement_group
            or environment.efa
            or environment.capacity_reservation_id is not None
        ):
            return None
        return (
            "placement_group",
            environment.placement_group,
            "they may start in any part of the zone",
            "turn placement_group on",
        )


class NodeUsesWholeInstance(Rule):
    """A node asks for all of the instance that it has to itself."""

    code = "MNP-WHOLE-NODE"
    level = "warning"
    reason = (
        "AWS Batch puts one node on an instance: what it does not ask for is paid for, and GPUs"
        " that it does not ask for are out of sight."
    )
    source = "AWS Batch user guide, multi-node-parallel-jobs"
    reads = frozenset({"environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Fewer vCPUs or GPUs than the type has."""
        job = config.jobs.analysis
        for environment in environments_of(config, job.queue).values():
            facts = (
                instance_type(environment.instance_type)
                if isinstance(environment, HpcEnvironment)
                else None
            )
            if facts is None or not isinstance(environment, HpcEnvironment) or job.nodes == 1:
                continue
            kind = environment.instance_type
            if job.vcpus < facts.vcpus:
                message = f"each node has a {kind} of {facts.vcpus} vCPUs to itself"
                yield self.problem(
                    "jobs.analysis.vcpus",
                    job.vcpus,
                    message,
                    f"ask for {facts.vcpus}, or take a smaller type",
                )
            if 0 < job.gpus < facts.gpus:
                message = f"each node has a {kind} of {facts.gpus} GPUs to itself"
                yield self.problem(
                    "jobs.analysis.gpus",
                    job.gpus,
                    message,
                    f"ask for {facts.gpus}, or take a type with {job.gpus}",
                )


class SharedMemoryFits(Rule):
    """Shared memory is a part of the container's memory."""

    code = "SHARED-MEMORY"
    reason = (
        "What lies in /dev/shm counts against the container's memory: before it is full, the"
        " container is killed."
    )
    source = (
        "AWS Batch API, LinuxParameters sharedMemorySize; Linux control groups, memory of tmpfs"
    )
    reads = frozenset({"jobs"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Shared memory as large as the memory, or larger."""
        job = config.jobs.analysis
        if job.shared_memory_mib >= job.memory_mib:
            message = f"memory_mib is {job.memory_mib}, and shared memory is a part of it"
            yield self.problem(
                "jobs.analysis.shared_memory_mib",
                job.shared_memory_mib,
                message,
                "lower it, or raise memory_mib",
            )

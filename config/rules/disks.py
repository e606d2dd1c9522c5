"""Disks for temporary files: whether they are there, what EBS sells, and who uses them."""

from __future__ import annotations

from collections.abc import Iterator

from config.disks import GP3_IOPS, GP3_IOPS_PER_GIB, GP3_MIBPS_PER_IOPS, Gp3, InstanceStore
from config.jobs import AnalysisJob
from config.problems import Problem
from config.rules.base import Rule
from config.stack import StackConfig
from config.topology import environments_of, jobs, known_types_of, scratch_of, some


class ScratchHasDisks(Rule):
    """Every type of an environment has instance-store disks, where scratch is of them."""

    code = "SCRATCH-DISKS"
    reason = "There is nothing to mount at /scratch, and jobs fail before they start."
    source = "EC2 API, DescribeInstanceTypes InstanceStorageInfo; this program's user data"
    reads = frozenset({"environments"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each environment with a type that has none."""
        for name, environment in config.environments.items():
            bare = [
                t for t, facts in known_types_of(environment).items() if not facts.scratch_disks
            ]
            if isinstance(scratch_of(environment), InstanceStore) and bare:
                yield self.problem(
                    f"environments.{name}.scratch.kind",
                    "instance-store",
                    f"these types have no instance-store disk: {some(bare)}",
                    "take the kind gp3, or types with disks",
                )


class Gp3IsSold(Rule):
    """EBS sells the IOPS and the throughput of a gp3 volume of that size."""

    code = "SCRATCH-GP3"
    reason = "EC2 refuses the launch template's volume, and no instance starts."
    source = "Amazon EBS user guide, general-purpose: 500 IOPS a GiB, 0.25 MiB/s an IOPS"
    reads = frozenset({"environments"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each that asks for more than its size or its IOPS let it have."""
        for name, environment in config.environments.items():
            scratch = scratch_of(environment)
            if not isinstance(scratch, Gp3):
                continue
            most = max(GP3_IOPS, scratch.size_gib * GP3_IOPS_PER_GIB)
            if scratch.iops > most:
                needed = -(-scratch.iops // GP3_IOPS_PER_GIB)
                yield self.problem(
                    f"environments.{name}.scratch.iops",
                    scratch.iops,
                    f"a gp3 volume of {scratch.size_gib} GiB has at most {most} IOPS",
                    f"lower it to {most} or less, or raise size_gib to {needed} or more",
                )
            if scratch.throughput_mibps > scratch.iops * GP3_MIBPS_PER_IOPS:
                needed = round(scratch.throughput_mibps / GP3_MIBPS_PER_IOPS)
                most = int(scratch.iops * GP3_MIBPS_PER_IOPS)
                yield self.problem(
                    f"environments.{name}.scratch.throughput_mibps",
                    scratch.throughput_mibps,
                    f"a gp3 volume of {scratch.iops} IOPS has at most {most} MiB/s",
                    f"lower it to {most} or less, or raise iops to {needed} or more",
                )


class ScratchIsSeen(Rule):
    """All environments of a queue have scratch, or none."""

    code = "SCRATCH"
    level = "warning"
    reason = "A job gets /scratch only where every environment of its queue has it."
    source = "this program's job definitions"
    reads = frozenset({"environments", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each queue where only some environments have it."""
        for name in config.queues:
            found = environments_of(config, name)
            having = {n: scratch_of(e) is not None for n, e in found.items()}
            if len(set(having.values())) > 1:
                without = next(n for n, has in having.items() if not has)
                yield self.problem(
                    f"queues.{name}.environments",
                    list(having),
                    f"environment {without} has no scratch, so jobs of this queue see /scratch"
                    " nowhere",
                    "set scratch alike on all of them",
                )


class ScratchIsUsed(Rule):
    """A volume for scratch belongs to an environment of the analysis."""

    code = "SCRATCH-UNUSED"
    level = "warning"
    reason = "It is paid for with every instance, and nothing is written there."
    source = "this program's stages: the analysis alone keeps data on the disk of its node"
    reads = frozenset({"environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each gp3 volume of an environment to which no analysis goes."""
        served = {
            name
            for job in jobs(config).values()
            if isinstance(job, AnalysisJob)
            for name in environments_of(config, job.queue)
        }
        for name, environment in config.environments.items():
            if isinstance(scratch_of(environment), Gp3) and name not in served:
                yield self.problem(
                    f"environments.{name}.scratch.kind",
                    "gp3",
                    "no analysis runs here, and the other stages keep nothing on a disk",
                    "remove scratch here, or send the analysis to a queue of this environment",
                )

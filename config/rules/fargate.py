"""What Fargate allows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from config.environments import FargateEnvironment
from config.problems import Problem
from config.rules.base import Rule
from config.stack import StackConfig
from config.topology import Job, environments_of, jobs

_GIB: Final = 1024
FARGATE_MEMORY_MIB: Final[dict[float, tuple[int, ...]]] = {
    0.25: (512, 1024, 2048),
    0.5: tuple(range(_GIB, 4 * _GIB + 1, _GIB)),
    1: tuple(range(2 * _GIB, 8 * _GIB + 1, _GIB)),
    2: tuple(range(4 * _GIB, 16 * _GIB + 1, _GIB)),
    4: tuple(range(8 * _GIB, 30 * _GIB + 1, _GIB)),
    8: tuple(range(16 * _GIB, 60 * _GIB + 1, 4 * _GIB)),
    16: tuple(range(32 * _GIB, 120 * _GIB + 1, 8 * _GIB)),
}
"""vCPUs -> memory sizes that go with them (AWS Batch API, ResourceRequirement)."""


def off_table(job: Job) -> str:
    """What Fargate has in place of the job's memory; empty where it has that, or not its vCPUs."""
    sizes = FARGATE_MEMORY_MIB.get(job.vcpus, ())
    if not sizes or job.memory_mib in sizes:
        return ""
    return (
        f"Fargate pairs {job.vcpus:g} vCPUs with {sizes[0]} to {sizes[-1]} MiB in steps"
        f" of {sizes[1] - sizes[0]}"
    )


class FargateJobSize(Rule):
    """Fargate has a fixed table of sizes."""

    code = "JOB-SIZE"
    reason = "RegisterJobDefinition or the start of the task is refused off the table."
    source = "AWS Batch API, ResourceRequirement"
    reads = frozenset({"environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each job off the table."""
        for stage, job in jobs(config).items():
            if not any(
                isinstance(e, FargateEnvironment)
                for e in environments_of(config, job.queue).values()
            ):
                continue
            if job.vcpus not in FARGATE_MEMORY_MIB:
                allowed = ", ".join(str(v) for v in FARGATE_MEMORY_MIB)
                yield self.problem(
                    f"jobs.{stage}.vcpus",
                    job.vcpus,
                    f"Fargate offers {allowed}",
                    "use one of these",
                )
            elif message := off_table(job):
                yield self.problem(
                    f"jobs.{stage}.memory_mib", job.memory_mib, message, "use a size of the table"
                )


class EphemeralStorageIsOnFargate(Rule):
    """A container's own disk has a size on Fargate alone."""

    code = "FARGATE-STORAGE"
    reason = "RegisterJobDefinition refuses ephemeralStorage for jobs on instances."
    source = "AWS Batch API, ContainerProperties ephemeralStorage"
    reads = frozenset({"environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each size of a job that runs on instances."""
        for stage, job in jobs(config).items():
            found = environments_of(config, job.queue)
            if job.ephemeral_storage_gib is None or any(
                isinstance(each, FargateEnvironment) for each in found.values()
            ):
                continue
            if found:
                yield self.problem(
                    f"jobs.{stage}.ephemeral_storage_gib",
                    job.ephemeral_storage_gib,
                    f"queue {job.queue} has instances, whose disks the containers share",
                    "remove it, and set root_volume_gib or scratch of the environment",
                )


class GpusAreNotOnFargate(Rule):
    """A job that asks for GPUs is not sent to Fargate."""

    code = "FARGATE-GPU"
    reason = "Fargate has no GPUs: RegisterJobDefinition refuses the requirement."
    source = "AWS Batch API, ResourceRequirement GPU"
    reads = frozenset({"environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """The analysis with GPUs on a queue with Fargate, whether that takes jobs now or not."""
        job = config.jobs.analysis
        if job.gpus and any(
            isinstance(e, FargateEnvironment) for e in environments_of(config, job.queue).values()
        ):
            message = f"queue {job.queue} is of Fargate, which has no GPUs"
            yield self.problem("jobs.analysis.gpus", job.gpus, message, "use EC2 instances")


class FargateRanksTalk(Rule):
    """Ranks on Fargate have little shared memory."""

    code = "FARGATE-RANKS"
    level = "warning"
    reason = (
        "Fargate takes no sharedMemorySize: /dev/shm has the container runtime's 64 MiB, which the"
        " ranks of one node talk through."
    )
    source = "AWS Batch API, LinuxParameters sharedMemorySize"
    reads = frozenset({"environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """An analysis of several ranks on Fargate."""
        job = config.jobs.analysis
        if job.ranks_per_node > 1 and any(
            isinstance(e, FargateEnvironment) for e in environments_of(config, job.queue).values()
        ):
            message = (
                f"shared_memory_mib {job.shared_memory_mib} has no effect on Fargate, where"
                " /dev/shm has 64 MiB"
            )
            yield self.problem(
                "jobs.analysis.ranks_per_node",
                job.ranks_per_node,
                message,
                "use one rank, or EC2 instances",
            )

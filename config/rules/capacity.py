"""Whether the jobs fit where their queues send them."""

from __future__ import annotations

from collections.abc import Iterator

from config.environments import FargateEnvironment, HpcEnvironment
from config.problems import Problem
from config.rules.base import Rule
from config.rules.obstacles import JobStarts, obstacles
from config.stack import StackConfig
from config.topology import (
    environments_of,
    fits,
    jobs,
    known_types_of,
    nodes_of,
    placing_environments_of,
    some,
)

_READS = frozenset({"environments", "jobs", "queues"})


class JobFitsSomeInstanceType(JobStarts):
    """A job fits an instance type of its queue's environments."""

    code = "JOB-FITS"
    kind = "type"
    reason = (
        "A job larger than every type stays in RUNNABLE for ever"
        " (MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT)."
    )
    source = "AWS Batch user guide, jobs stuck in RUNNABLE; memory management"


class JobFitsMaxVcpus(JobStarts):
    """A job needs no more vCPUs than its environment may have."""

    code = "JOB-MAX-VCPUS"
    kind = "max_vcpus"
    reason = (
        "AWS Batch does not start it, and it stays in RUNNABLE for ever"
        " (MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE)."
    )
    source = "AWS Batch API, ComputeResource maxvCpus; user guide, job-queue-blocked"


class IdleInstancesLeaveRoom(JobStarts):
    """Instances that min_vcpus keeps leave room for the jobs."""

    code = "JOB-MIN-VCPUS"
    kind = "min_vcpus"
    reason = (
        "AWS Batch keeps idle instances up to min_vcpus, whatever their type, and starts no others"
        " beyond max_vcpus."
    )
    source = "AWS Batch API, ComputeResource minvCpus and maxvCpus"


class ReservationLeavesRoom(JobStarts):
    """What a fair-share policy keeps back leaves room for one job."""

    code = "FAIR-SHARE-RESERVATION"
    kind = "reservation"
    reason = (
        "With one active share its jobs get 100 % less the reservation of max_vcpus, and a larger"
        " one waits for ever."
    )
    source = "AWS Batch API, FairsharePolicy computeReservation"


class EveryEnvironmentServes(Rule):
    """Each environment of a queue can start each job that is sent there."""

    code = "JOB-ENVIRONMENT"
    level = "warning"
    reason = (
        "AWS Batch passes the environment over for this job, so that less capacity stands behind"
        " the queue than it seems."
    )
    source = "AWS Batch user guide, compute environment order; jobs stuck in RUNNABLE"
    reads = _READS

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each environment that a job passes over, where another one takes it."""
        for stage, job, found in obstacles(config):
            if all(found.values()):
                continue
            for name, each in found.items():
                if each is not None:
                    message = f"environment {name} never runs jobs.{stage}: {each.message}"
                    yield self.problem(
                        f"queues.{job.queue}.environments",
                        name,
                        message,
                        f"{each.fix}, or take {name} from the queue",
                    )


class EveryTypeServes(Rule):
    """Each instance type of an environment can hold each job that is sent there."""

    code = "JOB-TYPES"
    level = "warning"
    reason = (
        "A type too small for the job is never started for it: the choice is smaller, and Spot"
        " scarcer, than the list says."
    )
    source = (
        "AWS Batch user guide, memory management: instances register less memory than their nominal"
        " size"
    )
    reads = _READS

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Types that cannot hold a job, in environments that can start it."""
        for stage, job, found in obstacles(config):
            for name in (name for name, each in found.items() if each is None):
                known = known_types_of(config.environments[name])
                small = [t for t, facts in known.items() if not fits(job, facts)]
                if small:
                    offers = [
                        f"{t} ({known[t].vcpus} vCPUs, {known[t].usable_memory_mib} MiB usable,"
                        f" {known[t].gpus} GPUs)"
                        for t in small
                    ]
                    wants = f"jobs.{stage} wants {job.vcpus:g} vCPUs and {job.memory_mib} MiB"
                    message = f"{wants}, which some types cannot hold: {some(offers)}"
                    yield self.problem(
                        f"environments.{name}.instance_types",
                        small,
                        message,
                        "ask for less, or take these types away",
                    )


class OneInstanceFitsMaxVcpus(Rule):
    """The smallest instance that holds a job is within max_vcpus."""

    code = "MAX-VCPUS-INSTANCE"
    level = "warning"
    reason = (
        "AWS Batch goes beyond max_vcpus by one instance at most, and is not bound to: the job may"
        " wait, or cost more than was planned."
    )
    source = "AWS Batch API, ComputeResource maxvCpus and allocationStrategy"
    reads = _READS

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each ceiling between the job and the instance."""
        for stage, job in jobs(config).items():
            for name, environment in placing_environments_of(config, job.queue).items():
                holding = {
                    t: facts.vcpus
                    for t, facts in known_types_of(environment).items()
                    if fits(job, facts)
                }
                if nodes_of(job) > 1 or not holding:
                    continue
                smallest = min(holding, key=lambda t: holding[t])
                if job.vcpus <= environment.max_vcpus < holding[smallest]:
                    message = (
                        f"{smallest}, the smallest type for jobs.{stage}, has {holding[smallest]}"
                        " vCPUs"
                    )
                    fix = f"raise max_vcpus to {holding[smallest]}, or add a smaller type"
                    yield self.problem(
                        f"environments.{name}.max_vcpus", environment.max_vcpus, message, fix
                    )


class MinVcpusBelowMax(Rule):
    """An environment keeps no more than it may have."""

    code = "MIN-VCPUS"
    reason = "CreateComputeEnvironment refuses it."
    source = "AWS Batch API, ComputeResource minvCpus"
    reads = frozenset({"environments"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each environment whose minimum passes its maximum."""
        for name, environment in config.environments.items():
            if (
                isinstance(environment, FargateEnvironment | HpcEnvironment)
                or environment.min_vcpus <= environment.max_vcpus
            ):
                continue
            message = f"max_vcpus is {environment.max_vcpus}"
            yield self.problem(
                f"environments.{name}.min_vcpus",
                environment.min_vcpus,
                message,
                f"lower it to {environment.max_vcpus}, or 0",
            )


class JobSize(Rule):
    """EC2 has whole vCPUs."""

    code = "JOB-VCPUS"
    reason = "RegisterJobDefinition refuses a fraction for EC2."
    source = "AWS Batch API, ResourceRequirement"
    reads = _READS

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each job with a fraction away from Fargate."""
        for stage, job in jobs(config).items():
            on_fargate = any(
                isinstance(e, FargateEnvironment)
                for e in environments_of(config, job.queue).values()
            )
            if not on_fargate and job.vcpus != int(job.vcpus):
                yield self.problem(
                    f"jobs.{stage}.vcpus", job.vcpus, "on EC2 vCPUs are whole numbers", "round up"
                )

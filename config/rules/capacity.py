"""Whether the jobs fit where their queues send them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from config.environments import FargateEnvironment
from config.facts import InstanceType, instance_type
from config.jobs import AnalysisJob
from config.problems import Problem
from config.rules.base import Job, Rule, environments_of, instance_types_of, jobs
from config.stack import StackConfig

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


class JobFitsSomeInstanceType(Rule):
    """A job fits at least one instance type of each environment of its queue."""

    code = "JOB-FITS"
    reason = "A job larger than every type stays in RUNNABLE for ever (MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT)."
    source = "AWS Batch user guide, jobs stuck in RUNNABLE; memory management"
    reads = frozenset({"environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each job and environment without a fitting type; silent where a type is unknown."""
        for stage, job in jobs(config).items():
            for name, environment in environments_of(config, job.queue).items():
                types = {t: instance_type(t) for t in instance_types_of(environment)}
                known = {t: facts for t, facts in types.items() if facts is not None}
                if isinstance(environment, FargateEnvironment) or len(known) < len(types) or any(_fits(job, f) for f in known.values()):
                    continue
                offers = "; ".join(f"{t} {f.vcpus} vCPUs, {f.usable_memory_mib} MiB usable, {f.gpus} GPUs" for t, f in known.items())
                yield self.problem(
                    f"jobs.{stage}",
                    {"vcpus": job.vcpus, "memory_mib": job.memory_mib, **({"gpus": job.gpus} if isinstance(job, AnalysisJob) else {})},
                    f"no instance type of environment {name} holds it: {offers}",
                    "ask for less, or add a larger type to the environment",
                )


def _fits(job: Job, facts: InstanceType) -> bool:
    gpus = job.gpus if isinstance(job, AnalysisJob) else 0
    return job.vcpus <= facts.vcpus and job.memory_mib <= facts.usable_memory_mib and gpus <= facts.gpus


class FargateJobSize(Rule):
    """Fargate has a fixed table of sizes, EC2 whole vCPUs."""

    code = "JOB-SIZE"
    reason = "RegisterJobDefinition or the start of the task is refused off the table."
    source = "AWS Batch API, ResourceRequirement"
    reads = frozenset({"environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each job off the table."""
        for stage, job in jobs(config).items():
            environments = environments_of(config, job.queue).values()
            if any(isinstance(e, FargateEnvironment) for e in environments):
                sizes = FARGATE_MEMORY_MIB.get(job.vcpus)
                if sizes is None:
                    allowed = ", ".join(str(v) for v in FARGATE_MEMORY_MIB)
                    yield self.problem(f"jobs.{stage}.vcpus", job.vcpus, f"Fargate offers {allowed}", "use one of these")
                elif job.memory_mib not in sizes:
                    message = f"Fargate pairs {job.vcpus} vCPUs with {sizes[0]} to {sizes[-1]} MiB in steps of {sizes[1] - sizes[0]}"
                    yield self.problem(f"jobs.{stage}.memory_mib", job.memory_mib, message, "use a size of the table")
            elif job.vcpus != int(job.vcpus):
                yield self.problem(f"jobs.{stage}.vcpus", job.vcpus, "on EC2 vCPUs are whole numbers", "round up")


class GpuJobBootsGpuImage(Rule):
    """A job with GPUs runs on instances whose AMI has the NVIDIA driver, and CuPy has GPUs."""

    code = "GPU-IMAGE"
    reason = "Without driver or GPU request the container sees no GPU."
    source = "AWS Batch user guide, GPU jobs; API ResourceRequirement"
    reads = frozenset({"environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """CuPy without GPUs, GPUs without driver."""
        job = config.jobs.analysis
        if job.array_backend == "cupy" and not job.gpus:
            yield self.problem("jobs.analysis.gpus", 0, "array_backend is cupy, which computes on GPUs", "ask for gpus, or use numpy")
        for name, environment in environments_of(config, job.queue).items():
            if not job.gpus or isinstance(environment, FargateEnvironment) or environment.image_id is not None:
                continue
            if environment.image_type != "ECS_AL2023_NVIDIA":
                message = f"jobs.analysis asks for {job.gpus} GPUs and this AMI has no NVIDIA driver"
                yield self.problem(f"environments.{name}.image_type", environment.image_type, message, "use ECS_AL2023_NVIDIA")

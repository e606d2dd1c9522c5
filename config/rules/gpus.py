"""GPUs: that there are some, that somebody asks for them, and that the image and the AMI can use
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from config.environments import FargateEnvironment
from config.problems import Problem
from config.rules.base import Rule
from config.stack import StackConfig
from config.topology import (
    environments_of,
    gpus_of,
    instance_types_of,
    jobs,
    known_types_of,
    minimum_of,
)

_READS = frozenset({"environments", "jobs", "queues"})
UNSERVED: Final[dict[str, tuple[str, ...]]] = {
    "ECS_AL2023": ("a1",),
    "ECS_AL2023_NVIDIA": ("p2", "p3", "p3dn", "g3", "g3s"),
}
"""Image type -> families that it does not serve."""


class GpuJobBootsGpuImage(Rule):
    """A job with GPUs runs on instances whose AMI has the NVIDIA driver, and CuPy has GPUs."""

    code = "GPU-IMAGE"
    reason = "Without driver or GPU request the container sees no GPU."
    source = "AWS Batch user guide, GPU jobs; API ResourceRequirement"
    reads = _READS

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """CuPy without GPUs, GPUs without driver."""
        job = config.jobs.analysis
        if job.array_backend == "cupy" and not job.gpus:
            yield self.problem(
                "jobs.analysis.gpus",
                0,
                "array_backend is cupy, which computes on GPUs",
                "ask for gpus, or use numpy",
            )
        for name, environment in environments_of(config, job.queue).items():
            if (
                not job.gpus
                or isinstance(environment, FargateEnvironment)
                or environment.image_id is not None
            ):
                continue
            if environment.image_type != "ECS_AL2023_NVIDIA":
                message = (
                    f"jobs.analysis asks for {job.gpus} GPUs and this AMI has no NVIDIA driver"
                )
                yield self.problem(
                    f"environments.{name}.image_type",
                    environment.image_type,
                    message,
                    "use ECS_AL2023_NVIDIA",
                )


class ImageServesFamily(Rule):
    """The AMI of AWS Batch boots on the instance family."""

    code = "IMAGE-FAMILY"
    reason = "The instance does not boot, or boots without a driver that works, and never joins."
    source = "AWS Batch API, Ec2Configuration imageType"
    reads = frozenset({"environments"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each environment with types that its image type does not serve."""
        for name, environment in config.environments.items():
            if isinstance(environment, FargateEnvironment) or environment.image_id is not None:
                continue
            unserved = [
                t
                for t in instance_types_of(environment)
                if t.partition(".")[0] in UNSERVED[environment.image_type]
            ]
            if unserved:
                message = f"it does not serve {', '.join(unserved)}"
                fix = "take a newer family, or name an image_id of your own"
                yield self.problem(
                    f"environments.{name}.image_type", environment.image_type, message, fix
                )


class GpusAreComputedOn(Rule):
    """Whoever reserves GPUs computes on them."""

    code = "GPU-BACKEND"
    level = "warning"
    reason = "The GPUs are paid for and stand idle."
    source = "this program's analysis: the backend numpy computes on CPUs"
    reads = frozenset({"jobs"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """GPUs beside numpy."""
        job = config.jobs.analysis
        if job.gpus and job.array_backend == "numpy":
            yield self.problem(
                "jobs.analysis.gpus",
                job.gpus,
                "array_backend is numpy, which leaves GPUs idle",
                "use cupy, or ask for none",
            )


class GpuInstancesServeGpuJobs(Rule):
    """Jobs without GPUs run on instances without GPUs."""

    code = "GPU-UNREQUESTED"
    level = "warning"
    reason = (
        "A container without a GPU request sees no GPU, and the instance costs many times as much"
        " as one without."
    )
    source = "AWS Batch user guide, GPU jobs"
    reads = _READS

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each job without a GPU request whose environment has nothing but GPU instances."""
        for stage, job in jobs(config).items():
            for name, environment in environments_of(config, job.queue).items():
                known = known_types_of(environment)
                if known and not gpus_of(job) and all(facts.gpus for facts in known.values()):
                    message = (
                        f"jobs.{stage} asks for no GPU, and environment {name} has GPU instances"
                        " only"
                    )
                    fix = "send it to another queue" + (
                        ", or ask for gpus" if stage == "analysis" else ""
                    )
                    yield self.problem(f"jobs.{stage}.queue", job.queue, message, fix)


class OneRankPerGpu(Rule):
    """On GPUs there is one rank for each."""

    code = "RANKS-GPUS"
    level = "warning"
    reason = (
        "Ranks that share a GPU wait for one another, and a GPU without a rank is paid for and"
        " idle."
    )
    source = "this program's analysis: a rank computes on one GPU, local rank modulo GPUs"
    reads = frozenset({"jobs"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """More ranks than GPUs, or fewer."""
        job = config.jobs.analysis
        if job.exchange == "nccl" and job.ranks_per_node > job.gpus:
            return  # EXCHANGE has a word on it
        if job.array_backend == "cupy" and job.gpus and job.ranks_per_node != job.gpus:
            what = (
                "some ranks share a GPU"
                if job.ranks_per_node > job.gpus
                else f"{job.gpus - job.ranks_per_node} GPUs have no rank"
            )
            message = f"gpus is {job.gpus}, so {what}"
            yield self.problem(
                "jobs.analysis.ranks_per_node",
                job.ranks_per_node,
                message,
                f"set ranks_per_node to {job.gpus}",
            )


class ExchangeHasDevices(Rule):
    """Rows go from GPU to GPU only where they lie on GPUs, and by NCCL only where each rank has its
    own.
    """

    code = "EXCHANGE"
    reason = (
        "On the host there is no device memory to exchange, and NCCL refuses two ranks on one GPU."
    )
    source = "NVIDIA NCCL user guide, creating a communicator; this program's analysis"
    reads = frozenset({"jobs"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """An exchange between GPUs with numpy, or NCCL with more ranks than GPUs."""
        job = config.jobs.analysis
        if job.exchange == "host":
            return
        if job.array_backend != "cupy":
            message = f"array_backend is {job.array_backend}, which computes on the host"
            yield self.problem(
                "jobs.analysis.exchange", job.exchange, message, "use host, or the backend cupy"
            )
        elif job.exchange == "nccl" and job.ranks_per_node > job.gpus:
            message = (
                f"{job.ranks_per_node} ranks share {job.gpus} GPUs of a node, and NCCL wants a GPU"
                " for each rank"
            )
            yield self.problem(
                "jobs.analysis.exchange",
                job.exchange,
                message,
                f"use host, or set ranks_per_node to {job.gpus}",
            )


class RanksHaveCpus(Rule):
    """Each rank has a vCPU."""

    code = "RANKS-VCPUS"
    level = "warning"
    reason = "Ranks that take turns on a vCPU are slower together than fewer would be."
    source = "Open MPI documentation, oversubscription"
    reads = frozenset({"jobs"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """More ranks than vCPUs."""
        job = config.jobs.analysis
        if job.ranks_per_node > job.vcpus:
            message = f"the container has {job.vcpus:g} vCPUs"
            fix = f"set ranks_per_node to {max(1, int(job.vcpus))} or less"
            yield self.problem("jobs.analysis.ranks_per_node", job.ranks_per_node, message, fix)


class KeptGpusArePaidFor(Rule):
    """No GPU instance is kept without a job."""

    code = "MIN-VCPUS-GPU"
    level = "warning"
    reason = (
        "min_vcpus keeps instances running, and paid for, day and night, even in a disabled"
        " environment."
    )
    source = "AWS Batch API, ComputeResource minvCpus"
    reads = frozenset({"environments"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each environment of GPU instances with a minimum."""
        for name, environment in config.environments.items():
            minimum = minimum_of(environment)
            with_gpus = [t for t, facts in known_types_of(environment).items() if facts.gpus]
            if minimum and with_gpus:
                message = f"{', '.join(with_gpus[:3])} have GPUs and would run without a job"
                yield self.problem(
                    f"environments.{name}.min_vcpus", minimum, message, "set it to 0"
                )

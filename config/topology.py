"""Look-ups across the sections of a config: which job goes to which queue, which environment may
start which type.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Literal

from config.base import BrokenFieldError
from config.disks import Scratch
from config.environments import Environment, FargateEnvironment, HpcEnvironment, InstanceEnvironment
from config.facts import InstanceType, instance_type
from config.jobs import AnalysisJob, PostprocessJob, PreprocessJob
from config.prepared import PreparedImage
from config.stack import StackConfig
from config.volumes import FileSystem, Volume

Job = PreprocessJob | AnalysisJob | PostprocessJob
ContainerImage = Literal["cpu", "gpu"]
"""The two container images: that of the analysis, and that of the other stages."""


def jobs(config: StackConfig) -> dict[str, Job]:
    """Stage -> job, and `fallback` -> the job that takes the place of an analysis, where there is
    one: `jobs.fallback`, or the analysis itself in its queue without Spot, with the attempts that
    `spot_attempts` leaves.
    """
    analysis = config.jobs.analysis
    found: dict[str, Job] = {
        "preprocess": config.jobs.preprocess,
        "analysis": analysis,
        "postprocess": config.jobs.postprocess,
    }
    if config.jobs.fallback is not None:
        return {**found, "fallback": config.jobs.fallback}
    try:
        spot, queue, attempts = (
            analysis.spot_attempts,
            analysis.on_demand_queue,
            analysis.attempts,
        )
    except BrokenFieldError:  # what is not known is no reason to keep silent of the rest
        return found
    if spot is None or queue is None:
        return found
    return {
        **found,
        "analysis": analysis.model_copy(update={"attempts": spot}),
        "fallback": analysis.model_copy(
            update={"queue": queue, "attempts": max(1, attempts - spot)}
        ),
    }


def goes_on_demand(config: StackConfig) -> bool:
    """Whether an analysis that Spot did not let end goes on in its queue without Spot."""
    return config.jobs.fallback is None and "fallback" in jobs(config)


def is_spot(environment: Environment) -> bool:
    """Whether AWS may take the environment's machines back."""
    return environment.kind in ("spot", "fargate-spot")


def may_be_reclaimed(config: StackConfig, job: Job) -> bool:
    """Whether an environment of the job's queue is on Spot."""
    return any(is_spot(each) for each in environments_of(config, job.queue).values())


def reclaims_are_counted(config: StackConfig) -> bool:
    """Whether postprocess asks AWS Batch what became of the analysis's attempts: on Spot, where its
    subnets lead to the service.
    """
    network = config.network
    reached = network.nat != "none" or "batch" in network.endpoint_services
    return reached and may_be_reclaimed(config, config.jobs.analysis)


def growing(config: StackConfig) -> dict[str, Job]:
    """Stage -> job, of those that ask for more memory after they were killed for want of it."""
    return {stage: job for stage, job in jobs(config).items() if job.memory_growth_mib}


def sizes_of(job: Job) -> list[Job]:
    """The job as it is begun at first, and with each further memory that it may ask for."""
    return [job, *(job.model_copy(update={"memory_mib": mib}) for mib in job.memory_growth_mib)]


def longest_minutes(job: Job) -> int:
    """All its attempts up to their timeout, with each memory that it may ask for."""
    return job.timeout_minutes * job.attempts * len(sizes_of(job))


def nodes_of(job: Job) -> int:
    """Nodes of a job; one unless it is a multi-node job."""
    return job.nodes if isinstance(job, AnalysisJob) else 1


def gpus_of(job: Job) -> int:
    """GPUs of each node."""
    return job.gpus if isinstance(job, AnalysisJob) else 0


def environments_of(config: StackConfig, queue: str) -> dict[str, Environment]:
    """The environments of a queue that exist, in order; empty for an unknown queue."""
    if queue not in config.queues:
        return {}
    return {
        name: config.environments[name]
        for name in config.queues[queue].environments
        if name in config.environments
    }


def placing_environments_of(config: StackConfig, queue: str) -> dict[str, Environment]:
    """Those among them that take new jobs."""
    return {
        name: environment
        for name, environment in environments_of(config, queue).items()
        if environment.enabled
    }


def instance_types_of(environment: Environment) -> tuple[str, ...]:
    """Instance types that an environment may start; none on Fargate."""
    if isinstance(environment, FargateEnvironment):
        return ()
    return (
        (environment.instance_type,)
        if isinstance(environment, HpcEnvironment)
        else environment.instance_types
    )


def scratch_of(environment: Environment) -> Scratch | None:
    """The disk for temporary files of its instances; none on Fargate."""
    return None if isinstance(environment, FargateEnvironment) else environment.scratch


def preparing(config: StackConfig) -> Iterator[tuple[str, InstanceEnvironment, PreparedImage]]:
    """Each environment that has an AMI made for it, by name, and how."""
    for name, environment in config.environments.items():
        if not isinstance(environment, FargateEnvironment) and environment.prepared_image:
            yield name, environment, environment.prepared_image


def images_on(config: StackConfig, environment: str) -> tuple[ContainerImage, ...]:
    """The container images of the jobs that run in an environment, sorted."""
    found: set[ContainerImage] = {
        "gpu" if isinstance(job, AnalysisJob) else "cpu"
        for job in jobs(config).values()
        if environment in environments_of(config, job.queue)
    }
    return tuple(sorted(found))


def image_digests(config: StackConfig) -> dict[ContainerImage, str | None]:
    """What the stack file says of each image."""
    return {"cpu": config.images.cpu_digest, "gpu": config.images.gpu_digest}


def builder_type_of(environment: Environment) -> str | None:
    """Type of the instance that makes an environment's AMI: as the file says, or the cheapest of
    its types. None where no AMI is made, or no type has a known price.
    """
    prepared = None if isinstance(environment, FargateEnvironment) else environment.prepared_image
    if prepared is None:
        return None
    if prepared.builder_type is not None:
        return prepared.builder_type
    priced = {
        name: facts.usd_per_hour
        for name, facts in known_types_of(environment).items()
        if facts.usd_per_hour is not None
    }
    return min(priced, key=lambda name: (priced[name], name), default=None)


def minimum_of(environment: Environment) -> int:
    """What an environment keeps without any job, in vCPUs."""
    return (
        0 if isinstance(environment, FargateEnvironment | HpcEnvironment) else environment.min_vcpus
    )


def known_types_of(environment: Environment) -> dict[str, InstanceType]:
    """Those among them that are known, with their facts."""
    found = {name: instance_type(name) for name in instance_types_of(environment)}
    return {name: facts for name, facts in found.items() if facts is not None}


def fits(job: Job, facts: InstanceType) -> bool:
    """Whether an instance of the type, empty, holds one node of the job."""
    return (
        job.vcpus <= facts.vcpus
        and job.memory_mib <= facts.usable_memory_mib
        and gpus_of(job) <= facts.gpus
    )


def some(names: list[str], shown: int = 3) -> str:
    """The first few of some names, and how many there are besides."""
    unique = list(dict.fromkeys(names))
    return ", ".join(unique[:shown]) + (
        f" and {len(unique) - shown} more" if len(unique) > shown else ""
    )


def mounting(config: StackConfig, file_system: FileSystem) -> dict[str, Job]:
    """The jobs that mount a file system, by name."""
    return {
        name: job
        for name, job in jobs(config).items()
        if any(volume.file_system == file_system for volume in job.volumes)
    }


def volume_of(job: Job, path: str) -> Volume | None:
    """The volume of a job on which a path lies."""
    wanted = PurePosixPath(path)
    return next((each for each in job.volumes if wanted.is_relative_to(each.path)), None)

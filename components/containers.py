"""The container of a job: what RegisterJobDefinition calls containerProperties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import pulumi

from components.efa import efa_device_count
from components.user_data import SCRATCH_PATH
from config.environments import FargateEnvironment, HpcEnvironment
from config.facts import instance_type
from config.jobs import AnalysisJob
from config.stack import StackConfig
from config.topology import Job, environments_of, scratch_of

_SCRATCH_VOLUME: Final = "scratch"
# ECS itself tells it on Fargate alone (aws/containers-roadmap#1611); without it SDKs find no
# endpoint, or that of another region
_REGION_VARIABLES: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")
# Limits under which Open MPI, libfabric and CUDA register memory and open sockets (AWS's samples
# for EFA on AWS Batch); -1: none.
_ULIMITS: Final = {"memlock": -1, "stack": 67_108_864, "nofile": 1_024_000}


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What the environments behind a job's queue mean for its container."""

    fargate: bool
    scratch: bool
    """Whether every instance has the scratch mount."""
    instance_type: str | None
    """The type that all nodes of a multi-node job are of; None for a plain container job."""
    efa_devices: int
    """EFA devices that each node hands to its container."""

    @classmethod
    def of(cls, config: StackConfig, job: Job) -> Self:
        """The placement of a job of a valid config."""
        environments = list(environments_of(config, job.queue).values())
        multi_node = isinstance(job, AnalysisJob) and job.nodes > 1
        hpc = (
            next((e for e in environments if isinstance(e, HpcEnvironment)), None)
            if multi_node
            else None
        )
        return cls(
            fargate=any(isinstance(e, FargateEnvironment) for e in environments),
            scratch=all(scratch_of(e) is not None for e in environments),
            instance_type=hpc.instance_type if hpc is not None else None,
            efa_devices=(
                efa_device_count(hpc.instance_type, instance_type(hpc.instance_type))
                if hpc is not None and hpc.efa
                else 0
            ),
        )


@dataclass(frozen=True, kw_only=True)
class ContainerArgs:
    """What differs between the containers of the stages."""

    job: Job
    placement: Placement
    image: pulumi.Input[str]
    command: Sequence[str]
    environment: Mapping[str, pulumi.Input[str]]
    secrets: Mapping[str, pulumi.Input[str]]
    """Variable -> ARN of the Secrets Manager secret."""
    job_role_arn: pulumi.Input[str]
    execution_role_arn: pulumi.Input[str]
    log_group: pulumi.Input[str]
    log_stream_prefix: str
    region: str
    mounts: tuple[Sequence[dict[str, Any]], Sequence[dict[str, Any]]] = ((), ())
    """Volumes of shared file systems and the points where they are mounted."""


def container_properties(args: ContainerArgs) -> dict[str, Any]:
    """The properties, in the API's own spelling: the provider drops what it does not know without a
    word.
    """
    placement = args.placement
    variables = {**dict.fromkeys(_REGION_VARIABLES, args.region), **args.environment}
    properties = {
        "image": args.image,
        "command": list(args.command),
        "jobRoleArn": args.job_role_arn,
        "executionRoleArn": args.execution_role_arn,
        "resourceRequirements": _requirements(args.job),
        "environment": [
            {"name": name, "value": value} for name, value in sorted(variables.items())
        ],
        "secrets": [{"name": name, "valueFrom": arn} for name, arn in sorted(args.secrets.items())],
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": args.log_group,
                "awslogs-region": args.region,
                "awslogs-stream-prefix": args.log_stream_prefix,
            },
        },
        **(_on_fargate(args.job) if placement.fargate else _on_instances(args.job, placement)),
    }
    for member, shared in zip(("volumes", "mountPoints"), args.mounts, strict=True):
        if shared:
            properties[member] = [*properties.get(member, ()), *shared]
    return properties


_FARGATE: Final[Mapping[str, Any]] = {
    "networkConfiguration": {"assignPublicIp": "DISABLED"},
    "fargatePlatformConfiguration": {"platformVersion": "LATEST"},
    "runtimePlatform": {"operatingSystemFamily": "LINUX", "cpuArchitecture": "X86_64"},
}


def _on_fargate(job: Job) -> dict[str, Any]:
    if job.ephemeral_storage_gib is None:
        return dict(_FARGATE)
    return {**_FARGATE, "ephemeralStorage": {"sizeInGiB": job.ephemeral_storage_gib}}


def _requirements(job: Job) -> list[dict[str, str]]:
    wanted = {"VCPU": f"{job.vcpus:g}", "MEMORY": str(job.memory_mib)}
    if isinstance(job, AnalysisJob) and job.gpus:
        wanted["GPU"] = str(job.gpus)
    return [{"type": kind, "value": value} for kind, value in wanted.items()]


def _on_instances(job: Job, placement: Placement) -> dict[str, Any]:
    """What exists on instances only."""
    properties: dict[str, Any] = {}
    if placement.instance_type is not None:
        # here and not in the node range's instanceTypes, whose changes the provider does not see
        properties["instanceType"] = placement.instance_type
    if placement.scratch:
        properties["volumes"] = [{"name": _SCRATCH_VOLUME, "host": {"sourcePath": SCRATCH_PATH}}]
        properties["mountPoints"] = [
            {"sourceVolume": _SCRATCH_VOLUME, "containerPath": SCRATCH_PATH, "readOnly": False}
        ]
    if isinstance(job, AnalysisJob):
        properties["linuxParameters"] = {
            "initProcessEnabled": True,  # reaps the processes that a dying launcher leaves behind
            "sharedMemorySize": job.shared_memory_mib,
            "devices": [_efa_device(index) for index in range(placement.efa_devices)],
        }
        properties["ulimits"] = [
            {"name": name, "softLimit": limit, "hardLimit": limit}
            for name, limit in _ULIMITS.items()
        ]
    return properties


def _efa_device(index: int) -> dict[str, Any]:
    path = f"/dev/infiniband/uverbs{index}"
    return {"hostPath": path, "containerPath": path, "permissions": ["READ", "WRITE", "MKNOD"]}

"""A case of a rule, and changes of the prod stack that many cases make."""

from __future__ import annotations

from dataclasses import dataclass

from tests.config.stacks import REMOVED, Changes, sections


@dataclass(frozen=True)
class Case:
    breaks: Changes
    path: str
    says: tuple[str, ...]
    passes: Changes
    stacks: tuple[str, str] = ("test", "test")
    """Name of the stack where it breaks, and where it passes."""


SPOT_TYPES = sections()["environments"]["spot-cpu"]["instance_types"]
GPU_TYPES = [
    f"{family}.{size}xlarge" for family in ("g4dn", "g5", "g6", "g6e") for size in (4, 8, 16)
]
FARGATE = {"kind": "fargate", "max_vcpus": 16}
ON_DEMAND = {"kind": "on-demand", "instance_types": ["c6i.xlarge"], "max_vcpus": 16}
HPC = {
    "kind": "hpc",
    "instance_type": "p5.48xlarge",
    "image_type": "ECS_AL2023_NVIDIA",
    "max_vcpus": 768,
    "efa": True,
    "scratch": True,
}
GPU_SPOT = {
    "kind": "spot",
    "instance_types": GPU_TYPES,
    "image_type": "ECS_AL2023_NVIDIA",
    "max_vcpus": 64,
}
LIMITS = [{"reason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT", "max_minutes": 30}]
DISABLED = {"enabled": False}
DIGESTS = {"cpu_digest": f"sha256:{'0' * 64}", "gpu_digest": f"sha256:{'1' * 64}"}
RESERVED = {"environments.gpu.capacity_reservation_id": "cr-0123456789abcdef0"}


FALLBACK = {
    "queue": "main",
    "nodes": 1,
    "vcpus": 4,
    "memory_mib": 6144,
    "ranks_per_node": 4,
    "array_backend": "numpy",
    "timeout_minutes": 360,
    "share_identifier": "pipeline",
    "scheduling_priority": 100,
}


def postprocess_on(environment: dict[str, object], **queue: object) -> Changes:
    """The last stage on an environment and a queue of its own, first come first served."""
    return {
        "environments.own": environment,
        "queues.own": {"environments": ["own"], **queue},
        "jobs.postprocess.queue": "own",
        "jobs.postprocess.share_identifier": REMOVED,
        "jobs.postprocess.scheduling_priority": REMOVED,
    }


def analysis_on(environment: dict[str, object], *, nodes: int, **queue: object) -> Changes:
    """The analysis on an environment and a queue of its own."""
    own = {"environments.own": environment, "queues.own": {"environments": ["own"], **queue}}
    return {**own, "jobs.analysis.queue": "own", "jobs.analysis.nodes": nodes}


ON_FARGATE = postprocess_on(FARGATE)
ON_CPUS: Changes = {
    "jobs.analysis.array_backend": "numpy",
    "jobs.analysis.gpus": 0,
    "jobs.analysis.ranks_per_node": 4,
}
ONE_GPU: Changes = {
    **analysis_on(GPU_SPOT, nodes=1),
    **{
        f"jobs.analysis.{k}": v
        for k, v in {
            "vcpus": 16,
            "memory_mib": 49_152,
            "gpus": 1,
            "ranks_per_node": 1,
            "shared_memory_mib": 8192,
        }.items()
    },
}
ANALYSIS_ON_FARGATE: Changes = {
    **analysis_on(FARGATE, nodes=1),
    **ON_CPUS,
    "jobs.analysis.vcpus": 16,
    "jobs.analysis.memory_mib": 65_536,
    "jobs.analysis.ranks_per_node": 1,
}

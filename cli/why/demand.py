"""What a job asks for: its nodes, and the vCPUs, memory and GPUs of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Demand:
    """Of one job, or of one child of an array job."""

    nodes: int
    """1 for a job that is not multi-node."""
    multi_node: bool
    vcpus: float
    """Of the largest node, as memory and GPUs are."""
    memory_mib: int
    gpus: int
    instance_type: str
    """That the job definition insists on; empty for any."""
    fargate: bool

    @property
    def text(self) -> str:
        """For people."""
        gpus = f", {self.gpus} GPU{'s' if self.gpus > 1 else ''}" if self.gpus else ""
        each = f"{self.vcpus:g} vCPUs, {self.memory_mib} MiB{gpus}"
        return f"{self.nodes} nodes of {each}" if self.multi_node else each


def demand_of(job: Mapping[str, Any]) -> Demand:
    """From a JobDetail of DescribeJobs."""
    nodes = job.get("nodeProperties") or {}
    groups = [_sums(each) for each in nodes.get("nodeRangeProperties") or [job]]
    types = [
        str(container.get("instanceType"))
        for each in nodes.get("nodeRangeProperties") or []
        for container in (
            each.get("container") or {},
            *({"instanceType": t} for t in each.get("instanceTypes") or []),
        )
        if container.get("instanceType")
    ]
    return Demand(
        nodes=int(nodes.get("numNodes") or 1),
        multi_node=bool(nodes),
        vcpus=max(vcpus for vcpus, _, _ in groups),
        memory_mib=max(memory for _, memory, _ in groups),
        gpus=max(gpus for _, _, gpus in groups),
        instance_type=types[0] if types else "",
        fargate="FARGATE" in (job.get("platformCapabilities") or []),
    )


def containers(job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The containers of a job, those of a multi-node job by node range.

    Each has what its task has: roles stand beside the containers in ecsProperties.
    """
    ranges = (job.get("nodeProperties") or {}).get("nodeRangeProperties")
    return [found for each in ranges or [job] for found in _of_part(each)]


def _of_part(part: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for task in (part.get("ecsProperties") or {}).get("taskProperties") or []:
        roles = {
            own: task[theirs]
            for own, theirs in (
                ("executionRoleArn", "executionRoleArn"),
                ("jobRoleArn", "taskRoleArn"),
            )
            if task.get(theirs)
        }
        yield from ({**roles, **container} for container in task.get("containers") or [])
    if part.get("container"):
        yield dict(part["container"])


def _sums(part: Mapping[str, Any]) -> tuple[float, int, int]:
    sums = {"VCPU": 0.0, "MEMORY": 0.0, "GPU": 0.0}
    for container in _of_part(part):
        asked = {
            each["type"]: float(each["value"])
            for each in container.get("resourceRequirements") or []
        }
        asked.setdefault(
            "VCPU", float(container.get("vcpus") or 0)
        )  # both deprecated, both still read by AWS
        asked.setdefault("MEMORY", float(container.get("memory") or 0))
        for kind, value in asked.items():
            sums[kind] = sums.get(kind, 0.0) + value
    return sums["VCPU"], int(sums["MEMORY"]), int(sums["GPU"])

"""Placement of jobs on compute environments: which instance, on which environment, or why not.

Rules: User Guide (allocation strategies, "Jobs stuck in RUNNABLE", multi-node parallel jobs, memory
management) and the ComputeResource reference. Instances are started for the job at hand and
terminated when idle above minvCpus; whole fleets packed ahead of demand are not modelled.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from localcloud.batch.definitions import resource_value
from localcloud.batch.launches import NO_CAPACITY, UNDETERMINED, UNSUPPORTED, Failure, Launches
from localcloud.batch.records import ComputeEnvironment, Instance
from localcloud.moto.ec2 import InstanceShape

_GROUPS: Final = {
    "optimal": ("m6i", "c6i", "r6i", "c7i"),
    "default_x86_64": ("m6i", "c6i", "r6i", "c7i"),
    "default_arm64": ("m6g", "c6g", "r6g", "c7g"),
}
_ORDERED: Final = ("BEST_FIT_PROGRESSIVE_ORDERED", "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED")

MAX_RESOURCE: Final = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"
REQUIREMENT: Final = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"
INVALID_ENVIRONMENTS: Final = "ACTION_REQUIRED"
_TEXTS: Final = {
    MAX_RESOURCE: (
        f"{MAX_RESOURCE} - CE(s) associated with the job queue cannot meet the CPU requirement of"
        " the job."
    ),
    REQUIREMENT: (
        f"{REQUIREMENT} - The job resource requirement (vCPU/memory/GPU) is higher than that can be"
        " met by the CE(s) attached to the job queue."
    ),
    INVALID_ENVIRONMENTS: (
        f"{INVALID_ENVIRONMENTS} - CE(s) associated with the job queue are invalid."
    ),
    UNDETERMINED: f"{UNDETERMINED} - Batch job is blocked, root cause is undetermined.",
}


@dataclass(frozen=True, kw_only=True)
class Need:
    """What one node of a job reserves."""

    vcpus: float
    memory_mib: int
    gpus: int
    instance_type: str | None = None

    @classmethod
    def of(cls, container: dict[str, Any]) -> Need:
        """From container properties."""
        return cls(
            vcpus=float(resource_value(container, "VCPU") or 1),
            memory_mib=int(resource_value(container, "MEMORY") or 4),
            gpus=int(resource_value(container, "GPU") or 0),
            instance_type=container.get("instanceType"),
        )


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a job cannot be placed now.

    `reason` is empty where it only has to wait for running jobs.
    """

    reason: str = ""
    instance_type: str = ""
    said: str = ""
    """EC2's own words."""

    @property
    def text(self) -> str:
        """The status reason that AWS documents for it."""
        if self.reason == UNSUPPORTED:
            return f"{UNSUPPORTED} - {self.said}"
        if self.reason == NO_CAPACITY:
            return (
                f"{NO_CAPACITY} - Service cannot fulfill the capacity requested for instance type"
                f" [{self.instance_type}]"
            )
        return _TEXTS.get(self.reason, self.reason)


def most_telling(refusals: Iterable[Refusal]) -> Refusal:
    """Of what a job's environments said, what stands for all: that it may yet run somewhere, else
    what an operator can act on first.
    """
    by_reason = {refusal.reason: refusal for refusal in refusals}
    for reason in (
        "",
        NO_CAPACITY,
        UNSUPPORTED,
        UNDETERMINED,
        REQUIREMENT,
        MAX_RESOURCE,
        INVALID_ENVIRONMENTS,
    ):
        if reason in by_reason:
            return by_reason[reason]
    return Refusal()


@dataclass(kw_only=True)
class Capacity:
    """Places nodes; `launches` says what EC2 answers, without it EC2 has everything."""

    shapes: Mapping[str, InstanceShape]
    launches: Launches | None = None

    def place(
        self,
        environment: ComputeEnvironment,
        needs: list[Need],
        *,
        multinode: bool,
        fraction: float = 1.0,
    ) -> list[Instance] | Refusal:
        """Instances for all nodes of a job at once, reserved, or why there are none. The caller
        holds the lock.

        Args:
            environment: Where to place.
            needs: One per node.
            multinode: One instance per node, none shared, all at once.
            fraction: Part of maxvCpus that may be used (fair-share reservation).
        """
        limit = environment.resources["maxvCpus"] * fraction
        if sum(need.vcpus for need in needs) > environment.resources["maxvCpus"]:
            return Refusal(reason=MAX_RESOURCE)
        if environment.is_fargate:
            return self._place_on_fargate(environment, needs[0], limit)
        if multinode:
            return self._place_nodes(environment, needs, limit)
        return self._place_one(environment, needs[0], limit)

    def _place_on_fargate(
        self, environment: ComputeEnvironment, need: Need, limit: float
    ) -> list[Instance] | Refusal:
        if environment.vcpus + need.vcpus > limit:
            return Refusal()
        instance = _started("fargate", need.vcpus, need.memory_mib, 0)
        environment.instances[instance.id] = instance
        reserve(instance, need)
        return [instance]

    def _place_one(
        self, environment: ComputeEnvironment, need: Need, limit: float
    ) -> list[Instance] | Refusal:
        fitting = self._fitting(environment, need)
        if not fitting:
            return Refusal(reason=REQUIREMENT)
        for instance in environment.instances.values():
            if _fits(instance, need):
                reserve(instance, need)
                return [instance]
        strict = environment.resources["allocationStrategy"] == "BEST_FIT"
        if strict and all(shape.vcpus > environment.resources["maxvCpus"] for shape in fitting):
            return Refusal(reason=MAX_RESOURCE)
        failures: list[Failure] = []
        for shape in fitting:
            # every strategy but BEST_FIT may go beyond maxvCpus, by one instance at most
            room = environment.vcpus + (shape.vcpus if strict else need.vcpus) <= limit
            failed = self._failure(environment, shape, 1) if room else None
            if failed is not None:
                failures.append(failed)
            elif room:
                instance = self._start(environment, shape)
                reserve(instance, need)
                return [instance]
        return _refusal(failures)

    def _place_nodes(
        self, environment: ComputeEnvironment, needs: list[Need], limit: float
    ) -> list[Instance] | Refusal:
        fitting = [
            shape
            for shape in self._fitting(environment, needs[0])
            if all(_shape_fits(shape, need) for need in needs)
        ]
        if environment.is_spot or not fitting:
            return Refusal(reason=REQUIREMENT)  # multi-node jobs are not supported on Spot
        affordable = [
            shape
            for shape in fitting
            if shape.vcpus * len(needs) <= environment.resources["maxvCpus"]
        ]
        if not affordable:
            return Refusal(reason=MAX_RESOURCE)
        failures: list[Failure] = []
        for shape in affordable:
            if environment.vcpus + shape.vcpus * len(needs) > limit:
                continue
            failed = self._failure(environment, shape, len(needs), multinode=True)
            if failed is not None:
                failures.append(failed)
                continue
            placed = []
            for need in needs:
                instance = self._start(environment, shape)
                reserve(instance, need)
                instance.free_vcpus = 0  # one node per instance, whatever room is left
                placed.append(instance)
            return placed
        return _refusal(failures)

    def _failure(
        self,
        environment: ComputeEnvironment,
        shape: InstanceShape,
        count: int,
        *,
        multinode: bool = False,
    ) -> Failure | None:
        if self.launches is None:
            return None
        return self.launches.failure(environment, shape, count, multinode=multinode)

    def _start(self, environment: ComputeEnvironment, shape: InstanceShape) -> Instance:
        instance = _started(shape.name, shape.vcpus, shape.memory_mib, shape.gpus)
        environment.instances[instance.id] = instance
        if self.launches is not None:
            self.launches.started(environment, instance.id)
        return instance

    def _fitting(self, environment: ComputeEnvironment, need: Need) -> list[InstanceShape]:
        """Types that hold the node: in the given order for the ordered strategies, else the
        smallest first.
        """
        shapes = [
            shape
            for shape in self.types(environment.resources.get("instanceTypes", []))
            if _shape_fits(shape, need)
        ]
        if environment.resources.get("allocationStrategy") in _ORDERED:
            return shapes
        return sorted(
            shapes, key=lambda shape: (shape.vcpus, shape.gpus, shape.memory_mib, shape.name)
        )

    def types(self, names: Iterable[str]) -> list[InstanceShape]:
        """The instance types that instanceTypes names: types, families, and the default groups."""
        found: dict[str, InstanceShape] = {}
        for name in names:
            if name in self.shapes:
                found[name] = self.shapes[name]
                continue
            families = _GROUPS.get(name, (name,))
            metal = (
                shape
                for shape in self.shapes.values()
                if shape.family in families and ".metal" not in shape.name
            )
            found.update({shape.name: shape for shape in metal})
        return list(found.values())

    def keep_minimum(self, environment: ComputeEnvironment) -> None:
        """Terminates idle instances and starts those that minvCpus asks for, which Batch keeps even
        where nothing runs.
        """
        minimum = environment.resources.get("minvCpus", 0)
        for instance in list(environment.instances.values()):
            if instance.tasks == 0 and environment.vcpus - instance.vcpus >= minimum:
                del environment.instances[instance.id]
                environment.instance_left = time.monotonic()
        if environment.type != "MANAGED" or environment.is_fargate or environment.status != "VALID":
            return
        shapes = sorted(
            self.types(environment.resources.get("instanceTypes", [])),
            key=lambda shape: (shape.vcpus, shape.memory_mib),
        )
        while shapes and environment.vcpus < minimum:
            if self._failure(environment, shapes[0], 1) is not None:
                return
            self._start(environment, shapes[0])


def _refusal(failures: list[Failure]) -> Refusal:
    """Of the types that EC2 did not start, the first; without any the job only has to wait."""
    if not failures:
        return Refusal()
    first = failures[0]
    return Refusal(reason=first.reason, instance_type=first.instance_type, said=first.said)


def reserve(instance: Instance, need: Need) -> None:
    """Takes a node's share of an instance."""
    instance.free_vcpus -= need.vcpus
    instance.free_memory_mib -= need.memory_mib
    instance.free_gpus -= need.gpus
    instance.tasks += 1


def release(instance: Instance, need: Need, *, multinode: bool) -> None:
    """Gives a node's share back."""
    instance.free_vcpus = instance.vcpus if multinode else instance.free_vcpus + need.vcpus
    instance.free_memory_mib += need.memory_mib
    instance.free_gpus += need.gpus
    instance.tasks -= 1


def _started(kind: str, vcpus: float, memory_mib: int, gpus: int) -> Instance:
    instance_id = f"i-0{secrets.token_hex(8)}"
    return Instance(
        id=instance_id,
        type=kind,
        vcpus=vcpus,
        free_vcpus=vcpus,
        free_memory_mib=memory_mib,
        free_gpus=gpus,
    )


def _fits(instance: Instance, need: Need) -> bool:
    return (
        not instance.draining
        and instance.free_vcpus >= need.vcpus
        and instance.free_memory_mib >= need.memory_mib
        and instance.free_gpus >= need.gpus
        and need.instance_type in (None, instance.type)
    )


def _shape_fits(shape: InstanceShape, need: Need) -> bool:
    return (
        shape.vcpus >= need.vcpus
        and shape.memory_mib >= need.memory_mib
        and shape.gpus >= need.gpus
        and need.instance_type in (None, shape.name)
    )

"""Whether an environment can hold a job at all, when nothing else runs there.

AWS Batch tries the environments of a queue in order and starts a job in the first that holds it, so
a job is lost in RUNNABLE only where every one of them has something against it. What that is
decides which rule speaks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from config.environments import Environment, FargateEnvironment
from config.problems import Problem
from config.queues import Queue
from config.rules.base import Rule
from config.stack import StackConfig
from config.topology import (
    Job,
    fits,
    gpus_of,
    instance_types_of,
    jobs,
    known_types_of,
    minimum_of,
    nodes_of,
    placing_environments_of,
)

Kind = Literal["type", "max_vcpus", "min_vcpus", "reservation"]


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """What an environment has against a job."""

    kind: Kind
    path: str
    found: Any
    message: str
    fix: str


def obstacle(
    queue: Queue, stage: str, job: Job, name: str, environment: Environment
) -> Obstacle | None:
    """The first thing that keeps a job from ever starting in an environment, None where it starts.

    What else Fargate and multi-node jobs need is said by rules of their own. A type without facts
    may hold anything that is no more than max_vcpus.
    """
    if not isinstance(environment, FargateEnvironment) and not _holding(job, environment):
        return _no_type(stage, job, name, environment)
    path, limit, vcpus = (
        f"environments.{name}.max_vcpus",
        environment.max_vcpus,
        _needed_vcpus(job, environment),
    )
    if vcpus > limit:
        if nodes_of(job) > 1:
            return None  # said by a rule of its own, with the nodes
        message = f"jobs.{stage} needs {vcpus:g} vCPUs"
        return Obstacle(
            kind="max_vcpus",
            path=path,
            found=limit,
            message=message,
            fix=f"raise max_vcpus to {vcpus:g}",
        )
    reserved = queue.fair_share.compute_reservation_percent if queue.fair_share is not None else 0
    if vcpus * 100 > limit * (100 - reserved):
        message = (
            f"compute_reservation_percent {reserved} leaves {limit * (100 - reserved) / 100:g} of"
            f" the {limit} vCPUs of environment {name} to a share that is active alone, and"
            f" jobs.{stage} needs {vcpus:g}"
        )
        queue_path = f"queues.{job.queue}.fair_share.compute_reservation_percent"
        return Obstacle(
            kind="reservation",
            path=queue_path,
            found=reserved,
            message=message,
            fix="lower it, or raise max_vcpus",
        )
    kept = _kept_beside(job, environment)
    if kept and (kept + vcpus) * 100 > limit * (100 - reserved):
        message = (
            f"{kept} vCPUs of types too small for jobs.{stage} may be kept running for min_vcpus,"
            f" and the {vcpus:g} that it needs do not fit beside them under max_vcpus {limit}"
        )
        fix = "lower min_vcpus, raise max_vcpus, or take away the small types"
        return Obstacle(
            kind="min_vcpus",
            path=f"environments.{name}.min_vcpus",
            found=minimum_of(environment),
            message=message,
            fix=fix,
        )
    return None


def obstacles(config: StackConfig) -> Iterator[tuple[str, Job, dict[str, Obstacle | None]]]:
    """Stage, job, and what each environment has against it that takes jobs from its queue."""
    for stage, job in jobs(config).items():
        if job.queue in config.queues:
            placing = placing_environments_of(config, job.queue)
            yield (
                stage,
                job,
                {
                    n: obstacle(config.queues[job.queue], stage, job, n, e)
                    for n, e in placing.items()
                },
            )


class JobStarts(Rule):
    """A job starts in one environment of its queue at least.

    Each subclass speaks of one kind of obstacle.
    """

    kind: ClassVar[Kind]
    reads = frozenset({"environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """The obstacles of this kind before jobs that can start nowhere, one problem for each
        place.
        """
        for _stage, _job, found in obstacles(config):
            places: dict[str, list[Obstacle]] = {}
            for each in found.values():
                if each is not None and each.kind == self.kind and all(found.values()):
                    places.setdefault(each.path, []).append(each)
            for path, here in places.items():
                yield self.problem(
                    path, here[0].found, "; ".join(each.message for each in here), here[0].fix
                )


def _needed_vcpus(job: Job, environment: Environment) -> float:
    """What a job takes of an environment: a multi-node job its instances whole."""
    facts = next(iter(known_types_of(environment).values()), None)
    return nodes_of(job) * facts.vcpus if nodes_of(job) > 1 and facts is not None else job.vcpus


def _holding(job: Job, environment: Environment) -> bool:
    known = known_types_of(environment)
    return len(known) < len(set(instance_types_of(environment))) or any(
        fits(job, facts) for facts in known.values()
    )


def _no_type(stage: str, job: Job, name: str, environment: Environment) -> Obstacle:
    known = known_types_of(environment)
    largest = sorted(
        known,
        key=lambda t: (known[t].gpus, known[t].usable_memory_mib, known[t].vcpus),
        reverse=True,
    )[:3]
    offers = "; ".join(
        f"{t} {known[t].vcpus} vCPUs, {known[t].usable_memory_mib} MiB usable, {known[t].gpus} GPUs"
        for t in largest
    )
    more = f" and {len(known) - len(largest)} smaller" if len(known) > len(largest) else ""
    found = {
        "vcpus": job.vcpus,
        "memory_mib": job.memory_mib,
        **({"gpus": gpus_of(job)} if gpus_of(job) else {}),
    }
    return Obstacle(
        kind="type",
        path=f"jobs.{stage}",
        found=found,
        message=f"no instance type of environment {name} holds it: {offers}{more}",
        fix="ask for less, or add a larger type to the environment",
    )


def _kept_beside(job: Job, environment: Environment) -> int:
    """Most vCPUs that instances may have which min_vcpus keeps and which cannot hold the job."""
    minimum = minimum_of(environment)
    if not minimum:
        return 0
    small = [facts.vcpus for facts in known_types_of(environment).values() if not fits(job, facts)]
    return max((-(-minimum // vcpus) * vcpus for vcpus in small), default=0)

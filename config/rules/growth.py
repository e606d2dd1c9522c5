"""More memory for a stage that was killed for want of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from config.environments import FargateEnvironment
from config.problems import Problem
from config.rules.base import Rule
from config.rules.fargate import off_table
from config.rules.obstacles import obstacle
from config.stack import StackConfig
from config.topology import Job, environments_of, growing, placing_environments_of, sizes_of


class GrowthGrows(Rule):
    """Each step asks for more than the one before."""

    code = "GROWTH-STEPS"
    reason = (
        "A container that was killed for its memory is killed again with the same memory, after the"
        " same time and at the same price."
    )
    source = "ECS developer guide, stopped tasks: OutOfMemoryError"
    reads = frozenset({"jobs"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """The first step of each stage that asks for no more."""
        for stage, job in growing(config).items():
            sizes = (job.memory_mib, *job.memory_growth_mib)
            for index, (before, size) in enumerate(itertools.pairwise(sizes)):
                if size <= before:
                    what = "memory_mib" if index == 0 else "the step before it"
                    yield self.problem(
                        f"jobs.{stage}.memory_growth_mib.{index}",
                        size,
                        f"{what} is {before} MiB, and a step has to ask for more",
                        f"raise it above {before}, or take it away",
                    )
                    break


class GrowthFits(Rule):
    """What a stage asks for after it was killed for its memory is there to have."""

    code = "GROWTH-SIZE"
    reason = (
        "No environment could hold the larger job: it would wait in RUNNABLE for ever, or Fargate"
        " would refuse it."
    )
    source = "AWS Batch API, ResourceRequirement; AWS Batch user guide, memory management"
    reads = frozenset({"environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each step that no environment of the queue holds, though they hold what comes before."""
        for stage, job in growing(config).items():
            if job.queue not in config.queues or _obstacle(config, stage, job):
                continue
            for index, larger in enumerate(sizes_of(job)[1:]):
                found = _obstacle(config, stage, larger)
                if found:
                    yield self.problem(
                        f"jobs.{stage}.memory_growth_mib.{index}",
                        larger.memory_mib,
                        found,
                        "ask for less, or give the queue an environment that holds it",
                    )


class GrowthHasNoFallback(Rule):
    """A failed analysis is followed by the fallback or by more memory, not by both."""

    code = "GROWTH-FALLBACK"
    reason = (
        "After any failure of the analysis the state machine begins the fallback at once; the"
        " memory would never grow."
    )
    source = "the state machine, components/state_machines/run_machine.py"
    reads = frozenset({"jobs"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Growth of the analysis beside a fallback, or of the fallback."""
        for stage in ("analysis", "fallback") if config.jobs.fallback is not None else ():
            job = growing(config).get(stage)
            if job is not None:
                yield self.problem(
                    f"jobs.{stage}.memory_growth_mib",
                    list(job.memory_growth_mib),
                    "jobs.fallback follows a failed analysis, whatever it failed of",
                    "give the fallback more memory_mib and take this away, or remove jobs.fallback",
                )


def _obstacle(config: StackConfig, stage: str, job: Job) -> str:
    """What keeps the job from every environment of its queue; empty where one holds it."""
    found = []
    for name, environment in placing_environments_of(config, job.queue).items():
        said = obstacle(config.queues[job.queue], stage, job, name, environment)
        if said is None:
            found.append("")
        elif said.kind == "type":
            found.append(said.message)
    if any(isinstance(e, FargateEnvironment) for e in environments_of(config, job.queue).values()):
        off = off_table(job)
        if off:
            return off
    return "; ".join(found) if found and all(found) else ""

"""What a rule is, and the look-ups that rules share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from config.environments import Environment, FargateEnvironment, HpcEnvironment
from config.jobs import AnalysisJob, PostprocessJob, PreprocessJob
from config.problems import Problem
from config.stack import StackConfig

Job = PreprocessJob | AnalysisJob | PostprocessJob


class Rule(ABC):
    """One rule across sections."""

    code: ClassVar[str]
    level: ClassVar[Literal["error", "warning"]] = "error"
    reason: ClassVar[str]
    """What AWS does otherwise."""
    source: ClassVar[str]
    reads: ClassVar[frozenset[str]]
    """The sections that it looks at."""

    @abstractmethod
    def check(self, config: StackConfig) -> Iterator[Problem]:
        """The problems of this rule, one for each place where it is broken."""

    def problem(self, path: str, found: Any, message: str, fix: str) -> Problem:
        """A problem of this rule."""
        return Problem(code=self.code, level=self.level, path=path, found=found, message=message, fix=fix)


def jobs(config: StackConfig) -> dict[str, Job]:
    """Stage -> job."""
    return {"preprocess": config.jobs.preprocess, "analysis": config.jobs.analysis, "postprocess": config.jobs.postprocess}


def environments_of(config: StackConfig, queue: str) -> dict[str, Environment]:
    """The environments of a queue that exist, in order; empty for an unknown queue."""
    if queue not in config.queues:
        return {}
    return {name: config.environments[name] for name in config.queues[queue].environments if name in config.environments}


def instance_types_of(environment: Environment) -> tuple[str, ...]:
    """Instance types that an environment may start; none on Fargate."""
    if isinstance(environment, FargateEnvironment):
        return ()
    return (environment.instance_type,) if isinstance(environment, HpcEnvironment) else environment.instance_types

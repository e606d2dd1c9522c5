"""All sections of a stack file, validated together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from config.base import ResourceName
from config.budget import BudgetSection
from config.environments import Environment
from config.images import ImagesSection
from config.jobs import JobsSection
from config.monitoring import MonitoringSection
from config.network import NetworkSection
from config.pipeline import PipelineSection
from config.problems import ConfigError, Problem, section_problems
from config.queues import Queue
from config.storage import StorageSection


class StackConfig(BaseModel):
    """One stack: what `Pulumi.<stack>.yaml` says under the project's namespace."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: NetworkSection
    storage: StorageSection
    images: ImagesSection
    environments: dict[ResourceName, Environment]
    queues: dict[ResourceName, Queue]
    jobs: JobsSection
    pipeline: PipelineSection
    monitoring: MonitoringSection
    budget: BudgetSection
    tags: dict[str, str]


_MODELS: Final[dict[str, Any]] = {name: field.annotation for name, field in StackConfig.model_fields.items()}
SECTIONS: Final[dict[str, TypeAdapter[Any]]] = {name: TypeAdapter(model) for name, model in _MODELS.items()}
"""Section -> its type. Sections whose fields all have defaults may be left out of a stack file."""


def load_stack_config(stack: str, get_object: Callable[[str], Any]) -> tuple[StackConfig, list[Problem]]:
    """Validate every section, then every rule across sections.

    `get_object(section)` gives the plain value of a key of the stack file, None where it is absent. Returns the config and the warnings.
    Raises ConfigError with all problems at once.
    """
    sections: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, adapter in SECTIONS.items():
        value = get_object(name)
        try:
            sections[name] = adapter.validate_python({} if value is None else value)
        except ValidationError as error:
            problems += section_problems(name, error, _MODELS[name])
    if problems:
        raise ConfigError(stack, problems)
    config = StackConfig.model_construct(**sections)

    from config.rules import check  # the rules read StackConfig, so they are imported when it exists

    problems = check(config)
    if any(problem.level == "error" for problem in problems):
        raise ConfigError(stack, problems)
    return config, problems

"""All sections of a stack file, validated together."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable
from difflib import get_close_matches
from typing import Any, Final, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from config.base import FrozenDict, FrozenMap, ResourceName, TagKey, TagValue
from config.budget import BudgetSection
from config.environments import Environment
from config.images import ImagesSection
from config.jobs import JobsSection
from config.monitoring import MonitoringSection
from config.namespaces import foreign_problems
from config.network import NetworkSection
from config.pipeline import PipelineSection
from config.problems import ConfigError, Problem
from config.queues import Queue
from config.salvage import without_broken_fields
from config.shape import section_problems
from config.storage import StorageSection

SECRETS: Final = ("slack-webhook-url",)
"""Keys of their own (`pulumi config set --secret`), never part of a section: as part of an object a secret would arrive in plain text."""


NAMESPACE: Final = "batch-reference"
"""Of the program's own keys in a stack file: the project's name."""


class StackConfig(BaseModel):
    """One stack: what `Pulumi.<stack>.yaml` says under the project's namespace."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    """Of the stack."""
    region: str = ""
    """`aws:region` of the stack's file; empty where it names none."""
    secrets: FrozenMap[str, Literal["encrypted", "plain"]] = FrozenDict()
    """Those of `SECRETS` that the stack has, and how they stand in its file."""

    network: NetworkSection
    storage: StorageSection
    images: ImagesSection
    environments: FrozenMap[ResourceName, Environment]
    queues: FrozenMap[ResourceName, Queue]
    jobs: JobsSection
    pipeline: PipelineSection
    monitoring: MonitoringSection
    budget: BudgetSection
    tags: FrozenMap[TagKey, TagValue]


_TYPES: Final[dict[str, Any]] = get_type_hints(StackConfig, include_extras=True)
_CIRCUMSTANCES: Final = ("name", "region", "secrets")
"""What a config knows of its stack besides the sections."""
SECTIONS: Final[dict[str, TypeAdapter[Any]]] = {
    name: TypeAdapter(_TYPES[name])
    for name in StackConfig.model_fields
    if name not in _CIRCUMSTANCES
}
"""Section -> its type. Sections whose fields all have defaults may be left out of a stack file."""
_OWN: Final = (*SECTIONS, *SECRETS)


def load_stack_config(
    stack: str,
    get_object: Callable[[str], Any],
    keys: Iterable[str] = (),
    *,
    plain: Collection[str] = (),
    empty: Collection[str] = (),
    region: str = "",
    foreign: Iterable[str] = (),
    project: str = NAMESPACE,
) -> tuple[StackConfig, list[Problem]]:
    """Validates every section, then every rule across what is well-formed.

    Args:
        stack: Name of the stack, for the messages.
        get_object: Gives the plain value of a key of the stack file, None where it is absent.
        keys: All keys of the project's namespace, or as many as the caller knows: a misspelt one is found, and rules hear of secrets.
        plain: Those among them whose values are not encrypted.
        empty: Those that stand there without a value.
        region: Of the stack, where it is known.
        foreign: Keys of other namespaces, in full: a misspelt namespace is found.
        project: Name of the project, which is the namespace of its keys.

    Returns the config and the warnings.

    Raises ConfigError with all problems at once.
    """
    from config.rules import (
        check,
    )  # the rules read StackConfig, so they are imported when it exists

    keys = tuple(keys)
    sections: dict[str, Any] = {}
    problems = [_unknown_key(key) for key in keys if key not in _OWN]
    problems += [_empty_key(key) for key in keys if key in empty and key in _OWN]
    problems += foreign_problems(foreign, project, _OWN)
    for name, adapter in SECTIONS.items():
        found = get_object(name)
        value = {} if found is None or name in empty else found
        try:
            # As JSON, which is how Pulumi hands objects to a program, and strictly: "16" is no number, 1 is not true.
            sections[name] = adapter.validate_json(json.dumps(value, default=str), strict=True)
        except ValidationError as error:
            problems += section_problems(name, error, _TYPES[name])
            rest = without_broken_fields(value, error, adapter, _TYPES[name])
            if rest is not None:
                sections[name] = rest
    secrets: dict[str, Literal["encrypted", "plain"]] = {
        key: "plain" if key in plain else "encrypted" for key in SECRETS if key in keys
    }
    config = StackConfig.model_construct(
        name=stack, region=region, secrets=FrozenDict(secrets), **sections
    )
    problems += check(config, {*sections, *_CIRCUMSTANCES})
    if any(problem.level == "error" for problem in problems):
        raise ConfigError(stack, problems)
    return config, problems


def _empty_key(key: str) -> Problem:
    section = key in SECTIONS
    return Problem(
        code="SHAPE-EMPTY",
        level="error",
        path=key,
        found=None,
        message="a key without a value is an empty text for Pulumi"
        + (", and the section is a map" if section else ", and the secret would be empty"),
        fix="remove the key"
        + (", or write {} for a section that changes nothing" if section else ""),
    )


def _unknown_key(key: str) -> Problem:
    section = re.split(r"[.\[]", key)[0]
    close = get_close_matches(key, _OWN, n=1)
    fix = f"write {close[0]}" if close else "remove it"
    if section in SECTIONS and section != key:
        fix = f"write it as a field below {section} (`pulumi config set --path`)"
    return Problem(
        code="SHAPE-UNKNOWN-KEY",
        level="error",
        path=key,
        found=key,
        message=f"the program has no such section; known are {', '.join(_OWN)}",
        fix=fix,
    )

"""A stack file becomes a `StackConfig`, or a list of everything that is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from typing import Any, Literal

from pydantic import ValidationError

from config.base import FrozenDict
from config.keys import foreign_problems, own_problems
from config.problems import ConfigError, Problem
from config.rules import check
from config.salvage import without_broken_fields
from config.shape import section_problems
from config.stack import NAMESPACE, SECRETS, SECTION_TYPES, SECTIONS, STACK_METADATA, StackConfig


def load_stack_config(
    stack: str,
    get_object: Callable[[str], Any],
    keys: Iterable[str] = (),
    *,
    plain: Collection[str] = (),
    empty: Collection[str] = (),
    region: str = "",
    naming: str = "",
    foreign: Iterable[str] = (),
    project: str = NAMESPACE,
) -> tuple[StackConfig, list[Problem]]:
    """Validates every section, then every rule across what is well-formed.

    Args:
        stack: Name of the stack, for the messages.
        get_object: Gives the plain value of a key of the stack file, None where it is absent.
        keys: All keys of the project's namespace, or as many as the caller knows: a misspelt one is
            found, and rules hear of secrets.
        plain: Those among them whose values are not encrypted.
        empty: Those that stand there without a value.
        region: Of the stack, where it is known.
        naming: `pulumi:autonaming` as JSON, where it is known.
        foreign: Keys of other namespaces, in full: a misspelt namespace is found.
        project: Name of the project, which is the namespace of its keys.

    Returns the config and the warnings.

    Raises ConfigError with all problems at once.
    """
    keys = tuple(keys)
    sections: dict[str, Any] = {}
    problems = [*own_problems(keys, empty), *foreign_problems(foreign, project)]
    for name, adapter in SECTIONS.items():
        found = get_object(name)
        value = {} if found is None or name in empty else found
        try:
            # As JSON, which is how Pulumi hands objects to a program, and strictly: "16" is no
            # number, 1 is not true.
            sections[name] = adapter.validate_json(json.dumps(value, default=str), strict=True)
        except ValidationError as error:
            problems += section_problems(name, error, SECTION_TYPES[name])
            rest = without_broken_fields(value, error, adapter, SECTION_TYPES[name])
            if rest is not None:
                sections[name] = rest
    secrets: dict[str, Literal["encrypted", "plain"]] = {
        key: "plain" if key in plain else "encrypted" for key in SECRETS if key in keys
    }
    config = StackConfig.model_construct(
        name=stack, region=region, naming=naming, secrets=FrozenDict(secrets), **sections
    )
    problems += check(config, {*sections, *STACK_METADATA})
    if any(problem.level == "error" for problem in problems):
        raise ConfigError(stack, problems)
    return config, problems

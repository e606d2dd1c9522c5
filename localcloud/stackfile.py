"""Reads Pulumi.yaml and Pulumi.<stack>.yaml, and gives config values the form in which the Pulumi CLI hands them to a program."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


class StackFileError(ValueError):
    """A project or stack file that cannot be used; the message is one sentence with the file, the key and the fix."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack's settings: all config values as text by full key, and which keys are secrets."""

    project: str
    name: str
    config: Mapping[str, str]
    secret_keys: frozenset[str]


class Loader(yaml.SafeLoader):
    """YAML as the CLI reads it: only true and false are booleans, and neither dates nor `1:30` are anything but text."""


Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] in ("null", "merge")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"[-+]?[0-9]+$"), list("-+0123456789")
)
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)


def read_stack(
    program: Path, stack: str, config: Mapping[str, str], secrets: Mapping[str, str]
) -> Stack:
    """The settings of a stack.

    Args:
        program: Folder with Pulumi.yaml and Pulumi.<stack>.yaml.
        stack: Name of the stack.
        config: Values by full key that replace or add to the file's.
        secrets: The same for secrets.

    Raises StackFileError where a file is missing or not YAML, or where a value is encrypted and no override replaces it: only the real CLI
    can decrypt it.
    """
    project_file, stack_file = program / "Pulumi.yaml", program / f"Pulumi.{stack}.yaml"
    project = _mapping(project_file, "a Pulumi program starts in a folder with Pulumi.yaml")
    settings = _mapping(stack_file, f"stacks here are {_stacks(program)}")
    name = project.get("name")
    if not isinstance(name, str):
        raise StackFileError(f"{project_file.name} has no name; add `name: <project>`")
    overrides = {**config, **secrets}
    for key in overrides:
        if ":" not in key:
            raise StackFileError(f"the override {key!r} has no namespace; write {name}:{key}")
    found: dict[str, str] = {}
    for key, value in {**_defaults(project, name), **settings.get("config", {})}.items():
        full = key if ":" in key else f"{name}:{key}"
        if full in overrides or value is None:
            continue
        secret_path = _encrypted(value, full)
        if secret_path is not None:
            raise StackFileError(
                f"{stack_file.name}: {secret_path} is encrypted, which only the Pulumi CLI can read; "
                f"give {full} in plain text as a secret override"
            )
        found[full] = _text(value)
    return Stack(
        project=name, name=stack, config={**found, **overrides}, secret_keys=frozenset(secrets)
    )


def _mapping(path: Path, hint: str) -> dict[str, Any]:
    if not path.is_file():
        raise StackFileError(f"{path} does not exist; {hint}")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)  # noqa: S506 - a SafeLoader with fewer implicit types
    except yaml.YAMLError as error:
        raise StackFileError(f"{path.name} is not YAML: {' '.join(str(error).split())}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise StackFileError(f"{path.name} holds a {type(content).__name__}, expected a map")
    return content


def _stacks(program: Path) -> str:
    return (
        ", ".join(sorted(path.name.split(".")[1] for path in program.glob("Pulumi.*.yaml")))
        or "none"
    )


def _defaults(project: Mapping[str, Any], name: str) -> dict[str, Any]:
    # an entry of Pulumi.yaml is the value itself, or a declaration with `value` (any namespace) or `default` (the project's own)
    found: dict[str, Any] = {}
    for key, entry in (project.get("config") or {}).items():
        full = key if ":" in key else f"{name}:{key}"
        if not isinstance(entry, Mapping):
            found[full] = entry
        elif entry.keys() & {"type", "default", "value", "description", "secret", "items"}:
            found[full] = entry.get("value", entry.get("default"))
        else:
            found[full] = entry
    return found


def _encrypted(value: Any, path: str) -> str | None:
    if isinstance(value, Mapping):
        if set(value) == {"secure"}:
            return path
        children = ((f"{path}.{name}", item) for name, item in value.items())
    elif isinstance(value, list):
        children = ((f"{path}[{position}]", item) for position, item in enumerate(value))
    else:
        return None
    return next(
        (found for where, item in children if (found := _encrypted(item, where)) is not None), None
    )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (Mapping, list)):
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return str(value)

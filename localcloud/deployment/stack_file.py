"""Pulumi.yaml and Pulumi.<stack>.yaml, read into the config that the Pulumi CLI hands to a program.

The order of things is the CLI's (sdk/go/common/workspace/loaders.go, pkg/workspace/config.go): keys
without a namespace get the project's, what the project declares is added where the stack file says
nothing, and every declared type is held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from localcloud.deployment.project_file import Project, read_project
from localcloud.deployment.stack_yaml.nodes import YamlError, compose, shown
from localcloud.deployment.stack_yaml.texts import json_text
from localcloud.deployment.stack_yaml.values import Altered, Values, decode

_KNOWN: Final = ("secretsprovider", "encryptedkey", "encryptionsalt", "config", "environment")


class StackFileError(ValueError):
    """A project or stack file that cannot be used.

    The message is one sentence with the file, the line or key, and the fix.
    """


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack's settings: all config values as text by full key, and which keys are secrets."""

    project: str
    name: str
    config: Mapping[str, str]
    secret_keys: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class StackDocument:
    """A stack file as such, before the project's declarations come to it."""

    config: Mapping[str, Any]
    """By full key: text, numbers, booleans, maps, lists; None for a key without a value."""
    lines: Mapping[tuple[str, ...], int]
    """Full key, then the path below it -> line, from 1."""
    altered: tuple[Altered, ...]
    """Values that reach a program as something else; paths begin with the full key."""
    unread: Mapping[str, int]
    """What the CLI passes over without a word -> line: unknown keys beside `config`, a second
    document.
    """
    imports: bool = False
    """Whether the file takes config from environments of Pulumi ESC too."""


def read_stack(
    program: Path, stack: str, config: Mapping[str, str], secrets: Mapping[str, str]
) -> Stack:
    """The settings of a stack.

    Args:
        program: Folder with Pulumi.yaml and Pulumi.<stack>.yaml.
        stack: Name of the stack.
        config: Values by full key that replace or add to the file's.
        secrets: The same for secrets.

    Raises StackFileError where a file is missing, where the CLI would refuse it, or where a value
    is encrypted and no override replaces it: only the real CLI can decrypt it.
    """
    project_file, stack_file = program / "Pulumi.yaml", program / f"Pulumi.{stack}.yaml"
    declared = project(
        _bytes(project_file, "a Pulumi program starts in a folder with Pulumi.yaml"),
        project_file.name,
    )
    label = stack_file.name
    document = stack_document(
        _bytes(stack_file, f"stacks here are {_stacks(program)}"), label, declared.name
    )
    if document.imports:
        raise StackFileError(
            f"{label}: `environment` takes config from Pulumi ESC, which only Pulumi Cloud can"
            " read; write the values into the file"
        )
    overrides = {**config, **secrets}
    for key in overrides:
        if ":" not in key:
            raise StackFileError(
                f"the override {key!r} has no namespace; write {declared.name}:{key}"
            )
    found: dict[str, str] = {}
    for full, value in document.config.items():
        if full in overrides:
            continue
        if (secret := encrypted(value, full)) is not None:
            raise StackFileError(
                f"{label}: {secret} is encrypted, which only the Pulumi CLI can read; "
                f"give {full} in plain text as a secret override"
            )
        found[full] = "" if value is None else text(value)
    for problem in declared.problems({**document.config, **overrides}, overrides):
        line = document.lines.get((problem.key,))
        where = f"{label} line {line}" if line else label
        raise StackFileError(f"{where}: {problem.message}; {problem.fix}")
    defaults = {full: text(value) for full, value in declared.defaults.items() if full not in found}
    return Stack(
        project=declared.name,
        name=stack,
        config={**found, **defaults, **overrides},
        secret_keys=frozenset(secrets),
    )


def project(data: bytes, label: str) -> Project:
    """Reads Pulumi.yaml. Raises StackFileError with `label` where the CLI would refuse it."""
    found = _values(data, label)
    content = {} if found is None else found.content
    if not isinstance(content, dict):
        raise StackFileError(f"{label} holds {_kind(content)}, expected a map")
    try:
        return read_project(content)
    except ValueError as error:
        raise StackFileError(f"{label}{error}") from None


def stack_document(data: bytes, label: str, project_name: str) -> StackDocument:
    """Reads a stack file; keys without a namespace get the project's.

    Raises StackFileError with `label` where the CLI would refuse the file.
    """
    found = _values(data, label)
    if found is None or found.content is None:
        return StackDocument(config={}, lines={}, altered=(), unread={})
    content = found.content
    if not isinstance(content, dict):
        raise StackFileError(
            f"{label} holds {_kind(content)}, expected a map with the key `config`; "
            "write the settings below it"
        )
    given = content.get("config")
    if given is not None and not isinstance(given, dict):
        line = found.lines.get(("config",))
        raise StackFileError(
            f"{label} line {line}: `config` is {_kind(given)}, expected a map; write the keys below"
            f" it, such as `{project_name}:network:`"
        )
    for key in _KNOWN[:3]:
        if isinstance(content.get(key), (dict, list)):
            raise StackFileError(
                f"{label} line {found.lines.get((key,))}: `{shown(key)}` is {_kind(content[key])},"
                " expected a text as the Pulumi CLI wrote it"
            )
    names = _full_keys(given or {}, found, label, project_name)
    unread = {key: found.lines[(key,)] for key in content if key not in _KNOWN}
    if found.next_line:
        unread["---"] = found.next_line
    return StackDocument(
        config={full: (given or {})[key] for key, full in names.items()},
        lines={
            (names[path[1]], *path[2:]): line
            for path, line in found.lines.items()
            if path[0] == "config" and len(path) > 1 and path[1] in names
        },
        altered=tuple(
            Altered(
                path=(names[a.path[1]], *a.path[2:]), line=a.line, text=a.text, becomes=a.becomes
            )
            for a in found.altered
            if a.path[0] == "config" and len(a.path) > 1 and a.path[1] in names
        ),
        unread=unread,
        imports=bool(content.get("environment")),
    )


def text(value: Any) -> str:
    """A config value as the text that a program gets: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json_text(value)


def encrypted(value: Any, path: str) -> str | None:
    """The path of the first encrypted value; None where all is in plain text."""
    if isinstance(value, Mapping):
        secret = value.get("secure")
        if set(value) == {"secure"} and isinstance(secret, str):
            return path
        children = ((f"{path}.{name}", item) for name, item in value.items())
    elif isinstance(value, list):
        children = ((f"{path}[{position}]", item) for position, item in enumerate(value))
    else:
        return None
    return next(
        (found for where, item in children if (found := encrypted(item, where)) is not None), None
    )


def _values(data: bytes, label: str) -> Values | None:
    try:
        document = compose(data)
        if document.root is None:
            return None
        return decode(document.root, next_line=document.next_line)
    except YamlError as error:
        raise StackFileError(f"{label} is not YAML that Pulumi takes: {error}") from None


def _full_keys(
    config: Mapping[str, Any], found: Values, label: str, project_name: str
) -> dict[str, str]:
    """Key as it stands in the file -> full key."""
    names: dict[str, str] = {}
    for key in config:
        parts = (key if ":" in key else f"{project_name}:{key}").split(":")
        if len(parts) == 3 and parts[1] == "config":
            del parts[1]  # the form of old: <namespace>:config:<name>
        line = found.lines.get(("config", key))
        if len(parts) != 2:
            raise StackFileError(
                f"{label} line {line}: `{shown(key)}` is no config key; write `<namespace>:<name>`,"
                f" such as `{project_name}:network`"
            )
        full = ":".join(parts)
        if full in names.values():
            raise StackFileError(
                f"{label} line {line}: `{shown(key)}` gives {full} a second time; keep one of"
                " the two"
            )
        names[key] = full
    return names


def _bytes(path: Path, hint: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise StackFileError(f"{path} does not exist; {hint}") from None
    except OSError as error:
        raise StackFileError(f"{path} cannot be read: {error.strerror}") from None


def _stacks(program: Path) -> str:
    return (
        ", ".join(sorted(path.name.split(".")[1] for path in program.glob("Pulumi.*.yaml")))
        or "none"
    )


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "a map"
    return "a list" if isinstance(value, list) else f"`{shown(text(value))}`"

"""What Pulumi.yaml declares of a project's config, and what follows for a stack."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from localcloud.deployment.stack_yaml.texts import json_text

_TYPES: Final = ("string", "integer", "boolean", "object", "array")
_WORDS: Final = frozenset({"type", "items", "description", "secret", "default", "value"})
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
Declaration = Mapping[str, Any]
"""`type` or None, `items` or None, and `fallback`: what holds where the stack file says nothing."""


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """A key of a stack's config that does not fit what the project declares."""

    key: str
    """In full."""
    message: str
    fix: str


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project."""

    name: str
    declared: Mapping[str, Declaration]
    """By full key."""

    @property
    def defaults(self) -> dict[str, Any]:
        """What holds where a stack file says nothing, by full key."""
        return {
            key: declaration["fallback"]
            for key, declaration in self.declared.items()
            if declaration["fallback"] is not None
        }

    def problems(
        self, config: Mapping[str, Any], overrides: Collection[str] = ()
    ) -> Iterator[Misfit]:
        """What the CLI would refuse of a stack's config.

        Args:
            config: Values by full key; None for a key without a value.
            overrides: Keys among them whose values are text that nobody has looked into.
        """
        for key, declaration in sorted(self.declared.items()):
            kind, items = declaration["type"], declaration["items"]
            if key not in config:
                if declaration["fallback"] is None and key.partition(":")[0] == self.name:
                    yield Misfit(
                        key=key,
                        message=f"{key} is missing, and Pulumi.yaml has no default for it",
                        fix="add it to the stack file",
                    )
            elif kind and key not in overrides and not _fits(config[key], kind, items, top=True):
                yield _misfit(key, config[key], kind)


def _misfit(key: str, value: Any, kind: str) -> Misfit:
    article = "an" if kind[0] in "aeiou" else "a"
    if value is None:
        empty = "; write {} for an empty one" if kind == "object" else ""
        return Misfit(
            key=key,
            message=f"{key} has no value, but Pulumi.yaml declares it as {article} {kind}",
            fix=f"take the key away{empty}".replace("; write", ", or write"),
        )
    shown = json_text(value)
    return Misfit(
        key=key,
        message=(
            f"{key} is {shown if len(shown) <= 60 else shown[:59] + '…'}, "
            f"but Pulumi.yaml declares it as {article} {kind}"
        ),
        fix=f"give it {article} {kind}",
    )


def read_project(content: Mapping[str, Any]) -> Project:
    """A project from the content of its Pulumi.yaml.

    Raises ValueError where the CLI would refuse it; the message goes on after the name of the file.
    """
    name = content.get("name")
    if not isinstance(name, str) or not name:
        raise ValueError(" has no name; add `name: <project>`")
    given = content.get("config")
    if given is not None and not isinstance(given, (Mapping, str)):
        raise ValueError(": `config` is no map; write one key a line below it")
    entries = given.items() if isinstance(given, Mapping) else ()
    return Project(
        name=name, declared=dict(_declaration(key, entry, name) for key, entry in entries)
    )


def _declaration(key: str, entry: Any, project: str) -> tuple[str, Declaration]:
    full = key if ":" in key else f"{project}:{key}"
    own = full.partition(":")[0] == project
    if isinstance(entry, (str, int, list)):
        return full, {"type": None, "items": None, "fallback": entry}
    if not isinstance(entry, Mapping) or entry.keys() - _WORDS:
        raise ValueError(
            f": the entry {key} of `config` is neither a value nor a declaration; write "
            f"`{{value: …}}`, or below it some of {', '.join(sorted(_WORDS))}"
        )
    kind, items = entry.get("type"), entry.get("items")
    default, value = entry.get("default"), entry.get("value")
    if default is not None and value is not None:
        raise ValueError(f": the entry {key} of `config` has `default` and `value`; keep one")
    if kind is not None and kind not in _TYPES:
        raise ValueError(f": the type of {key} is {kind!r}; known are {', '.join(_TYPES)}")
    if not own and (kind is not None or value is None):
        raise ValueError(
            f": the entry {key} of `config` is not the project's own; it has a `value`, and neither"
            " `type` nor `default`"
        )
    if kind == "array" and items is None:
        raise ValueError(f": the array {key} of `config` says nothing of its items; add `items`")
    if kind is not None and default is not None and not _fits(default, kind, items, top=False):
        raise ValueError(f": the default of {key} is no {kind}; correct it or the type")
    return full, {"type": kind, "items": items, "fallback": value if default is None else default}


def _fits(value: Any, kind: str, items: Any, *, top: bool) -> bool:
    """Whether a value is of a declared type; at the top all that is no map or list is text
    first.
    """
    if top and not isinstance(value, (Mapping, list)):
        value = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    if kind == "object":
        return isinstance(value, Mapping)
    if kind == "array":
        return isinstance(value, list) and all(
            _fits(each, items["type"], items.get("items"), top=False) for each in value
        )
    if kind == "boolean":
        return isinstance(value, bool) or value in ("true", "false")
    if kind == "integer":
        if isinstance(value, str):
            return _INTEGER.fullmatch(value) is not None
        return not isinstance(value, bool) and isinstance(value, (int, float)) and value % 1 == 0
    return isinstance(value, str)

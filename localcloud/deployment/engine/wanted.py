"""A resource as the program wants it, what there is of it, and what its options demand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from localcloud.deployment.engine.state import Options, Resource
from localcloud.deployment.provider import ProviderError
from localcloud.deployment.provider.values import Secret

_SEGMENT: Final = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+|\*)\]|([^.\[\]]+)')


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A resource as the program wants it. `inputs` may hold secrets and, in a preview, unknowns."""

    urn: str
    type: str
    name: str
    custom: bool
    provider: str
    inputs: Mapping[str, Any]
    options: Options


@dataclass(frozen=True, kw_only=True)
class Made:
    """What there is after a resource was dealt with."""

    id: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why a resource is updated or replaced, as `Step` tells it."""

    changed: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()


NO_REASON: Final = Reason()


def unreplaceable(urn: str, others: str = "") -> str:
    """What the Pulumi CLI says of a protected resource that had to be replaced (pulumi's
    pkg/resource/deploy/step_generator.go); `others` is the URN of a resource whose replacement
    would need that.
    """
    part = f" as part of replacing {json.dumps(others)}" if others else ""
    return (
        f"unable to replace resource {json.dumps(urn)}{part} as it is currently marked for"
        " protection. To unprotect the resource, remove the `protect` flag from the resource in"
        " your Pulumi program and run `pulumi up`"
    )


def undeletable(urn: str) -> str:
    """What the CLI says of a protected resource that the program no longer has (step.go)."""
    return (
        f"resource {json.dumps(urn)} cannot be deleted because it is protected. To unprotect the"
        " resource, either remove the `protect` flag from the resource in your Pulumi program and"
        " run `pulumi up`"
    )


class HalfMadeError(ProviderError):
    """A resource whose creation has failed half way; `made` is what there is of it."""

    def __init__(self, message: str, made: Made) -> None:
        super().__init__(message)
        self.made = made


def demanded(options: Sequence[str], paths: Iterable[str]) -> list[str]:
    """Which changes demand a replacement by the option `replace_on_changes`: those at or inside of
    what it names, where `*` is any name or position, as the CLI has it (applyReplaceOnChanges).

    Args:
        options: Of the resource.
        paths: Of what differs, such as `tags.a` and `rules[0].days`.
    """
    wanted = [_segments(option) for option in options]
    return [path for path in paths if any(_contains(each, _segments(path)) for each in wanted)]


def _contains(outer: Sequence[str], inner: Sequence[str]) -> bool:
    heads = zip(outer, inner, strict=False)
    return len(outer) <= len(inner) and all(name in ("*", head) for name, head in heads)


def _segments(path: str) -> list[str]:
    return [max(found) for found in _SEGMENT.findall(path)]


def told(options: Sequence[str], changed: Iterable[str]) -> list[str]:
    """What of `demanded` is told as the reason of a replacement: as in the CLI whole properties
    alone, for it looks for their names in the option.
    """
    return [name for name in changed if name in options or "*" in options]


def kept(wanted: Wanted, old: Resource) -> Mapping[str, Any]:
    """The inputs, with the former value of what `ignore_changes` names.

    Raises ProviderError for a path that the engine does not follow.
    """
    inputs = dict(wanted.inputs)
    for name in wanted.options.ignore_changes:
        if "." in name or "[" in name or name == "*":
            raise ProviderError(
                f"ignore_changes has {name!r}; the local engine follows names of whole properties"
            )
        inputs.pop(name, None)
        if name in old.inputs:
            inputs[name] = (
                Secret(old.inputs[name]) if name in old.secret_inputs else old.inputs[name]
            )
    return inputs

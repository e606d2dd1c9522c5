"""A resource as the program wants it, what there is of it, and what its options demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.deployment.engine.state import Options, Resource
from localcloud.deployment.provider import ProviderError
from localcloud.deployment.provider.lifecycle import at
from localcloud.deployment.provider.values import Secret, plain


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


class HalfMadeError(ProviderError):
    """A resource whose creation has failed half way; `made` is what there is of it."""

    def __init__(self, message: str, made: Made) -> None:
        super().__init__(message)
        self.made = made


def triggered(wanted: Wanted, old: Resource) -> bool:
    """Whether the option `replacement_trigger` demands a replacement."""
    then, now = old.options.replacement_trigger, wanted.options.replacement_trigger
    return bool(then and now and then != now)


def demanded(wanted: Wanted, old: Resource, changed: tuple[str, ...]) -> list[str]:
    """What of the changes demands a replacement by the option `replace_on_changes`.

    Raises ProviderError for a path that the engine does not follow.
    """
    then, now, found = old.inputs, plain(wanted.inputs), list[str]()
    for path in wanted.options.replace_on_changes:
        head, _, inner = path.partition(".")
        of_object = any(isinstance(values.get(head), Mapping) for values in (then, now))
        if "[" in path or (path != "*" and "*" in path) or (inner and not of_object):
            raise ProviderError(
                f"replace_on_changes has {path!r}; the local engine follows names, names inside of"
                " objects, and `*`"
            )
        if path == "*":
            found += changed
        elif head in changed and at(then, path) != at(now, path):
            found.append(path)
    return found


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

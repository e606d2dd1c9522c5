"""What goes and comes again with a resource that is deleted before its replacement is made.

As in the real engine (pulumi's pkg/resource/deploy/step_generator.go,
calculateDependentReplacements and findDependentCascadeReplacements).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.deployment.engine.state import Resource
from localcloud.deployment.engine.wanted import demanded, told
from localcloud.deployment.provider.differences import Difference
from localcloud.deployment.provider.values import UNKNOWN

Diff = Callable[[str, Resource, Mapping[str, Any]], Difference]
"""Of a type, a resource as it is, and inputs: what is between them."""
_ENGINES_OWN = "pulumi:"


@dataclass(frozen=True, kw_only=True)
class Dependent:
    """A resource that goes first, and the inputs that need another one of it."""

    resource: Resource
    replaces: tuple[str, ...] = ()


def dependents(root: Resource, others: Iterable[Resource], diff: Diff) -> list[Dependent]:
    """All that would be replaced by the changes that follow from `root`'s replacement, in the order
    of their creation: each input that comes from it, or from another of these, is taken for
    unknown.

    Args:
        root: What is going to be deleted.
        others: What exists and was not registered yet, in the order of its creation.
        diff: The provider's.
    """
    replaced = {root.urn}
    found = []
    others = [each for each in others if each.urn != root.urn]
    for each in others:
        dependent = _dependent(each, replaced, diff)
        if dependent is not None:
            found.append(dependent)
            replaced.add(each.urn)
    with_root = (each for each in others if root.urn in each.options.replace_with)
    return [*found, *(Dependent(resource=each) for each in with_root if each.urn not in replaced)]


def _dependent(each: Resource, replaced: set[str], diff: Diff) -> Dependent | None:
    if not each.custom or each.type.startswith(_ENGINES_OWN):
        return None
    if each.provider.rpartition("::")[0] in replaced or each.options.deleted_with in replaced:
        return Dependent(resource=each)
    touched = set(_touched(each, replaced)) - set(each.options.ignore_changes)
    if not touched:
        return None
    inputs = {**each.inputs, **dict.fromkeys(touched, UNKNOWN)}
    difference = diff(each.type, each, inputs)
    forced = [path for path in difference.paths if difference.forces(path)]
    options = each.options.replace_on_changes
    demands = demanded(options, difference.paths)
    if not (forced or demands):
        return None
    return Dependent(resource=each, replaces=(*forced, *told(options, difference.changed)))


def _touched(each: Resource, replaced: set[str]) -> Iterator[str]:
    for name, urns in each.property_dependencies.items():
        if name in each.inputs and not replaced.isdisjoint(urns):
            yield name

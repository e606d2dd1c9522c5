"""What the engine keeps of a deployment, and what a later deployment compares with it."""

from __future__ import annotations

import graphlib
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Operation = Literal["same", "create", "update", "replace", "delete", "delete replaced", "retain"]
"""`replace` is the creation that takes another one's place; `retain` forgets a resource without
deleting it.
"""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The resource options that say what later deployments do."""

    protect: bool = False
    retain_on_delete: bool = False
    delete_before_replace: bool | None = None
    """None leaves it to the provider."""
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    """URNs that the resource may have had before."""
    deleted_with: str = ""
    replace_with: tuple[str, ...] = ()
    """URNs of resources whose replacement replaces this one."""
    replacement_trigger: str = ""
    """JSON of a value whose change replaces the resource; empty for none, which changes nothing
    either way.
    """
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource as the program registered it, and what came of it.

    `inputs` and `outputs` are plain values by wire name, with `values.UNKNOWN` where a preview
    cannot know; `secret_inputs` names the inputs that are or hold secrets. An asset among the
    inputs has the `hash` of its content beside its place. `location` is the line of the program
    that made the resource, `file:line` relative to the program, and `trail` all its lines from the
    innermost outwards.
    """

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    id: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    secret_inputs: frozenset[str]
    provider: str
    dependencies: tuple[str, ...]
    property_dependencies: Mapping[str, tuple[str, ...]]
    options: Options
    location: str
    trail: tuple[str, ...]

    @property
    def needs(self) -> frozenset[str]:
        """URNs of what has to exist as long as this resource does."""
        named = {urn for urns in self.property_dependencies.values() for urn in urns}
        return frozenset(
            {*self.dependencies, *named, self.parent, self.provider.rpartition("::")[0]} - {""}
        )


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a resource, or the program itself, failed; the `message` is in the CLI's words."""

    message: str
    deletion: bool = False
    """Whether it should have been deleted, and was not."""
    urn: str = ""
    type: str = ""
    name: str = ""
    location: str = ""

    def __str__(self) -> str:
        if not self.urn:
            return f"{self.message} [{self.location}]" if self.location else self.message
        where = f" [{self.location}]" if self.location else ""
        what = "not deleted: " if self.deletion else ""
        return f"{self.type} {self.name!r}: {what}{self.message}{where} ({self.urn})"


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a deployment did, or a preview would do, with one resource; `changed` names the inputs
    that made it necessary, and `replaces` the paths of those that need another resource.
    """

    operation: Operation
    urn: str
    type: str
    name: str
    changed: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class State:
    """What exists after a deployment, a failed one included, in the order of its creation.

    `pending_deletion` are the old halves of replacements whose deletion has failed so far; the next
    deployment tries them again.
    """

    resources: tuple[Resource, ...] = ()
    pending_deletion: tuple[Resource, ...] = ()


def by_urn(resources: Iterable[Resource]) -> dict[str, Resource]:
    """Resources by URN."""
    return {resource.urn: resource for resource in resources}


def deletion_order(
    going: Sequence[Resource],
) -> Generator[list[Resource], list[Resource] | None, None]:
    """Groups of resources in the order of their deletion: nothing goes before what needs it.

    The generator is sent, for each group, the resources that could not be deleted; what those need
    stays, and is left out.
    """
    position = {id(resource): index for index, resource in enumerate(going)}
    users: dict[str, list[int]] = {}
    for resource in going:
        for urn in resource.needs:
            users.setdefault(urn, []).append(position[id(resource)])
    # an old half has the URN of its successor, and may need another old half of which the same is
    # true
    sorter = graphlib.TopologicalSorter(
        {position[id(each)]: users.get(each.urn, []) for each in going}
    )
    try:
        sorter.prepare()
    except (
        graphlib.CycleError
    ):  # two generations that need each other the other way round: the later made goes first
        sorter = graphlib.TopologicalSorter(
            {index: [index + 1] if index + 1 < len(going) else [] for index in range(len(going))}
        )
        sorter.prepare()
    kept: set[str] = set()
    while sorter.is_active():
        ready = sorter.get_ready()
        group = [going[index] for index in ready]
        for resource in group:
            if resource.urn in kept:
                kept |= resource.needs
        failed = yield [resource for resource in group if resource.urn not in kept]
        for resource in failed or ():
            kept |= resource.needs
        sorter.done(*ready)

"""What the SDK's requests say of a resource: its URN, its options, where the program makes it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlparse

from google.protobuf import json_format

from localcloud.deployment.engine.hooks import Hooks
from localcloud.deployment.engine.state import Options, Resource
from localcloud.deployment.engine.wanted import Made, Wanted
from localcloud.deployment.provider.values import is_secret, is_unknown, plain, poisoned

_STACK: Final = "pulumi:pulumi:Stack"


@dataclass(frozen=True, kw_only=True)
class Registrations:
    """Reads the requests of one program."""

    project: str
    stack: str
    program: Path
    """The program's folder, without symbolic links."""

    def urn(self, type_: str, name: str, parent: str, stack: str = "", project: str = "") -> str:
        """The URN of a resource, of this stack and project where no other is named."""
        # a child's URN carries the types of all its parents but the stack:
        # urn:pulumi:<stack>::<project>::<A$B$type>::<name>
        parents = parent.split("::")[2] if parent else ""
        qualified = type_ if not parents or parents == _STACK else f"{parents}${type_}"
        return f"urn:pulumi:{stack or self.stack}::{project or self.project}::{qualified}::{name}"

    @property
    def stack_urn(self) -> str:
        """The URN of the stack itself, which all others are children of."""
        return self.urn(_STACK, f"{self.project}-{self.stack}", "")

    def alias(self, alias: Any, request: Any) -> str:
        """The URN that an alias of a request stands for."""
        if alias.urn:
            return str(alias.urn)
        spec = alias.spec
        parent = "" if spec.noParent else spec.parentUrn or request.parent
        return self.urn(
            spec.type or request.type, spec.name or request.name, parent, spec.stack, spec.project
        )

    def trail(self, stack: Any) -> tuple[str, ...]:
        """The places in the program that a request comes from, innermost first, as `file:line`."""
        places = ((_in_program(self.program, each.pc.uri), each.pc.line) for each in stack.frames)
        return tuple(f"{file}:{line}" for file, line in places if file)


@cache
def _in_program(program: Path, uri: str) -> str:
    """The path of a file in the program's folder; empty where it is elsewhere, or a package's."""
    path = Path(unquote(urlparse(uri).path))
    if not path.is_relative_to(program) or "site-packages" in path.parts:
        return ""
    return path.relative_to(program).as_posix()


def needs(request: Any) -> set[str]:
    """URNs of what the inputs of a resource come from, or what it is to wait for."""
    return {
        *request.dependencies,
        *(urn for deps in request.propertyDependencies.values() for urn in deps.urns),
    }


def options(request: Any, aliases: tuple[str, ...]) -> Options:
    """The options of a resource; `aliases` are URNs."""
    return Options(
        protect=request.protect,
        retain_on_delete=request.retainOnDelete,
        delete_before_replace=(
            request.deleteBeforeReplace
            if request.deleteBeforeReplaceDefined or request.deleteBeforeReplace
            else None
        ),
        ignore_changes=tuple(request.ignoreChanges),
        replace_on_changes=tuple(request.replaceOnChanges),
        aliases=aliases,
        deleted_with=request.deletedWith,
        replace_with=tuple(request.replace_with),
        replacement_trigger=_trigger(request),
        hooks={
            kind: tuple(getattr(request.hooks, kind))
            for kind in Hooks.KINDS
            if getattr(request.hooks, kind)
        },
    )


def _trigger(request: Any) -> str:
    if not request.HasField("replacement_trigger") or request.replacement_trigger.HasField(
        "null_value"
    ):
        return ""
    return str(json_format.MessageToJson(request.replacement_trigger, sort_keys=True, indent=None))


def registered(wanted: Wanted, request: Any, made: Made, trail: tuple[str, ...]) -> Resource:
    """The resource as the state has it once it is made."""
    known = {
        name: value
        for name, value in made.outputs.items()
        if poisoned(value) is None and not is_unknown(value)
    }
    return Resource(
        urn=wanted.urn,
        type=wanted.type,
        name=wanted.name,
        parent=request.parent,
        custom=wanted.custom,
        id=made.id,
        inputs=plain(made.inputs),
        outputs=plain(known),
        secret_inputs=frozenset(name for name, value in made.inputs.items() if is_secret(value)),
        provider=wanted.provider,
        dependencies=tuple(sorted(request.dependencies)),
        property_dependencies={
            name: tuple(sorted(deps.urns))
            for name, deps in sorted(request.propertyDependencies.items())
        },
        options=wanted.options,
        location=trail[0] if trail else "",
        trail=trail,
    )

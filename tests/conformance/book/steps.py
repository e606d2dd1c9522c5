"""What an engine did with a stack, in a form in which two engines can be compared."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from localcloud.deployment.engine.state import Resource
from localcloud.deployment.engine.state import Step as OwnStep
from localcloud.deployment.provider.values import SIGNATURE_KEY

_POSITION: Final = re.compile(r"[.\[].*", re.DOTALL)
_OWN_OPERATIONS: Final = {"replace": "create-replacement", "delete replaced": "delete-replaced"}
_ENGINES_OWN: Final = "pulumi:providers:"
_NOT_DONE: Final = ("same", "read", "refresh", "replace")
"""The CLI's `replace` is a word between the two halves of a replacement."""
_CHANCE: Final = re.compile(
    r"(?<=http://)127\.0\.0\.1:\d+|(?<=-)[A-Za-z0-9]{6}(?=[\"'*]|$)|(?<=@tcp:/)[0-9a-z]{8}\b"
)
"""The endpoint of an AWS in memory, what Secrets Manager puts behind a name, and the mount name of
a file system of FSx for Lustre.
"""
_ENCODED: Final = "userData"
_RANDOM: Final = re.compile(r"-[0-9a-f]{4,7}(?![0-9a-zA-Z])")
_TOKEN: Final = re.compile(
    r"[a-z]+-[0-9a-f]{8,17}\b|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step. `changed` are top-level properties, `replaces` those that need another resource."""

    operation: str
    urn: str
    changed: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()

    @property
    def resource(self) -> str:
        """`JobQueue queues-main`."""
        kind, _, name = self.urn.rpartition("::")
        return f"{kind.rpartition(':')[2]} {name}"

    @property
    def reason(self) -> str:
        """`update priority, tags`, or `create-replacement tags, type! (type)`."""
        forced = f" ({', '.join(self.replaces)})" if self.replaces else ""
        return f"{self.operation} {', '.join(self.changed)}".rstrip() + forced


def of_own(steps: Iterable[OwnStep]) -> list[Step]:
    """Our engine's. What it calls `retain` is a deletion of the CLI's that deletes nothing."""
    told = [step for step in steps if step.operation != "same"]
    again = {step.urn for step in told if step.operation == "replace"}
    names = {**_OWN_OPERATIONS, "retain": "delete"}
    return [
        Step(
            operation=(
                "delete-replaced"
                if step.operation == "retain" and step.urn in again
                else names.get(step.operation, step.operation)
            ),
            urn=step.urn,
            changed=tuple(sorted(step.changed)),
            replaces=_heads(step.replaces),
        )
        for step in told
        if not step.type.startswith(_ENGINES_OWN)
    ]


def of_preview(document: Mapping[str, Any]) -> list[Step]:
    """Those of `pulumi preview --json --show-replacement-steps`."""
    steps = document.get("steps", [])
    return _of_cli(
        (step["op"], step["urn"], step.get("diffReasons"), step.get("replaceReasons"))
        for step in steps
    )


def of_events(events: Iterable[Mapping[str, Any]]) -> list[Step]:
    """Those of `pulumi up --json`, in the order in which they were begun."""
    told = (
        event["resourcePreEvent"]["metadata"] for event in events if "resourcePreEvent" in event
    )
    return _of_cli((step["op"], step["urn"], step.get("diffs"), step.get("keys")) for step in told)


def _of_cli(
    told: Iterable[tuple[str, str, Iterable[str] | None, Iterable[str] | None]],
) -> list[Step]:
    return [
        Step(
            operation=operation,
            urn=urn,
            changed=() if operation.startswith("delete") else _heads(changed),
            replaces=() if operation.startswith("delete") else _heads(replaces),
        )
        for operation, urn, changed, replaces in told
        if operation not in _NOT_DONE and not _of_engine(urn)
    ]


def grouped(steps: Iterable[Step]) -> dict[str, list[str]]:
    """What was done and why -> the resources, both sorted: short, and the same in any order."""
    found: dict[str, list[str]] = {}
    for step in steps:
        found.setdefault(step.reason, []).append(step.resource)
    return {reason: sorted(found[reason]) for reason in sorted(found)}


def deleted_first(steps: Sequence[Step]) -> list[str]:
    """Replacements whose old half went before the new one came."""
    position = {(step.operation, step.urn): index for index, step in enumerate(steps)}
    return sorted(
        step.resource
        for step in steps
        if step.operation == "create-replacement"
        and position.get(("delete-replaced", step.urn), len(steps))
        < position[step.operation, step.urn]
    )


def out_of_order(
    steps: Sequence[Step], before: Iterable[Resource], after: Iterable[Resource]
) -> list[str]:
    """Steps that were done before another one that had to come first: what a resource needs is made
    before it, and deleted after it.
    """
    made, gone = dict[str, int](), dict[str, int]()
    for index, step in enumerate(steps):
        (gone if step.operation.startswith("delete") else made)[step.urn] = index
    late = [
        f"{each.name} before {urn.rpartition('::')[2]} was made"
        for each in after
        for urn in each.needs & made.keys()
        if made.get(each.urn, len(steps)) < made[urn]
    ]
    early = [
        f"{urn.rpartition('::')[2]} was deleted before {each.name}"
        for each in before
        for urn in each.needs & gone.keys()
        if gone.get(each.urn, -1) > gone[urn]
    ]
    return [*late, *early]


def contents(resources: Iterable[Resource]) -> dict[str, Any]:
    """The inputs of each resource by URN, with names and ids that AWS or chance has chosen in a
    form that is the same in every deployment.
    """
    custom = [each for each in resources if each.custom and not _of_engine(each.urn)]
    owners: dict[str, str] = {}
    for each in custom:
        kind, _, name = each.urn.rpartition("::")
        for token in _TOKEN.findall(each.id):
            owners.setdefault(token, f"<{kind.rpartition(':')[2]} {name}>")
    return {
        each.urn: {
            name: "<secret>" if name in each.secret_inputs else value
            for name, value in _neutral(each.inputs, owners).items()
        }
        for each in custom
    }


def _neutral(value: Any, owners: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _neutral(
                b64decode(item).decode() if name == _ENCODED and isinstance(item, str) else item,
                owners,
            )
            for name, item in value.items()
            if not name.startswith("__") and item not in (None, [], {})
            # where an asset lies is of no account, only what it holds
            if not (name == "path" and SIGNATURE_KEY in value)
        }
    if isinstance(value, (list, tuple)):
        return [_neutral(item, owners) for item in value]
    if isinstance(value, str):
        text = _TOKEN.sub(lambda found: owners.get(found[0], "<id>"), value)
        return _CHANCE.sub("<chance>", _RANDOM.sub("-<random>", text))
    return value


def _heads(paths: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(sorted({_POSITION.sub("", path) for path in paths or ()}))


def _of_engine(urn: str) -> bool:
    return urn.split("::")[2].startswith(_ENGINES_OWN)

"""What differs between a resource as it was and as it is wanted: which properties, at which paths,
and what that asks for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from localcloud.deployment.provider.values import DEFAULTS, SIGNATURE_KEY, is_asset

Kind = Literal["add", "delete", "update"]
_POSITION: Final = re.compile(r"\[\d+\]")
_NO_DEFAULTS: Final[Mapping[str, Any]] = {}
NOTHING: Final[tuple[Any, ...]] = (None, [], {})
"""An empty list or map says no more than none."""


class Before(Protocol):
    """A resource as an earlier deployment left it; all values are plain."""

    @property
    def id(self) -> str:
        """The provider's id."""

    @property
    def inputs(self) -> Mapping[str, Any]:
        """Checked inputs."""

    @property
    def outputs(self) -> Mapping[str, Any]:
        """What AWS has told of it."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What has to be done to a resource; falsy where that is nothing.

    `changed` names top-level properties, `paths` says what happens where in them (`rules[0].days`),
    `replaces` are the dotted paths that need another resource, and `deletes_first` says whether,
    where another one is made, the old one has to go before.
    """

    changed: tuple[str, ...] = ()
    paths: Mapping[str, Kind] = field(default_factory=dict)
    replaces: tuple[str, ...] = ()
    deletes_first: bool = False

    def __bool__(self) -> bool:
        return bool(self.changed)

    def forces(self, path: str) -> bool:
        """Whether what happens at a path is a reason for the replacement."""
        return any(touches(path, forced) for forced in self.replaces)


def differences(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    *,
    texts: Collection[str] = (),
    sets: Collection[str] = (),
    defaults: Mapping[str, Any] = _NO_DEFAULTS,
) -> dict[str, Kind]:
    """The paths at which plain inputs differ.

    Args:
        old: Former inputs. Names that begin with `__` are the engine's own and left out.
        new: Wanted inputs, with `values.UNKNOWN` where a preview cannot know.
        texts: Names of inputs that hold JSON, of which only the meaning counts.
        sets: Dotted paths of lists without an order, which differ as a whole.
        defaults: What inputs are where they are not given.
    """
    found: dict[str, Kind] = {}
    for name in sorted({*old, *new}):
        if not name.startswith("__"):
            then, now = old.get(name), new.get(name)
            whole = (_or(then, defaults.get(name)), _or(now, defaults.get(name)))
            if name in texts and _same_json(*whole):
                continue
            if name in defaults and not any(_walk(*whole, name, name, frozenset(sets))):
                continue
            found |= dict(_walk(then, now, name, name, frozenset(sets)))
    return found


def touches(path: str, dotted: str) -> bool:
    """Whether a path of `differences` lies at or inside of a dotted path without positions, or
    around it.
    """
    inner = _POSITION.sub("", path)
    return f"{inner}.".startswith(f"{dotted}.") or f"{dotted}.".startswith(f"{inner}.")


def _walk(
    old: Any, new: Any, path: str, plain_path: str, sets: frozenset[str]
) -> Iterator[tuple[str, Kind]]:
    """`plain_path` is the path without positions in lists, as `sets` has it."""
    if old in NOTHING or new in NOTHING:
        if not (old in NOTHING and new in NOTHING):
            yield path, "add" if old in NOTHING else "delete"
    elif isinstance(old, Mapping) and isinstance(new, Mapping) and not is_asset(new):
        for name in sorted({*old, *new} - {DEFAULTS}):
            inner = f"{path}.{name}" if name.isidentifier() else f"{path}[{json.dumps(name)}]"
            yield from _walk(old.get(name), new.get(name), inner, f"{plain_path}.{name}", sets)
    elif isinstance(old, list) and isinstance(new, list) and plain_path in sets:
        yield from _members(old, new, path, plain_path, sets)
    elif isinstance(old, list) and isinstance(new, list):
        for position in range(max(len(old), len(new))):
            then, now = (each[position] if position < len(each) else None for each in (old, new))
            yield from _walk(then, now, f"{path}[{position}]", plain_path, sets)
    elif not _same(old, new):
        yield path, "update"


def _members(
    old: list[Any], new: list[Any], path: str, plain_path: str, sets: frozenset[str]
) -> Iterator[tuple[str, Kind]]:
    """What comes to a set and what goes, at the positions that the engine shows."""
    left, added = list(enumerate(old)), list[int]()
    for position, member in enumerate(new):
        same = (pair for pair in left if not any(_walk(pair[1], member, "", plain_path, sets)))
        match = next(same, None)
        if match is None:
            added.append(position)
        else:
            left.remove(match)
    removed = [position for position, _ in left]
    for position in sorted({*added, *removed}):
        kind: Kind = "update" if position in added and position in removed else "add"
        yield f"{path}[{position}]", kind if position in added else "delete"


def _same(old: Any, new: Any) -> bool:
    """Whether two values that are not both maps or both lists are equal."""
    if is_asset(old) and is_asset(new):  # where it lies does not count, only what it holds
        return all(old.get(part) == new.get(part) for part in (SIGNATURE_KEY, "hash"))
    if isinstance(old, (Mapping, list)) or isinstance(new, (Mapping, list)):
        return False
    return bool(old == new) or _text(old) == _text(new)


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _text(value: Any) -> str:
    # Terraform's schema gives every value the type of its property, whatever the program wrote
    return str(value).lower() if isinstance(value, bool) else str(value)


def _same_json(old: Any, new: Any) -> bool:
    try:
        return bool(json.loads(old) == json.loads(new))
    except (TypeError, ValueError):
        return False

"""Checks of a request that botocore's own validator leaves out: enum values and upper limits, at
any depth.

botocore refuses unknown members, missing ones and wrong types, but sends `allocationStrategy:
"BEST_FITT"` as it stands; AWS would answer with an error, an in-memory AWS mostly takes it. The
allowed values stand in the service model, so they are read from there.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

_SHOWN: Final = 12


def violations(shape: Any, value: Any, path: str = "") -> Iterator[str]:
    """One sentence for each value that the botocore shape does not allow; nothing where the model
    says no more than its type.

    Args:
        shape: A botocore shape, such as `operation_model.input_shape`.
        value: The request or a part of it, in botocore's form.
        path: Dotted path of the value, for the sentences.
    """
    if value is None or shape is None:
        return
    check = _CHECKS.get(shape.type_name)
    if check is not None:
        yield from check(shape, value, path)


def _structure(shape: Any, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name in sorted(value.keys() & shape.members.keys()):
            yield from violations(
                shape.members[name], value[name], f"{path}.{name}" if path else name
            )


def _list(shape: Any, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, (list, tuple)):
        yield from _too_many(shape, len(value), path, "entries")
        for position, item in enumerate(value):
            yield from violations(shape.member, item, f"{path}[{position}]")


def _map(shape: Any, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from violations(shape.key, name, f"{path} (key)")
            yield from violations(shape.value, item, f"{path}.{name}")


def _string(shape: Any, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, str):
        if shape.enum and value not in shape.enum:
            yield f"{path} is {value!r}, allowed are {_choices(value, shape.enum)}"
        yield from _too_many(shape, len(value), path, "characters")


def _integer(shape: Any, value: Any, path: str) -> Iterator[str]:
    limit = shape.metadata.get("max")
    if limit is not None and isinstance(value, int) and value > limit:
        yield f"{path} is {value}, at most {limit} is allowed"


def _too_many(shape: Any, found: int, path: str, unit: str) -> Iterator[str]:
    limit = shape.metadata.get("max")
    if limit is not None and found > limit:
        yield f"{path} has {found} {unit}, at most {limit} are allowed"


def _choices(value: str, allowed: list[str]) -> str:
    if len(allowed) <= _SHOWN:
        return ", ".join(allowed)
    close = difflib.get_close_matches(value, allowed, n=3, cutoff=0.5) or allowed[:_SHOWN]
    return f"{len(allowed)} values such as {', '.join(close)}"


_CHECKS: Final[Mapping[str, Callable[[Any, Any, str], Iterator[str]]]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "integer": _integer,
    "long": _integer,
}

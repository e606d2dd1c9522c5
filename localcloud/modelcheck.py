"""Checks of a request that botocore's own validator leaves out: enum values and upper limits, at any depth.

botocore refuses unknown members, missing ones and wrong types, but sends `allocationStrategy: "BEST_FITT"` as it stands; AWS would answer
with an error, an in-memory AWS mostly takes it. The allowed values stand in the service model, so they are read from there.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

_SHOWN = 12


def violations(shape: Any, value: Any, path: str = "") -> Iterator[str]:
    """One sentence for each value that the botocore shape does not allow; nothing where the model says no more than its type.

    Args:
        shape: A botocore shape, such as `operation_model.input_shape`.
        value: The request or a part of it, in botocore's form.
        path: Dotted path of the value, for the sentences.
    """
    if shape is None or value is None:
        return
    if shape.type_name == "structure" and isinstance(value, Mapping):
        for name, item in value.items():
            if name in shape.members:
                yield from violations(shape.members[name], item, f"{path}.{name}" if path else name)
    elif shape.type_name == "list" and isinstance(value, (list, tuple)):
        yield from _too_many(shape, len(value), path, "entries")
        for position, item in enumerate(value):
            yield from violations(shape.member, item, f"{path}[{position}]")
    elif shape.type_name == "map" and isinstance(value, Mapping):
        for name, item in value.items():
            yield from violations(shape.key, name, f"{path} (key)")
            yield from violations(shape.value, item, f"{path}.{name}")
    elif shape.type_name == "string" and isinstance(value, str):
        allowed = getattr(shape, "enum", None)
        if allowed and value not in allowed:
            yield f"{path} is {value!r}, allowed are {_choices(value, allowed)}"
        yield from _too_many(shape, len(value), path, "characters")
    elif shape.type_name in ("integer", "long") and isinstance(value, int):
        limit = shape.metadata.get("max")
        if limit is not None and value > limit:
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

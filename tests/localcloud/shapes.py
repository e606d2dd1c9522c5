"""Answers against botocore's models: no member that the API does not have, every value of its type,
every required member there.
"""

from __future__ import annotations

from typing import Any

_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "long": int,
    "boolean": bool,
    "double": (int, float),
    "float": (int, float),
    "timestamp": (int, float, str),
}


_NOT_YET = frozenset({"startedAt"})
"""Required by the model, and left out by AWS of jobs that have not started."""


def differences(shape: Any, value: Any, path: str = "") -> list[str]:
    """What of an answer, as it was on the line, does not fit the shape."""
    if shape.type_name == "structure":
        return _of_structure(shape, value, path)
    if shape.type_name == "list":
        if not isinstance(value, list):
            return [f"{path}: {value!r} is no list"]
        return [
            each
            for index, item in enumerate(value)
            for each in differences(shape.member, item, f"{path}[{index}]")
        ]
    if shape.type_name == "map":
        if not isinstance(value, dict):
            return [f"{path}: {value!r} is no map"]
        return [
            each
            for key, item in value.items()
            for each in differences(shape.value, item, f"{path}.{key}")
        ]
    expected = _TYPES[shape.type_name]
    if not isinstance(value, expected) or (
        isinstance(value, bool) and shape.type_name != "boolean"
    ):
        return [f"{path}: {value!r} is no {shape.type_name}"]
    if getattr(shape, "enum", None) and value not in shape.enum:
        return [f"{path}: {value!r} is not one of {shape.enum}"]
    return []


def _of_structure(shape: Any, value: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: {value!r} is no structure"]
    found = [f"{path}.{name}: unknown" for name in value if name not in shape.members]
    found += [
        f"{path}.{name}: missing"
        for name in shape.required_members
        if name not in value and name not in _NOT_YET
    ]
    for name, member in shape.members.items():
        if name in value:
            found += differences(member, value[name], f"{path}.{name}")
    return found

"""Pulumi inputs as botocore requests: the same names in another dress, so one walk along the
service model does it.

Terraform's schema, which the Pulumi types come from, differs from the AWS API in few and regular
ways: camelCase against either case, plural lists against singular names and back, a block of at
most one entry as an object where the API has a list, maps of tags against lists of Key and Value.
What does not fit a member is an error, never dropped.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any


class MappingError(ValueError):
    """An input that has no counterpart in the AWS request; the message says where."""


def to_request(
    values: Mapping[str, Any], shape: Any, rename: Mapping[str, str] | None = None, path: str = ""
) -> dict[str, Any]:
    """The request structure of Pulumi inputs.

    Args:
        values: Inputs by wire name, plain values.
        shape: botocore's structure shape.
        rename: Dotted paths of inputs (without list positions) and the member that each becomes,
            where the names differ beyond the rules.
        path: Dotted path of `values`, for messages.

    Raises MappingError where a name fits no member.
    """
    request: dict[str, Any] = {}
    for name, value in values.items():
        if value is None:
            continue
        where = f"{path}.{name}" if path else name
        member = (rename or {}).get(where) or member_of(shape, name)
        if member is None or member not in shape.members:
            close = difflib.get_close_matches(name.lower(), [m.lower() for m in shape.members], n=1)
            hint = f"; close is {close[0]}" if close else ""
            raise MappingError(
                f"{where} has no counterpart in the AWS request structure {shape.name}{hint}"
            )
        request[member] = convert(value, shape.members[member], rename, where)
    return request


def member_of(shape: Any, name: str) -> str | None:
    """The member of a structure that an input name means; None where there is none."""
    folded = {member.lower(): member for member in shape.members}
    return next((folded[variant] for variant in variants(name.lower()) if variant in folded), None)


def variants(name: str) -> Iterator[str]:
    """The names of a member that a lower-case input name may stand for, the likeliest first."""
    yield name
    yield f"{name}s"
    if name.endswith("ies"):
        yield f"{name[:-3]}y"
    if name.endswith("s"):
        yield name[:-1]
        yield f"{name[:-1]}list"
    if name.endswith("y"):
        yield f"{name[:-1]}ies"
    yield f"{name}set"


def convert(value: Any, shape: Any, rename: Mapping[str, str] | None = None, path: str = "") -> Any:
    """One value in the form that botocore takes for the shape."""
    kind = shape.type_name
    if kind == "structure":
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if not isinstance(value, Mapping):
            raise MappingError(f"{path} is {value!r:.80}, expected an object")
        return to_request(value, shape, rename, path)
    if kind == "list":
        if isinstance(value, Mapping) and _is_pair_list(shape):
            return pair_list(value, shape)
        items = value if isinstance(value, list) else [value]
        return [convert(item, shape.member, rename, path) for item in items]
    if kind == "map":
        if not isinstance(value, Mapping):
            raise MappingError(f"{path} is {value!r:.80}, expected a map")
        return {
            name: convert(item, shape.value, rename, f"{path}.{name}")
            for name, item in value.items()
        }
    return _scalar(value, kind, path)


def _scalar(value: Any, kind: str, path: str) -> Any:
    try:
        if kind in ("integer", "long"):
            return int(value)
        if kind in ("float", "double"):
            return float(value)
    except (TypeError, ValueError):
        raise MappingError(f"{path} is {value!r:.80}, expected a number") from None
    if kind == "boolean":
        return value if isinstance(value, bool) else str(value).lower() == "true"
    if kind == "string" and isinstance(value, (bool, int, float)):
        return (
            str(value).lower()
            if isinstance(value, bool)
            else f"{value:g}"
            if isinstance(value, float)
            else str(value)
        )
    if kind == "blob" and isinstance(value, str):
        return value.encode()
    return value


def _is_pair_list(shape: Any) -> bool:
    members = {name.lower() for name in getattr(shape.member, "members", {})}
    return members in ({"key", "value"}, {"tagkey", "tagvalue"}, {"name", "value"})


def pair_list(pairs: Mapping[str, Any], shape: Any) -> list[dict[str, str]]:
    """A map as the list that the shape wants: of Key and Value (tags), in either case, TagKey and
    TagValue, or Name and Value.
    """
    value = next(name for name in shape.member.members if name.lower().endswith("value"))
    key = next(name for name in shape.member.members if name != value)
    return [{key: name, value: str(text)} for name, text in sorted(pairs.items())]

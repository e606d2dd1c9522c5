"""Pulumi property values as Python values: secrets, unknowns and assets keep their identity on the
way through the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import struct_pb2

# Signatures by which the property wire format marks values (pulumi's
# sdk/go/common/resource/properties.go, asset.go, archive.go).
SIGNATURE_KEY: Final = "4dabf18193072939515e22adb298388d"
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a signature, not a secret
_OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_RESOURCE: Final = "5cf8f73096256a8f31e491e813e4eb8e"
ASSET: Final = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE: Final = "0def7320c3a5731c473e5ecbe6d01bc7"
_UNKNOWN_TEXT: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

DEFAULTS: Final = "__defaults"
"""Among the inputs: names of those that the provider chose, not the program
(pulumi-terraform-bridge).
"""
_POISON: Final = "<<unmodelled output "


class _Unknown:
    """A value that is decided by the deployment only."""

    def __repr__(self) -> str:
        return "(known after the deployment)"


UNKNOWN: Final = _Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that must not be shown."""

    value: Any

    def __repr__(self) -> str:
        return "[secret]"


def decode(struct: struct_pb2.Struct) -> dict[str, Any]:
    """A wire struct as Python values: whole numbers as int, secrets as Secret, unknowns as UNKNOWN,
    assets as their signed dicts.
    """
    return {name: decode_value(value) for name, value in struct.fields.items()}


def decode_value(value: struct_pb2.Value) -> Any:
    """One wire value; see decode."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _decode_object(
            {name: decode_value(item) for name, item in value.struct_value.fields.items()}
        )
    if kind == "list_value":
        return [decode_value(item) for item in value.list_value.values]
    if kind == "string_value":
        return UNKNOWN if value.string_value == _UNKNOWN_TEXT else value.string_value
    if kind == "number_value":
        return int(value.number_value) if value.number_value.is_integer() else value.number_value
    return value.bool_value if kind == "bool_value" else None


def _decode_object(fields: dict[str, Any]) -> Any:
    signature = fields.get(SIGNATURE_KEY)
    if signature == SECRET:
        return Secret(fields["value"])
    if signature == _OUTPUT:
        inner = fields.get("value", UNKNOWN)
        return Secret(inner) if fields.get("secret") else inner
    if signature == _RESOURCE:
        return fields.get("id") or fields["urn"]
    return fields


def encode(values: Mapping[str, Any]) -> struct_pb2.Struct:
    """The wire struct of Python values; the inverse of decode."""
    return struct_pb2.Struct(
        fields={name: _encode(value) for name, value in values.items() if value is not None}
    )


def _encode(value: Any) -> struct_pb2.Value:
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if value is UNKNOWN:
        return struct_pb2.Value(string_value=_UNKNOWN_TEXT)
    if isinstance(value, Secret):
        return _encode({SIGNATURE_KEY: SECRET, "value": value.value})
    if isinstance(value, Mapping):
        return struct_pb2.Value(struct_value=encode(value))
    if isinstance(value, (list, tuple)):
        return struct_pb2.Value(
            list_value=struct_pb2.ListValue(values=[_encode(item) for item in value])
        )
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, (int, float)):
        return struct_pb2.Value(number_value=value)
    return (
        struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
        if value is None
        else struct_pb2.Value(string_value=str(value))
    )


def plain(value: Any) -> Any:
    """The value without its secret envelopes, at any depth."""
    if isinstance(value, str):
        return value
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def without_bookkeeping(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs without nulls and without what the bridge and the SDK note beside them
    (`__defaults`).
    """
    return {
        name: value
        for name, value in inputs.items()
        if not name.startswith("__") and value is not None
    }


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf and every secret of a value with its dotted path."""
    if isinstance(value, Secret):
        yield path, value
        yield from walk(value.value, path)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from walk(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from walk(item, f"{path}[{position}]")
    else:
        yield path, value


def leaves(value: Any) -> Iterator[Any]:
    """Every leaf and every secret of a value, as `walk` finds them."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, Secret):
            yield found
            waiting.append(found.value)
        elif isinstance(found, (dict, Mapping)):  # the first is what nearly all are, and quick
            waiting += list(found.values())[::-1]
        elif isinstance(found, list):
            waiting += found[::-1]
        else:
            yield found


def first_path(value: Any, wanted: Callable[[Any], bool]) -> str | None:
    """The dotted path of the first leaf that is wanted; None where there is none."""
    return next((path for path, leaf in walk(value) if wanted(leaf)), None)


def is_unknown(value: Any) -> bool:
    """Whether one leaf is undecided."""
    return value is UNKNOWN


def is_secret(value: Any) -> bool:
    """Whether the value is, or holds, a secret."""
    return any(isinstance(leaf, Secret) for leaf in leaves(value))


def is_asset(value: Any) -> bool:
    """Whether the value is an asset or an archive."""
    return isinstance(value, Mapping) and value.get(SIGNATURE_KEY) in (ASSET, ARCHIVE)


def poison(resource: str, output: str) -> str:
    """The text that stands for an output which this provider does not model.

    It would be None otherwise, and None becomes the text "None" inside of a policy without anybody
    noticing. A deployment that uses the marker anywhere fails with the name in it.
    """
    return f"{_POISON}{resource}.{output}>>"


def poisoned(value: Any) -> str | None:
    """`<resource>.<output>` of the first marker inside of a value; None where there is none."""
    for leaf in leaves(value):
        if isinstance(leaf, str) and _POISON in leaf:
            return leaf.partition(_POISON)[2].partition(">>")[0]
    return None

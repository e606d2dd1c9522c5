"""The package `aws` as a Pulumi schema, of the types that this provider serves: by it the CLI
writes code for what it imports.

https://www.pulumi.com/docs/iac/guides/building-extending/packages/schema/
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, get_args

from pulumi import Archive, Asset, _types

from localcloud.deployment.provider.calls import HANDLERS, NAMES
from localcloud.deployment.provider.schema import (
    hint_name,
    required_fields,
    resource_schema,
    unwrapped,
)

_ANY: Final = {"$ref": "pulumi.json#/Any"}
_FILES: Final = {Archive: "pulumi.json#/Archive", Asset: "pulumi.json#/Asset"}
_SCALARS: Final = {"bool": "boolean", "int": "integer", "float": "number"}
_LISTS: Final = ("Sequence", "list")
_MAPS: Final = ("Mapping", "dict")
_Spec = dict[str, Any]


@cache
def package_schema() -> str:
    """The schema as JSON; the nested types are those that inputs are made of."""
    types: dict[str, _Spec] = {}
    resources = {token: _resource(token, types) for token in sorted(HANDLERS)}
    document = {
        "name": "aws",
        "version": importlib.metadata.version("pulumi_aws"),
        "description": "The types of pulumi_aws that the rehearsal serves",
        "meta": {"moduleFormat": "(.*)(?:/[^/]*)"},
        "language": {"python": {"inputTypes": "classes-and-dicts"}},
        "types": types,
        "resources": resources,
    }
    return json.dumps(document)


def _resource(token: str, types: dict[str, _Spec]) -> _Spec:
    schema = resource_schema(token)
    if schema is None:
        raise ValueError(f"{token} is not a type of pulumi_aws")
    naming = NAMES.get(token)
    named = {naming.property} if naming is not None else set()
    told = {name: hint for name, hint in schema.outputs.items() if name not in ("id", "urn")}
    return {
        "inputProperties": _properties(schema.inputs, types),
        "requiredInputs": sorted(schema.required - named),
        "properties": _properties(told, types),
        "required": sorted(name for name, _ in schema.always_present() if name in told),
    }


def _properties(fields: Mapping[str, Any], types: dict[str, _Spec]) -> _Spec:
    return {name: _spec(hint, types) for name, hint in sorted(fields.items())}


def _spec(hint: Any, types: dict[str, _Spec]) -> _Spec:
    hints = [each for each in unwrapped(hint) if each is not type(None)]
    known = {hint_name(each): each for each in hints}
    if "str" in known:  # a policy is a text too, and AWS tells it as one
        return {"type": "string"}
    for each in hints:
        if each in _FILES:
            return {"$ref": _FILES[each]}
        if isinstance(each, type) and _types.is_input_type(each):
            return {"type": "object", "$ref": f"#/types/{_nested(each, types)}"}
    if found := known.keys() & set(_LISTS):
        (inner,) = get_args(known[found.pop()])[:1]
        return {"type": "array", "items": _spec(inner, types)}
    if found := known.keys() & set(_MAPS):
        inner = get_args(known[found.pop()])[1]
        return {"type": "object", "additionalProperties": _spec(inner, types)}
    wanted = next((name for name in _SCALARS if name in known), None)
    return dict(_ANY) if wanted is None else {"type": _SCALARS[wanted]}


def _nested(found: type, types: dict[str, _Spec]) -> str:
    """The token of a nested type, which is added where it is new."""
    module = found.__module__.split(".")[1].removesuffix("_")
    name = found.__name__.removesuffix("Args")
    token = f"aws:{module}/{name}:{name}"
    if token not in types:
        spec: _Spec = {"type": "object"}
        types[token] = spec  # before its own parts, which may be of the same type
        spec["properties"] = _properties(_types.input_type_types(found), types)
        spec["required"] = sorted(required_fields(found))
    return token

"""Container and node properties against AWS Batch's own service model.

The provider takes both as text and drops what it does not know without a word: `linuxParameter` for
`linuxParameters` would register a job without its devices. The model is a part of botocore's, in
the data file `batch_model.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

Shape = Literal["ContainerProperties", "NodeProperties"]
_SCALARS: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "boolean": (bool,),
}


@cache
def _shapes() -> dict[str, dict[str, Any]]:
    model: dict[str, dict[str, dict[str, Any]]] = json.loads(
        files("config").joinpath("batch_model.json").read_bytes()
    )
    return model["shapes"]


def property_problems(shape: Shape, properties: Mapping[str, Any]) -> list[str]:
    """One sentence for each member, value or type that RegisterJobDefinition does not know; empty
    where all is well.

    Values that are not JSON, such as outputs of other resources, are known only when those exist:
    nothing is said about them.
    """
    return list(_check(shape, properties, ""))


def _check(name: str, value: Any, path: str) -> Iterator[str]:
    shape = _shapes()[name]
    kind = shape["type"]
    if not isinstance(value, Mapping | list | tuple | str | int | float):
        return
    if kind == "structure" and isinstance(value, Mapping):
        yield from _check_structure(shape, value, path)
    elif kind == "list" and isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _check(shape["member"], item, f"{path}[{index}]")
    elif kind == "map" and isinstance(value, Mapping):
        for key, item in value.items():
            yield from _check(shape["value"], item, f"{path}.{key}")
    elif not _is_of(kind, value):
        yield (
            f"{path} is {json.dumps(value, default=str)}, expected"
            f" {'an' if kind == 'integer' else 'a'} {kind}"
        )
    elif "enum" in shape and value not in shape["enum"]:
        yield f"{path} is {json.dumps(value)}, expected one of {', '.join(shape['enum'])}"


def _check_structure(
    shape: Mapping[str, Any], value: Mapping[str, Any], path: str
) -> Iterator[str]:
    members: dict[str, str] = shape["members"]
    for key in shape.get("required", ()):
        if value.get(key) is None:
            yield f"{path or 'the properties'} has no {key}, which is required"
    for key, item in value.items():
        where = f"{path}.{key}" if path else key
        if key in members:
            yield from _check(members[key], item, where)
        else:
            close = get_close_matches(key, members, n=1)
            yield f"{where} is not known to AWS Batch" + (f"; it knows {close[0]}" if close else "")


def _is_of(kind: str, value: Any) -> bool:
    # true is an int to Python and none to AWS
    return isinstance(value, _SCALARS.get(kind, ())) and isinstance(value, bool) == (
        kind == "boolean"
    )

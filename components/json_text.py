"""JSON of values in which outputs of resources stand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pulumi


def json_text(
    value: Any, *, sort_keys: bool = False, separators: tuple[str, str] | None = None
) -> pulumi.Output[str]:
    """The text that `pulumi.Output.json_dumps` makes of it, which is not known before every output
    in it is, and a secret where one of them is.

    The SDK makes an output of each plain value in it too, and each is a task of asyncio: of 6,700
    that the program of this repository made, 1,300 were nothing else.

    Args:
        value: Mappings, lists and tuples of plain values and outputs.
        sort_keys: As of `json.dumps`.
        separators: As of `json.dumps`.
    """
    outputs = {id(each): each for each in _outputs(value)}

    def text(found: list[Any]) -> str:
        known = dict(zip(outputs, found, strict=True))

        def default(each: Any) -> Any:
            if id(each) not in known:
                raise TypeError(f"Object of type {type(each).__name__} is not JSON serializable")
            return known[id(each)]

        return json.dumps(value, sort_keys=sort_keys, separators=separators, default=default)

    return pulumi.Output.all(*outputs.values()).apply(text)


def _outputs(value: Any) -> Iterator[pulumi.Output[Any]]:
    if isinstance(value, pulumi.Output):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _outputs(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _outputs(each)

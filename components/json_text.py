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

    The SDK makes three outputs of each plain value, and a dashboard has thousands of these: a
    third of the time that the program of this repository took went there.

    Args:
        value: Mappings, lists and tuples of plain values and outputs.
        sort_keys: As of `json.dumps`.
        separators: As of `json.dumps`.
    """
    outputs = {id(each): each for each in _outputs(value)}

    def text(found: list[Any]) -> str:
        known = dict(zip(outputs, found, strict=True))
        return json.dumps(
            value,
            sort_keys=sort_keys,
            separators=separators,
            default=lambda each: known[id(each)],
        )

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

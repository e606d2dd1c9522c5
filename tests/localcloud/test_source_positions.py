"""Where a resource is made is told as the SDK tells it, in less time."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import pulumi.runtime.resource
import pytest

from localcloud.deployment import source_positions


class _Resource:
    def __init__(self, told: Callable[[], Any]) -> None:
        self.trace = told()


class _Custom(_Resource):
    def __init__(self, told: Callable[[], Any]) -> None:
        super().__init__(told)


class _Bucket(_Custom):
    def __init__(self, told: Callable[[], Any]) -> None:
        self._internal_init(told)

    def _internal_init(self, told: Callable[[], Any]) -> None:
        super().__init__(told)


def _program(told: Callable[[], Any]) -> Any:
    code = compile("make(told).trace", "<made up>", "eval")
    return [
        _Bucket(told).trace,
        *(each.trace for each in map(_Bucket, [told])),
        eval(code, {"make": _Bucket, "told": told}),  # noqa: S307 - a frame without a file
    ]


def test_the_frames_are_those_of_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    sdk: Any = pulumi.runtime.resource
    source_positions.hasten()
    quick = sdk._get_stack_trace
    stacks = []
    for module in (sdk.traceback, traceback):
        monkeypatch.setattr(sdk, "traceback", module)
        stacks.append(_program(quick))
    assert sdk.traceback is traceback
    assert stacks[0] == stacks[1]
    first = stacks[0][0].frames[0].pc
    assert first.uri == f"file://{__file__}"
    assert first.line == _program.__code__.co_firstlineno + 3
    assert not stacks[0][2].frames[0].pc.uri, "of no file"


def test_the_rest_of_traceback_is_there() -> None:
    source_positions.hasten()
    sdk: Any = pulumi.runtime.resource
    assert sdk.traceback.format_exc is traceback.format_exc

"""Where in a program a resource is made, which the SDK tells with each of them.

It reads the lines of source of all frames, asks the file system whether they are as they were, and
writes the address of each anew: 0.065 of the 0.46 seconds of a processor that a preview of `local`
takes, and 0.018 this way.
"""

from __future__ import annotations

import functools
import sys
import traceback
from types import FrameType, SimpleNamespace
from typing import Any, Final

import pulumi.runtime.resource

_SDK: Final[Any] = pulumi.runtime.resource


@functools.cache
def hasten() -> None:
    """Puts a cheaper way in its place, once for the process; what is told stays the same. A release
    of the SDK that goes about it otherwise keeps its own way.
    """
    position = getattr(_SDK, "_get_source_position_for_frame", None)  # there is no setting for it
    if position is None or not hasattr(_SDK, "traceback"):
        return

    @functools.cache
    def at(filename: str, line: int | None) -> Any:
        return position(traceback.FrameSummary(filename, line, "", lookup_line=False))

    _SDK._get_source_position_for_frame = lambda frame: at(frame.filename, frame.lineno)  # noqa: SLF001
    _SDK.traceback = SimpleNamespace(**{**vars(traceback), "extract_stack": _stack})


def _stack() -> list[traceback.FrameSummary]:
    """As `traceback.extract_stack`, without the lines."""
    found = []
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - as the standard library does
    while frame is not None:
        code = frame.f_code
        found.append(_summary(code.co_filename, frame.f_lineno, code.co_name))
        frame = frame.f_back
    found.reverse()
    return found


@functools.lru_cache(maxsize=4096)
def _summary(filename: str, line: int, name: str) -> traceback.FrameSummary:
    return traceback.FrameSummary(filename, line, name, lookup_line=False)

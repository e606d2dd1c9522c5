"""What moto's interpreter of state machines does anew, though it is the same every time, or cheaper
to have.
"""

from __future__ import annotations

import copy
import functools
import sys
from types import SimpleNamespace
from typing import Any, Final

from jsonpath_ng.ext.parser import parse
from jsonpath_ng.parser import parse as parse_result
from moto.stepfunctions.parser.asl.component.common.path import result_path
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import json_path

_PATHS: Final = 4096
_DEFINITIONS: Final = 8
_ASL: Final = "moto.stepfunctions.parser.asl."
_COPIERS: Final = (
    *("component.common.path.result_path", "component.common.string.string_expression"),
    *("component.state.exec.execute_state", "component.state.exec.state_parallel.state_parallel"),
    *("component.state.exec.state_task.service.state_task_service", "eval.states"),
)
"""Modules that copy inputs, results and stacks of them and nothing else."""
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
# a path is parsed by a parser that is itself built for it; what comes of it does not change
parsed: Final[Any] = functools.lru_cache(_PATHS)(parse)
"""The expression of a path."""
_parsed_result: Final[Any] = functools.lru_cache(_PATHS)(parse_result)


def replacements() -> list[tuple[Any, str, Any]]:
    """(module, name, value) of the cheaper ways."""
    # a definition is parsed when a machine is made, and that is forgotten
    definition = functools.lru_cache(_DEFINITIONS)(AmazonStateLanguageParser.parse)
    parsers: list[tuple[Any, str, Any]] = [
        (AmazonStateLanguageParser, "parse", staticmethod(definition)),
        (json_path, "parse", parsed),
        (result_path, "parse", _parsed_result),
    ]
    copiers = [sys.modules[f"{_ASL}{name}"] for name in _COPIERS]
    return [*parsers, *((each, "copy", SimpleNamespace(deepcopy=copied)) for each in copiers)]


def copied(value: Any) -> Any:
    """A deep copy. JSON, in which nothing is there twice, needs none of the book-keeping of
    `copy.deepcopy`.
    """
    kind = type(value)
    if kind is dict:
        return {key: copied(each) for key, each in value.items()}
    if kind is list:
        return [copied(each) for each in value]
    if kind in _PLAIN:
        return value
    return copy.deepcopy(value)

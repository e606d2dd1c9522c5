"""Records from outside: any bytes become the dataclass that they should be, or one sentence that
says what is wrong.

Objects in S3 may be cut off, damaged, of another version or made by hand. What passes here has
every field, of its type, with numbers that fit into 64 bits and texts that can be written again;
nobody behind has to ask.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeVar, Union

from workloads.contract import ContractError

_LARGEST: Final = 2**63 - 1
_DIGITS: Final = 19
_SHOWN: Final = 60
T = TypeVar("T")


def record(cls: type[T], data: bytes, *, what: str, again: str) -> T:
    """The dataclass that JSON bytes describe.

    Args:
        cls: its fields say what has to be there: numbers, texts, lists as tuples, dictionaries,
            dataclasses, unions with None.
        data: an object's bytes.
        what: how people call the object, `manifest.json`.
        again: what makes it anew, such as "run the preprocess stage again".

    Raises ContractError with one sentence.
    """
    try:
        found: T = _value(cls, _parsed(data), "")
    except _WrongError as error:
        raise ContractError(f"{what} is not what this version writes: {error}; {again}") from error
    return found


class _WrongError(ValueError):
    """What is wrong, and where."""


def _parsed(data: bytes) -> Any:
    try:
        found = json.loads(data, parse_int=_whole, parse_float=_finite, parse_constant=_no_constant)
        json.dumps(found, ensure_ascii=False).encode()  # texts that no encoding takes end here
    except _WrongError:
        raise
    except UnicodeEncodeError:
        raise _WrongError("it holds half a character") from None
    except RecursionError:
        raise _WrongError("it is nested too deeply") from None
    except ValueError as error:
        raise _WrongError(f"it is no JSON ({error})") from None
    return found


def _whole(text: str) -> int:
    if len(text) > _DIGITS + 1 or abs(int(text)) > _LARGEST:
        raise _WrongError(f"the number {text[:_SHOWN]} is too large")
    return int(text)


def _finite(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise _WrongError(f"the number {text[:_SHOWN]} is too large")
    return found


def _no_constant(text: str) -> Any:
    raise _WrongError(f"{text} is no number")


@functools.cache
def _fields(cls: Any) -> Mapping[str, tuple[Any, bool]]:
    """Annotation of each field, and whether it has to be given."""
    annotations = typing.get_type_hints(cls)
    missing = dataclasses.MISSING
    return {
        each.name: (
            annotations[each.name],
            each.default is missing and each.default_factory is missing,
        )
        for each in dataclasses.fields(cls)
    }


def _value(annotation: Any, found: Any, path: str) -> Any:
    """`found` in the form of an annotation. Raises _WrongError."""
    if annotation is Any:
        return found
    if dataclasses.is_dataclass(annotation):
        return _dataclass(typing.cast("type[Any]", annotation), found, path)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (Union, types.UnionType):
        return _one_of(arguments, found, path)
    if origin is Literal:
        return (
            found
            if found in arguments and isinstance(found, str)
            else _wrong(found, path, " or ".join(map(repr, arguments)))
        )
    if origin in (tuple, list):
        items = found if isinstance(found, list) else _wrong(found, path, "a list")
        return origin(
            _value(arguments[0], item, f"{path}[{index}]") for index, item in enumerate(items)
        )
    if origin in (dict, Mapping):
        members = found if isinstance(found, dict) else _wrong(found, path, "an object")
        return {
            name: _value(arguments[1], member, f"{path}.{name}"[:_SHOWN].lstrip("."))
            for name, member in members.items()
        }
    return _scalar(annotation, found, path)


def _one_of(annotations: tuple[Any, ...], found: Any, path: str) -> Any:
    if found is None and type(None) in annotations:
        return None
    others = [each for each in annotations if each is not type(None)]
    for each in others[:-1]:
        try:
            return _value(each, found, path)
        except _WrongError:
            continue
    return _value(others[-1], found, path)


def _scalar(annotation: Any, found: Any, path: str) -> Any:
    if annotation is float and isinstance(found, int) and not isinstance(found, bool):
        return float(found)
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    if type(found) is not annotation:
        return _wrong(found, path, names[annotation])
    return found


def _dataclass(cls: type[Any], found: Any, path: str) -> Any:
    members = found if isinstance(found, dict) else _wrong(found, path, "an object")
    fields = _fields(typing.cast("Any", cls))
    before = f"{path}." if path else ""
    for name in members:
        if name not in fields:
            raise _WrongError(
                f"it has {(before + name)[:_SHOWN]!a}, which this version does not know"
            )
    for name, (_, needed) in fields.items():
        if needed and name not in members:
            raise _WrongError(f"it lacks {before}{name}")
    return cls(
        **{
            name: _value(fields[name][0], member, f"{before}{name}")
            for name, member in members.items()
        }
    )


def _wrong(found: Any, path: str, expected: str) -> Any:
    shown = json.dumps(found)[:_SHOWN]
    raise _WrongError(f"{ascii(path[:_SHOWN])[1:-1] or 'it'} is {shown}, expected {expected}")

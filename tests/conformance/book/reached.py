"""Which fields of the config a change reaches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from config.stack import NAMESPACE, SECTION_TYPES, STACK_METADATA, StackConfig
from tests.config.stacks import load
from tests.conformance.book import Stacked

Field = tuple[str, str]
"""Class of a section or of a part of it, and the field's name."""


def every_field() -> set[Field]:
    """All that a stack file can set; of a field with one possible value there is no change."""
    found: set[Field] = set()
    for name, kind in SECTION_TYPES.items():
        if name in StackConfig.model_fields and name not in STACK_METADATA:
            found |= {("StackConfig", name), *_fields(kind)}
    return found


def reached(before: BaseModel, after: BaseModel) -> set[Field]:
    """The fields that differ between two configs. Of a part that comes or goes as a whole these are
    the ones that its stack file sets.
    """
    return set(_differing(before, after))


def config_of(stacked: Stacked, stack: str) -> StackConfig:
    """The config as the program loads it. Raises ConfigError."""
    prefix = f"{NAMESPACE}:"
    found = {
        key.removeprefix(prefix): value
        for key, value in stacked.document["config"].items()
        if key.startswith((prefix, "aws:region"))
    }
    secrets = {key.removeprefix(prefix): {"secure": "v1"} for key in stacked.secrets}
    return load({**found, **secrets}, stack)[0]


def _fields(kind: Any) -> Iterator[Field]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if not _one_value(field.annotation):
                yield kind.__name__, name
            yield from _fields(field.annotation)
    for inner in get_args(kind):
        yield from _fields(inner)


def _one_value(kind: Any) -> bool:
    return get_origin(kind) is Literal and len(get_args(kind)) == 1


def _differing(before: Any, after: Any) -> Iterator[Field]:
    if before == after:
        return
    if isinstance(before, BaseModel) or isinstance(after, BaseModel):
        yield from _of_models(before, after)
    elif isinstance(before or after, Mapping):
        then, now = before or {}, after or {}
        for key in {*then, *now}:
            yield from _differing(then.get(key), now.get(key))
    elif isinstance(before or after, (list, tuple)):
        for first, second in zip_longest(before or (), after or ()):
            yield from _differing(first, second)


def _of_models(before: Any, after: Any) -> Iterator[Field]:
    if type(before) is type(after):
        for name in type(before).model_fields:
            then, now = getattr(before, name), getattr(after, name)
            if then != now:
                yield from _of_classes(type(before), name)
                yield from _differing(then, now)
        return
    for model in (before, after):
        if isinstance(model, BaseModel):
            for name in model.model_fields_set:
                yield from _of_classes(type(model), name)
                yield from _differing(None, getattr(model, name))


def _of_classes(model: type[BaseModel], name: str) -> Iterator[Field]:
    """The field of a class, and of the classes that it extends."""
    for each in model.__mro__:
        if issubclass(each, BaseModel) and name in each.model_fields:
            yield each.__name__, name

"""What can still be checked of a section that has the wrong shape.

Fields that are no fields, and values that their field does not take, are put aside, and rules see
the rest. A rule that asks for a value that was put aside, or that was probably meant by a misspelt
name, keeps silent from there on: what is not known is not guessed, not even from the default.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from config.shape import Finding, findings


def without_broken_fields(
    value: Any, error: ValidationError, adapter: TypeAdapter[Any], annotation: Any
) -> Any | None:
    """The section without what pydantic found wrong in it; None where too little is left to make
    one.
    """
    broken = findings(error, annotation)
    if not all(finding.is_field for finding in broken):
        return None  # an entry that is broken as a whole, which others may name
    rest = copy.deepcopy(value)
    for finding in broken:
        _parent(rest, finding.path).pop(finding.path[-1], None)
    try:
        section = adapter.validate_json(json.dumps(rest, default=str), strict=True)
    except ValidationError:
        return None  # a field that has no default
    for finding in broken:
        model = _model(section, finding)
        given = _parent(rest, finding.path)
        for name in (finding.path[-1], finding.meant):
            if name is not None and name not in given:
                model.__dict__.pop(name, None)
    return section


def _parent(value: Any, path: Sequence[str]) -> Any:
    for part in path[:-1]:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def _model(section: Any, finding: Finding) -> BaseModel:
    """The model that a field belongs to.

    A field that is taken from it raises BrokenFieldError when it is read.
    """
    for part in finding.path[:-1]:
        section = (
            section[int(part)]
            if isinstance(section, tuple)
            else section[part]
            if isinstance(section, dict)
            else getattr(section, part)
        )
    model: BaseModel = section
    return model

"""Problems of a stack file: data first, one readable text at the end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong (error) or doubtful (warning) in a stack file."""

    code: str
    level: Literal["error", "warning"]
    path: str
    """Dotted path below the project's namespace, for example `environments.gpu.max_vcpus`."""
    found: Any
    message: str
    """What is allowed and why, as one sentence."""
    fix: str

    def __str__(self) -> str:
        """Path, value found, what is allowed, how to fix it."""
        found = json.dumps(self.found, default=str)
        found = found if len(found) <= 120 else found[:117] + "..."
        return f"{self.level} {self.code} at {self.path}: found {found}; {self.message}. Fix: {self.fix}."


class ConfigError(ValueError):
    """A stack file that cannot be deployed, with all of its problems."""

    def __init__(self, stack: str, problems: Sequence[Problem]) -> None:
        self.stack = stack
        self.problems = tuple(problems)
        errors = [p for p in self.problems if p.level == "error"]
        lines = [f"Pulumi.{stack}.yaml has {len(errors)} {'error' if len(errors) == 1 else 'errors'}:", *(f"  {p}" for p in self.problems)]
        super().__init__("\n".join(lines))


def section_problems(section: str, error: ValidationError, model: Any) -> list[Problem]:
    """The problems that pydantic found in one section, with dotted paths and suggestions."""
    return [_problem(section, details, model) for details in error.errors(include_url=False)]


_FIXES = {
    "missing": "add the field",
    "greater_than_equal": "raise the value",
    "greater_than": "raise the value",
    "less_than_equal": "lower the value",
    "less_than": "lower the value",
    "union_tag_not_found": "add a field kind, which says what sort of environment this is",
    "literal_error": "use one of the values named",
    "union_tag_invalid": "use one of the kinds named",
}


def _problem(section: str, details: ErrorDetails, model: Any) -> Problem:
    path = ".".join([section, *(str(part) for part in details["loc"])])
    message, fix = details["msg"].removeprefix("Value error, "), _FIXES.get(details["type"], "correct the value")
    found: Any = details["input"]
    if details["type"] == "extra_forbidden":
        name = str(details["loc"][-1])
        message = "the section has no such field"
        close = get_close_matches(name, _field_names(model), n=1)
        fix = f"write {close[0]}" if close else "remove it"
    if details["type"] == "missing":
        found = None
    return Problem(
        code=f"SHAPE-{details['type'].upper().replace('_', '-')}", level="error", path=path, found=found, message=message, fix=fix
    )


def _field_names(model: Any) -> list[str]:
    """All field names in reach of a model: enough to suggest the right spelling."""
    names: set[str] = set()
    seen: set[type[BaseModel]] = set()
    todo = _models_in(model)
    while todo:
        current = todo.pop()
        if current in seen:
            continue
        seen.add(current)
        names |= set(current.model_fields)
        todo += [m for field in current.model_fields.values() for m in _models_in(field.annotation)]
    return sorted(names)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for arg in getattr(annotation, "__args__", ()) for model in _models_in(arg)]

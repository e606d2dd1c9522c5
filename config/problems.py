"""Problems of a stack file: data first, one readable text at the end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong (error) or doubtful (warning) in a stack file."""

    code: str
    level: Literal["error", "warning"]
    path: str
    """Dotted path below the project's namespace, for example `environments.gpu.max_vcpus`."""
    found: Any
    """The value there, None where there is none."""
    message: str
    """What is allowed and why, as one sentence."""
    fix: str

    def __str__(self) -> str:
        """Path, value found, what is allowed, how to fix it."""
        found = (
            "nothing"
            if self.found is None
            else json.dumps(self.found, default=str, ensure_ascii=False)
        )
        found = found if len(found) <= 120 else found[:117] + "..."
        return (
            f"{self.level} {self.code} at {self.path}: found {found}; {self.message}. Fix:"
            f" {self.fix}."
        )


class ConfigError(ValueError):
    """A stack file that cannot be deployed, with all of its problems."""

    def __init__(self, stack: str, problems: Sequence[Problem]) -> None:
        self.stack = stack
        self.problems = tuple(problems)
        errors = [p for p in self.problems if p.level == "error"]
        lines = [
            f"Pulumi.{stack}.yaml has {len(errors)} {'error' if len(errors) == 1 else 'errors'}:",
            *(f"  {p}" for p in self.problems),
        ]
        super().__init__("\n".join(lines))

"""What a rule is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from config.problems import Problem
from config.stack import StackConfig


class Rule(ABC):
    """One rule across sections."""

    code: ClassVar[str]
    level: ClassVar[Literal["error", "warning"]] = "error"
    reason: ClassVar[str]
    """What AWS does otherwise."""
    source: ClassVar[str]
    reads: ClassVar[frozenset[str]]
    """The fields of StackConfig that it looks at."""

    @abstractmethod
    def check(self, config: StackConfig) -> Iterator[Problem]:
        """The problems of this rule, one for each place where it is broken."""

    def problem(self, path: str, found: Any, message: str, fix: str) -> Problem:
        """A problem of this rule."""
        return Problem(
            code=self.code, level=self.level, path=path, found=found, message=message, fix=fix
        )

"""An account, and a thing that it still holds of a stack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from components.context import PROJECT_TAG, STACK_TAG


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """A thing that is still there."""

    kind: str
    name: str
    why: str
    """Why it is still there, as a sentence without its subject."""
    costs: str
    remove: str
    """Command that removes it, or what to do in its place."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """The account and the names by which the stack's things are known in it."""

    client: Callable[[str], Any]
    project: str
    stack: str
    known: Callable[[str], bool] | None = None
    """Whether a state has a thing, by ARN or id: then only what it lacks, and the program has made,
    is looked at. None where all is told.
    """

    def has(self, name: str) -> bool:
        """Whether a thing need not be looked at, because a state has it."""
        return self.known is not None and self.known(name)

    @property
    def prefix(self) -> str:
        """How names that carry project and stack begin."""
        return f"{self.project}-{self.stack}"

    @property
    def tags(self) -> dict[str, str]:
        """Tags of every resource of the stack."""
        return {PROJECT_TAG: self.project, STACK_TAG: self.stack}

    @property
    def filters(self) -> list[dict[str, Any]]:
        """The tags as EC2's lists take them."""
        return [{"Name": f"tag:{key}", "Values": [value]} for key, value in self.tags.items()]

    def named(self, name: str) -> bool:
        """Whether a name begins as those of the stack do; those of stack `dev-2` begin like `dev`'s
        too.
        """
        return name.startswith(f"{self.prefix}-")

    def owns(self, tags: Iterable[Mapping[str, str]]) -> bool:
        """Whether the tags of a thing, as most services list them, are those of the stack."""
        return set(self.tags.items()) <= {(tag["Key"], tag["Value"]) for tag in tags}

    def pages(self, service: str, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
        """All items of a list operation. Raises botocore's errors."""
        paginator = self.client(service).get_paginator(operation)
        yield from chain.from_iterable(
            page.get(key, []) for page in paginator.paginate(**arguments)
        )


Look = Callable[[Account], Iterator[Leftover]]

"""What a state knows: everything else that the program made is an orphan, of a `pulumi up` that was
killed before AWS had answered.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.errors import CliError, ExitCode
from cli.leftovers.by_tag import parts_of


@dataclass(frozen=True)
class Known:
    """Ids and ARNs of what a state has."""

    names: frozenset[str]

    def has(self, name: str) -> bool:
        """Whether the state has what AWS calls so, by ARN or id."""
        return not self.names.isdisjoint(_names(name))


def _names(name: str) -> Iterator[str]:
    """What a state may call a thing.

    What has just been taken in has an id alone, which may be the name: a namesake that is not told
    is better than a table that is told with the command that deletes it.
    """
    yield name
    if not name.startswith("arn:"):
        return
    _, kind, parts = parts_of(name)
    path = "/".join(parts[1:])
    yield from (parts[-1], path, f"/{path}")
    if kind == "job-definition":  # a state has the last revision alone
        yield name.rpartition(":")[0]


def known_of(file: Path, stack: str) -> Known:
    """What `pulumi stack export` has written of a stack.

    Raises CliError where it has not written the file, or has of another stack: all that stands
    would be told with the commands that delete it.
    """
    try:
        resources = json.loads(file.read_text(encoding="utf-8"))["deployment"].get("resources", [])
        names = frozenset(name for each in resources for name in told_by(each))
        stacks = sorted({each["urn"].split(":", 3)[2] for each in resources})
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise CliError(
            f"{file} is no export of a stack ({error}); write one by `pulumi stack export --file`",
            ExitCode.USAGE,
        ) from error
    if stacks not in ([], [stack]):
        raise CliError(
            f"{file} is of stack {', '.join(stacks)}, not of {stack}; write one by `pulumi stack"
            f" export --stack {stack} --file`",
            ExitCode.USAGE,
        )
    return Known(names)


def told_by(resource: Mapping[str, Any]) -> Iterator[str]:
    """Id and ARN of a resource, as a state has it."""
    outputs = resource.get("outputs") or {}
    for name in (resource.get("id"), outputs.get("arn"), outputs.get("arnPrefix")):
        if isinstance(name, str):
            yield name

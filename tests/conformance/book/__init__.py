"""The book of changes: changes of the stack files of this repository, made and taken back with our
own engine and with the Pulumi CLI, and what the CLI did.

`changes.yaml` holds the changes, `recorded.json` the steps of the CLI, written by
scripts/record_book.py.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from config.stack import SECRETS

ROOT: Final = Path(__file__).parents[3]
RECORDED: Final = Path(__file__).with_name("recorded.json")
PROJECT: Final = "batch-reference"
REMOVED: Final = "(removed)"
"""The value that takes a field away."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Change:
    """One change of a stack.

    `paths` are `section/field/…` of the program's config, full keys of other namespaces
    (`aws:defaultTags`), or `secrets/<key>`. `refused` is a part of the sentence where no engine
    makes the change.
    """

    stack: str
    name: str
    paths: Mapping[str, Any]
    refused: str = ""


@dataclass(frozen=True, kw_only=True)
class Stacked:
    """A stack file, and the secrets that stand beside it in plain text."""

    document: dict[str, Any]
    secrets: dict[str, str] = field(default_factory=dict)


@cache
def book() -> tuple[Change, ...]:
    """All changes, in the order of the file."""
    found = yaml.safe_load(Path(__file__).with_name("changes.yaml").read_text())
    return tuple(
        Change(
            stack=stack,
            name=name,
            paths={path: value for path, value in paths.items() if path != "refused"},
            refused=paths.get("refused", ""),
        )
        for stack, changes in found.items()
        for name, paths in changes.items()
    )


def stack_path(stack: str) -> Path:
    """The file of a stack, an example's too."""
    path = ROOT / f"Pulumi.{stack}.yaml"
    return path if path.is_file() else ROOT / "examples" / path.name


@cache
def base(stack: str) -> Stacked:
    """A stack as the repository has it, which nobody changes."""
    return Stacked(document=yaml.safe_load(stack_path(stack).read_text()))


def changed(*changes: Change) -> Stacked:
    """The stack with changes of it made, in this order.

    Raises KeyError where one removes what is not there.
    """
    made = copy.deepcopy(base(changes[0].stack))
    for path, value in (pair for change in changes for pair in change.paths.items()):
        head, *inner = path.split("/")
        if head == "secrets":
            assert inner[0] in SECRETS
            made.secrets[f"{PROJECT}:{inner[0]}"] = value
            continue
        place: Any = made.document["config"]
        *way, last = [head if ":" in head else f"{PROJECT}:{head}", *inner]
        for part in way:
            place = place.setdefault(part, {})
        if value == REMOVED:
            del place[last]
        else:
            place[last] = copy.deepcopy(value)
    return made


def key(page: Sequence[Change]) -> str:
    """What changes that are made together are called in the record: `stack/name + name`."""
    return f"{page[0].stack}/{' + '.join(change.name for change in page)}"


def recorded_pages() -> dict[tuple[Change, ...], dict[str, Any]]:
    """The record by the changes that were made together.

    Raises KeyError where the book lacks one.
    """
    named = {key((change,)): change for change in book()}
    pages = {}
    for of_page, found in recorded().items():
        stack, _, names = of_page.partition("/")
        pages[tuple(named[f"{stack}/{name}"] for name in names.split(" + "))] = found
    return pages


def recorded() -> dict[str, dict[str, Any]]:
    """`key` of changes -> what the CLI did: `preview`, `up` and `back`, or `refused`."""
    text = RECORDED.read_text() if RECORDED.is_file() else "{}"
    found: dict[str, dict[str, Any]] = json.loads(text)
    return found

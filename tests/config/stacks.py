"""The stack files as plain sections, and small changes of them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from config import ConfigError, Problem, StackConfig, load_stack_config
from config.stack import SECRETS
from localcloud.deployment.stack_file import read_stack

ROOT = Path(__file__).parents[2]
STACKS = ("dev", "prod", "local")
EXAMPLES = ("gpu-spot", "fargate-only", "private", "efs-fargate", "lustre-hpc", "spot-shards")
_PROJECT = "batch-reference:"


def program_with(folder: Path, stack: str) -> Path:
    """The program with one stack file, which may be an example, as if it had been copied to where
    Pulumi looks.
    """
    (name,) = [
        path
        for path in (ROOT / f"Pulumi.{stack}.yaml", ROOT / "examples" / f"Pulumi.{stack}.yaml")
        if path.is_file()
    ]
    for path in (ROOT / "__main__.py", ROOT / "Pulumi.yaml", name):
        (folder / path.name).symlink_to(path)
    return folder


class _Removed:
    def __repr__(self) -> str:
        return "removed"


REGION = "aws:region"
NAMING = "pulumi:autonaming"
REMOVED: Any = _Removed()
Changes = dict[str, Any]
"""Dotted path -> new value; REMOVED takes the field away."""


def sections(stack: str = "prod") -> dict[str, Any]:
    """Section -> plain value, as Pulumi would hand it to the program."""
    with TemporaryDirectory() as folder:
        found = read_stack(program_with(Path(folder), stack), stack, {}, {}).config
    return {
        key.removeprefix(_PROJECT): json.loads(value)
        for key, value in found.items()
        if key.startswith(_PROJECT)
    }


_PROD = sections()


def changed(changes: Changes) -> dict[str, Any]:
    """The prod stack with some values changed."""
    result: Any = copy.deepcopy(_PROD)
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = result
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place[part]
        key = int(last) if isinstance(place, list) else last
        if value is REMOVED:
            del place[key]
        else:
            place[key] = copy.deepcopy(value)
    return dict(result)


def load(found: dict[str, Any], stack: str = "test") -> tuple[StackConfig, list[Problem]]:
    """As the program loads it; a secret is encrypted where it is `{secure: ...}`, as in a stack
    file.
    """
    plain = [key for key in SECRETS if key in found and not isinstance(found[key], dict)]
    own = {key: value for key, value in found.items() if key not in (REGION, NAMING)}
    return load_stack_config(
        stack,
        own.get,
        own,
        plain=plain,
        region=found.get(REGION, ""),
        naming=json.dumps(found[NAMING]) if NAMING in found else "",
    )


def problems_of(found: dict[str, Any], stack: str = "test") -> tuple[Problem, ...]:
    """All problems, errors and warnings."""
    try:
        return tuple(load(found, stack)[1])
    except ConfigError as error:
        return error.problems

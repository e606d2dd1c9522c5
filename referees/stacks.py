"""What each stack file makes, as Pulumi registered it: dev and prod with either orchestrator, and
the examples, evaluated against an AWS of the tests.
"""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from localcloud.deployment.engine import Resource
from localcloud.deployment.stack_file import read_stack
from tests.components import mocks
from tests.components.program import SLACK
from tests.config.stacks import EXAMPLES, program_with
from tests.support.program import ROOT

_OTHERWISE: dict[str, tuple[str, dict[str, Any]]] = {
    "dev-step-functions": ("dev", {"orchestrator": "step-functions"}),
    "prod-batch": ("prod", {"orchestrator": "batch"}),
}
"""Stack files with the other orchestrator than they have."""
STACKS = ("dev", "prod", *EXAMPLES, *_OTHERWISE)
_GUARDS = {"stop_submissions_percent": 90, "guard": {"limit_usd": 8000}}
"""Parts that no stack file turns on, and that have roles and policies of their own."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """An IAM policy of an identity, such as a role's, and where it stands."""

    where: str
    policy: Mapping[str, Any]


def resources(stack: str) -> tuple[Resource, ...]:
    """All resources of a stack; prod with every guard on.

    Without NAT there is no Slack, for nothing could reach it.
    """
    main = str(ROOT / "__main__.py")
    file, pipeline = _OTHERWISE.get(stack, (stack, {}))
    changes: dict[str, dict[str, Any]] = {
        "pipeline": pipeline,
        "budget": _GUARDS if file == "prod" else {},
    }
    with TemporaryDirectory() as folder:
        config = dict(read_stack(program_with(Path(folder), file), file, {}, {}).config)
    for section, changed in changes.items():
        key = f"{mocks.PROJECT}:{section}"
        config[key] = json.dumps({**json.loads(config.get(key, "{}")), **changed})
    network = json.loads(config.get(f"{mocks.PROJECT}:network", "{}"))
    secrets = {} if network.get("nat") == "none" else SLACK
    made = mocks.deploy(
        lambda: runpy.run_path(main, run_name="__main__"),
        stack=file,
        config=config,
        secrets=secrets,
    )
    return made.resources


def documents(stack: str, made: tuple[Resource, ...]) -> Iterator[Document]:
    """The policies of roles among the resources, those to attach included."""
    for resource in made:
        if resource.type in ("aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy"):
            yield Document(
                where=f"{stack}/{resource.name}", policy=json.loads(resource.inputs["policy"])
            )


def examples_of_roles() -> Iterator[Document]:
    """The policies that docs/ci.md gives to the roles of the workflows."""
    for path in sorted((ROOT / "examples/ci").glob("*.json")):
        policy = json.loads(path.read_text(encoding="utf-8"))
        if all("Principal" not in statement for statement in policy["Statement"]):
            yield Document(where=f"examples/ci/{path.name}", policy=policy)

"""Where and as what the submit function submits the jobs that it chains itself."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Final, Self

from workloads import contract
from workloads.contract import STAGES, ContractError, Stage
from workloads.variables import ENV_JOB_DEFINITIONS, ENV_JOB_QUEUES, ENV_SHARE_IDENTIFIERS

_FALLBACK: Final = "fallback"
"""Key of the job definition, and of its queue, that takes the place of an analysis."""


@dataclass(frozen=True, kw_only=True)
class JobTarget:
    """Where and as what the job of a stage is submitted."""

    queue: str
    definition: str
    multi_node: bool
    shards: int
    """Size of the array; 1: no array job."""
    share_identifier: str | None


@dataclass(frozen=True, kw_only=True)
class JobTargets:
    """What the environment of the function says of the jobs that it chains itself."""

    targets: dict[Stage, JobTarget]
    fallback: JobTarget | None
    """The analysis in its queue without Spot, where there is one."""

    @classmethod
    def from_env(cls) -> Self:
        """Reads PIPELINE_JOB_QUEUES, _JOB_DEFINITIONS and _SHARE_IDENTIFIERS.

        Raises ContractError.
        """
        queues = _stage_map(ENV_JOB_QUEUES, required=True)
        definitions = _stage_map(ENV_JOB_DEFINITIONS, required=True)
        shares = _stage_map(ENV_SHARE_IDENTIFIERS, required=False)
        targets: dict[str, JobTarget] = {}
        for stage in (*STAGES, *([_FALLBACK] if _FALLBACK in definitions else [])):
            definition = definitions[stage]
            if not isinstance(definition, dict) or not isinstance(definition.get("name"), str):
                raise ContractError(
                    f"environment variable {ENV_JOB_DEFINITIONS}: {stage} is"
                    f' {definition!r}; expected {{"name": "<ARN without revision>", "multi_node":'
                    " false}"
                )
            targets[stage] = JobTarget(
                queue=queues[stage],
                definition=definition["name"],
                multi_node=definition.get("multi_node") is True,
                shards=int(definition.get("shards", 1)),
                share_identifier=shares.get(stage),
            )
        return cls(
            targets={stage: targets[stage] for stage in STAGES}, fallback=targets.get(_FALLBACK)
        )


def _stage_map(name: str, *, required: bool) -> dict[str, Any]:
    text = contract.require_env(name) if required else os.environ.get(name, "") or "{}"
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ContractError(
            f"environment variable {name} is not JSON ({error}); expected an object with the stages"
            f" {STAGES}"
        ) from error
    missing = [
        stage
        for stage in STAGES
        if required and (not isinstance(found, dict) or stage not in found)
    ]
    if missing or not isinstance(found, dict):
        raise ContractError(
            f"environment variable {name} says nothing of {', '.join(missing) or 'any stage'};"
            f" expected the stages {STAGES}"
        )
    return found

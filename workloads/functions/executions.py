"""Starting a run as an execution of the state machine, exactly once.

A standard execution has a name of its own for 90 days, so starting it twice under one name is
harmless: whoever takes an expired claim over starts it again with the same name and, because
nothing in it depends on the moment, the same input.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from botocore.exceptions import ClientError

from workloads import contract
from workloads.contract import FALLBACK_ENDING, STAGES, ContractError, Stage, Upload
from workloads.formats import now
from workloads.functions import clients
from workloads.functions.state_items import Claim
from workloads.functions.states import RunStates
from workloads.variables import ENV_DEADLINE_HOURS, ENV_STATE_MACHINE_ARN

CLOCK_SKEW_MS: Final = 60_000
"""Most difference between Lambda's clock and Batch's, when a job's createdAt is compared with the
claim.
"""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the environment of the function says of the state machine."""

    state_machine_arn: str
    deadline_hours: float

    @classmethod
    def from_env(cls) -> Self | None:
        """Reads PIPELINE_STATE_MACHINE_ARN and _DEADLINE_HOURS; None where there is no state
        machine. Raises ContractError.
        """
        arn = os.environ.get(ENV_STATE_MACHINE_ARN, "")
        if not arn:
            return None
        text = contract.require_env(ENV_DEADLINE_HOURS)
        try:
            hours = float(text)
        except ValueError as error:
            raise ContractError(
                f"environment variable {ENV_DEADLINE_HOURS} is {text!r}; expected a number of hours"
            ) from error
        return cls(state_machine_arn=arn, deadline_hours=hours)


def start(states: RunStates, claim: Claim, upload: Upload, settings: Settings, first: Stage) -> str:
    """Starts the execution and writes its ARN into the state item; returns the ARN.

    Raises ClaimLostError, and botocore's ClientError where Step Functions refuses.
    """
    name = claim.run.execution_name(claim.attempt)
    # arn:...:stateMachine:<machine> -> arn:...:execution:<machine>:<name>
    execution_arn = f"{settings.state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"
    try:
        clients.step_functions().start_execution(
            stateMachineArn=settings.state_machine_arn,
            name=name,
            input=json.dumps(
                execution_input(claim, upload, settings.deadline_hours, first), sort_keys=True
            ),
        )
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ExecutionAlreadyExists":
            raise
    states.write_execution(claim, execution_arn, submitted_at=now())
    return execution_arn


def execution_input(
    claim: Claim, upload: Upload, deadline_hours: float, first: Stage
) -> dict[str, Any]:
    """What the state machine (components/state_machines/run_machine.py) works on."""
    run = claim.run
    claimed = datetime.fromtimestamp(claim.first_claimed_ms / 1000, UTC)
    names = {stage: run.job_name(stage, claim.attempt) for stage in STAGES}
    return {
        "run_id": run.run_id,
        "from": first,
        "attempt": str(claim.attempt),
        "key": run.state_key,
        "jobs": {**names, "fallback": f"{names['analysis']}{FALLBACK_ENDING}"},
        # what a stage overrides of its job definition; the machine of a stack without growth reads
        # none of it
        "resources": {stage: _resources(claim, stage) for stage in STAGES},
        "environment": [
            {"Name": name, "Value": value} for name, value in run.job_environment(upload).items()
        ],
        "deadline": (claimed + timedelta(hours=deadline_hours)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "since_ms": claim.first_claimed_ms - CLOCK_SKEW_MS,
        "lost": dict.fromkeys((*names, "fallback"), 0),
    }


def _resources(claim: Claim, stage: Stage) -> list[dict[str, str]]:
    memory = claim.memory_mib.get(stage)
    return [] if memory is None else [{"Type": "MEMORY", "Value": str(memory)}]

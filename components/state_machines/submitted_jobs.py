"""A job that the state machine of a run submits, and the request by which it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pulumi

from workloads import contract
from workloads.contract import Stage
from workloads.variables import ENV_RUN_ID, ENV_SHARDS

JOB_FAILED: Final = "JobFailed"
"""State where an execution ends whose job failed."""


@dataclass(frozen=True, kw_only=True)
class MachineJob:
    """One job that the machine submits."""

    label: str
    """How the names of its states begin."""
    stage: Stage
    name_key: str
    """Key under which the execution's input holds the job's name."""
    queue_arn: pulumi.Input[str]
    definition: pulumi.Input[str]
    """ARN without revision."""
    multi_node: bool
    shards: int
    """Size of the array; 1: no array job."""
    share_identifier: str | None
    grows: bool
    """Whether the execution's input may say what it overrides of the job definition's resources."""
    on_failure: str
    """State that follows where the job fails."""
    after_loss: bool
    """Whether it follows a lost machine alone; else whatever the job failed of."""
    next: str


def submit_parameters(job: MachineJob) -> dict[str, Any]:
    """Parameters of SubmitJob; may hold outputs."""
    overrides: dict[str, Any] = {"Environment.$": "$.environment"}
    if job.stage == "analysis":
        # the size of this very array, or that it is none, whatever the newest job definition says;
        # the upload is preprocess's alone
        overrides = {
            "Environment": [
                {"Name": ENV_RUN_ID, "Value.$": "$.run_id"},
                {"Name": ENV_SHARDS, "Value": str(job.shards)},
            ]
        }
    if job.grows:
        overrides["ResourceRequirements.$"] = f"$.resources.{job.stage}"
    parameters: dict[str, Any] = {
        "JobName.$": f"$.jobs.{job.name_key}",
        "JobQueue": job.queue_arn,
        "JobDefinition": job.definition,
        "Tags": {f"{contract.RUN_ID_TAG}.$": "$.run_id", contract.STAGE_TAG: job.stage},
        "PropagateTags": True,
    }
    if job.on_failure != JOB_FAILED:
        parameters["Tags"][contract.FALLBACK_TAG] = (
            contract.FALLBACK_AFTER_LOSS if job.after_loss else contract.FALLBACK_FOLLOWS
        )
    if job.multi_node:
        # the node range must repeat the job definition's to the letter
        parameters["NodeOverrides"] = {
            "NodePropertyOverrides": [
                {"TargetNodes": contract.ANALYSIS_TARGET_NODES, "ContainerOverrides": overrides}
            ]
        }
    else:
        parameters["ContainerOverrides"] = overrides
    if job.shards > 1:
        parameters["ArrayProperties"] = {"Size": job.shards}
    if job.share_identifier is not None:
        parameters["ShareIdentifier"] = job.share_identifier
    return parameters

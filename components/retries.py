"""When AWS Batch starts a job again."""

from __future__ import annotations

from typing import Final

import pulumi_aws as aws

from workloads import contract

Rule = aws.batch.JobDefinitionRetryStrategyEvaluateOnExitArgs

_HOST_LOST: Final = Rule(on_status_reason="Host EC2*", action="RETRY")
"""`Host EC2 (instance i-...) terminated.`: Spot interruption or a broken machine."""
_NOT_STARTABLE: Final = Rule(on_reason="CannotStartContainerError*", action="EXIT")
"""No such program, no such device: it would not start the next time either."""
_NOT_STARTED: Final = Rule(on_status_reason="Task failed to start*", action="RETRY")
"""The image could not be pulled, Docker was too slow to make or start the container, secrets or the
role did not come (AWS Batch user guide, job_retries).
"""
_NOT_STARTED_OR_CONNECTED: Final = Rule(on_status_reason="T*", action="RETRY")
"""The same, and `Timeout waiting for network interface provisioning to complete.`: nodes of a
multi-node job have interfaces of their own. One pattern for both, because five rules are all there
is; no other status reason of AWS Batch that is judged by rules begins so.
"""
_LEFT_IN_TIME: Final = Rule(on_exit_code=str(contract.RECLAIMED_EXIT), action="RETRY")
"""EC2 said that it takes the machine back, and the code stored what it had and left."""
_LAUNCHER_ASKS: Final = Rule(on_exit_code="9*", action="RETRY")
"""The launcher's exit codes on the main node: a node did not join in time, or was lost.

Its others are faults that stay.
"""
_RAN: Final = Rule(on_status_reason="Essential container in task exited*", action="EXIT")
"""What the code itself reports."""
_OUT_OF_MEMORY: Final = Rule(on_status_reason="OutOfMemoryError*", action="EXIT")
_PLATFORM: Final = Rule(on_status_reason="*", action="RETRY")
_ALL_ELSE: Final = Rule(on_reason="*", action="EXIT")
"""Last, because a failure that no rule matches is retried (AWS Batch API, RetryStrategy)."""


def retry_strategy(
    *, attempts: int, fargate: bool, multi_node: bool
) -> aws.batch.JobDefinitionRetryStrategyArgs:
    """Loss of the host and trouble before the start are tried again; what the code itself reports
    is not, since it would fail again.

    On instances, where an attempt may be dear, the reasons for another one are listed. On Fargate
    there are more of them than rules: what ECS reports stands in the status reason itself
    (`CannotPullContainerError: ...`, `ResourceInitializationError: ...`, `Timeout waiting for
    network interface ...`, `Your Spot Task was interrupted.`), and an attempt costs cents; there
    everything but the end of the code itself is tried again.

    There are always five rules, the most that AWS Batch takes. Another number would make the
    provider replace the job definition (`evaluate_on_exit` is ForceNew in terraform-provider-aws):
    it would get a new name and its old revisions would be gone, though jobs that wait, and an
    operator's repetition, need them.
    """
    if fargate:
        rules = [_NOT_STARTABLE, _RAN, _OUT_OF_MEMORY, _PLATFORM]
    elif multi_node:
        rules = [_HOST_LOST, _LAUNCHER_ASKS, _NOT_STARTABLE, _NOT_STARTED_OR_CONNECTED]
    else:
        rules = [_HOST_LOST, _LEFT_IN_TIME, _NOT_STARTABLE, _NOT_STARTED]
    return aws.batch.JobDefinitionRetryStrategyArgs(
        attempts=attempts, evaluate_on_exits=[*rules, _ALL_ELSE]
    )

"""When AWS Batch starts a job again."""

from __future__ import annotations

from typing import Final

import pulumi_aws as aws

Rule = aws.batch.JobDefinitionRetryStrategyEvaluateOnExitArgs

_HOST_LOST: Final = Rule(on_status_reason="Host EC2*", action="RETRY")
"""`Host EC2 (instance i-...) terminated.`: Spot interruption or a broken machine."""
_FARGATE_INTERRUPTED: Final = Rule(on_status_reason="Your Spot Task was interrupted*", action="RETRY")
_IMAGE_NOT_PULLED: Final = Rule(on_reason="CannotPullContainerError:*", action="RETRY")
_DOCKER_TIMED_OUT: Final = Rule(on_reason="DockerTimeoutError*", action="RETRY")
_NODE_MISSING: Final = Rule(on_exit_code="90", action="RETRY")
_NODE_LOST: Final = Rule(on_exit_code="91", action="RETRY")
"""The launcher's exit codes on the main node: one did not join in time, one was lost. Its others are faults that stay."""
_ALL_ELSE: Final = Rule(on_reason="*", action="EXIT")
"""Last, because a failure that no rule matches is retried (AWS Batch API, RetryStrategy)."""


def retry_strategy(*, attempts: int, fargate: bool, multi_node: bool) -> aws.batch.JobDefinitionRetryStrategyArgs:
    """Loss of the host and trouble with the image are tried again; what the code itself reports is not, since it would fail again.

    AWS Batch takes five rules. A multi-node job does without the one for a slow Docker, which is the trouble of instances that start many
    containers at once; it has its instances to itself.
    """
    if fargate:
        rules = [_FARGATE_INTERRUPTED, _IMAGE_NOT_PULLED]
    elif multi_node:
        rules = [_HOST_LOST, _IMAGE_NOT_PULLED, _NODE_MISSING, _NODE_LOST]
    else:
        rules = [_HOST_LOST, _IMAGE_NOT_PULLED, _DOCKER_TIMED_OUT]
    return aws.batch.JobDefinitionRetryStrategyArgs(attempts=attempts, evaluate_on_exits=[*rules, _ALL_ELSE])

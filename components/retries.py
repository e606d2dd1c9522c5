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
_NODE_LOST: Final = Rule(on_exit_code="9*", action="RETRY")
"""The launcher's own exit codes, 90 (a node did not join in time) and 91 (a node was lost). No stage ends with another code that begins
with 9, and five rules are all that AWS Batch takes."""
_ALL_ELSE: Final = Rule(on_reason="*", action="EXIT")
"""Last, because a failure that no rule matches is retried (AWS Batch API, RetryStrategy)."""


def retry_strategy(*, attempts: int, fargate: bool, multi_node: bool) -> aws.batch.JobDefinitionRetryStrategyArgs:
    """Loss of the host and trouble with the image are tried again; what the code itself reports is not, since it would fail again."""
    rules = [_FARGATE_INTERRUPTED, _IMAGE_NOT_PULLED] if fargate else [_HOST_LOST, _IMAGE_NOT_PULLED, _DOCKER_TIMED_OUT]
    if multi_node:
        rules.append(_NODE_LOST)
    return aws.batch.JobDefinitionRetryStrategyArgs(attempts=attempts, evaluate_on_exits=[*rules, _ALL_ELSE])

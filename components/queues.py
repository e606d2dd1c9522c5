"""AWS Batch job queues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.arns import arn_of
from components.context import Component, StackContext
from config.queues import FairShare, Queue


@dataclass(frozen=True, kw_only=True)
class QueuesArgs:
    """What Queues needs."""

    context: StackContext
    queues: Mapping[str, Queue]
    """Queues by name; decides how many resources there are."""
    environment_arns: Mapping[str, pulumi.Input[str]]


class Queues(Component):
    """One job queue for each entry of the section, with its fair-share policy where it has one."""

    arns: dict[str, pulumi.Output[str]]
    names: dict[str, pulumi.Output[str]]

    def __init__(
        self, name: str, args: QueuesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        self._args = args
        made = {key: self._queue(f"{name}-{key}", queue) for key, queue in args.queues.items()}
        self.arns = {key: arn_of(queue, args.context) for key, queue in made.items()}
        self.names = {key: queue.name for key, queue in made.items()}
        self.register_outputs({"arns": self.arns, "names": self.names})

    def _queue(self, name: str, queue: Queue) -> aws.batch.JobQueue:
        args = self._args
        return aws.batch.JobQueue(
            name,
            priority=queue.priority,
            state="ENABLED" if queue.enabled else "DISABLED",
            compute_environment_orders=[
                aws.batch.JobQueueComputeEnvironmentOrderArgs(
                    order=order, compute_environment=args.environment_arns[environment]
                )
                for order, environment in enumerate(queue.environments, start=1)
            ],
            scheduling_policy_arn=(
                self._policy(name, queue.fair_share) if queue.fair_share is not None else None
            ),
            job_state_time_limit_actions=[
                aws.batch.JobQueueJobStateTimeLimitActionArgs(
                    reason=limit.reason,
                    state="RUNNABLE",
                    max_time_seconds=limit.max_minutes * 60,
                    action="CANCEL",
                )
                for limit in queue.runnable_limits
            ],
            tags=args.context.tags,
            # AWS can neither add a policy to a queue nor take it away, and the provider would try
            # it in place
            opts=self.child(replace_on_changes=["schedulingPolicyArn"]),
        )

    def _policy(self, name: str, fair_share: FairShare) -> pulumi.Output[str]:
        policy = aws.batch.SchedulingPolicy(
            f"{name}-shares",
            fair_share_policy=aws.batch.SchedulingPolicyFairSharePolicyArgs(
                share_decay_seconds=fair_share.decay_seconds,
                compute_reservation=fair_share.compute_reservation_percent,
                share_distributions=[
                    aws.batch.SchedulingPolicyFairSharePolicyShareDistributionArgs(
                        share_identifier=identifier, weight_factor=weight
                    )
                    for identifier, weight in sorted(fair_share.weights.items())
                ],
            ),
            tags=self._args.context.tags,
            opts=self.child(),
        )
        return arn_of(policy, self._args.context)

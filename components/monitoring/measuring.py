"""The measure function: the metrics that AWS Batch does not publish.

See workloads/functions/measure.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.context import Component, StackContext
from components.environments import Environments
from components.function import (
    EventTrigger,
    EventTriggerArgs,
    LambdaFunction,
    LambdaFunctionArgs,
    in_rules,
    job_state_changes,
    rate,
)
from components.policies import statement
from components.queues import Queues
from config.facts import ec2_facts
from config.jobs import AnalysisJob
from config.prices import dearest_rates, unpriced_types
from config.stack import StackConfig
from config.topology import jobs
from workloads import metrics

_TIMEOUT_SECONDS: Final = 60
_EVENT_MAX_AGE_HOURS: Final = 1


@dataclass(frozen=True, kw_only=True)
class MeasuringArgs:
    """What Measuring needs."""

    context: StackContext
    config: StackConfig
    queues: Queues
    environments: Environments


class Measuring(Component):
    """The function, called on a schedule and at the end of every job.

    Its metrics leave by its log, so it may only look.
    """

    function: LambdaFunction

    def __init__(
        self, name: str, args: MeasuringArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        minutes = args.config.monitoring.measure_minutes
        self.function = LambdaFunction(
            f"{name}-look",
            LambdaFunctionArgs(
                context=args.context,
                description=(
                    "Publishes depth of queues, state of environments and running cost, and counts"
                    " the ends of stages"
                ),
                handler="workloads.functions.measure.handler",
                environment={},
                settings={metrics.ENV_MEASURED: _measured(args)},
                statements=_statements(args),
                timeout_seconds=_TIMEOUT_SECONDS,
                event_max_age_hours=_EVENT_MAX_AGE_HOURS,
                log_retention_days=args.config.monitoring.log_retention_days,
            ),
            opts=self.child(),
        )
        EventTrigger(
            f"{name}-calls",
            EventTriggerArgs(
                context=args.context,
                description="What the measure function counts and when it looks",
                schedule=rate(minutes),
                further=in_rules(
                    "ends",
                    list(args.queues.arns.values()),
                    lambda arns: job_state_changes(["SUCCEEDED", "FAILED"], arns),
                ),
                enabled=True,
                function=self.function,
            ),
            opts=self.child(),
        )
        self.register_outputs({"function": self.function.name})


def _measured(args: MeasuringArgs) -> dict[str, Any]:
    """Raises pulumi.RunError where an alarm on the running cost is asked for and a price is not
    known.
    """
    prices, section = ec2_facts().prices, args.config.monitoring
    known = args.context.region == prices.region
    rates = {
        name: dearest_rates(each) if known else None
        for name, each in args.config.environments.items()
    }
    if section.running_usd_per_hour is not None and None in rates.values():
        lacking, mended = "has none of it", ""
        if known:
            lacking, mended = (
                f"lacks {', '.join(unpriced_types(args.config))}",
                "correct the type, ",
            )
        raise pulumi.RunError(
            "monitoring.running_usd_per_hour needs the price of every instance type in"
            f" {args.context.region}, and config/ec2_facts.json {lacking}. Fix:"
            f" {mended}python scripts/refresh_ec2_facts.py --region {args.context.region}, or"
            " remove monitoring.running_usd_per_hour."
        )
    return {
        "queues": args.queues.arns,
        "environments": {
            name: {"arn": arn, "rates": rates[name]} for name, arn in args.environments.arns.items()
        },
    }


def _statements(args: MeasuringArgs) -> list[dict[str, Any]]:
    on_fargate = any(each.kind.startswith("fargate") for each in args.config.environments.values())
    in_shards = any(
        isinstance(job, AnalysisJob) and job.shards > 1 for job in jobs(args.config).values()
    )
    # what a job on Fargate reserves, and why a shard failed, stand in descriptions alone
    described = ["batch:DescribeJobs"] if on_fargate or in_shards else []
    return [
        # know no resources (service authorization reference, AWS Batch)
        statement(
            "Look",
            actions=["batch:ListJobs", *described, "batch:DescribeComputeEnvironments"],
            resources=["*"],
        ),
        statement(
            "LookAtFronts",
            actions=["batch:GetJobQueueSnapshot"],
            resources=list(args.queues.arns.values()),
        ),
    ]

"""What stops the spending: submissions when the budget is used up, running jobs when they have cost
too much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from components.arns import arn_of
from components.context import Component, StackContext
from components.function import (
    EventTrigger,
    EventTriggerArgs,
    LambdaFunction,
    LambdaFunctionArgs,
    rate,
)
from components.json_text import json_text
from components.policies import document, leading_keys, statement
from components.queues import Queues
from components.secrets import Secrets
from components.storage import Storage
from config.budget import RunningCostGuard
from config.facts import ec2_facts
from config.prices import dearest_rates
from config.stack import StackConfig
from config.topology import environments_of
from workloads import contract
from workloads.variables import ENV_GUARD_LIMIT_USD, ENV_GUARD_QUEUE, ENV_GUARD_RATES, ENV_TABLE

_STOPPED: Final = ("batch:SubmitJob", "states:StartExecution")
"""What begins work: jobs, and executions that submit jobs."""
_TIMEOUT_SECONDS: Final = 60
_EVENT_MAX_AGE_HOURS: Final = 1
"""A look that comes late is as good as the next one."""


@dataclass(frozen=True, kw_only=True)
class SubmissionStopArgs:
    """What SubmissionStop needs."""

    context: StackContext
    budget_name: pulumi.Input[str]
    percent: int
    """Share of the budget that has been spent."""
    emails: tuple[str, ...]
    role_names: Sequence[pulumi.Input[str]]
    """Roles that submit jobs or start runs: the submit function's, and those of the state
    machines.
    """


class SubmissionStop(Component):
    """An action of AWS Budgets: a policy that forbids to submit jobs and to start runs is attached
    to every role that does either.

    Whoever orders the stages, a new run is refused; of a run under way the jobs that are submitted
    already go on, and with the state machine the next stage is refused. The policy stays there
    until somebody reverses the action (docs/runbook.md, "The budget is used up"), which has to be
    done before the stack is destroyed too: IAM deletes no policy that is attached. Uploads
    meanwhile end in the submit function's dead-letter queue, from where they can be sent again.
    """

    def __init__(
        self, name: str, args: SubmissionStopArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        context = args.context
        forbidden = aws.iam.Policy(
            f"{name}-policy",
            description="Attached by AWS Budgets while the budget is used up",
            policy=document(
                statement("BudgetIsUsedUp", effect="Deny", actions=_STOPPED, resources=["*"])
            ),
            tags=context.tags,
            opts=self.child(),
        )
        execution = self._role(name, args, forbidden)
        action = aws.budgets.BudgetAction(
            f"{name}-action",
            budget_name=args.budget_name,
            action_type="APPLY_IAM_POLICY",
            approval_model="AUTOMATIC",
            notification_type="ACTUAL",
            action_threshold=aws.budgets.BudgetActionActionThresholdArgs(
                action_threshold_type="PERCENTAGE", action_threshold_value=args.percent
            ),
            definition=aws.budgets.BudgetActionDefinitionArgs(
                iam_action_definition=aws.budgets.BudgetActionDefinitionIamActionDefinitionArgs(
                    policy_arn=arn_of(forbidden, context), roles=list(args.role_names)
                )
            ),
            execution_role_arn=arn_of(execution, context),
            subscribers=[
                aws.budgets.BudgetActionSubscriberArgs(address=address, subscription_type="EMAIL")
                for address in args.emails
            ],
            tags=context.tags,
            opts=self.child(),
        )
        self.register_outputs({"action_id": action.action_id})

    def _role(self, name: str, args: SubmissionStopArgs, forbidden: aws.iam.Policy) -> aws.iam.Role:
        """AWS Budgets may attach this policy to these roles, and take it off again."""
        context = args.context
        budgets = f"arn:{context.partition}:budgets::{context.account_id}:budget/*"
        allow = statement(
            "Budgets",
            principal={"Service": "budgets.amazonaws.com"},
            actions=["sts:AssumeRole"],
            resources=[],
            conditions={
                "StringEquals": {"aws:SourceAccount": context.account_id},
                "ArnLike": {"aws:SourceArn": budgets},
            },
        )
        del allow["Resource"]  # a trust policy has none
        role = aws.iam.Role(
            f"{name}-role", assume_role_policy=document(allow), tags=context.tags, opts=self.child()
        )
        roles = f"arn:{context.partition}:iam::{context.account_id}:role/"
        targets = [pulumi.Output.concat(roles, each) for each in args.role_names]
        aws.iam.RolePolicy(
            f"{name}-role",
            role=role.name,
            policy=document(
                statement(
                    "AttachThisPolicy",
                    actions=["iam:AttachRolePolicy", "iam:DetachRolePolicy"],
                    resources=targets,
                    conditions={"ArnEquals": {"iam:PolicyARN": arn_of(forbidden, context)}},
                )
            ),
            opts=self.child(),
        )
        return role


@dataclass(frozen=True, kw_only=True)
class GuardArgs:
    """What Guard needs."""

    context: StackContext
    config: StackConfig
    section: RunningCostGuard
    storage: Storage
    secrets: Secrets
    queues: Queues


class Guard(Component):
    """The guard function on a schedule: see workloads/functions/guard.py."""

    function: LambdaFunction

    def __init__(
        self, name: str, args: GuardArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        minutes = args.section.check_minutes
        self.function = LambdaFunction(
            f"{name}-watch",
            LambdaFunctionArgs(
                context=args.context,
                description=(
                    "Disables the queue of the analysis and terminates its jobs when they have cost"
                    " too much"
                ),
                handler="workloads.functions.guard.handler",
                environment=_environment(args),
                statements=_statements(args),
                timeout_seconds=_TIMEOUT_SECONDS,
                event_max_age_hours=_EVENT_MAX_AGE_HOURS,
                log_retention_days=args.config.monitoring.log_retention_days,
            ),
            opts=self.child(),
        )
        EventTrigger(
            f"{name}-clock",
            EventTriggerArgs(
                context=args.context,
                description="Time to look at what the running jobs have cost",
                schedule=rate(minutes),
                enabled=True,
                function=self.function,
            ),
            opts=self.child(),
        )
        self.register_outputs({"function": self.function.name})


def _environment(args: GuardArgs) -> Mapping[str, pulumi.Input[str]]:
    return {
        ENV_TABLE: args.storage.table.name,
        ENV_GUARD_QUEUE: _queue_arn(args),
        ENV_GUARD_LIMIT_USD: str(args.section.limit_usd),
        ENV_GUARD_RATES: json_text(_rates(args), sort_keys=True),
        **args.secrets.webhook_environment(),
    }


def _rates(args: GuardArgs) -> list[dict[str, float]]:
    """Raises pulumi.RunError where the price list is another region's: a guard that cannot count is
    none.
    """
    region = ec2_facts().prices.region
    if args.context.region != region:
        raise pulumi.RunError(
            f"budget.guard counts with the price list of {region}, and the stack is in"
            f" {args.context.region}. Fix: python scripts/refresh_ec2_facts.py --region"
            f" {args.context.region}, or remove budget.guard."
        )
    environments = environments_of(args.config, args.config.jobs.analysis.queue).values()
    # rule GUARD-PRICE holds that every environment has its rates
    return [
        rates for environment in environments if (rates := dearest_rates(environment)) is not None
    ]


def _queue_arn(args: GuardArgs) -> pulumi.Output[str]:
    return args.queues.arns[args.config.jobs.analysis.queue]


def _statements(args: GuardArgs) -> list[dict[str, Any]]:
    context = args.context
    return [
        # know no resources (service authorization reference, AWS Batch)
        statement("SeeJobs", actions=["batch:ListJobs", "batch:DescribeJobs"], resources=["*"]),
        statement("DisableQueue", actions=["batch:UpdateJobQueue"], resources=[_queue_arn(args)]),
        # a job is known by its id alone, whatever queue it is in
        statement(
            "TerminateJobs",
            actions=["batch:TerminateJob"],
            resources=[
                f"arn:{context.partition}:batch:{context.region}:{context.account_id}:job/*"
            ],
        ),
        statement(
            "Records",
            actions=["dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem"],
            resources=[args.storage.table_arn],
            conditions=leading_keys(contract.GUARD_KEY_PREFIX),
        ),
        *args.secrets.read_webhook(),
    ]

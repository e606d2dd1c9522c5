"""AWS budget of the stack, and the guards that its section asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from components.context import PROJECT_TAG, STACK_TAG, Component, StackContext
from components.function import LambdaFunction
from components.guard import Guard, GuardArgs, SubmissionStop, SubmissionStopArgs
from components.pipeline import Pipeline
from components.queues import Queues
from components.secrets import Secrets
from components.storage import Storage
from config.budget import BudgetSection
from config.stack import StackConfig

_METRIC: Final = "UnblendedCost"
"""What AWS bills this account for, without averages over an organisation."""


@dataclass(frozen=True, kw_only=True)
class BudgetArgs:
    """What Budget needs."""

    context: StackContext
    config: StackConfig
    storage: Storage
    secrets: Secrets
    queues: Queues
    pipeline: Pipeline


class Budget(Component):
    """A monthly cost budget over the resources that carry the tags of this project and this stack.

    AWS counts a tag only after somebody has activated it as a cost allocation tag in the payer
    account; until both are, the budget sees nothing.
    """

    budget_name: pulumi.Output[str]
    functions: Mapping[str, LambdaFunction]
    """The guard's function where there is a guard, by a short name: its dead letters are to be
    watched.
    """

    def __init__(
        self, name: str, args: BudgetArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        section, context = args.config.budget, args.context
        self.budget_name = self._budget(name, section, context)
        self.functions = {}
        if section.stop_submissions_percent is not None:
            SubmissionStop(
                f"{name}-stop",
                SubmissionStopArgs(
                    context=context,
                    budget_name=self.budget_name,
                    percent=section.stop_submissions_percent,
                    emails=section.emails,
                    role_names=args.pipeline.submitter_roles,
                ),
                opts=self.child(),
            )
        if section.guard is not None:
            guard = Guard(
                f"{name}-guard",
                GuardArgs(
                    context=context,
                    config=args.config,
                    section=section.guard,
                    storage=args.storage,
                    secrets=args.secrets,
                    queues=args.queues,
                ),
                opts=self.child(),
            )
            self.functions = {"guard": guard.function}
        self.register_outputs({"budget_name": self.budget_name})

    def _budget(
        self, name: str, section: BudgetSection, context: StackContext
    ) -> pulumi.Output[str]:
        notifications = [("ACTUAL", percent) for percent in section.notify_percents] + [
            ("FORECASTED", 100)
        ]
        budget = aws.budgets.Budget(
            f"{name}-monthly",
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=f"{section.monthly_usd:.2f}",
            limit_unit="USD",
            # cost filters would join two tags by "or"; an expression has to name its metric, or AWS
            # makes a budget that counts nothing (hashicorp/terraform-provider-aws issue 46866)
            filter_expression=aws.budgets.BudgetFilterExpressionArgs(
                ands=[
                    aws.budgets.BudgetFilterExpressionAndArgs(
                        tags=aws.budgets.BudgetFilterExpressionAndTagsArgs(key=key, values=[value])
                    )
                    for key, value in ((PROJECT_TAG, context.project), (STACK_TAG, context.stack))
                ]
            ),
            metrics=_METRIC,
            notifications=[
                aws.budgets.BudgetNotificationArgs(
                    notification_type=kind,
                    comparison_operator="GREATER_THAN",
                    threshold=percent,
                    threshold_type="PERCENTAGE",
                    subscriber_email_addresses=list(section.emails),
                )
                for kind, percent in notifications
            ],
            tags=context.tags,
            opts=self.child(),
        )
        return budget.name

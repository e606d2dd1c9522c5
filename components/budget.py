"""AWS budget of the stack."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.context import STACK_TAG, Component, StackContext
from config.budget import BudgetSection


@dataclass(frozen=True, kw_only=True)
class BudgetArgs:
    """What Budget needs."""

    context: StackContext
    section: BudgetSection


class Budget(Component):
    """A monthly cost budget over the resources that carry the stack's tag.

    AWS counts a tag only after somebody has activated it as a cost allocation tag in the payer account; until then the budget sees nothing.
    """

    budget_name: pulumi.Output[str]

    def __init__(self, name: str, args: BudgetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        section, context = args.section, args.context
        notifications = [("ACTUAL", percent) for percent in section.notify_percents] + [("FORECASTED", 100)]
        budget = aws.budgets.Budget(
            f"{name}-monthly",
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=f"{section.monthly_usd:.2f}",
            limit_unit="USD",
            cost_filters=[aws.budgets.BudgetCostFilterArgs(name="TagKeyValue", values=[f"user:{STACK_TAG}${context.stack}"])],
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
        self.budget_name = budget.name
        self.register_outputs({"budget_name": self.budget_name})

"""AWS Budgets: budgets with their notifications, and actions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from localcloud.deployment.provider.calls import Call, Naming, handles

_TIME: Final = "%Y-%m-%d_%H:%M"  # Terraform's form of a budget's start and end


@handles("budgets/budget:Budget", Naming(longest=100))
def budget(call: Call) -> None:
    """Budget with its notifications."""
    account = call.take("accountId") or call.aws.account
    name, amount, unit = call.take("name"), call.take("limitAmount"), call.take("limitUnit", "USD")
    filters, notifications = call.take("costFilters") or [], call.take("notifications") or []
    period = {
        member: call.take(source)
        for source, member in (("timePeriodStart", "Start"), ("timePeriodEnd", "End"))
    }
    document = call.aws.part("budgets", "Budget", call.rest())
    document["BudgetName"] = name
    if amount is not None:
        document["BudgetLimit"] = {"Amount": str(amount), "Unit": unit}
    if filters:
        document["CostFilters"] = {entry["name"]: list(entry["values"]) for entry in filters}
    times = {
        member: datetime.strptime(text, _TIME).replace(tzinfo=UTC)
        for member, text in period.items()
        if text
    }
    if times:
        document["TimePeriod"] = times
    tags = call.aws.tags("budgets", "CreateBudget", call.tags, "")
    told = [notification(call, entry) for entry in notifications]
    call.send(
        "budgets",
        "CreateBudget",
        AccountId=account,
        Budget=document,
        NotificationsWithSubscribers=told or None,
        **tags,
    )
    call.id = f"{account}:{name}"
    call.outputs |= {
        "arn": f"arn:{call.aws.partition}:budgets::{account}:budget/{name}",
        "accountId": account,
    }


@handles("budgets/budgetAction:BudgetAction")
def budget_action(call: Call) -> None:
    """What AWS does when a budget is exceeded."""
    account = call.take("accountId") or call.aws.account
    document = call.create("budgets", "CreateBudgetAction", AccountId=account)
    name, action = document["BudgetName"], document["ActionId"]
    call.id = f"{account}:{action}:{name}"
    arn = f"arn:{call.aws.partition}:budgets::{account}:budget/{name}/action/{action}"
    call.outputs |= {"arn": arn, "actionId": action, "accountId": account, "status": "STANDBY"}


def notification(call: Call, entry: Mapping[str, Any]) -> dict[str, Any]:
    """A notification and its subscribers as the API takes them."""
    kinds = {"subscriberEmailAddresses": "EMAIL", "subscriberSnsTopicArns": "SNS"}
    subscribers = [
        {"SubscriptionType": kind, "Address": address}
        for name, kind in kinds.items()
        for address in entry.get(name) or []
    ]
    values = {name: value for name, value in entry.items() if name not in kinds}
    return {
        "Notification": call.aws.part("budgets", "Notification", values),
        "Subscribers": subscribers,
    }

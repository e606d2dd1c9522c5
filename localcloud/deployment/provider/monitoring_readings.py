"""What is read of logs, alarms and budgets by several calls, or lies otherwise than in inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from localcloud.deployment.provider.reading import Actual, Described, Found, Reading, tag_map


def log_group(reading: Reading) -> Actual | None:
    """A log group; no retention is 0 days, which mean for ever."""
    told = reading.send("logs", "DescribeLogGroups", logGroupNamePrefix=reading.id)["logGroups"]
    found = next((each for each in told if each["logGroupName"] == reading.id), None)
    if found is None:
        return None
    arn = reading.aws.arn("logs", f"log-group:{reading.id}")
    tags = reading.send("logs", "ListTagsForResource", resourceArn=arn)["tags"]
    return {
        "name": reading.id,
        "arn": arn,
        "retentionInDays": found.get("retentionInDays", 0),
        "kmsKeyId": found.get("kmsKeyId"),
        "tags": tag_map(tags),
    }


def alarm(_reading: Reading, found: Found) -> Found:
    """Metrics of a formula: the inputs have one level less than the API."""
    if not found.get("Metrics"):
        return {"metricQueries": []}
    queries = []
    for each in found["Metrics"]:
        query = {name: value for name, value in each.items() if name != "MetricStat"}
        if stat := each.get("MetricStat"):
            inner = {name: value for name, value in stat.items() if name != "Metric"}
            query["metric"] = {**inner, **stat["Metric"]}
        queries.append(query)
    return {"metricQueries": queries}


def query_definition(reading: Reading) -> Actual | None:
    """A saved query; the API knows only lists of them."""
    told = reading.send("logs", "DescribeQueryDefinitions")["queryDefinitions"]
    found = next((each for each in told if each["queryDefinitionId"] == reading.id), None)
    names = ("name", "queryString", "logGroupNames", "queryDefinitionId")
    return found and {name: found.get(name) for name in names}


def budget(reading: Reading) -> Actual | None:
    """A budget, its notifications and their subscribers; its id is `account:name`."""
    account, _, name = reading.id.partition(":")
    values = {**reading.values, "owner": account, "budget": name}
    return _BUDGET(replace(reading, values=values))


def _around_budget(reading: Reading, found: Found) -> Found:
    account, _, name = reading.id.partition(":")
    named = {"AccountId": account, "BudgetName": name}
    listed = reading.send("budgets", "DescribeNotificationsForBudget", **named)
    notifications = [_watched(reading, named, each) for each in listed.get("Notifications", [])]
    filters = found.get("CostFilters", {})
    return {
        "metrics": next(iter(found.get("Metrics", [])), None),
        "name": name,
        "accountId": account,
        "arn": f"arn:{reading.aws.partition}:budgets::{account}:budget/{name}",
        "budgetType": found["BudgetType"],
        "timeUnit": found["TimeUnit"],
        "limitAmount": found.get("BudgetLimit", {}).get("Amount"),
        "limitUnit": found.get("BudgetLimit", {}).get("Unit"),
        "costFilters": [{"name": name, "values": values} for name, values in filters.items()],
        "notifications": notifications,
    }


_BUDGET: Final = Described(
    service="budgets",
    operation="DescribeBudget",
    request={"AccountId": "{owner}", "BudgetName": "{budget}"},
    at="Budget",
    more=_around_budget,
)


def _watched(reading: Reading, named: Mapping[str, str], each: Found) -> dict[str, Any]:
    plain = {
        name: each[name]
        for name in ("NotificationType", "ComparisonOperator", "Threshold", "ThresholdType")
        if name in each
    }
    told = reading.send(
        "budgets", "DescribeSubscribersForNotification", **named, Notification=plain
    )
    addresses: dict[str, list[str]] = {"EMAIL": [], "SNS": []}
    for subscriber in told["Subscribers"]:
        addresses[subscriber["SubscriptionType"]].append(subscriber["Address"])
    return {
        **{f"{name[0].lower()}{name[1:]}": value for name, value in plain.items()},
        "subscriberEmailAddresses": addresses["EMAIL"],
        "subscriberSnsTopicArns": addresses["SNS"],
    }


_ACTION: Final = Described(
    service="budgets",
    operation="DescribeBudgetAction",
    request={"AccountId": "{owner}", "BudgetName": "{budget}", "ActionId": "{action}"},
    at="Action",
)


def budget_action(reading: Reading) -> Actual | None:
    """Its id is `account:action:budget`."""
    owner, action, name = reading.id.split(":")
    values = {**reading.values, "owner": owner, "action": action, "budget": name}
    inner = Reading(aws=reading.aws, token=reading.token, id=reading.id, values=values)
    found = _ACTION(inner)
    arn = f"arn:{reading.aws.partition}:budgets::{owner}:budget/{name}/action/{action}"
    return found and {**found, "arn": arn}

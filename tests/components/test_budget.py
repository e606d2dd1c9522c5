from __future__ import annotations

from components.budget import Budget, BudgetArgs
from config.budget import BudgetSection
from tests.components import mocks


def test_the_budget_counts_this_stack_and_tells_before_and_after(context) -> None:
    section = BudgetSection(monthly_usd=250.5, notify_percents=(50, 90), emails=("a@example.com", "b@example.com"))
    budget = mocks.deploy(lambda: Budget("budget", BudgetArgs(context=context, section=section))).one("aws:budgets/budget:Budget").inputs
    assert (budget["limitAmount"], budget["limitUnit"], budget["timeUnit"], budget["budgetType"]) == ("250.50", "USD", "MONTHLY", "COST")
    assert budget["costFilters"] == [{"name": "TagKeyValue", "values": ["user:stack$test"]}]
    assert budget["tags"]["stack"] == "test", "the filter has to match the tag that resources carry"
    told = [(n["notificationType"], n["threshold"]) for n in budget["notifications"]]
    assert told == [("ACTUAL", 50), ("ACTUAL", 90), ("FORECASTED", 100)]
    assert all(n["subscriberEmailAddresses"] == ["a@example.com", "b@example.com"] for n in budget["notifications"])

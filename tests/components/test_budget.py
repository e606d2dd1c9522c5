from __future__ import annotations

from tests.components import mocks
from tests.components.program import deploy


def test_the_budget_counts_this_stack_and_tells_before_and_after() -> None:
    section = {
        "monthly_usd": 250.5,
        "notify_percents": [50, 90],
        "emails": ["a@example.com", "b@example.com"],
    }
    budget = (
        deploy("dev", changes={"budget": section}, until="budget")
        .one("aws:budgets/budget:Budget")
        .inputs
    )
    assert (
        budget["limitAmount"],
        budget["limitUnit"],
        budget["timeUnit"],
        budget["budgetType"],
    ) == ("250.50", "USD", "MONTHLY", "COST")
    assert "costFilters" not in budget, "cost filters would take either tag"
    own = {
        each["tags"]["key"]: each["tags"]["values"] for each in budget["filterExpression"]["ands"]
    }
    assert own == {"project": [mocks.PROJECT], "stack": ["dev"]}
    assert budget["metrics"] == "UnblendedCost", "without it AWS makes a budget that counts nothing"
    assert {key: [budget["tags"][key]] for key in own} == own, (
        "the filter has to match the tags that resources carry"
    )
    told = [(n["notificationType"], n["threshold"]) for n in budget["notifications"]]
    assert told == [("ACTUAL", 50), ("ACTUAL", 90), ("FORECASTED", 100)]
    assert {tuple(n["subscriberEmailAddresses"]) for n in budget["notifications"]} == {
        ("a@example.com", "b@example.com")
    }

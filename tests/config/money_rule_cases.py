"""Cases of the rules on money; see rule_cases.py."""

from __future__ import annotations

from tests.config.prod_changes import Case

# prod: four p5.48xlarge for at most six hours, and a hundred dollars at rest
CASES: dict[str, list[Case]] = {
    "BUDGET-BELOW-PRICE": [
        Case(
            {"budget.monthly_usd": 1300},
            "budget.monthly_usd",
            ("1300", "at rest"),
            {"budget.monthly_usd": 1500},
        )
    ],
    "GUARD-PRICE": [
        Case(
            {"budget.guard": {"limit_usd": 5000}, "environments.gpu.instance_type": "p5e.48xlarge"},
            "budget.guard",
            ("no price of p5e.48xlarge in environment gpu",),
            {"budget.guard": {"limit_usd": 5000}},
        )
    ],
    "GUARD-BELOW-RUN": [
        Case(
            {"budget.guard": {"limit_usd": 1320}},
            "budget.guard.limit_usd",
            ("4 x p5.48xlarge for the 360 minutes", "1,320.96"),
            {"budget.guard": {"limit_usd": 1321}},
        )
    ],
}

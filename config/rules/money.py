"""Whether the budget and its guards go with what the stack costs.

The prices are imported when a rule runs, for they look things up by the help of the rules' base.
"""

from __future__ import annotations

from collections.abc import Iterator

from config.problems import Problem
from config.rules.base import Rule
from config.stack import StackConfig
from config.topology import environments_of, instance_types_of


class BudgetCoversOneRun(Rule):
    """The monthly budget pays for the stack at rest and for one run that takes as long as its
    timeouts allow.
    """

    code = "BUDGET-BELOW-PRICE"
    level = "warning"
    reason = "A budget that one run can pass warns of every run, so that nobody heeds it."
    source = "this program's price files; python -m cli estimate shows the arithmetic"
    reads = frozenset(
        {"budget", "environments", "jobs", "monitoring", "network", "pipeline", "queues", "storage"}
    )

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Too small a budget; silent where a price is not known."""
        from config.estimate import estimate, total

        found = estimate(config, region=None)
        usd, budget = total((found.rest_usd, found.run_usd)), config.budget.monthly_usd
        if usd is not None and usd > budget:
            yield self.problem(
                "budget.monthly_usd",
                budget,
                f"a month at rest costs about {found.rest_usd:,.0f} USD and one run up to"
                f" {found.run_usd:,.0f} (prices of {found.price_region}, {found.price_date})",
                f"raise it above {usd:,.0f}, or shorten timeout_minutes",
            )


class GuardKnowsItsPrices(Rule):
    """The running-cost guard has a price for every instance type of the queue that it watches."""

    code = "GUARD-PRICE"
    reason = "A guard that cannot count does not guard."
    source = "this program's price file"
    reads = frozenset({"budget", "environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each environment of the queue with a type without price."""
        from config.facts import instance_type

        if config.budget.guard is None:
            return
        for name, environment in environments_of(config, config.jobs.analysis.queue).items():
            types = {
                type_name: instance_type(type_name) for type_name in instance_types_of(environment)
            }
            unknown = [
                type_name
                for type_name, facts in types.items()
                if facts is None or facts.usd_per_hour is None
            ]
            if unknown:
                yield self.problem(
                    "budget.guard",
                    config.budget.guard.model_dump(),
                    f"config/ec2_facts.json has no price of {', '.join(unknown)} in environment"
                    f" {name}",
                    "run scripts/refresh_ec2_facts.py with credentials, or remove the guard",
                )


class GuardLetsOneRunFinish(Rule):
    """The guard's limit is above what one attempt of the analysis may cost."""

    code = "GUARD-BELOW-RUN"
    level = "warning"
    reason = "The guard would stop a run that is as it should be."
    source = "this program's price files"
    reads = frozenset({"budget", "environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Too low a limit; silent where a price is not known."""
        from config.prices import stage_machines

        guard, job = config.budget.guard, config.jobs.analysis
        if guard is None:
            return
        machines = stage_machines(config, "analysis")
        if machines.usd_per_hour is None:
            return
        usd = machines.usd_per_hour * job.timeout_minutes / 60
        if guard.limit_usd < usd:
            yield self.problem(
                "budget.guard.limit_usd",
                guard.limit_usd,
                f"{machines.what} for the {job.timeout_minutes} minutes of"
                f" jobs.analysis.timeout_minutes cost {usd:,.2f} USD",
                f"raise it to {usd:,.2f} or more, or shorten the timeout",
            )

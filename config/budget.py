"""Section `budget`: what the stack may cost."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from config.base import EmailAddress, Section, setting

Percent = Annotated[int, Field(ge=1, le=1000)]


class RunningCostGuard(Section):
    """A function that looks every few minutes at what the unfinished jobs on the analysis' queue
    have cost so far.
    """

    limit_usd: float = setting(
        about=(
            "US dollars above which the queue is disabled and all of its unfinished jobs are"
            " terminated."
        ),
        change="in place",
        gt=0,
    )
    check_minutes: int = setting(
        5, about="Minutes from one look to the next.", change="in place", ge=1, le=60
    )


class BudgetSection(Section):
    """A monthly AWS budget on the stack's tags, with notifications, and what stops the spending."""

    monthly_usd: float = setting(
        about="Limit per calendar month, US dollars.", change="in place", gt=0
    )
    notify_percents: tuple[Percent, ...] = setting(
        (50, 80, 100),
        about=(
            "Shares of the limit at which people are told; the forecast of passing it comes on top,"
            " and AWS allows five in all."
        ),
        change="in place",
        max_length=4,
    )
    emails: tuple[EmailAddress, ...] = setting(
        about="Who is told.", change="in place", min_length=1, max_length=10
    )
    stop_submissions_percent: Percent | None = setting(
        None,
        about=(
            "Share of the limit from which on the submit function may submit no more jobs, by an"
            " action of AWS Budgets, whose figures are hours old; without it nothing is stopped."
        ),
        change="in place",
    )
    guard: RunningCostGuard | None = setting(
        None,
        about="Guard of the running cost, which acts within minutes; without it there is none.",
        change="in place",
    )

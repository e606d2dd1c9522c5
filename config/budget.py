"""Section `budget`: what the stack may cost."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from config.base import EmailAddress, Section, setting

Percent = Annotated[int, Field(ge=1, le=1000)]


class BudgetSection(Section):
    """A monthly AWS budget on the stack's tags, with notifications."""

    monthly_usd: float = setting(about="Limit per calendar month, US dollars.", change="in place", gt=0)
    notify_percents: tuple[Percent, ...] = setting(
        (50, 80, 100),
        about="Shares of the limit at which people are told; the forecast of passing it comes on top, and AWS allows five in all.",
        change="in place",
        max_length=4,
    )
    emails: tuple[EmailAddress, ...] = setting(about="Who is told.", change="in place", min_length=1, max_length=10)

"""Amounts of money, spans of time and moments as people read them, the same in report, Slack and
log.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

DASH: Final = "\N{EN DASH}"
"""What stands where nothing is known."""


def dollars(amount: float | None, *, unknown: str = DASH) -> str:
    """US dollars with as many decimals as tell something."""
    if amount is None or not math.isfinite(amount):
        return unknown
    if 0 < amount < 0.0001:
        return "< $0.0001"
    return f"${amount:,.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}"


def duration(seconds: float | None) -> str:
    """A time span in its two largest units."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def now() -> str:
    """This moment in UTC, ISO 8601 with milliseconds: sorts as text."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")

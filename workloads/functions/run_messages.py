"""Parts that all messages about a run share."""

from __future__ import annotations

from workloads import names
from workloads.contract import Run
from workloads.functions import slack
from workloads.functions.reasons import Cause


def title(run: Run, key: str | None, what: str) -> str:
    """`sales 2026-01-31: <what>`; `key` is that of the upload, where it is known."""
    name = names.title(key) if key else run.dataset
    return f"{name} {run.date[:4]}-{run.date[4:6]}-{run.date[6:]}: {what}"


def explanation(cause: Cause) -> tuple[slack.Block, ...]:
    """Why, and what to do where something is known."""
    why = slack.section(f"*Why*\n{slack.escape(slack.sentence(cause.error))}")
    if not cause.hint:
        return (why,)
    return (why, slack.section(f"*What to do*\n{slack.escape(slack.sentence(cause.hint))}"))

"""Whether a failed attempt is followed by another one (User Guide, "Automated job retries")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class AttemptEnd:
    """How an attempt ended."""

    exit_code: int | None
    """Exit code of the container; None where it had none (host lost, never started)."""
    reason: str
    """Reason that the container gave, often empty."""
    status_reason: str


def retries(strategy: Mapping[str, Any], *, attempts: int, end: AttemptEnd) -> bool:
    """Whether a job whose attempt failed goes back to RUNNABLE.

    The first condition of evaluateOnExit whose given members all match decides; where none matches,
    the job is retried. Conditions only count while attempts are left.

    Args:
        strategy: `retryStrategy` of the job, may be empty.
        attempts: Attempts made so far.
        end: How the last one ended.
    """
    if attempts >= int(strategy.get("attempts") or 1):
        return False
    code = "" if end.exit_code is None else str(end.exit_code)
    found = {"onExitCode": code, "onReason": end.reason, "onStatusReason": end.status_reason}
    for rule in strategy.get("evaluateOnExit") or []:
        if all(_holds(rule.get(member), value) for member, value in found.items()):
            return str(rule["action"]).upper() == "RETRY"
    return True


def _holds(pattern: str | None, value: str) -> bool:
    if pattern is None:
        return True
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern

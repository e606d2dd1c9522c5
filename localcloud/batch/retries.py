"""Whether a failed attempt is followed by another one (User Guide, "Automated job retries")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def retries(strategy: Mapping[str, Any], *, attempts: int, exit_code: int | None, reason: str, status_reason: str) -> bool:
    """Whether a job whose attempt failed goes back to RUNNABLE.

    The first condition of evaluateOnExit whose given members all match decides; where none matches, the job is retried. Conditions only
    count while attempts are left.

    Args:
        strategy: `retryStrategy` of the job, may be empty.
        attempts: Attempts made so far.
        exit_code: Exit code of the container; None where it had none (host lost, never started).
        reason: Reason of the container, often empty.
        status_reason: Status reason of the attempt.
    """
    if attempts >= int(strategy.get("attempts") or 1):
        return False
    code = "" if exit_code is None else str(exit_code)
    for rule in strategy.get("evaluateOnExit") or []:
        if _holds(rule.get("onExitCode"), code) and _holds(rule.get("onReason"), reason) and _holds(rule.get("onStatusReason"), status_reason):
            return str(rule["action"]).upper() == "RETRY"
    return True


def _holds(pattern: str | None, value: str) -> bool:
    if pattern is None:
        return True
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern

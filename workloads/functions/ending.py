"""How a run ends as FAILED: first its state item, then Slack, each once, whichever of several events comes first."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from workloads.contract import Run
from workloads.functions import slack
from workloads.functions.log import log
from workloads.functions.reasons import Cause
from workloads.functions.spending import Spending
from workloads.functions.states import RunStates
from workloads.functions.webhook import tell


def fail_and_tell(
    states: RunStates,
    run: Run,
    cause: Cause,
    message: slack.Message,
    spending: Spending | None,
    *,
    created_ms: int,
    **failed: Any,
) -> dict[str, Any]:
    """Ends the run unless it has ended, and tells why.

    Args:
        states: the state items.
        run: the run.
        cause: why it failed, and what to do.
        message: what Slack is told.
        spending: what the run has cost; None where that is not known.
        created_ms: when the job or execution that failed was made; it ends no run that was ended since.
        failed: what else the state item says of it: `stage`, `job_id`, `job_name`, `status_reason`, `attempts`.

    Returns `{"outcome", "run_id", "error"}`. Raises SlackError and botocore's errors; the run stays FAILED, and a repeated event tells.
    """
    failure = {**failed, "error": cause.error, "hint": cause.hint, "at": _now()}
    spent = spending.attributes() if spending is not None else None
    if not states.fail(run, failure, created_ms=created_ms, now_ms=int(time.time() * 1000), spent=spent):
        log("run had ended already", run_id=run.run_id, job_id=failure["job_id"], error=cause.error)
        return {"outcome": "ended already", "run_id": run.run_id}
    log("run failed", run_id=run.run_id, **failure, usd=spending.usd if spending is not None else None)
    try:
        if tell(message):
            states.told(run, at=_now())
    except Exception:
        states.not_told(run)
        raise
    return {"outcome": "failed", "run_id": run.run_id, "error": cause.error}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")

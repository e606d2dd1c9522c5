"""How a run ends as FAILED: first its state item, then Slack, each once, whichever of several
events comes first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Final

from workloads.contract import Run, RunState
from workloads.formats import now
from workloads.functions import clients, slack
from workloads.functions.log import log
from workloads.functions.reasons import Cause
from workloads.functions.spending import Spending
from workloads.functions.state_items import NotificationLeasedError, standing
from workloads.functions.states import RunStates
from workloads.functions.webhook import tell
from workloads.page import writing
from workloads.variables import ENV_STACK

_PATIENCE_SECONDS: Final = 45.0
"""How long an event that came twice waits for the invocation that tells of it: longer than Slack
may take.
"""
_POLL_SECONDS: Final = 1.0


def has_ended(states: RunStates, run: Run, job_id: str, *, created_ms: int) -> bool:
    """Whether a failure is no news: the run has ended otherwise, or Slack knows of this very
    failure.

    Waits for an invocation that is telling of it. Raises NotificationLeasedError where that one
    does not come to an end: if it died, this event is the one that carries on. Other arguments as
    in standing.
    """
    began = time.monotonic()
    while True:
        found = standing(
            states.get(run), job_id, created_ms=created_ms, now_ms=int(time.time() * 1000)
        )
        if found != "being told":
            return found == "closed"
        if time.monotonic() - began >= _PATIENCE_SECONDS:
            raise NotificationLeasedError(run)
        time.sleep(_POLL_SECONDS)


def key_and_stack(states: RunStates, run: Run) -> dict[str, str]:
    """What a command needs that begins the run again, see reasons.for_run."""
    upload: Any = states.get(run).get("upload") or {}
    return {"key": str(upload.get("key") or ""), "stack": stack_to_name()}


def stack_to_name() -> str:
    """The stack's name as commands have to give it; empty in the rehearsal, which the command line
    finds by itself.
    """
    return "" if "AWS_ENDPOINT_URL" in os.environ else os.environ.get(ENV_STACK, "")


def command(words: str) -> str:
    """A command line of this program for the stack, to be pasted."""
    stack = stack_to_name()
    return f"batchref {words} --stack {stack}" if stack else f"batchref {words}"


def fail_and_tell(
    states: RunStates,
    run: Run,
    cause: Cause,
    message: Callable[[Spending | None], slack.Message],
    spending: Callable[[], Spending | None],
    *,
    created_ms: int,
    **failed: Any,
) -> dict[str, Any]:
    """Ends the run unless it has ended, and tells why.

    Args:
        states: the state items.
        run: the run.
        cause: why it failed, and what to do.
        message: what Slack is told, given what the run has cost; None where that is not known.
        spending: finds that out, which of a large array takes many calls: only the one invocation
            asks that ends the run.
        created_ms: when the job or execution that failed was made; it ends no run that was ended
            since.
        failed: what else the state item says of it: `stage`, `job_id`, `job_name`, `status_reason`,
            `attempts`.

    Returns `{"outcome", "run_id", "error"}`. Raises SlackError and botocore's errors; the run stays
    FAILED, and a repeated event tells.
    """
    failure = {**failed, "error": cause.error, "hint": cause.hint, "at": now()}
    if not states.fail(run, failure, created_ms=created_ms, now_ms=int(time.time() * 1000)):
        log("run had ended already", run_id=run.run_id, job_id=failure["job_id"], error=cause.error)
        return {"outcome": "ended already", "run_id": run.run_id}
    tell_end(states, run, failure, message, spending, state="FAILED")
    return {"outcome": "failed", "run_id": run.run_id, "error": cause.error}


def tell_end(
    states: RunStates,
    run: Run,
    failure: dict[str, Any],
    message: Callable[[Spending | None], slack.Message],
    spending: Callable[[], Spending | None],
    *,
    state: RunState,
) -> None:
    """Notes what an ended run cost, tells Slack of its end, by whoever has the right to, and writes
    the page of runs, whether or not Slack was there; arguments as in fail_and_tell.

    Raises SlackError and botocore's errors, and gives the right back.
    """
    try:
        spent = spending()
        if spent is not None:
            states.spent(run, failure, spent.attributes())
        usd = spent.usd if spent is not None else None
        log(f"run {state.lower()}", run_id=run.run_id, **failure, usd=usd)
        tell(message(spent))
        states.told(run, at=now(), state=state)
    except Exception:
        states.release(run, state=state)
        raise
    finally:
        log("page of runs", run_id=run.run_id, page=writing.refresh(run, clients.dynamodb()))

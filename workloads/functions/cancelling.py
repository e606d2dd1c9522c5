"""How a run ends that an operator cancels: first its state item, then Slack, each once.

The request comes from `batchref cancel`, which stops execution and jobs when the state item says
CANCELLED. Their ends, which come as events, then find a run that has ended, and change nothing: no
fallback, no message of a failure.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Any, Final

from workloads.contract import Run
from workloads.functions import clients, ending, forms, run_messages, slack
from workloads.functions.reasons import AGAIN, Cause, for_run
from workloads.functions.spending import Spending, spending_of
from workloads.functions.states import RunStates
from workloads.variables import ENV_STACK

_REQUEST: Final = {
    "detail": {
        "run_id": forms.TEXT,
        "attempt": forms.WHOLE,
        "request": forms.TEXT,
        "by": forms.TEXT,
        "reason?": forms.TEXT,
    }
}


def cancel_run(event: dict[str, Any]) -> dict[str, Any]:
    """Handles operating.RUN_CANCELLED_EVENT; returns `{"outcome", "run_id"}`, the outcome being
    `cancelled` or `ended already`.

    Raises SlackError, botocore's errors, and ContractError where the event is not of its form.
    """
    forms.check(event, _REQUEST, what="the event")
    detail: dict[str, Any] = event["detail"]
    run, states = Run(detail["run_id"]), RunStates(clients.metrics_table())
    item = states.get(run)
    key_and_stack = ending.key_and_stack(states, run)
    why = f": {detail['reason']}" if detail.get("reason") else ""
    cause = for_run(
        Cause(error=f"{detail['by']} cancelled the run{why}", hint=f"to begin it again: {AGAIN}"),
        **key_and_stack,
    )
    failure = {
        "stage": "unknown",
        "job_id": detail["request"],
        "error": cause.error,
        "hint": cause.hint,
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    now_ms = int(time.time() * 1000)
    if not states.cancel(run, failure, attempt=int(detail["attempt"]), now_ms=now_ms):
        return {"outcome": "ended already", "run_id": run.run_id}
    ending.tell_end(
        states,
        run,
        failure,
        lambda spending: _message(run, cause, key_and_stack["key"], item, spending),
        lambda: spending_of(states, run),
        state="CANCELLED",
    )
    return {"outcome": "cancelled", "run_id": run.run_id}


def _message(
    run: Run, cause: Cause, key: str, item: dict[str, Any], spending: Spending | None
) -> slack.Message:
    title = run_messages.title(run, key, "the run was cancelled")
    return slack.Message(
        text=slack.escape(f"{title}: {cause.error}"),
        blocks=(
            slack.header(title),
            *run_messages.explanation(cause),
            slack.fields(
                [
                    ("Stack", slack.code(os.environ.get(ENV_STACK, "?"))),
                    ("Run", slack.code(run.run_id)),
                    ("Attempt", str(int(item.get("attempt") or 1))),
                    ("Cost so far", slack.escape(str(spending or "not known"))),
                ]
            ),
        ),
    )

"""What is told of a run that succeeded, where postprocess could not tell Slack itself: by event, so
that the message is tried again.
"""

from __future__ import annotations

import time
from typing import Any, Final

from workloads.contract import Run
from workloads.formats import now
from workloads.functions import clients, forms, slack
from workloads.functions.log import log
from workloads.functions.states import RunStates
from workloads.functions.webhook import tell

_FINDINGS: Final = {
    "detail": {"run_id": forms.TEXT, "message": {"text": forms.TEXT, "blocks": [forms.BLOCK]}}
}


def tell_success(event: dict[str, Any]) -> dict[str, Any]:
    """Handles the event that postprocess sends, `{"run_id", "message"}`: its message goes to Slack,
    once.

    Returns `{"outcome", "run_id"}`. Raises SlackError, NotificationLeasedError, botocore's errors,
    and ContractError where the event is not of its form: Lambda delivers the event again, then to
    the dead-letter queue, from where it comes back until Slack takes it.
    """
    forms.check(event, _FINDINGS, what="the event")
    detail: dict[str, Any] = event["detail"]
    run = Run(str(detail["run_id"]))
    states = RunStates(clients.metrics_table())
    if not states.tell_findings(run, now_ms=int(time.time() * 1000)):
        log("findings told already", run_id=run.run_id)
        return {"outcome": "told already", "run_id": run.run_id}
    message = slack.Message(
        text=str(detail["message"]["text"]), blocks=tuple(detail["message"]["blocks"])
    )
    try:
        tell(message)
    except Exception:
        states.release(run, state="SUCCEEDED")
        raise
    states.told(run, at=now(), state="SUCCEEDED")
    log("findings told", run_id=run.run_id)
    return {"outcome": "told", "run_id": run.run_id}

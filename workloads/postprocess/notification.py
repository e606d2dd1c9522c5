"""How Slack hears of a run that succeeded, once: from the stage, or, where Slack does not take it,
from the notify function.
"""

from __future__ import annotations

import json
import logging
import os
import time
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from workloads import contract
from workloads.contract import Run
from workloads.formats import now
from workloads.functions import slack
from workloads.functions.state_items import NotificationLeasedError
from workloads.functions.states import RunStates
from workloads.runtime import s3
from workloads.runtime.errors import EXIT_AWS, StageError
from workloads.variables import ENV_SLACK_WEBHOOK_URL

log = logging.getLogger(__name__)


def tell(states: RunStates, run: Run, message: slack.Message, *, stack: str) -> str:
    """Tells Slack unless that was done before; returns how it went, for the log.

    Slack being down does not fail the stage: findings, table and state are whole by now, a retry
    would compute them once more and Batch would call a finished run failed. The message goes to the
    notify function by event, where it is tried again until Slack takes it.

    Raises StageError where neither takes the message: nobody would ever hear of the run, so the job
    has to fail, which an alarm tells.
    """
    url = os.environ.get(ENV_SLACK_WEBHOOK_URL, "").strip()
    if not url:
        return "not configured"
    try:
        if not states.tell_findings(run, now_ms=int(time.time() * 1000)):
            return "delivered before"
    except (
        NotificationLeasedError
    ) as error:  # by an attempt that was cut off, or by the notify function: the event sees to it
        _hand_on(run, message, stack, reason=str(error))
        return f"handed on: {error}"
    try:
        slack.post(url, message)
    except slack.SlackError as error:
        states.release(run, state="SUCCEEDED")
        _hand_on(run, message, stack, reason=str(error))
        return f"handed on: {error}"
    states.told(run, at=now(), state="SUCCEEDED")
    return "delivered"


def _hand_on(run: Run, message: slack.Message, stack: str, *, reason: str) -> None:
    log.warning("Slack message handed on", extra={"fields": {"reason": reason}})
    entry: Any = {
        "Source": contract.event_source(stack),
        "DetailType": contract.RUN_SUCCEEDED_EVENT,
        "Detail": json.dumps({"run_id": run.run_id, "message": message.payload()}),
    }
    hint = "the findings are stored; read the report, and mend what is named"
    try:
        answer = boto3.client("events").put_events(Entries=[entry])
    except (ClientError, BotoCoreError) as error:
        refused = s3.aws_error(error, what="the message on the findings")
        raise StageError(
            f"{reason}; and {refused.sentence}", hint=hint, exit_code=EXIT_AWS
        ) from error
    if answer["FailedEntryCount"]:
        problem = answer["Entries"][0].get("ErrorMessage", "no reason given")
        raise StageError(
            f"{reason}; and EventBridge did not take the message on the findings: {problem}",
            hint=hint,
            exit_code=EXIT_AWS,
        )

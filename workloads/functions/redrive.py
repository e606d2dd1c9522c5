"""Lambda function: gives the functions that tell people their dead letters again, so that a message
waits no longer than its cause lasts.

Called on a schedule. What the functions fail on stays in their queues, for the next pass or for
`batchref replay`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any, Final

import boto3
from botocore.config import Config

from workloads import contract
from workloads.contract import ContractError
from workloads.functions.dead_letters import DeadLetters, redeliver
from workloads.functions.log import log
from workloads.variables import ENV_REDRIVEN

MOST_FAILURES: Final = 2
"""Failures after which a pass leaves a queue alone: Slack is still down. Not after one: a single
event that can never be handled would hold up those behind it.
"""
SECONDS_FOR_ONE: Final = 90
"""What has to be left for another message: the functions' own limit
(components/monitoring/monitoring.py), and the calls around it.
"""
HIDDEN_SECONDS: Final = 180
"""Time that a message is hidden: as long as a pass may take."""


def handler(_event: Any, context: Any) -> dict[str, Any]:
    """Entry point.

    Returns `{"handled", "failed"}`, by function. Raises ContractError and botocore's errors.
    """
    sqs = boto3.client("sqs")
    # made once only: a call that seems lost may still be running
    functions = boto3.client(
        "lambda", config=Config(retries={"total_max_attempts": 1}, read_timeout=SECONDS_FOR_ONE)
    )

    def time_is_left() -> bool:
        return bool(context.get_remaining_time_in_millis() > SECONDS_FOR_ONE * 1000)

    counts: dict[str, Any] = {"handled": {}, "failed": {}}
    for name, letters in redriven().items():
        counts["handled"][name], counts["failed"][name] = _pass(
            sqs, functions, name, letters, time_is_left
        )
    return counts


def redriven() -> dict[str, DeadLetters]:
    """The queues by their functions' short names, as the environment says.

    Raises ContractError where it is missing or not of its form.
    """
    text = contract.require_env(ENV_REDRIVEN)
    try:
        return {
            str(name): DeadLetters(queue_url=str(each["url"]), function=str(each["function"]))
            for name, each in json.loads(text).items()
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ContractError(
            f"environment variable {ENV_REDRIVEN} is not of its form ({error!r}); deploy"
            " the stack again"
        ) from error


def _pass(
    sqs: Any, functions: Any, name: str, letters: DeadLetters, time_is_left: Callable[[], bool]
) -> tuple[int, int]:
    """Goes over one queue; how many messages were handled, and how many failed."""
    handled = failed = 0
    with contextlib.closing(
        redeliver(sqs, functions, letters, hidden_seconds=HIDDEN_SECONDS)
    ) as attempts:
        while (
            failed < MOST_FAILURES
            and time_is_left()
            and (attempt := next(attempts, None)) is not None
        ):
            handled, failed = handled + attempt.handled, failed + (not attempt.handled)
            log(
                "dead letter handled" if attempt.handled else "dead letter failed again",
                function=name,
                said=attempt.said[:1000],
            )
    return handled, failed

"""Gives a function again what lies in its dead-letter queue: for the redrive function, and for
`batchref replay`.

A message's body is the event as the function got it or would have got it, whoever gave it up:
Lambda after its last try (Developer Guide, "Dead-letter queues"), EventBridge or EventBridge
Scheduler where they could not deliver it (User Guides, "Dead-letter queues").
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Final

_WAIT_SECONDS: Final = 1
"""How long a long poll waits for a message; any time above zero asks all servers."""


@dataclass(frozen=True, kw_only=True)
class DeadLetters:
    """The dead-letter queue of a function that may be called with an event twice."""

    queue_url: str
    function: str
    """Name of the function."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A dead letter that the function was given again."""

    handled: bool
    said: str
    """What the function answered, else what it raised."""


def redeliver(
    sqs: Any, functions: Any, letters: DeadLetters, *, hidden_seconds: int
) -> Generator[Attempt]:
    """Gives a function its dead letters again, one by one and each once; close it to stop before
    the queue is empty.

    A message is deleted after the function has handled it. Those that it failed on are to be seen
    in the queue again at the end: the alarm on the queue goes on, and whoever looks finds them.

    Args:
        sqs: client of SQS.
        functions: client of Lambda, which has to wait as long as the function may take, and to call
            it once only.
        letters: which queue, and whose.
        hidden_seconds: how long a message is kept from others; no shorter than the function may
            take.

    Raises:
        botocore's errors, where a queue cannot be read or a function not be called.
    """
    failed: dict[str, str] = {}
    try:
        # a short poll asks some of the servers only and may find nothing where there is something
        # (SQS developer guide, "Short and long polling"); a long one asks all of them
        asked: dict[str, Any] = {
            "QueueUrl": letters.queue_url,
            "VisibilityTimeout": hidden_seconds,
            "WaitTimeSeconds": _WAIT_SECONDS,
        }
        while messages := sqs.receive_message(**asked).get("Messages"):
            for message in messages:
                identity, receipt = message["MessageId"], message["ReceiptHandle"]
                again = identity in failed
                failed[identity] = receipt
                if again:  # hidden no longer: all have had their turn
                    return
                attempt = _attempt(functions, letters.function, message["Body"])
                if attempt.handled:
                    sqs.delete_message(QueueUrl=letters.queue_url, ReceiptHandle=receipt)
                    del failed[identity]
                yield attempt
    finally:
        for receipt in failed.values():
            with contextlib.suppress(sqs.exceptions.MessageNotInflight):  # to be seen already
                sqs.change_message_visibility(
                    QueueUrl=letters.queue_url, ReceiptHandle=receipt, VisibilityTimeout=0
                )


def _attempt(functions: Any, function: str, event: str) -> Attempt:
    reply = functions.invoke(FunctionName=function, Payload=event.encode())
    answer = reply["Payload"].read().decode()
    if "FunctionError" not in reply:
        return Attempt(handled=True, said=answer)
    try:
        said = str(json.loads(answer)["errorMessage"])
    except (ValueError, TypeError, KeyError, RecursionError):
        said = answer
    return Attempt(handled=False, said=said)

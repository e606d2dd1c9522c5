"""A short poll may find nothing where a message lies, a long one finds it; and what empties a queue
polls long.
"""

from __future__ import annotations

import io
import json
import time
from typing import Any

from tests.localcloud.conftest import Stage
from workloads.functions.dead_letters import DeadLetters, redeliver


class Functions:
    """Handles everything."""

    def invoke(self, **_: Any) -> dict[str, Any]:
        return {"Payload": io.BytesIO(b"{}")}


def test_an_empty_answer_is_no_empty_queue(stage: Stage) -> None:
    sqs = stage.client("sqs")
    url = sqs.create_queue(QueueName=stage.name("queue"))["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    first, second = (
        sqs.receive_message(QueueUrl=url, VisibilityTimeout=0).get("Messages") for _ in range(2)
    )
    assert (first, len(second)) == (None, 1)
    assert sqs.receive_message(QueueUrl=url, VisibilityTimeout=0, WaitTimeSeconds=1)["Messages"]
    waiting = sqs.create_queue(
        QueueName=stage.name("queue"), Attributes={"ReceiveMessageWaitTimeSeconds": "1"}
    )["QueueUrl"]
    sqs.send_message(QueueUrl=waiting, MessageBody="{}")
    assert sqs.receive_message(QueueUrl=waiting)["Messages"]


def test_a_long_poll_of_an_empty_queue_waits_unless_it_is_told_not_to(stage: Stage) -> None:
    sqs, polls = stage.client("sqs"), stage.cloud.polls
    url = sqs.create_queue(QueueName=stage.name("queue"))["QueueUrl"]
    seconds = []
    for polls.wait in (True, False):
        began = time.monotonic()
        assert "Messages" not in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)
        seconds.append(time.monotonic() - began)
    assert seconds[1] < 1 <= seconds[0]
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    asked = {"QueueUrl": url, "WaitTimeSeconds": 1}
    assert "Messages" in sqs.receive_message(**asked)
    assert "Messages" not in sqs.receive_message(**asked), "it is hidden"
    polls.wait = True


def test_all_dead_letters_are_given_again(stage: Stage) -> None:
    sqs = stage.client("sqs")
    url = sqs.create_queue(QueueName=stage.name("dead"))["QueueUrl"]
    for number in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(number))
    attempts = list(
        redeliver(sqs, Functions(), DeadLetters(queue_url=url, function="f"), hidden_seconds=30)
    )
    assert [attempt.handled for attempt in attempts] == [True] * 3

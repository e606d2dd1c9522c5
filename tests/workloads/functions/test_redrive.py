"""What becomes of dead letters: deleted only once they are handled, back in the queue otherwise,
and an end to trying.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from workloads.contract import ContractError
from workloads.functions import redrive
from workloads.functions.dead_letters import redeliver
from workloads.variables import ENV_REDRIVEN

NAMES = ("notify", "alarm")


@dataclass
class World:
    """Two queues in SQS; functions that fail on some events; a clock that stands unless told
    otherwise.
    """

    sqs: Any
    urls: dict[str, str]
    fails: set[str] = field(default_factory=set)
    calls: list[tuple[str, str]] = field(default_factory=list)
    in_queue_at_call: list[int] = field(default_factory=list)
    milliseconds: int = 180_000

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's names
        event = json.loads(Payload)["event"]
        self.calls.append((FunctionName, event))
        self.in_queue_at_call.append(self.depth(FunctionName))
        self.milliseconds -= 1_000
        if event in self.fails:
            return {
                "FunctionError": "Unhandled",
                "Payload": io.BytesIO(b'{"errorMessage": "Slack is down"}'),
            }
        return {"Payload": io.BytesIO(b'{"outcome": "told"}')}

    def put(self, name: str, *events: str) -> None:
        for event in events:
            self.sqs.send_message(
                QueueUrl=self.urls[name], MessageBody=json.dumps({"event": event})
            )

    def depth(self, name: str, *states: str) -> int:
        """Messages of a queue, hidden ones included."""
        wanted = states or ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        found = self.sqs.get_queue_attributes(QueueUrl=self.urls[name], AttributeNames=["All"])[
            "Attributes"
        ]
        return sum(int(found[each]) for each in wanted)

    def visible(self, name: str) -> int:
        return self.depth(name, "ApproximateNumberOfMessages")

    def run(self) -> dict[str, Any]:
        return redrive.handler(
            {}, SimpleNamespace(get_remaining_time_in_millis=lambda: self.milliseconds)
        )


@pytest.fixture
def world(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        sqs = boto3.client("sqs")
        made = World(
            sqs=sqs, urls={name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in NAMES}
        )
        clients = {"sqs": sqs, "lambda": made}
        monkeypatch.setattr(boto3, "client", lambda name, **_: clients[name])
        monkeypatch.setenv(
            ENV_REDRIVEN,
            json.dumps({name: {"url": url, "function": name} for name, url in made.urls.items()}),
        )
        yield made


def test_what_is_handled_is_deleted_and_only_then(world):
    world.put("notify", "a", "b")
    world.put("alarm", "c")
    assert world.run() == {
        "handled": {"notify": 2, "alarm": 1},
        "failed": {"notify": 0, "alarm": 0},
    }
    assert sorted(world.calls) == [("alarm", "c"), ("notify", "a"), ("notify", "b")]
    assert world.in_queue_at_call == [
        2,
        1,
        1,
    ], "a message is in the queue while the function has it"
    assert [world.depth(name) for name in NAMES] == [0, 0]
    assert world.run() == {
        "handled": {"notify": 0, "alarm": 0},
        "failed": {"notify": 0, "alarm": 0},
    }


def test_while_slack_is_down_each_queue_is_left_alone_soon_and_nothing_is_lost(world):
    world.put("notify", "a", "b", "c", "d")
    world.put("alarm", "e")
    world.fails = set("abcde")
    assert world.run()["failed"] == {"notify": redrive.MOST_FAILURES, "alarm": 1}
    assert len(world.calls) == redrive.MOST_FAILURES + 1
    assert [world.visible(name) for name in NAMES] == [
        4,
        1,
    ], "whoever looks finds them, and the alarm goes on"
    world.fails = set()
    assert world.run()["handled"] == {"notify": 4, "alarm": 1}


def test_an_event_that_can_never_be_handled_holds_up_no_others(world):
    world.put("notify", "poison", *"abc")
    world.fails = {"poison"}
    assert world.run() == {
        "handled": {"notify": 3, "alarm": 0},
        "failed": {"notify": 1, "alarm": 0},
    }
    assert (world.visible("notify"), len(world.calls)) == (1, 4)


def test_each_has_one_turn_also_where_it_is_hidden_for_too_short_a_time(world):
    world.put("notify", "poison")
    world.fails = {"poison"}
    attempts = redeliver(world.sqs, world, redrive.redriven()["notify"], hidden_seconds=0)
    assert [attempt.handled for attempt in attempts] == [False]
    assert world.visible("notify") == 1


def test_a_pass_ends_before_its_time(world):
    world.put("notify", *"abcdef")
    world.milliseconds = redrive.SECONDS_FOR_ONE * 1000 + 2_500
    assert world.run()["handled"] == {"notify": 3, "alarm": 0}
    assert world.visible("notify") == 3


def test_a_function_that_cannot_be_called_leaves_the_message_and_is_an_error(world, monkeypatch):
    def refuse(**_: Any) -> None:
        raise RuntimeError("AccessDenied")

    monkeypatch.setattr(world, "invoke", refuse)
    world.put("notify", "a")
    with pytest.raises(RuntimeError, match="AccessDenied"):
        world.run()
    assert world.visible("notify") == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"notify": 1}', '{"notify": {"url": "u"}}'])
def test_settings_that_are_not_of_their_form_are_a_sentence(monkeypatch, text):
    monkeypatch.setenv(ENV_REDRIVEN, text)
    with pytest.raises(ContractError, match=ENV_REDRIVEN):
        redrive.redriven()

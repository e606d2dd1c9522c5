"""Thousands of damaged events, messages and items: a function handles each, or refuses it with one
sentence and no other kind of error.
"""

from __future__ import annotations

import copy
import json
import zlib
from collections.abc import Callable
from decimal import Decimal
from random import Random
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from boto3.dynamodb.types import TypeSerializer
from botocore.exceptions import ClientError

from tests.workloads.functions.documents import (
    ALARM,
    ARRAY,
    BLOCKED,
    CREATED,
    EXECUTION,
    FINDINGS,
    INPUT,
    ITEM,
    KILLED,
    NODES,
    QUEUE,
    SCHEDULED,
    STOP,
    UNDER_WAY,
    UPLOAD,
)
from tests.workloads.functions.failed_jobs import RUN, attempt, event
from workloads import contract, metrics
from workloads.contract import ContractError
from workloads.functions import (
    alarm,
    clients,
    daily,
    ending,
    forms,
    growth,
    guard,
    measure,
    notification_log,
    notify,
    redrive,
    slack,
    state_items,
    submit,
)
from workloads.variables import (
    ENV_GUARD_LIMIT_USD,
    ENV_GUARD_QUEUE,
    ENV_GUARD_RATES,
    ENV_INGEST_BUCKET,
    ENV_JOB_DEFINITIONS,
    ENV_JOB_QUEUES,
    ENV_MEMORY_GROWTH,
    ENV_REDRIVEN,
    ENV_RESULTS_BUCKET,
    ENV_SLACK_WEBHOOK_SECRET_ARN,
    ENV_STACK,
    ENV_SUBMIT_FUNCTION,
)

MUTATIONS = 600
"""Of each kind."""
DEEP = json.loads("[" * 900 + "]" * 900)
NASTY: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 2**63, 10**400, 1e308, "", "x", "\ud800", "\u202e\x1b[31m\n", "9" * 5000, [], {}, [[]], {"a": 1}, [None], DEEP,
)  # fmt: skip
OURS = (
    ContractError,
    slack.SlackError,
    state_items.SubmissionUnderWayError,
    state_items.NotificationLeasedError,
    notification_log.NotificationLeasedError,
)

CONTEXT = SimpleNamespace(get_remaining_time_in_millis=lambda: 0)


class Table:
    """The metrics table with one item, whatever is asked; what is written has to be what DynamoDB
    takes.
    """

    name = "metrics"

    def __init__(self) -> None:
        self.item: Any = None
        self.conditions_hold = True

    def get_item(self, **_: Any) -> dict[str, Any]:
        return {} if self.item is None else {"Item": copy.deepcopy(self.item)}

    def query(self, **_: Any) -> dict[str, Any]:
        return {"Items": [] if self.item is None else [copy.deepcopy(self.item)]}

    def put_item(self, *, Item: Any, ConditionExpression: Any = None) -> None:  # noqa: N803 - boto3's names
        TypeSerializer().serialize(Item)
        if ConditionExpression is not None and self.item is not None:
            raise ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, "PutItem")

    def update_item(self, **request: Any) -> None:
        TypeSerializer().serialize(request["ExpressionAttributeValues"])
        if "ConditionExpression" in request and not self.conditions_hold:
            raise ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, "UpdateItem")


class Services:
    """What else of AWS the functions call: it knows one upload, and no jobs besides those of
    events.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.exceptions = SimpleNamespace(MessageNotInflight=KeyError)

    def get_paginator(self, operation: str) -> Any:
        pages = {
            "list_objects_v2": [{"Contents": [{"Key": UPLOAD.key, "ETag": '"0123"'}]}],
            "list_jobs": [{"jobSummaryList": []}],
        }
        pages["describe_compute_environments"] = [{"computeEnvironments": []}]
        return SimpleNamespace(paginate=lambda **_: pages[operation])

    def batch_get_item(self, **_: Any) -> Any:
        keys = {"pk": "DS#sales", "sk": RUN.state_key["sk"]}
        return {
            "Responses": {
                "metrics": (
                    [] if self.table.item is None else [{**copy.deepcopy(self.table.item), **keys}]
                )
            }
        }

    def get_object(self, **_: Any) -> Any:
        raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")

    def __getattr__(self, _name: str) -> Any:
        answers = {
            "jobs": [],
            "jobId": "job-9",
            "SecretString": "https://hooks.slack.com/services/x",
            "Datapoints": [],
        }
        return lambda **_: answers


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    found = Table()
    services = Services(found)
    for name in ("batch", "functions", "step_functions"):
        monkeypatch.setattr(clients, name, lambda: services)
    monkeypatch.setattr(clients, "metrics_table", lambda: found)
    monkeypatch.setattr(boto3, "client", lambda *_, **__: services)
    monkeypatch.setattr(boto3, "resource", lambda *_, **__: services)
    monkeypatch.setattr(slack, "post", lambda _url, message: json.dumps(message.payload()).encode())
    monkeypatch.setattr(ending, "_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(growth, "_PATIENCE_SECONDS", 0.0)
    by_stage = dict.fromkeys(contract.STAGES, QUEUE)
    day = {
        "file_by": "06:00",
        "finished_by": "09:00",
        "time_zone": "UTC",
        "max_parallel": 2,
        "datasets": [],
        "begins": True,
    }
    for name, value in {
        ENV_STACK: "dev",
        ENV_RESULTS_BUCKET: "results",
        ENV_INGEST_BUCKET: "ingest",
        ENV_SUBMIT_FUNCTION: "submit",
        ENV_SLACK_WEBHOOK_SECRET_ARN: "arn:secret",
        ENV_JOB_QUEUES: json.dumps(by_stage),
        ENV_JOB_DEFINITIONS: json.dumps(
            {stage: {"name": "arn:d", "multi_node": False} for stage in contract.STAGES}
        ),
        ENV_MEMORY_GROWTH: json.dumps({"preprocess": [2048, 4096]}),
        ENV_GUARD_QUEUE: QUEUE,
        ENV_GUARD_RATES: json.dumps([{"vcpu": 1.0, "gib": 1.0}]),
        ENV_GUARD_LIMIT_USD: "5",
        ENV_REDRIVEN: "{}",
        metrics.ENV_DAILY: json.dumps(day),
        metrics.ENV_MEASURED: json.dumps({"queues": {"gpu": QUEUE}, "environments": {}}),
    }.items():
        monkeypatch.setenv(name, value)
    return found


def _same(document: Any) -> Any:
    return document


EVENTS: dict[str, tuple[Callable[[Any, Any], Any], Any, Callable[[Any], Any]]] = {
    "submit": (submit.handler, CREATED, _same),
    "notify job": (notify.handler, event(attempt(137, "OutOfMemoryError")), _same),
    "notify child": (notify.handler, ARRAY, _same),
    "notify nodes": (notify.handler, NODES, _same),
    "notify killed": (notify.handler, event(attempt(137, "OutOfMemoryError")), _same),
    "submit killed": (submit.handler, KILLED, _same),
    "notify blocked": (notify.handler, BLOCKED, _same),
    "notify execution": (notify.handler, EXECUTION, _same),
    "notify input": (
        notify.handler,
        INPUT,
        lambda found: {**EXECUTION, "detail": {**EXECUTION["detail"], "input": json.dumps(found)}},  # type: ignore[dict-item]
    ),
    "notify findings": (notify.handler, FINDINGS, _same),
    "alarm records": (alarm.handler, {"Records": [{"Sns": {"Message": json.dumps(ALARM)}}]}, _same),
    "alarm": (
        alarm.handler,
        ALARM,
        lambda found: {"Records": [{"Sns": {"Message": json.dumps(found)}}]},
    ),
    "measure end": (measure.handler, {**ARRAY, "time": "2026-03-31T04:00:00Z"}, _same),
    "measure look": (measure.handler, SCHEDULED, _same),
    "daily": (daily.handler, {"at": "2026-03-31T04:00:00Z", "begin": True}, _same),
    "daily look": (daily.handler, SCHEDULED, _same),
    "guard": (guard.handler, SCHEDULED, _same),
    "redrive": (redrive.handler, SCHEDULED, _same),
}
ITEMS: dict[str, tuple[Callable[[Any, Any], Any], Any, Any]] = {
    "submit again": (submit.handler, CREATED, ITEM),
    "submit after a crash": (submit.handler, CREATED, {**ITEM, "state": "CLAIMED"}),
    "notify": (notify.handler, event(attempt(1)), ITEM),
    "notify killed": (notify.handler, event(attempt(137, "OutOfMemoryError")), UNDER_WAY),
    "submit killed": (submit.handler, KILLED, UNDER_WAY),
    "submit killed before": (submit.handler, KILLED, {**UNDER_WAY, "state": "CLAIMED"}),
    "notify first": (notify.handler, event(attempt(1)), {**ITEM, "ended_ms": Decimal(1)}),
    "notify execution": (notify.handler, EXECUTION, {**ITEM, "ended_ms": Decimal(1)}),
    "notify findings": (notify.handler, FINDINGS, {**ITEM, "state": "SUCCEEDED"}),
    "daily": (daily.handler, {"at": "2026-03-31T10:00:00Z", "begin": True}, ITEM),
    "daily under way": (
        daily.handler,
        {"at": "2026-03-31T10:00:00Z", "begin": True},
        {**ITEM, "state": "SUBMITTED"},
    ),
    "guard": (guard.handler, {}, STOP),
}


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    members = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for key, member in members for place in _places(member, (*path, key)))]


def _mutated(document: Any, random: Random, nasty: tuple[Any, ...]) -> Any:
    """A copy in which one or two places are gone or hold something else."""
    changed = copy.deepcopy(document)
    for _ in range(random.choice([1, 1, 2])):
        place = random.choice(_places(changed))
        if not place:
            if random.random() < 0.9:
                continue
            return random.choice(nasty)
        holder = changed
        for step in place[:-1]:
            holder = holder[step]
        if random.random() < 0.3:
            del holder[place[-1]]
            continue
        chosen = random.choice(nasty)
        if chosen is DEEP:
            holder[place[-1]] = DEEP  # in which nobody looks for more places
            break
        holder[place[-1]] = copy.deepcopy(chosen)
    return changed


def _refusal(handler: Callable[[Any, Any], Any], found: Any) -> str:
    """What a function says of an event that it refuses; empty where it handles it.

    Any other kind of error is the test's failure.
    """
    try:
        handler(found, CONTEXT)
    except (*OURS, RuntimeError) as error:
        said = str(error)
        ours = (
            isinstance(error, OURS) or "is claimed by an invocation" in said
        )  # a recursion without end is a RuntimeError too
    else:
        return ""
    assert ours, said
    said.encode()
    assert "\n" not in said
    assert "\x1b" not in said
    assert 10 < len(said) < 500, said
    return said


@pytest.mark.parametrize("kind", EVENTS)
def test_any_event_is_handled_or_refused_with_one_sentence(kind: str, table: Table) -> None:
    handler, whole, wrapped = EVENTS[kind]
    assert not _refusal(handler, wrapped(whole)), "the event itself is handled"
    random, refused = Random(zlib.crc32(kind.encode())), 0  # noqa: S311 - no secret
    for _ in range(MUTATIONS):
        refused += bool(_refusal(handler, wrapped(_mutated(whole, random, NASTY))))
    assert refused > MUTATIONS / 20 or kind in {"guard", "redrive"}, "the damage is worth the name"


@pytest.mark.parametrize("kind", ITEMS)
def test_any_item_is_read_or_refused_with_one_sentence(kind: str, table: Table) -> None:
    handler, sent, whole = ITEMS[kind]
    table.item, table.conditions_hold = whole, kind != "notify findings"
    assert "not of its form" not in _refusal(handler, sent)
    random, refused = Random(zlib.crc32(kind.encode())), 0  # noqa: S311 - no secret
    nasty = tuple(
        each
        for each in NASTY
        if not isinstance(each, float)
        and each is not DEEP
        and each not in (2**63, 10**400, "\ud800")
    )
    for _ in range(MUTATIONS):
        found = _mutated(whole, random, (*nasty, Decimal("1.5"), Decimal(10) ** 37))
        if not isinstance(found, dict):  # an item is a map
            continue
        table.item = found
        refused += "not of its form" in _refusal(handler, sent)
    assert refused > MUTATIONS / 20, "the damage is worth the name"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"detail": []}, "the event is not of its form: detail is a list, expected an object"),
        ({"detail": {"bucket": {}}}, "the event is not of its form: it lacks detail.bucket.name"),
        (
            {"detail": {"bucket": {"name": 5}}},
            "the event is not of its form: detail.bucket.name is 5, expected a text",
        ),
        ([], "the event is not of its form: it is a list, expected an object"),
    ],
)
def test_the_sentence_names_the_place(found: Any, said: str) -> None:
    with pytest.raises(ContractError) as caught:
        submit.handler(found, CONTEXT)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "the message is nested too deeply to be read"),
        ("{", "the message is no JSON: "),
    ],
)
def test_text_that_is_no_json_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(ContractError, match=said):
        forms.parsed(text, what="the message")

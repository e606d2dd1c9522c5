"""Logs Insights: the queries that the program saves, and what people type, answered as asked or
refused by name.
"""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from components.monitoring.dashboard import _QUERIES
from localcloud.services.logs_insights.language import MalformedQueryError, parse
from localcloud.services.logs_insights.run import run
from tests.localcloud.conftest import Stage

GROUP = "/test/insights"
LINES: list[Any] = [
    {
        "level": "INFO",
        "stage": "preprocess",
        "message": "begun",
        "run_id": "r1",
        "rows": 10,
        "ok": True,
    },
    {
        "level": "ERROR",
        "stage": "analysis",
        "message": "it failed | badly",
        "run_id": "r1",
        "error": {"kind": "X", "codes": [7, 8]},
    },
    {"level": "CRITICAL", "stage": "analysis", "message": "it's over", "run_id": "r2", "rows": 30},
    {
        "event": "run failed",
        "run_id": "r2",
        "stage": "analysis",
        "error": "E",
        "hint": "h",
        "job_id": "j",
    },
    {"event": "dead letter handled", "function": "submit", "said": "done"},
    "START RequestId: 1 Version: $LATEST",
    "Task timed out after 3.00 seconds",
]


@pytest.fixture(scope="module")
def began(stage: Stage) -> int:
    logs, now = stage.client("logs"), int(time.time() * 1000)
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="a/b")
    events = [
        {"timestamp": now + n, "message": each if isinstance(each, str) else json.dumps(each)}
        for n, each in enumerate(LINES)
    ]
    logs.put_log_events(logGroupName=GROUP, logStreamName="a/b", logEvents=events)
    return now


def ask(stage: Stage, began: int, query: str, **more: Any) -> list[dict[str, str]]:
    logs = stage.client("logs")
    groups = more or {"logGroupNames": [GROUP]}
    started = logs.start_query(
        **groups, startTime=began // 1000 - 60, endTime=began // 1000 + 60, queryString=query
    )
    found = logs.get_query_results(queryId=started["queryId"])
    assert found["status"] == "Complete"
    assert found["statistics"]["recordsScanned"] == len(LINES)
    return [
        {each["field"]: each["value"] for each in line if each["field"] != "@ptr"}
        for line in found["results"]
    ]


EXPECTED = {
    "one-run": ["begun", "it failed | badly"],
    "errors-of-stages": ["it failed | badly", "it's over"],
    "errors-of-functions": [],
    "failed-runs": [],
    "blocked-queues": [],
    "days": [],
    "dead-letters": [],
    "alarms": [],
}
COUNTS = {"errors-of-functions": 1, "failed-runs": 1, "dead-letters": 1}


@pytest.mark.parametrize("name", list(_QUERIES))
def test_the_saved_queries_find_what_they_say(stage: Stage, began: int, name: str) -> None:
    _, fields, which = _QUERIES[name]
    which = which.replace("put the run id here", "r1")
    found = ask(
        stage,
        began,
        f"fields @timestamp, {fields}\n| filter {which}\n| sort @timestamp desc\n| limit 1000",
    )
    messages = [each["message"] for each in found if "message" in each]
    assert messages == EXPECTED[name][::-1]
    assert len(found) == COUNTS.get(name, len(EXPECTED[name]))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("fields stage | filter rows > 15", [{"stage": "analysis"}]),
        ("fields rows as r | filter ispresent(rows) | sort rows asc", [{"r": "10"}, {"r": "30"}]),
        ("filter error.codes.1 = 8 | display error.kind", [{"error.kind": "X"}]),
        ("filter ok = 1 | display message # and more", None),
        ("filter message like /fail.*ly/ | display level", [{"level": "ERROR"}]),
        ("filter message like 'failed | badly' | display level", [{"level": "ERROR"}]),
        ('filter message = "it\'s over" | display level', [{"level": "CRITICAL"}]),
        ("filter level in ['ERROR', 'INFO'] and not (stage = 'analysis') | display message", [{"message": "begun"}]),
        ("filter level not in ['ERROR', 'INFO'] and ispresent(level) | display level", [{"level": "CRITICAL"}]),
        ("filter @message not like /{/ | stats count(*) as n", [{"n": "2"}]),
        ("stats count(*), sum(rows) as top by stage | sort top desc | limit 1", [{"stage": "analysis", "count(*)": "3", "top": "30"}]),
        ("filter run_id = 'r1' | dedup run_id | display message", [{"message": "it failed | badly"}]),
        ("filter stage = 'nothing' | stats count(*)", [{"count(*)": "0"}]),
        ("filter rows != 10 and ispresent(rows) | display rows", [{"rows": "30"}]),
    ],
)  # fmt: skip
def test_what_people_type(
    stage: Stage, began: int, query: str, expected: list[dict[str, str]] | None
) -> None:
    if expected is None:
        with pytest.raises(ClientError, match="MalformedQueryException"):
            ask(stage, began, query)
        return
    assert ask(stage, began, query) == expected


def test_groups_by_their_arn_and_newest_first(stage: Stage, began: int) -> None:
    arn = stage.client("logs").describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"][0]["arn"]
    found = ask(
        stage,
        began,
        "fields @timestamp, @message, @logStream, @log",
        logGroupIdentifiers=[arn.removesuffix(":*")],
    )
    assert [each["@message"] for each in found] == [
        each if isinstance(each, str) else json.dumps(each) for each in LINES[::-1]
    ]
    assert {(each["@logStream"], each["@log"]) for each in found} == {
        ("a/b", f"123456789012:{GROUP}")
    }
    listed = stage.client("logs").describe_queries(logGroupName=GROUP)["queries"][0]
    assert listed["status"] == "Complete"


@pytest.mark.parametrize(
    "query",
    [
        "parse @message '*' as x",
        "fields strlen(@message)",
        "stats pct(rows, 90)",
        "filter level ~ 'x'",
        "filter level =",
        "filter (level = 'x'",
        "SOURCE logGroups()",
        "fields @message | unmask x",
        "limit 0",
        "filter message like /(/",
        "",
        "| fields a",
    ],
)
def test_what_is_not_run_is_refused_at_once(stage: Stage, began: int, query: str) -> None:
    with pytest.raises(ClientError) as refused:
        ask(stage, began, query)
    assert refused.value.response["Error"]["Code"] in (
        "MalformedQueryException",
        "InvalidParameterException",
    )
    assert refused.value.response["ResponseMetadata"]["RetryAttempts"] == 0


def test_a_group_that_is_not_there(stage: Stage, began: int) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        ask(stage, began, "fields @message", logGroupNames=["/nowhere"])


WORDS = "fields filter sort stats limit by and or not like in = ( ) [ ] , | ' / @m 1 5m bin"


@given(st.lists(st.sampled_from(WORDS.split()), max_size=12))
def test_any_text_is_a_query_or_is_refused(words: list[str]) -> None:
    with contextlib.suppress(MalformedQueryError):
        run(
            parse(" ".join(words)),
            [{"@timestamp": 0, "@message": "m", "@m": 1}, {"@timestamp": 60_000, "@message": "n"}],
        )

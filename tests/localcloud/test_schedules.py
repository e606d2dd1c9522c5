"""EventBridge Scheduler: the times of expressions, and the call of targets under the schedule's
role.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.services.scheduler import due
from tests.localcloud.conftest import Stage, until
from tests.localcloud.test_events import queue, received

BERLIN = ZoneInfo("Europe/Berlin")


def _due(expression: str, begin: str, end: str, zone: str = "UTC") -> list[str]:
    since, last = (
        datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() for text in (begin, end)
    )
    return [
        moment.strftime("%m-%d %H:%M")
        for moment in due(expression, zone, made=since, since=since, until=last)
    ]


@pytest.mark.parametrize(
    ("expression", "zone", "begin", "end", "expected"),
    [
        ("cron(0 6 * * ? *)", "UTC", "2026-01-31T06:00", "2026-02-01T06:00", ["02-01 06:00"]),
        (
            "cron(0 6 * * ? *)",
            "Europe/Berlin",
            "2026-01-31T00:00",
            "2026-02-01T00:00",
            ["01-31 05:00"],
        ),
        (
            "cron(0 6 * * ? *)",
            "Europe/Berlin",
            "2026-07-31T00:00",
            "2026-08-01T00:00",
            ["07-31 04:00"],
        ),
        # summer time begins on 29 March 2026 at 02:00 and ends on 25 October at 03:00
        (
            "cron(30 2 * * ? *)",
            "Europe/Berlin",
            "2026-03-28T12:00",
            "2026-03-30T12:00",
            ["03-30 00:30"],
        ),
        (
            "cron(30 2 * * ? *)",
            "Europe/Berlin",
            "2026-10-24T12:00",
            "2026-10-25T12:00",
            ["10-25 00:30"],
        ),
        (
            "cron(0/30 8-9 ? JAN MON-FRI 2027)",
            "UTC",
            "2026-01-01T00:00",
            "2027-01-03T00:00",
            ["01-01 08:00", "01-01 08:30", "01-01 09:00", "01-01 09:30"],
        ),
        (
            "cron(15 1,3 31 * ? *)",
            "UTC",
            "2026-02-01T00:00",
            "2026-04-01T00:00",
            ["03-31 01:15", "03-31 03:15"],
        ),
        (
            "rate(5 minutes)",
            "UTC",
            "2026-01-31T06:00",
            "2026-01-31T06:14",
            ["01-31 06:05", "01-31 06:10"],
        ),
        (
            "at(2026-01-31T07:00:00)",
            "Europe/Berlin",
            "2026-01-31T05:59",
            "2026-01-31T06:00",
            ["01-31 06:00"],
        ),
        ("at(2026-01-31T07:00:00)", "Europe/Berlin", "2026-01-31T06:00", "2026-02-28T06:00", []),
    ],
)
def test_times_of_expressions(
    expression: str, zone: str, begin: str, end: str, expected: list[str]
) -> None:
    assert _due(expression, begin, end, zone) == expected


@settings(deadline=None)  # the first look at a zone reads its file
@given(
    st.integers(1_700_000_000, 1_900_000_000).map(
        lambda seconds: datetime.fromtimestamp(seconds, UTC)
    ),
    st.lists(st.timedeltas(timedelta(seconds=1), timedelta(hours=40)), min_size=1, max_size=12),
    st.integers(0, 23),
    st.integers(0, 59),
)
def test_however_often_one_looks_every_time_comes_once(
    begin: datetime, steps: list[timedelta], hour: int, minute: int
) -> None:
    expression, found, since = f"cron({minute} {hour} * * ? *)", list[datetime](), begin.timestamp()
    for step in steps:
        found += due(
            expression,
            "Europe/Berlin",
            made=begin.timestamp(),
            since=since,
            until=since + step.total_seconds(),
        )
        since += step.total_seconds()
    whole = due(
        expression, "Europe/Berlin", made=begin.timestamp(), since=begin.timestamp(), until=since
    )
    assert found == whole == sorted(set(found))
    assert all(
        (moment.astimezone(BERLIN).hour, moment.astimezone(BERLIN).minute) == (hour, minute)
        for moment in found
    )
    days = (begin + sum(steps, timedelta()) - begin).days
    assert days - 1 <= len(whole) <= days + 1


@pytest.mark.parametrize("expression", ["cron(0 6 * * ?)", "cron(0 6 L * ? *)", "every day"])
def test_an_expression_that_is_not_known_is_refused(expression: str) -> None:
    with pytest.raises(NotImplementedError):
        _due(expression, "2026-01-01T00:00", "2026-01-02T00:00")


def _role(stage: Stage, *actions: str, service: str = "scheduler.amazonaws.com") -> str:
    iam, name = stage.client("iam"), stage.name("role")
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}},
    }
    arn = iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    if actions:
        allow = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        iam.put_role_policy(
            RoleName=name,
            PolicyName="may",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}),
        )
    return str(arn)


def _schedule(stage: Stage, arn: str, role: str, **target: Any) -> str:
    now = datetime.fromtimestamp(stage.cloud.now(), BERLIN) + timedelta(minutes=2)
    name, payload = (
        stage.name("schedule"),
        '{"at": "<aws.scheduler.scheduled-time>", "n": <aws.scheduler.attempt-number>}',
    )
    stage.client("scheduler").create_schedule(
        Name=name,
        ScheduleExpression=f"cron({now.minute} {now.hour} * * ? *)",
        ScheduleExpressionTimezone="Europe/Berlin",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": arn,
            "RoleArn": role,
            "Input": payload,
            **target,
        },
    )
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:00Z")


def test_a_schedule_calls_its_target_once_when_its_time_has_come(stage: Stage) -> None:
    url, arn = queue(stage, open_to=None)
    at = _schedule(stage, arn, _role(stage, "sqs:SendMessage"))
    stage.cloud.tick()
    stage.cloud.batch.advance(180)
    stage.cloud.tick()
    stage.cloud.tick()
    assert received(stage, url) == [{"at": at, "n": 1}]
    assert "Messages" not in stage.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1)


@pytest.mark.parametrize("why", ["permission", "trust"])
def test_a_target_that_the_role_may_not_call_is_a_dead_letter_or_nothing(
    stage: Stage, why: str
) -> None:
    url, letters = queue(stage, open_to=None)
    function = f"arn:aws:lambda:{stage.cloud.region}:123456789012:function:absent"
    service = "scheduler.amazonaws.com" if why == "permission" else "events.amazonaws.com"
    role = _role(stage, "sqs:SendMessage", service=service)
    before = len(stage.cloud.denials)
    at = _schedule(stage, function, role, DeadLetterConfig={"Arn": letters})
    stage.cloud.batch.advance(180)
    stage.cloud.tick()
    if why == "trust":
        assert "Messages" not in stage.client("sqs").receive_message(
            QueueUrl=url, WaitTimeSeconds=1
        )
        return
    assert received(stage, url) == [{"at": at, "n": 1}]
    until(lambda: len(stage.cloud.denials) > before, what="no denial")
    assert stage.cloud.denials[-1].action == "lambda:InvokeFunction"
    del stage.cloud.denials[before:]

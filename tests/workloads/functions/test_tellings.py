"""What alarms and refused files are told by: a teller that dies loses nothing, and nobody takes its
silence for having told.
"""

from __future__ import annotations

import time

import pytest

from components.monitoring.monitoring import _NOTIFY_TIMEOUT_SECONDS
from tests.workloads.functions.metrics_table import aws_with_table
from workloads.functions import clients, notification_log, slack
from workloads.functions.notification_log import (
    Notification,
    NotificationLeasedError,
    NotificationLog,
)
from workloads.functions.state_items import TELL_LEASE_MS

FIRST_REPEAT_SECONDS = 60
"""After an invocation that failed (Lambda developer guide, "Error handling for asynchronous
invocation").
"""
RINGS = Notification(pk="ALARM#stuck", sk="STATE", state="ALARM", changed_at="2026-01-01T00:00:00Z")


@pytest.fixture
def now(monkeypatch):
    """The time, to be put forward."""
    moment = [1_000_000.0]
    monkeypatch.setattr(time, "time", lambda: moment[0])
    with aws_with_table(monkeypatch, {}):
        yield moment


def test_a_teller_that_died_is_followed_by_the_first_repeat(now):
    told = NotificationLog(clients.metrics_table())
    assert told.begin(RINGS)
    now[0] += _NOTIFY_TIMEOUT_SECONDS + FIRST_REPEAT_SECONDS - 1
    assert told.begin(RINGS), "its right to tell has run out before the repeat comes"


def test_a_slow_teller_keeps_its_right_for_as_long_as_it_may_run(now):
    told = NotificationLog(clients.metrics_table())
    assert told.begin(RINGS)
    now[0] += max(_NOTIFY_TIMEOUT_SECONDS, slack._MOST_SECONDS)
    with pytest.raises(NotificationLeasedError, match="another invocation is telling Slack"):
        told.begin(RINGS)  # as a success this event would be gone, and with it the message


def test_what_was_told_is_no_news_and_what_was_given_back_is(now):
    told = NotificationLog(clients.metrics_table())
    assert told.begin(RINGS)
    told.release(RINGS)
    assert told.begin(RINGS)
    told.told(RINGS)
    now[0] += 3600
    assert not told.begin(RINGS)


def test_runs_and_alarms_are_told_by_the_same_lease():
    assert notification_log._LEASE_MS == TELL_LEASE_MS

"""A run that an operator cancels ends once, is told of once, and stays ended, whatever comes
late.
"""

from __future__ import annotations

import time
from typing import Any

import boto3
import pytest

from tests.workloads.functions.failed_jobs import CREATED_MS, RUN, attempt, claim, event, states
from workloads import operating
from workloads.contract import ContractError, Upload
from workloads.functions import notify, slack

UPLOAD = Upload(bucket="ingest", key="data/20260131/sales.csv", etag="e")


def request(**changes: Any) -> dict[str, Any]:
    detail = {
        "run_id": RUN.run_id,
        "attempt": 1,
        "request": "cancel-1",
        "by": "ada",
        "reason": "wrong file",
    }
    return {"detail-type": operating.RUN_CANCELLED_EVENT, "detail": detail | changes}


def test_it_ends_once_and_is_told_once(world):
    claim()
    assert notify.handler(request(), None)["outcome"] == "cancelled"
    item = states().get(RUN)
    assert (item["state"], item["failure"]["error"]) == (
        "CANCELLED",
        "ada cancelled the run: wrong file",
    )
    assert "batchref retry data/20260131/sales.csv" in item["failure"]["hint"]
    assert "told_at" in item
    assert notify.handler(request(), None)["outcome"] == "ended already"
    assert notify.handler(request(request="cancel-2"), None)["outcome"] == "ended already"
    (message,) = world.messages
    assert "sales 2026-01-31: the run was cancelled" in message["text"]


def test_the_ends_of_its_jobs_and_a_late_success_change_nothing(world):
    claim()
    notify.handler(request(), None)
    late = event(attempt(143), createdAt=CREATED_MS, statusReason="cancelled by ada")
    assert notify.handler(late, None)["outcome"] == "ended already"
    now_ms = int(time.time() * 1000)
    assert states().succeed(RUN, now_ms=now_ms, finished_at="-") is False, "a job that was faster"
    assert states().get(RUN)["state"] == "CANCELLED"
    assert len(world.messages) == 1


def test_a_request_that_comes_late_ends_no_later_attempt(world):
    claim()
    notify.handler(request(), None)
    claimed = states().claim(
        RUN, UPLOAD, token="u", now_ms=CREATED_MS, expires_ms=CREATED_MS + 1, again=True
    )
    assert not isinstance(claimed, str)
    assert claimed.attempt == 2
    assert notify.handler(request(request="cancel-2"), None)["outcome"] == "ended already"
    assert states().get(RUN)["state"] == "CLAIMED"
    done = notify.handler(request(request="cancel-3", attempt=2), None)
    assert done["outcome"] == "cancelled"


def test_slack_that_is_down_hears_of_it_by_the_next_delivery(world, monkeypatch):
    claim()
    world.planned = [(503, {})] * 20
    with pytest.raises(slack.SlackError):
        notify.handler(request(), None)
    assert states().get(RUN)["state"] == "CANCELLED", "what goes on can be stopped meanwhile"
    world.planned = []
    assert notify.handler(request(), None)["outcome"] == "cancelled"
    assert len(world.messages) == 1


def test_a_request_of_another_form_is_refused(world):
    with pytest.raises(ContractError, match="attempt"):
        notify.handler(request(attempt="first"), None)
    assert boto3.resource("dynamodb").Table("metrics").scan()["Items"] == []

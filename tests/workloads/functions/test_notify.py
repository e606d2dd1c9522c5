"""A failed job ends its run once, with a sentence that helps, whatever Batch sends and in whichever
order.
"""

from __future__ import annotations

import copy
import json
import re
import time
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from tests.workloads.functions.failed_jobs import (
    BUCKET,
    ENVIRONMENT,
    RUN,
    attempt,
    claim,
    event,
    states,
)
from workloads import contract
from workloads.functions import arrays, ending, notify, slack
from workloads.functions.reasons import Cause, explain, is_cascade
from workloads.functions.state_items import NotificationLeasedError
from workloads.functions.states import RunStates
from workloads.variables import ENV_RUN_ID, ENV_SLACK_WEBHOOK_SECRET_ARN

CASES = [
    (
        {"attempts": [attempt(status_reason="Host EC2 (instance i-0ab) terminated.")] * 3},
        "machine i-0ab went away .* last of 3 attempts",
    ),
    (
        {"statusReason": "Job attempt duration exceeded timeout", "attempts": [attempt(137)]},
        "ran longer than its timeout",
    ),
    (
        {"attempts": [attempt(137, "OutOfMemoryError: Container killed due to memory usage")]},
        "more memory than the job asks for",
    ),
    (
        {
            "attempts": [
                attempt(
                    reason="CannotPullContainerError: manifest unknown",
                    status_reason="Task failed to start",
                )
            ]
        },
        "image could not be pulled",
    ),
    (
        {
            "attempts": [
                attempt(
                    reason="ResourceInitializationError: unable to pull secrets",
                    status_reason="Task failed to start",
                )
            ]
        },
        "secrets or log group could not be prepared",
    ),
    (
        {
            "statusReason": (
                "Canceled by JobStateTimeLimit action due to reason:"
                " CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
            )
        },
        "no machine of the instance type",
    ),
    (
        {"statusReason": "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - CE(s) associated"},
        "more vCPUs than its compute environment",
    ),
    (
        {"statusReason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job resource"},
        "than any machine of its compute environment has",
    ),
    ({"attempts": [attempt(90)]}, "not all nodes of the job came together"),
    (
        {"attempts": [attempt(91)] * 2},
        r"a node of the job was lost .* \(exit code 91\), in the last of 2 attempts",
    ),
    ({"attempts": [attempt(137)]}, "out of memory"),
    ({"attempts": [attempt(42)]}, "ended with exit code 42"),
    (
        {"statusReason": "Terminated by ann: wrong file"},
        "ended before it ran: Terminated by ann: wrong file",
    ),
    ({}, "gives this reason: none"),
]


@pytest.mark.parametrize(("detail", "sentence"), CASES, ids=[sentence for _, sentence in CASES])
def test_known_failures_become_sentences(detail, sentence):
    cause = explain(
        {"statusReason": (detail.get("attempts") or [{}])[-1].get("statusReason", "")} | detail
    )
    assert re.search(sentence, cause.error), cause.error
    assert cause.hint
    assert "\n" not in cause.error + cause.hint


@pytest.mark.parametrize("reason", ["Dependent Job failed", "Dependent job job-1 failed"])
def test_cascades_are_known(reason):
    assert is_cascade({"statusReason": reason})
    assert not is_cascade({"statusReason": "Essential container in task exited"})
    assert not is_cascade({"statusReason": None})


def put_error(stage: str, at: str, error: str = "line 3 has 4 fields <5>") -> None:
    body = json.dumps({"stage": stage, "error": error, "hint": "mend the file", "at": at}).encode()
    boto3.client("s3").put_object(Bucket=BUCKET, Key=RUN.error_key(stage), Body=body)  # type: ignore[arg-type]


def test_the_stages_own_words_are_told_once_and_cascades_are_silent(world):
    claim()
    put_error("preprocess", "2026-02-02T02:41:20+00:00")
    failed = event(attempt(1))
    cascades = [
        event(stage=s, job_id=f"job-{s}", statusReason="Dependent Job failed")
        for s in ("analysis", "postprocess")
    ]
    answers = [
        notify.handler(e, None)["outcome"]
        for e in (cascades[1], failed, cascades[0], copy.deepcopy(failed), failed)
    ]
    assert answers == ["cascade", "failed", "ended already", "ended already", "ended already"]
    item = states().get(RUN)
    assert item["state"] == "FAILED"
    assert item["failure"]["error"] == "line 3 has 4 fields <5>"
    assert item["failure"]["stage"] == "preprocess"
    assert item["told_at"]
    assert len(world.messages) == 1
    text = json.dumps(world.messages[0], ensure_ascii=False)
    for part in (
        "sales 2026-01-31: preprocess failed",
        "Line 3 has 4 fields &lt;5&gt;",
        "Mend the file",
        RUN.run_id,
        "job-1",
    ):
        assert part in text
    assert f"`batchref logs {RUN.run_id} --stage preprocess" in text
    assert "#jobs/detail/job-1" in text


PARENT: dict[str, Any] = {
    "jobId": "array-1",
    "arrayProperties": {"size": 8},
    "attempts": [],
    "statusReason": "Array Child Job failed",
}


def child(index: int, *attempts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """AWS Batch keeps no tags for children."""
    return event(
        *attempts,
        stage="analysis",
        job_id=f"array-1:{index}",
        tags={},
        arrayProperties={"index": index},
        **changes,
    )


@pytest.fixture
def array(monkeypatch):
    """The parent as DescribeJobs shows it, and the failed child that ListJobs leads to."""
    found = {
        "parent": event(stage="analysis", **PARENT)["detail"],
        "child": child(5, attempt(1))["detail"],
    }
    monkeypatch.setattr(
        arrays,
        "describe",
        lambda _batch, ids: [found["parent"]] if list(ids) == ["array-1"] else [],
    )
    monkeypatch.setattr(arrays, "notifying_child", lambda _batch, _parent: found["child"])
    return found


@pytest.mark.parametrize("first", ["child", "parent"])
def test_a_failed_shard_and_its_array_are_one_message_in_any_order(world, array, first):
    claim()
    put_error("analysis", "2026-02-02T02:41:20+00:00", "shard 3 of 8: rank 0 of 1: not this one")
    of_child, of_parent = child(5, attempt(137)), event(stage="analysis", **PARENT)
    array["child"] = of_child["detail"]
    events = [of_child, of_parent] if first == "child" else [of_parent, of_child]
    after = event(stage="postprocess", job_id="job-3", statusReason="Dependent Job failed")
    assert [notify.handler(e, None)["outcome"] for e in (*events, after)] == [
        "failed",
        "ended already",
        "ended already",
    ]
    failure = states().get(RUN)["failure"]
    assert failure["error"].startswith(
        "shard 5 of 8: the process was killed from outside (SIGKILL)"
    )
    assert (failure["stage"], failure["job_id"]) == ("analysis", "array-1:5")
    (message,) = world.messages
    assert "shard 5 of 8" in json.dumps(message)


def test_the_words_of_the_shard_that_failed_are_told(world, array):
    put_error("analysis", "2026-02-02T02:41:20+00:00", "shard 5 of 8: unit 3 is damaged")
    assert notify.handler(child(5, attempt(1)), None)["error"] == "shard 5 of 8: unit 3 is damaged"


def test_an_array_that_failed_with_the_job_before_it_and_one_that_a_fallback_follows_are_silent(
    world, array
):
    array["child"] = child(0, statusReason="Dependent Job failed")["detail"]
    assert notify.handler(event(stage="analysis", **PARENT), None)["outcome"] == "cascade"
    assert (
        notify.handler(child(0, statusReason="Dependent Job failed"), None)["outcome"] == "cascade"
    )
    tags = {**array["parent"]["tags"], contract.FALLBACK_TAG: "follows"}
    array["parent"] = {**array["parent"], "tags": tags}
    array["child"] = child(5, attempt(1))["detail"]
    assert notify.handler(child(5, attempt(1)), None)["outcome"] == "fallback"
    assert (
        notify.handler(event(stage="analysis", **{**PARENT, "tags": tags}), None)["outcome"]
        == "fallback"
    )
    assert (world.messages, states().get(RUN)) == ([], {})


def test_an_error_record_of_an_earlier_attempt_does_not_explain_a_lost_host(world):
    put_error("preprocess", "2026-02-02T02:30:00+00:00")  # before the last attempt began
    notify.handler(
        event(attempt(1), attempt(status_reason="Host EC2 (instance i-0ab) terminated.")), None
    )
    assert "machine i-0ab went away" in states().get(RUN)["failure"]["error"]


def test_a_run_submitted_by_hand_is_ended_and_told(world):
    """No state item, no tags, own job name; a multi-node job has its environment in the node
    ranges.
    """
    container = {"environment": ENVIRONMENT, "command": ["python", "-m", "workloads.analysis"]}
    by_hand = event(
        attempt(91),
        jobName="try-3",
        tags={},
        container=None,
        nodeProperties={"nodeRangeProperties": [{"targetNodes": "0:", "container": container}]},
    )
    assert notify.handler(by_hand, None)["outcome"] == "failed"
    item = states().get(RUN)
    assert (item["state"], item["run_id"], item["failure"]["stage"]) == (
        "FAILED",
        RUN.run_id,
        "analysis",
    )
    assert "analysis failed" in world.messages[0]["text"]


@pytest.mark.parametrize("known", [True, False])
def test_the_log_of_a_run_that_an_upload_began_is_shown_by_our_own_command(world, known):
    cause, detail = Cause(error="e", hint="h"), event(attempt(1))["detail"]
    message = notify.failure_message(
        RUN, "preprocess", cause, detail, None, region="eu-west-1", known=known
    )
    text = json.dumps(message.payload())
    assert (f"batchref logs {RUN.run_id} --stage preprocess" in text) == known
    assert ("aws logs get-log-events" in text) == (not known)


def test_slack_being_down_leaves_the_run_failed_and_the_next_delivery_tells(world):
    world.planned = [(500, {})] * 5
    with pytest.raises(slack.SlackError):
        notify.handler(event(attempt(42)), None)
    assert states().get(RUN)["state"] == "FAILED"
    assert notify.handler(event(attempt(42)), None)["outcome"] == "failed"
    assert notify.handler(event(attempt(42)), None)["outcome"] == "ended already"
    assert len(world.messages) == 1


def test_a_crash_before_telling_is_made_good_after_the_lease(world, monkeypatch):
    class Crash(BaseException):
        pass

    def die(*_: Any, **__: Any) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(ending, "tell", die)
        patch.setattr(RunStates, "release", lambda *_: None)
        with pytest.raises(Crash):
            notify.handler(event(attempt(42)), None)
    monkeypatch.setattr(ending, "_PATIENCE_SECONDS", 0.0)
    with pytest.raises(
        NotificationLeasedError
    ):  # the lease still runs; whoever swallowed this event now would lose the message
        notify.handler(event(attempt(42)), None)
    later = time.time() + 200
    monkeypatch.setattr(
        ending,
        "time",
        SimpleNamespace(time=lambda: later, monotonic=time.monotonic, sleep=time.sleep),
    )
    assert notify.handler(event(attempt(42)), None)["outcome"] == "failed"
    assert len(world.messages) == 1


def test_a_new_try_after_a_failure_is_told_and_a_late_event_after_success_is_not(world):
    notify.handler(event(attempt(42)), None)
    ended_ms = int(states().get(RUN)["ended_ms"])
    again = event(attempt(43), job_id="job-9", createdAt=ended_ms + 1000)
    assert notify.handler(again, None)["outcome"] == "failed"
    assert len(world.messages) == 2
    states().succeed(RUN, now_ms=ended_ms + 5000, finished_at="x")
    late = event(attempt(42), stage="postprocess", job_id="job-10", createdAt=ended_ms + 2000)
    assert notify.handler(late, None)["outcome"] == "ended already"
    item = states().get(RUN)
    assert item["state"] == "SUCCEEDED"
    assert "failure" not in item
    assert len(world.messages) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"tags": {}, "container": {"environment": []}},
        {
            "tags": {},
            "container": {"environment": [{"name": ENV_RUN_ID, "value": "nonsense"}]},
        },
        {"jobId": "job-1#2"},
        {"status": "SUCCEEDED"},
    ],
)
def test_jobs_that_are_no_run_of_ours_are_ignored(world, changes):
    assert notify.handler(event(attempt(1), **changes), None) == {"outcome": "ignored"}
    assert world.messages == []
    assert states().get(RUN) == {}


def test_without_a_webhook_nobody_is_told(world, monkeypatch):
    monkeypatch.setenv(ENV_SLACK_WEBHOOK_SECRET_ARN, "")
    assert notify.handler(event(attempt(1)), None)["outcome"] == "failed"
    assert states().get(RUN)["state"] == "FAILED"
    assert world.attempts == 0


def test_a_blocked_queue_is_told_once_for_each_reason(world):
    def blocked(reason: str) -> dict[str, Any]:
        detail = {
            "jobId": "job-9",
            "jobName": "try",
            "jobQueue": "arn:aws:batch:eu-west-1:1:job-queue/gpu",
            "statusReason": reason,
        }
        return {"detail-type": "Batch Job Queue Blocked", "region": "eu-west-1", "detail": detail}

    no_machine = (
        "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - Service cannot fulfill the capacity requested"
    )
    world.planned = [(500, {})] * 5
    with pytest.raises(slack.SlackError):
        notify.handler(blocked(no_machine), None)
    assert [notify.handler(blocked(no_machine), None)["outcome"] for _ in range(2)] == [
        "blocked",
        "told already",
    ]
    assert (
        notify.handler(blocked("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - too large"), None)[
            "outcome"
        ]
        == "blocked"
    )
    first, second = (json.dumps(message) for message in world.messages)
    assert "Queue gpu is blocked: AWS had no machine of the instance type" in first
    assert "lower what the stage asks for" in second

"""One upload, exactly one run: under duplicates, in parallel, and with a crash between any two
steps.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import botocore.client
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.workloads.functions.metrics_table import metrics_table
from tests.workloads.functions.submit.conftest import (
    LIST_JOBS_LAG_SECONDS,
    RUN,
    TIMEOUT_SECONDS,
    World,
    assert_one_whole_run,
    event,
    install,
    state,
)
from workloads.functions import states, submit


class Crash(BaseException):
    """The sandbox is gone: no `except` clause of the function runs."""


CALLS = 7  # claim, three times SubmitJob and write_jobs


def crash_at(crash_step: int) -> Callable[[int], None]:
    def at_step(step: int) -> None:
        if step == crash_step:
            raise Crash

    return at_step


def test_there_are_as_many_steps_as_the_crash_tests_think(world):
    submit.handler(event(), world.context())
    assert world.steps == 2 * CALLS


@given(
    crashes=st.lists(
        st.tuples(st.integers(1, 2 * CALLS), st.sampled_from([1.0, 30.0, 90.0, 3600.0])),
        min_size=1,
        max_size=4,
    )
)
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_crashes_between_any_steps_leave_exactly_one_run(aws, crashes):
    with pytest.MonkeyPatch.context() as patch:
        world = install(aws, patch)
        # an invocation that waits looks fourteen times and more, so that it comes to every step
        patch.setattr(submit, "_POLL_SECONDS", 4.0)
        for step, pause in crashes:
            world.steps, world.at_step = 0, crash_at(step)
            with suppress(Crash, RuntimeError):
                submit.handler(event(), world.context())
            world.now += pause
        world.at_step = lambda _: None
        for _ in range(3):  # Lambda's deliveries, a minute apart
            try:
                submit.handler(event(), world.context())
                break
            except RuntimeError:
                world.now += 60
        assert_one_whole_run(world)


def test_every_single_crash_point(aws):
    for step in range(1, 2 * CALLS + 1):
        with pytest.MonkeyPatch.context() as patch:
            world = install(aws, patch)
            world.at_step = crash_at(step)
            with pytest.raises(Crash):
                submit.handler(event(), world.context())
            world.at_step = lambda _: None
            world.now += TIMEOUT_SECONDS
            submit.handler(event(), world.context())
            assert_one_whole_run(world)


def test_a_duplicate_at_any_step_submits_nothing(aws):
    refused: list[int] = []
    for step in range(1, 2 * CALLS + 1):
        with pytest.MonkeyPatch.context() as patch:
            world = install(aws, patch)
            outcomes: list[str] = []

            def duplicate(
                found: int, world: World = world, step: int = step, outcomes: list[str] = outcomes
            ) -> None:
                if found != step:
                    return
                world.at_step = lambda _: None
                before = len(world.jobs)
                try:
                    outcomes.append(submit.handler(event(), world.context(seconds=4.0))["outcome"])
                except RuntimeError as error:
                    outcomes.append(str(error))
                    refused.append(len(world.jobs) - before)

            world.at_step = duplicate
            submit.handler(event(), world.context())
            assert len(outcomes) == 1
            assert (
                outcomes[0] in {"submitted", "exists"} or "has to be delivered again" in outcomes[0]
            )
            assert_one_whole_run(world)
    assert refused == [0] * (
        2 * CALLS - 2
    )  # before the claim the duplicate wins, after the last write it finds SUBMITTED


def test_a_frozen_invocation_that_wakes_up_after_a_takeover_stops(world):
    def freeze(step: int) -> None:
        if step != 4:  # the first job is submitted and not written down
            return
        world.now += 3600
        world.steps, world.at_step = (
            0,
            crash_at(3),
        )  # the one that takes over dies right after its claim
        with pytest.raises(Crash):
            submit.handler(event(), world.context())
        world.at_step = lambda _: None

    world.at_step = freeze
    assert submit.handler(event(), world.context())["outcome"] == "claim lost"
    assert len(world.jobs) == 1
    world.now += 3600
    assert submit.handler(event(), world.context())["outcome"] == "submitted"
    assert_one_whole_run(world)


def test_parallel_deliveries_submit_once(world, monkeypatch):
    client_class: Any = botocore.client.BaseClient
    atomic, original = threading.RLock(), client_class._make_api_call

    def one_at_a_time(
        *args: Any, **kwargs: Any
    ) -> Any:  # DynamoDB is atomic for each item, moto is not
        with atomic:
            return original(*args, **kwargs)

    monkeypatch.setattr(client_class, "_make_api_call", one_at_a_time)
    monkeypatch.setattr(
        submit, "time", SimpleNamespace(time=lambda: world.now, sleep=threading.Event().wait)
    )
    monkeypatch.setattr(submit, "_POLL_SECONDS", 0.02)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: submit.handler(event(), world.context()), range(6)))
    assert sorted(answer["outcome"] for answer in answers) == ["exists"] * 5 + ["submitted"]
    assert_one_whole_run(world)


def test_a_lost_answer_of_submit_job_is_found_by_name(world, monkeypatch):
    submitted: Callable[..., dict[str, str]] = world.submit_job

    def answer_lost(**request: Any) -> dict[str, str]:
        answer = submitted(**request)
        if len(world.jobs) == 2:
            raise ClientError(
                {"Error": {"Code": "ServerException", "Message": "internal"}}, "SubmitJob"
            )
        return answer

    monkeypatch.setattr(world, "submit_job", answer_lost)
    with pytest.raises(ClientError):
        submit.handler(event(), world.context())
    monkeypatch.setattr(world, "submit_job", submitted)
    world.now += (
        60  # Lambda's first retry; the claim was to last 75 s and has been given up earlier
    )
    assert submit.handler(event(), world.context())["outcome"] == "submitted"
    assert_one_whole_run(world)


@pytest.mark.parametrize(
    ("status", "operation", "waits"),
    [
        (403, "SubmitJob", False),
        (400, "StartExecution", False),
        (500, "SubmitJob", True),
        (400, "PutItem", True),  # what was submitted may not be written down
    ],
)
def test_the_next_delivery_waits_for_list_jobs_only_where_a_job_may_be_unwritten(
    world, monkeypatch, status, operation, waits
):
    submitted: Callable[..., dict[str, str]] = world.submit_job
    answer: Any = {
        "Error": {"Code": "Any", "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }

    def refused(**request: Any) -> dict[str, str]:
        if len(world.jobs) == 1:
            raise ClientError(answer, operation)
        return submitted(**request)

    monkeypatch.setattr(world, "submit_job", refused)
    with pytest.raises(ClientError, match="no"):
        submit.handler(event(), world.context())
    monkeypatch.setattr(world, "submit_job", submitted)
    began = world.now = world.now + 0.2
    assert submit.handler(event(), world.context())["outcome"] == "submitted"
    assert (world.now - began >= LIST_JOBS_LAG_SECONDS) is waits
    assert_one_whole_run(world)


def test_jobs_of_an_earlier_try_by_hand_are_not_adopted(world):
    world.jobs.append(
        {
            "jobName": RUN.job_name("preprocess"),
            "jobQueue": "preprocess-queue",
            "jobId": "by-hand",
            "createdAt": 1,
        }
    )
    world.at_step = crash_at(3)
    with pytest.raises(Crash):
        submit.handler(event(), world.context())
    world.at_step = lambda _: None
    world.now += TIMEOUT_SECONDS * 2
    answer = submit.handler(event(), world.context())
    assert "by-hand" not in answer["jobs"].values()
    assert len(world.jobs) == 4


def test_throttled_submits_are_repeated(world):
    world.throttles = 3
    submit.handler(event(), world.context())
    assert_one_whole_run(world)


def test_a_run_that_fails_while_it_is_being_submitted_stays_failed(world):
    def fail(step: int) -> None:
        if step == 2 * CALLS - 1:
            states.RunStates(metrics_table()).fail(RUN, {"job_id": "job-0"}, created_ms=1, now_ms=2)

    world.at_step = fail
    assert submit.handler(event(), world.context())["outcome"] == "claim lost"
    assert state()["state"] == "FAILED"

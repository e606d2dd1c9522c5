"""One upload, exactly one run: under duplicates, in parallel, and with a crash between any two
steps.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.client
import pytest
from botocore.exceptions import ClientError
from botocore.session import get_session
from botocore.validate import ParamValidator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.workloads.functions.metrics_table import (
    TABLE,
    aws_with_table,
    fresh_table,
    webhook_secret,
)
from tests.workloads.functions.slack_server import slack_server
from workloads import contract
from workloads.contract import STAGES, ContractError, Run, Upload
from workloads.functions import pauses, slack, states, submit

TIMEOUT_SECONDS, LIST_JOBS_LAG_SECONDS = 60.0, 10.0
UPLOAD = Upload(bucket="ingest", key="data/20260131/Sales EU.csv", etag="0123", version_id="v1")
RUN = Run(UPLOAD.run_id)
ARN = "arn:aws:batch:eu-west-1:123456789012:job-definition"
_SUBMIT_SHAPE: Any = (
    get_session().get_service_model("batch").operation_model("SubmitJob").input_shape
)


class Crash(BaseException):
    """The sandbox is gone: no `except` clause of the function runs."""


@dataclass
class World:
    """Batch as it is seen by the function, its clock, and the steps at which something is planned
    to happen.
    """

    now: float = 1_770_000_000.0
    jobs: list[dict[str, Any]] = field(default_factory=list)
    steps: int = 0
    at_step: Callable[[int], None] = lambda _: None
    throttles: int = 0

    def step(self) -> None:
        self.steps += 1
        self.at_step(self.steps)

    def submit_job(self, **request: Any) -> dict[str, str]:
        report = ParamValidator().validate(request, _SUBMIT_SHAPE)
        assert not report.has_errors(), report.generate_report()
        if self.throttles:
            self.throttles -= 1
            raise ClientError(
                {"Error": {"Code": "TooManyRequestsException", "Message": "slow down"}}, "SubmitJob"
            )
        self.step()
        job_id = f"job-{len(self.jobs)}"
        self.jobs.append({**request, "jobId": job_id, "createdAt": int(self.now * 1000)})
        self.step()
        return {"jobId": job_id}

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_jobs"
        return SimpleNamespace(paginate=self._pages)

    def _pages(self, *, jobQueue: str, filters: list[dict[str, Any]]) -> list[dict[str, Any]]:  # noqa: N803
        wanted = filters[0]["values"][0].lower()
        shown = [
            {"jobName": job["jobName"], "jobId": job["jobId"], "createdAt": job["createdAt"]}
            for job in self.jobs
            if job["jobQueue"] == jobQueue
            and job["jobName"].lower() == wanted
            and job["createdAt"] / 1000 <= self.now - LIST_JOBS_LAG_SECONDS
        ]
        return [{"jobSummaryList": [job]} for job in shown] or [{"jobSummaryList": []}]

    def context(self, seconds: float = TIMEOUT_SECONDS) -> Any:
        deadline = self.now + seconds
        return SimpleNamespace(
            get_remaining_time_in_millis=lambda: max(0, int((deadline - self.now) * 1000))
        )

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def aws(monkeypatch):
    environ = {
        contract.ENV_JOB_QUEUES: json.dumps({stage: f"{stage}-queue" for stage in STAGES}),
        contract.ENV_JOB_DEFINITIONS: json.dumps(
            {s: {"name": f"{ARN}/{s}", "multi_node": s == "analysis"} for s in STAGES}
        ),
        contract.ENV_SHARE_IDENTIFIERS: json.dumps({"preprocess": "daily"}),
        contract.ENV_SLACK_WEBHOOK_SECRET_ARN: "",
    }
    with aws_with_table(monkeypatch, environ):
        yield fresh_table


@pytest.fixture
def world(aws, monkeypatch):
    return install(aws, monkeypatch)


def install(fresh: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> World:
    """A world with an empty table, whose Batch and whose clock the function sees."""
    fresh()
    world = World()
    real = boto3.client

    def client(service: str, **options: Any) -> Any:
        if service != "batch":
            return real(service, **options)  # type: ignore[call-overload]
        assert options["config"].retries == {
            "total_max_attempts": 1
        }  # botocore must not repeat a SubmitJob that may have worked
        return world

    monkeypatch.setattr(boto3, "client", client)
    monkeypatch.setattr(submit, "time", SimpleNamespace(time=lambda: world.now, sleep=world.sleep))
    for name in ("claim", "write_jobs"):
        original = getattr(states.RunStates, name)

        def stepped(*args: Any, _original: Any = original, **kwargs: Any) -> Any:
            world.step()
            result = _original(*args, **kwargs)
            world.step()
            return result

        monkeypatch.setattr(states.RunStates, name, stepped)
    return world


def event(key: str = UPLOAD.key, **changes: Any) -> dict[str, Any]:
    found = {
        "key": key,
        "size": 10,
        "etag": UPLOAD.etag,
        "version-id": UPLOAD.version_id,
        "sequencer": "0",
    } | changes
    return {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": UPLOAD.bucket}, "object": found},
    }


def state() -> dict[str, Any]:
    return states.RunStates(boto3.resource("dynamodb").Table(TABLE)).get(RUN)


def assert_one_whole_run(world: World) -> None:
    assert [job["jobName"] for job in world.jobs] == [RUN.job_name(stage) for stage in STAGES]
    assert [job.get("dependsOn") for job in world.jobs] == [
        None,
        [{"jobId": "job-0"}],
        [{"jobId": "job-1"}],
    ]
    item = state()
    assert item["state"] == "SUBMITTED"
    assert item["jobs"] == {"preprocess": "job-0", "analysis": "job-1", "postprocess": "job-2"}


def test_an_upload_becomes_three_dependent_jobs(world):
    answer = submit.handler(event(), world.context())
    assert answer["outcome"] == "submitted"
    assert_one_whole_run(world)
    first, second, third = world.jobs
    environment = [
        {"name": contract.ENV_RUN_ID, "value": RUN.run_id},
        {"name": contract.ENV_INPUT_KEY, "value": UPLOAD.key},
        {"name": contract.ENV_INPUT_VERSION_ID, "value": "v1"},
    ]
    assert (
        first["containerOverrides"] == third["containerOverrides"] == {"environment": environment}
    )
    no_array = {
        "name": contract.ENV_SHARDS,
        "value": "1",
    }  # whatever the newest job definition says
    overrides = {
        "targetNodes": "0:",
        "containerOverrides": {"environment": [*environment, no_array]},
    }
    assert second["nodeOverrides"] == {"nodePropertyOverrides": [overrides]}
    assert "containerOverrides" not in second
    assert [job.get("shareIdentifier") for job in world.jobs] == ["daily", None, None]
    assert [job["jobQueue"] for job in world.jobs] == [
        "preprocess-queue",
        "analysis-queue",
        "postprocess-queue",
    ]
    assert second["tags"] == {contract.RUN_ID_TAG: RUN.run_id, contract.STAGE_TAG: "analysis"}
    assert all(job["propagateTags"] for job in world.jobs)


def test_an_ended_run_begins_again_at_a_stage_where_somebody_says_so(world):
    submit.handler(event(), world.context())
    states.RunStates(boto3.resource("dynamodb").Table(TABLE)).fail(
        RUN, {"job_id": "j", "error": "e"}, created_ms=0, now_ms=int(time.time() * 1000)
    )
    whole = len(world.jobs)
    asked = event()
    asked["detail"] |= {"from": "postprocess"}
    with pytest.raises(ContractError, match="only a run that begins again"):
        submit.handler(asked, world.context())
    asked["detail"] |= {"again": True, "from": "nowhere"}
    with pytest.raises(ContractError, match="preprocess, analysis, postprocess"):
        submit.handler(asked, world.context())
    asked["detail"]["from"] = "postprocess"
    assert list(submit.handler(asked, world.context())["jobs"]) == ["postprocess"]
    (last,) = world.jobs[whole:]
    assert last["jobName"] == RUN.job_name("postprocess", 2)
    assert "dependsOn" not in last


def test_an_analysis_of_shards_is_an_array_that_knows_its_size_and_is_waited_for_as_a_whole(
    world, monkeypatch
):
    definitions = {
        s: {"name": f"{ARN}/{s}", "multi_node": False, "shards": 12 if s == "analysis" else 1}
        for s in STAGES
    }
    monkeypatch.setenv(contract.ENV_JOB_DEFINITIONS, json.dumps(definitions))
    submit.handler(event(), world.context())
    assert_one_whole_run(world)
    preprocess, analysis, postprocess = world.jobs
    assert [job.get("arrayProperties") for job in world.jobs] == [None, {"size": 12}, None]
    variables = {
        each["name"]: each["value"] for each in analysis["containerOverrides"]["environment"]
    }
    assert variables[contract.ENV_SHARDS] == "12"
    assert contract.ENV_SHARDS not in json.dumps([preprocess, postprocess])


@pytest.mark.parametrize("end", ["SUBMITTED", "SUCCEEDED", "FAILED"])
def test_a_second_event_changes_nothing(world, end):
    submit.handler(event(), world.context())
    run_states = states.RunStates(boto3.resource("dynamodb").Table(TABLE))
    if end == "SUCCEEDED":
        run_states.succeed(RUN, now_ms=1, finished_at="x")
    elif end == "FAILED":
        assert run_states.fail(RUN, {"job_id": "job-0"}, created_ms=1, now_ms=1)
    before = state()
    answer = submit.handler(event(**{"version-id": "v2"}), world.context())  # the same bytes again
    assert answer == {
        "outcome": "exists",
        "run_id": RUN.run_id,
        "state_key": RUN.state_key,
        "state": end,
    }
    assert state() == before
    assert len(world.jobs) == 3


def test_changed_bytes_are_another_run(world):
    submit.handler(event(), world.context())
    answer = submit.handler(event(etag="4567"), world.context())
    assert answer["run_id"] != RUN.run_id
    assert len(world.jobs) == 6


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
            states.RunStates(boto3.resource("dynamodb").Table(TABLE)).fail(
                RUN, {"job_id": "job-0"}, created_ms=1, now_ms=2
            )

    world.at_step = fail
    assert submit.handler(event(), world.context())["outcome"] == "claim lost"
    assert state()["state"] == "FAILED"


def pause() -> None:
    boto3.resource("dynamodb").Table(TABLE).put_item(Item={**pauses.KEY, "by": "ada"})


def test_an_upload_waits_while_the_pipeline_is_paused_and_begins_afterwards(world):
    pause()
    for _ in range(2):
        assert submit.handler(event(), world.context())["outcome"] == "waiting"
    assert (state()["state"], world.jobs) == ("WAITING", [])
    boto3.resource("dynamodb").Table(TABLE).delete_item(Key=pauses.KEY)
    assert submit.handler(event(), world.context())["outcome"] == "submitted"
    assert_one_whole_run(world)


def test_a_run_under_way_goes_on_under_a_pause_and_an_ended_one_does_not_begin_again(world):
    assert submit.handler(event(), world.context())["outcome"] == "submitted"
    pause()
    assert submit.handler(event(), world.context())["outcome"] == "exists"
    states.RunStates(boto3.resource("dynamodb").Table(TABLE)).succeed(
        RUN, now_ms=int(world.now * 1000), finished_at="-"
    )
    again = event()
    again["detail"]["again"] = True
    assert submit.handler(again, world.context())["outcome"] == "paused"
    assert state()["state"] == "SUCCEEDED"


def test_a_pause_that_ends_while_an_upload_is_being_noted_loses_nothing(world, monkeypatch):
    pause()
    looks = []

    def ends(table: Any) -> bool:
        looks.append(table)
        return len(looks) == 1

    monkeypatch.setattr(pauses, "is_paused", ends)
    assert submit.handler(event(), world.context())["outcome"] == "submitted"
    assert_one_whole_run(world)


def test_objects_that_nobody_meant_as_uploads_are_passed_over(world):
    for key in ("other/20260131/x.csv", "data/20260131/", "data/"):
        assert submit.handler(event(key), world.context()) == {"outcome": "ignored"}
    assert world.jobs == []


@pytest.fixture
def slack_channel(world, monkeypatch):
    with slack_server() as server:
        webhook_secret(monkeypatch, server.url)
        yield server


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("data/20260231/<b>.csv", "20260231 is not a calendar date"),
        ("data/2026-01-31/a.csv", "2026-01-31 is not a calendar date"),
        ("data/20260131/a/b.csv", "it is below a folder &lt;YYYYMMDD&gt;"),
        ("data/a.csv", "it is not in a folder &lt;YYYYMMDD&gt;"),
        ("data/20260131/readme.txt", "its name does not end with .csv, .tsv, .csv.gz or .tsv.gz"),
        ("data/20260131/a.csv.zip", "its name does not end with"),
        ("data/20260131/a", "its name does not end with"),
        ("data/20260131/.csv", "it has no name before its ending"),
        ("data/20260131/a\x1b]0;b\u202e.csv", "its name holds control characters"),
    ],
)
def test_what_lies_among_uploads_and_is_none_is_told_once(world, slack_channel, key, says):
    answers = [submit.handler(event(key), world.context()) for _ in range(2)]
    assert [answer["outcome"] for answer in answers] == ["refused"] * 2
    (message,) = slack_channel.messages
    assert says in message["text"]
    assert message["text"].isprintable()
    assert "<b>" not in message["text"]
    assert world.jobs == []


def test_a_refusal_that_slack_did_not_take_is_told_by_the_next_delivery(world, slack_channel):
    slack_channel.planned = [(403, {})]
    with pytest.raises(slack.SlackError):
        submit.handler(event("data/20260131/a.txt"), world.context())
    assert submit.handler(event("data/20260131/a.txt"), world.context())["outcome"] == "refused"
    assert len(slack_channel.messages) == 1


@pytest.mark.parametrize(
    "name",
    [
        "Sales.Csv",
        "売上.csv",
        "ünï ✓.csv",
        "!!!.csv",
        "a+b%20c d.tsv",
        "SALES.CSV.GZ",
        f"{'x' * 200}.csv",
    ],
)
def test_a_name_in_any_script_begins_a_run_that_aws_batch_takes(world, name):
    answer = submit.handler(event(f"data/20260131/{name}"), world.context())
    assert answer["outcome"] == "submitted"
    assert re.fullmatch(r"[A-Za-z0-9][\w-]{0,127}", world.jobs[-1]["jobName"], re.ASCII)
    variables = {
        pair["name"]: pair["value"] for pair in world.jobs[0]["containerOverrides"]["environment"]
    }
    assert variables["PIPELINE_INPUT_KEY"] == f"data/20260131/{name}"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (contract.ENV_JOB_QUEUES, "{", "PIPELINE_JOB_QUEUES is not JSON"),
        (
            contract.ENV_JOB_QUEUES,
            '{"preprocess": "q"}',
            "PIPELINE_JOB_QUEUES says nothing of analysis, postprocess",
        ),
        (
            contract.ENV_JOB_DEFINITIONS,
            json.dumps(dict.fromkeys(STAGES, "arn")),
            "PIPELINE_JOB_DEFINITIONS: preprocess is 'arn'",
        ),
        (contract.ENV_TABLE, "", "PIPELINE_TABLE is not set"),
    ],
)
def test_a_wrong_environment_is_one_sentence(world, monkeypatch, name, value, sentence):
    monkeypatch.setenv(name, value)
    with pytest.raises(ContractError, match=sentence):
        submit.handler(event(), world.context())
    assert state() == {}

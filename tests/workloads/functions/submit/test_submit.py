"""What becomes of an upload: its run and jobs, a second event, a pause, and what is no upload."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from tests.workloads.functions.metrics_table import metrics_table, webhook_secret
from tests.workloads.functions.slack_server import slack_server
from tests.workloads.functions.submit.conftest import (
    ARN,
    RUN,
    UPLOAD,
    assert_one_whole_run,
    event,
    state,
)
from workloads import contract
from workloads.contract import STAGES, ContractError
from workloads.functions import pauses, slack, states, submit
from workloads.variables import (
    ENV_INPUT_KEY,
    ENV_INPUT_VERSION_ID,
    ENV_JOB_DEFINITIONS,
    ENV_JOB_QUEUES,
    ENV_RUN_ID,
    ENV_SHARDS,
    ENV_TABLE,
)


def test_an_upload_becomes_three_dependent_jobs(world):
    answer = submit.handler(event(), world.context())
    assert answer["outcome"] == "submitted"
    assert_one_whole_run(world)
    first, second, third = world.jobs
    environment = [
        {"name": ENV_RUN_ID, "value": RUN.run_id},
        {"name": ENV_INPUT_KEY, "value": UPLOAD.key},
        {"name": ENV_INPUT_VERSION_ID, "value": "v1"},
    ]
    assert (
        first["containerOverrides"] == third["containerOverrides"] == {"environment": environment}
    )
    no_array = {
        "name": ENV_SHARDS,
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
    states.RunStates(metrics_table()).fail(
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
    monkeypatch.setenv(ENV_JOB_DEFINITIONS, json.dumps(definitions))
    submit.handler(event(), world.context())
    assert_one_whole_run(world)
    preprocess, analysis, postprocess = world.jobs
    assert [job.get("arrayProperties") for job in world.jobs] == [None, {"size": 12}, None]
    variables = {
        each["name"]: each["value"] for each in analysis["containerOverrides"]["environment"]
    }
    assert variables[ENV_SHARDS] == "12"
    assert ENV_SHARDS not in json.dumps([preprocess, postprocess])


@pytest.mark.parametrize("end", ["SUBMITTED", "SUCCEEDED", "FAILED"])
def test_a_second_event_changes_nothing(world, end):
    submit.handler(event(), world.context())
    run_states = states.RunStates(metrics_table())
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


def pause() -> None:
    metrics_table().put_item(Item={**pauses.KEY, "by": "ada"})


def test_an_upload_waits_while_the_pipeline_is_paused_and_begins_afterwards(world):
    pause()
    for _ in range(2):
        assert submit.handler(event(), world.context())["outcome"] == "waiting"
    assert (state()["state"], world.jobs) == ("WAITING", [])
    metrics_table().delete_item(Key=pauses.KEY)
    assert submit.handler(event(), world.context())["outcome"] == "submitted"
    assert_one_whole_run(world)


def test_a_run_under_way_goes_on_under_a_pause_and_an_ended_one_does_not_begin_again(world):
    assert submit.handler(event(), world.context())["outcome"] == "submitted"
    pause()
    assert submit.handler(event(), world.context())["outcome"] == "exists"
    states.RunStates(metrics_table()).succeed(RUN, now_ms=int(world.now * 1000), finished_at="-")
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
        (ENV_JOB_QUEUES, "{", "PIPELINE_JOB_QUEUES is not JSON"),
        (
            ENV_JOB_QUEUES,
            '{"preprocess": "q"}',
            "PIPELINE_JOB_QUEUES says nothing of analysis, postprocess",
        ),
        (
            ENV_JOB_DEFINITIONS,
            json.dumps(dict.fromkeys(STAGES, "arn")),
            "PIPELINE_JOB_DEFINITIONS: preprocess is 'arn'",
        ),
        (ENV_TABLE, "", "PIPELINE_TABLE is not set"),
    ],
)
def test_a_wrong_environment_is_one_sentence(world, monkeypatch, name, value, sentence):
    monkeypatch.setenv(name, value)
    with pytest.raises(ContractError, match=sentence):
        submit.handler(event(), world.context())
    assert state() == {}

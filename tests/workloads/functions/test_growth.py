"""A run whose job was killed for its memory begins again with more, once for each job, whatever
events come.
"""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from tests.workloads.functions.failed_jobs import RUN, attempt, claim, event, states
from workloads.contract import ContractError
from workloads.functions import clients, growth, notify, state_items
from workloads.variables import ENV_MEMORY_GROWTH, ENV_SUBMIT_FUNCTION

OUT_OF_MEMORY = attempt(137, "OutOfMemoryError: Container killed due to memory usage")
STEPS = {"preprocess": [2048, 4096], "analysis": [65_536]}


class Functions:
    """AWS Lambda, as the notify function sees it."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def invoke(self, **request: Any) -> None:
        assert request["FunctionName"] == "submit"
        assert request["InvocationType"] == "Event"
        self.asked.append(json.loads(request["Payload"])["detail"])


class Jobs:
    """AWS Batch with the descriptions of some jobs, of which the last has failed."""

    def __init__(self, described: dict[str, Any]) -> None:
        self.described = described

    def describe_jobs(self, *, jobs: list[str]) -> dict[str, Any]:
        return {"jobs": [self.described[job] for job in jobs if job in self.described]}

    def get_paginator(self, _: str) -> Jobs:
        return self

    def paginate(self, **_: Any) -> Any:
        yield {"jobSummaryList": [{"jobId": list(self.described)[-1], "stoppedAt": 1}]}


@pytest.fixture
def functions(world: Any, monkeypatch: pytest.MonkeyPatch) -> Functions:
    claim()
    note(state="SUBMITTED", jobs={"preprocess": "job-1", "analysis": "a"})
    found = Functions()
    monkeypatch.setattr(clients, "functions", lambda: found)
    monkeypatch.setenv(ENV_SUBMIT_FUNCTION, "submit")
    monkeypatch.setenv(ENV_MEMORY_GROWTH, json.dumps(STEPS))
    return found


def note(**attributes: Any) -> None:
    """Attributes of the run's state item."""
    table = states().table
    for name, value in attributes.items():
        table.update_item(
            Key=RUN.state_key,
            UpdateExpression="SET #name = :value",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":value": value},
        )


def test_the_submit_function_is_asked_and_nobody_told(functions: Functions, world: Any) -> None:
    answer = notify.handler(event(OUT_OF_MEMORY), None)
    assert (answer["outcome"], answer["memory_mib"]) == ("begins again", 2048)
    assert functions.asked == [
        {
            "bucket": {"name": "ingest"},
            "object": {"key": "data/20260131/sales.csv", "etag": "e"},
            "killed": {"stage": "preprocess", "job_id": "job-1"},
        }
    ]
    assert states().get(RUN)["state"] == "SUBMITTED"
    assert world.messages == []


@pytest.mark.parametrize(
    ("failed", "killed"),
    [
        (event(attempt(1)), []),
        (event(attempt(137)), []),
        (event(OUT_OF_MEMORY, job_id="by-hand"), []),
        (event(OUT_OF_MEMORY, stage="postprocess"), []),
        (event(OUT_OF_MEMORY), ["job-8", "job-9"]),
    ],
    ids=["another cause", "a stop not heeded", "another job", "no growth", "no more steps"],
)
def test_other_failures_end_the_run(
    functions: Functions, world: Any, failed: dict[str, Any], killed: list[str]
) -> None:
    note(killed=[{"stage": "preprocess", "job_id": each, "memory_mib": 1} for each in killed])
    assert notify.handler(failed, None)["outcome"] == "failed"
    assert functions.asked == []
    assert len(world.messages) == 1


@pytest.mark.parametrize(("noted", "outcome"), [("job-1", "begins again"), ("another", "failed")])
def test_a_job_may_be_killed_before_the_submit_function_has_noted_it(
    functions: Functions, monkeypatch: pytest.MonkeyPatch, noted: str, outcome: str
) -> None:
    note(state="CLAIMED", jobs={})
    monkeypatch.setattr(
        "workloads.functions.growth.time.sleep", lambda _: note(jobs={"preprocess": noted})
    )
    assert notify.handler(event(OUT_OF_MEMORY), None)["outcome"] == outcome
    assert [each["killed"]["job_id"] for each in functions.asked] == (
        ["job-1"] if noted == "job-1" else []
    )


def test_where_it_is_never_noted_the_event_comes_again(
    functions: Functions, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    note(state="CLAIMED", jobs={})
    monkeypatch.setattr(growth, "_PATIENCE_SECONDS", 0.0)
    with pytest.raises(state_items.SubmissionUnderWayError, match="has to be delivered again"):
        notify.handler(event(OUT_OF_MEMORY), None)
    assert states().get(RUN)["state"] == "CLAIMED"
    assert (functions.asked, world.messages) == ([], [])


def test_a_second_event_of_a_killed_job_changes_nothing(functions: Functions, world: Any) -> None:
    note(
        killed=[{"stage": "preprocess", "job_id": "job-1", "memory_mib": 2048}],
        jobs={"preprocess": "job-2"},
    )
    assert notify.handler(event(OUT_OF_MEMORY), None)["outcome"] == "begins again"
    assert functions.asked == []
    assert world.messages == []


def test_a_node_that_was_killed_counts_for_its_job(
    functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = event(
        attempt(91),
        stage="analysis",
        job_id="a",
        nodeProperties={"numNodes": 2, "nodeRangeProperties": []},
    )
    nodes: dict[str, Any] = {
        "a#0": {"container": {"exitCode": 91}},
        "a#1": {"container": OUT_OF_MEMORY["container"]},
    }
    monkeypatch.setattr(clients, "batch", lambda: Jobs(nodes))
    assert notify.handler(failed, None)["outcome"] == "begins again"
    assert functions.asked[0]["killed"] == {"stage": "analysis", "job_id": "a"}


def test_an_array_begins_again_when_all_of_it_has_ended(
    functions: Functions, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = event(stage="analysis", job_id="a", arrayProperties={"size": 3})["detail"]
    child = event(OUT_OF_MEMORY, stage="analysis", job_id="a:1", tags={})
    batch, real = Jobs({"a": parent, "a:1": child["detail"]}), boto3.client
    monkeypatch.setattr(
        boto3, "client", lambda name, **more: batch if name == "batch" else real(name, **more)
    )
    assert notify.handler(child, None)["outcome"] == "the other shards end first"
    assert functions.asked == []
    assert notify.handler({**child, "detail": parent}, None)["outcome"] == "begins again"
    assert functions.asked[0]["killed"]["job_id"] == "a"
    assert world.messages == []


def test_steps_that_are_no_numbers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENV_MEMORY_GROWTH, '{"preprocess": ["much"]}')
    with pytest.raises(ContractError, match="PIPELINE_MEMORY_GROWTH is not of its form"):
        growth.steps("preprocess")

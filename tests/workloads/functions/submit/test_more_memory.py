"""The submit function, asked to begin a run again whose job was killed for its memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.workloads.functions.submit.conftest import World, event, state
from workloads.contract import ContractError
from workloads.functions import submit
from workloads.variables import ENV_MEMORY_GROWTH

STEPS = {"preprocess": [2048, 4096], "analysis": [65_536]}


@pytest.fixture
def submitted(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A run whose three jobs were submitted."""
    monkeypatch.setenv(ENV_MEMORY_GROWTH, json.dumps(STEPS))
    submit.handler(event(), world.context())
    return world


def killed(stage: str, job_id: str) -> dict[str, Any]:
    asked = event()
    asked["detail"]["killed"] = {"stage": stage, "job_id": job_id}
    return asked


def memory(job: dict[str, Any]) -> str | None:
    found = job["containerOverrides"].get("resourceRequirements")
    return None if found is None else str(found[0]["value"])


def test_the_stage_and_those_after_it_are_submitted_with_more(submitted: World) -> None:
    answer = submit.handler(killed("analysis", "job-1"), submitted.context())
    assert answer["outcome"] == "submitted"
    analysis, postprocess = submitted.jobs[3:]
    (override,) = analysis["nodeOverrides"]["nodePropertyOverrides"]
    assert override["containerOverrides"]["resourceRequirements"] == [
        {"type": "MEMORY", "value": "65536"}
    ]
    assert memory(postprocess) is None
    assert "dependsOn" not in analysis
    assert postprocess["dependsOn"] == [{"jobId": "job-3"}]
    item = state()
    assert item["jobs"] == {"preprocess": "job-0", "analysis": "job-3", "postprocess": "job-4"}
    assert (item["state"], int(item["attempt"])) == ("SUBMITTED", 2)


def test_each_job_is_answered_once_and_steps_go_up(submitted: World) -> None:
    for _ in range(2):
        submit.handler(killed("preprocess", "job-0"), submitted.context())
    assert len(submitted.jobs) == 6
    submit.handler(killed("preprocess", "job-3"), submitted.context())
    assert [memory(job) for job in submitted.jobs[::3]] == [None, "2048", "4096"]
    with pytest.raises(ContractError, match="no more memory for preprocess"):
        submit.handler(killed("preprocess", "job-6"), submitted.context())


def test_a_stage_keeps_its_memory_when_a_later_one_grows(submitted: World) -> None:
    submit.handler(killed("preprocess", "job-0"), submitted.context())
    submit.handler(killed("analysis", "job-4"), submitted.context())
    assert [each["memory_mib"] for each in state()["killed"]] == [2048, 65_536]
    assert len(submitted.jobs) == 8


def test_a_job_that_is_not_the_runs_begins_nothing(submitted: World) -> None:
    assert submit.handler(killed("preprocess", "x"), submitted.context())["outcome"] == "exists"
    assert len(submitted.jobs) == 3


def test_whoever_dies_after_the_claim_is_carried_on_with_the_same_memory(submitted: World) -> None:
    begun = len(submitted.jobs)

    def die(_: int) -> None:
        raise SystemExit

    submitted.at_step = die
    with pytest.raises(SystemExit):
        submit.handler(killed("preprocess", "job-0"), submitted.context())
    submitted.at_step = lambda _: None
    assert state()["state"] == "CLAIMED"
    submitted.now += 1000
    # S3's own event, come again late, carries on as well
    assert submit.handler(event(), submitted.context())["outcome"] == "submitted"
    assert memory(submitted.jobs[begun]) == "2048"


def test_a_stage_that_is_none_is_refused(submitted: World) -> None:
    with pytest.raises(ContractError, match="expected one of preprocess, analysis, postprocess"):
        submit.handler(killed("cleaning", "job-0"), submitted.context())

"""A chain whose analysis lost its machines goes on in the second queue, once, whoever asks how
often and whenever an invocation dies.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.workloads.functions.metrics_table import metrics_table
from tests.workloads.functions.submit.conftest import ARN, RUN, World, event, state
from workloads import contract
from workloads.contract import STAGES
from workloads.functions import submit
from workloads.variables import ENV_JOB_DEFINITIONS, ENV_JOB_QUEUES


class Crash(BaseException):
    """The invocation dies here."""


@pytest.fixture
def chain(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A run whose three jobs are submitted, and a fallback in the settings."""
    named = (*STAGES, "fallback")
    queues = {stage: f"{stage}-queue" for stage in named}
    definitions = {s: {"name": f"{ARN}/{s}", "multi_node": False} for s in named}
    definitions["fallback"]["shards"] = definitions["analysis"]["shards"] = 3
    monkeypatch.setenv(ENV_JOB_QUEUES, json.dumps(queues))
    monkeypatch.setenv(ENV_JOB_DEFINITIONS, json.dumps(definitions))
    submit.handler(event(), world.context())
    return world


def _going_on(instead_of: str = "job-1") -> dict[str, Any]:
    found = event()
    found["detail"]["instead_of"] = instead_of
    return found


def _assert_gone_on(world: World) -> None:
    names = [job["jobName"] for job in world.jobs]
    again = f"{RUN.job_name('analysis', 2)}-fallback"
    assert names[3:] == [again, RUN.job_name("postprocess", 2)]
    (fallback,) = (job for job in world.jobs if job["jobName"] == again)
    assert fallback["jobQueue"] == "fallback-queue"
    assert fallback["jobDefinition"] == f"{ARN}/fallback"
    assert fallback["arrayProperties"] == {"size": 3}
    assert "dependsOn" not in fallback
    assert contract.FALLBACK_TAG not in fallback["tags"], "it is the last one"
    item = state()
    assert (item["state"], item["replaced"], item["attempt"]) == ("SUBMITTED", "job-1", 2)
    ids = {job["jobName"]: job["jobId"] for job in world.jobs}
    assert item["jobs"] == {
        "preprocess": "job-0",
        "analysis": ids[again],
        "postprocess": ids[RUN.job_name("postprocess", 2)],
    }
    assert world.jobs[-1]["dependsOn"] == [{"jobId": ids[again]}]


def test_the_analysis_is_submitted_so_that_its_failure_is_asked_about(chain: World) -> None:
    assert [job["tags"].get(contract.FALLBACK_TAG) for job in chain.jobs] == [
        None,
        contract.FALLBACK_BY_NOTIFY,
        None,
    ]


def test_it_goes_on_once(chain: World) -> None:
    assert submit.handler(_going_on(), chain.context())["outcome"] == "submitted"
    _assert_gone_on(chain)
    assert submit.handler(_going_on(), chain.context())["outcome"] == "exists"
    assert submit.handler(event(), chain.context())["outcome"] == "exists"
    assert len(chain.jobs) == 5


@pytest.mark.parametrize("instead_of", ["job-0", "job-9"])
def test_another_job_is_replaced_by_nothing(chain: World, instead_of: str) -> None:
    assert submit.handler(_going_on(instead_of), chain.context())["outcome"] == "exists"
    assert len(chain.jobs) == 3


@pytest.mark.parametrize("ended", ["FAILED", "CANCELLED", "SUCCEEDED"])
def test_a_run_that_has_ended_does_not_go_on(chain: World, ended: str) -> None:
    metrics_table().update_item(
        Key=RUN.state_key,
        UpdateExpression="SET #s = :s",
        ExpressionAttributeNames={"#s": "state"},
        ExpressionAttributeValues={":s": ended},
    )
    assert submit.handler(_going_on(), chain.context())["state"] == ended
    assert len(chain.jobs) == 3


@pytest.mark.parametrize("later", [_going_on, event])
def test_whenever_the_invocation_dies_the_next_one_goes_on(chain: World, later: Any) -> None:
    begun = chain.steps

    def attempt(at: int) -> bool:
        def die(step: int) -> None:
            if step == at:
                raise Crash

        chain.at_step = die
        try:
            submit.handler(_going_on(), chain.context())
        except Crash:
            return True
        return False

    assert attempt(begun + 1 + 2)  # after its first SubmitJob was seen by Batch
    chain.at_step = lambda _: None
    chain.now += 200
    submit.handler(later(), chain.context())
    _assert_gone_on(chain)

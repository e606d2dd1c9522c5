"""A run that Spot takes machines from and that is killed for its memory, in either order, under
both orchestrators.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.config.stacks import sections as sections_of
from tests.end_to_end.failing import Job, Planted, planted_stack
from tests.end_to_end.test_step_functions import PIPELINE
from tests.localcloud.conftest import until
from workloads.contract import Run

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]

SECONDS = 60
TYPES = {"instance_types": ["c6i.2xlarge"], "max_vcpus": 32}
ANALYSIS = {
    "queue": "spot",
    "nodes": 1,
    "vcpus": 2,
    "memory_mib": 4096,
    "memory_growth_mib": [6144],
    "ranks_per_node": 1,
    "spot_attempts": 1,
    "on_demand_queue": "main",
}


@pytest.fixture(scope="module", params=["batch", "step-functions"])
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Planted]:
    sections: dict[str, Any] = {
        "jobs": {"analysis": {**sections_of("local")["jobs"]["analysis"], **ANALYSIS}},
        "pipeline": PIPELINE if request.param == "step-functions" else {"orchestrator": "batch"},
        "queues": {"main": {"environments": ["on-demand-cpu"]}, "spot": {"environments": ["spot"]}},
        "environments": {
            "spot": {"kind": "spot", **TYPES},
            "on-demand-cpu": {"kind": "on-demand", **TYPES},
        },
    }
    with planted_stack(tmp_path_factory.mktemp("both"), **sections) as planted:
        yield planted


def _loses_its_machine(stack: Planted, run: Run) -> None:
    stack.hang(run, "analysis")
    stack.hanging.clear()
    stack.ready.cloud.batch.lose_host(stack.job(run, "analysis", "RUNNING")["jobId"])


def _ended(stack: Planted, run: Run) -> dict[str, Any]:
    until(
        lambda: stack.state(run) == "SUCCEEDED",
        what=lambda: f"SUCCEEDED, {stack.state_item(run)}",
        seconds=SECONDS,
    )
    job = stack.state_item(run)["jobs"]["M"]["analysis"]["S"]
    (found,) = stack.ready.client("batch").describe_jobs(jobs=[job])["jobs"]
    return dict(found)


def _memory(job: dict[str, Any]) -> str:
    asked = job["container"]["resourceRequirements"]
    return str(next(each["value"] for each in asked if each["type"] == "MEMORY"))


def _told_of_memory(stack: Planted, run: Run) -> int:
    return len(stack.messages(run.run_id, "killed for its memory"))


@pytest.mark.parametrize("first", ["memory", "machine"])
def test_both_are_made_good_in_one_run(stack: Planted, first: str) -> None:
    needs: dict[Job, int] = {"analysis": 5000} if first == "memory" else {}
    run = stack.upload(needs_mib={**needs, "fallback": 5000}, analysis="hang")
    _loses_its_machine(stack, run)
    if first == "machine" and stack.ready.outputs["state_machine_arn"]:
        # what failed for its memory without Spot begins again as the analysis does: on Spot
        _loses_its_machine(stack, run)
    job = _ended(stack, run)
    assert job["jobName"].endswith("-fallback")
    assert job["jobQueue"].endswith(f"/{stack.ready.outputs['queues']['main']}")
    assert _memory(job) == "6144", "what was found to be too little is not asked for again"
    assert _told_of_memory(stack, run) == 1
    assert stack.messages(run.run_id, "failed") == []
    assert stack.ready.cloud.denials == []

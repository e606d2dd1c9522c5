"""Many uploads at once, every event delivered one to three times and in random order: as many runs,
each once, none missing.

The drill has a thousand of them.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from tests.end_to_end.bursting import Burst, TrivialStack, trivial_stack
from tests.localcloud.conftest import until
from workloads.contract import STAGES

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]

STATE_MACHINE = {
    "batch-reference:pipeline": json.dumps(
        {"orchestrator": "step-functions", "poll_seconds": 2, "deadline_hours": 1}
    )
}


def _burst(stack: TrivialStack, count: int) -> Burst:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201 - shown with a failure
    found = stack.burst(count, Random(seed))  # noqa: S311 - no secret
    print(  # noqa: T201
        f"{count} uploads, {found.deliveries} deliveries, {found.workers} workers, seconds:"
        f" {found.seconds}"
    )
    return found


def _each_run_once(stack: TrivialStack, found: Burst, count: int) -> None:
    assert len(set(found.runs)) == count
    assert count < found.deliveries
    assert found.workers > 1
    jobs = {(run.run_id, stage): found.job(run, stage) for run in found.runs for stage in STAGES}
    assert {stage: ids for stage, ids in jobs.items() if len(ids) != 1} == {}, (
        "exactly one job for each stage"
    )
    assert len(found.jobs) == len(STAGES) * count, "no jobs besides"
    assert set(found.ran.values()) == {1}
    assert found.ran.keys() == {job for ids in found.jobs.values() for job in ids}
    assert found.states.keys() == {run.run_id for run in found.runs}
    for run in found.runs:
        assert (
            found.states[run.run_id]["state"] == "SUBMITTED"
        )  # it is postprocess itself that writes SUCCEEDED
        assert found.states[run.run_id]["jobs"] == {
            stage: found.job(run, stage)[0] for stage in STAGES
        }
    assert (found.failed_deliveries, found.dead_letters) == (0, 0)
    assert stack.ready.cloud.undelivered == []
    assert stack.ready.cloud.denials == []
    assert stack.ready.cloud.slack.messages == []


@pytest.mark.parametrize("uploads", [60, pytest.param(1000, marks=pytest.mark.drill)])
def test_uploads_at_once_are_as_many_runs(tmp_path: Path, uploads: int) -> None:
    with trivial_stack(tmp_path) as stack:
        _each_run_once(stack, _burst(stack, uploads), uploads)


def test_uploads_at_once_are_as_many_executions_of_the_state_machine(tmp_path: Path) -> None:
    with trivial_stack(tmp_path, config=STATE_MACHINE) as stack:
        found = _burst(stack, 24)
        _each_run_once(stack, found, 24)
        until(
            lambda: {status for _, status in _executions(stack)} == {"SUCCEEDED"},
            what=lambda: Counter(_executions(stack)),
        )
        assert sorted(name for name, _ in _executions(stack)) == sorted(
            run.execution_name() for run in found.runs
        )


def _executions(stack: TrivialStack) -> list[tuple[str, str]]:
    """(name, status) of each."""
    pages = stack.ready.client("stepfunctions").get_paginator("list_executions")
    machine = stack.ready.outputs["state_machine_arn"]
    return [
        (found["name"], found["status"])
        for page in pages.paginate(stateMachineArn=machine)
        for found in page["executions"]
    ]

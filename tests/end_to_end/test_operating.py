"""Stopping, holding back and repeating runs by the command line, under either orchestrator; nothing
but the AWS API is used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.errors import ExitCode
from cli.paths import ROOT
from localcloud.deployment.stack_file import read_stack
from tests.end_to_end.failing import Planted, planted_stack
from tests.end_to_end.test_step_functions import FALLBACK, PIPELINE
from tests.localcloud.conftest import until
from tests.support.operator import Operator, at_terminal
from workloads.contract import RUNS_PAGE_KEY, Run, Stage
from workloads.page.rows import Row
from workloads.page.writing import rows_in

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]

SECONDS = 60


@pytest.fixture(scope="module", params=["batch", "step-functions"])
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Planted]:
    pipeline = PIPELINE if request.param == "step-functions" else {"orchestrator": "batch"}
    stages = read_stack(ROOT, "local", {}, {}).config["batch-reference:jobs"]
    jobs = json.loads(stages)
    jobs["preprocess"]["memory_growth_mib"] = [6144, 8192]
    if request.param == "step-functions":
        jobs["fallback"] = FALLBACK
    else:
        jobs["analysis"]["memory_growth_mib"] = [81_920]
    directory = tmp_path_factory.mktemp("operating")
    with planted_stack(directory, pipeline=pipeline, jobs=jobs) as planted:
        yield planted


@pytest.fixture
def batchref(stack: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operator:
    return at_terminal(stack.ready, tmp_path, monkeypatch)


def _reaches(stack: Planted, run: Run, state: str) -> None:
    until(
        lambda: stack.state(run) == state,
        what=lambda: f"{state}, {stack.items(run)}",
        seconds=SECONDS,
    )


def _active(stack: Planted, run: Run) -> list[str]:
    batch = stack.ready.client("batch")
    filters = [{"name": "JOB_NAME", "values": [f"{run.run_id}*"]}]
    return [
        job["jobName"]
        for queue in set(stack.ready.outputs["queues"].values())
        for job in batch.list_jobs(jobQueue=queue, filters=filters)["jobSummaryList"]
        if job["status"] not in {"SUCCEEDED", "FAILED"}
    ]


def _on_page(stack: Planted, run: Run) -> Row | None:
    """What the page of runs says, by the file that nobody but the notify function has written."""
    client, bucket = stack.ready.client("s3"), stack.ready.outputs["results_bucket"]
    try:
        body = client.get_object(Bucket=bucket, Key=RUNS_PAGE_KEY)["Body"].read()
    except client.exceptions.NoSuchKey:
        return None
    return rows_in(body).get(run.run_id)


def test_a_cancelled_run_ends_whole_is_told_once_and_can_begin_again(
    stack: Planted, batchref: Operator
) -> None:
    run = stack.upload(analysis="hang")
    stack.hang(run, "analysis")
    refused = batchref("retry", run.run_id)
    assert refused.code == ExitCode.RUN_FAILED
    assert f"`batchref cancel {run.run_id}` ends it" in refused.text

    done = batchref.json("cancel", run.run_id[:20], "--reason", "wrong file")

    machine = bool(stack.ready.outputs["state_machine_arn"])
    assert done["execution_stopped"] is machine
    assert done["jobs_still_ending"] == []
    assert stack.job_id(run, "analysis") in done["jobs_stopped"]
    assert _active(stack, run) == []
    assert stack.state(run) == "CANCELLED"
    until(lambda: stack.messages(run.run_id), what="nobody is told", seconds=SECONDS)
    # the ends of the jobs and of the execution come as events, and find the run ended
    stack.ready.cloud.tick()
    assert len(stack.messages(run.run_id)) == 1
    assert stack.messages(run.run_id, "was cancelled", "wrong file")
    assert not [name for name in stack.jobs_of(run) if name.endswith("-fallback")]
    shown = batchref.json("show", run.run_id)
    assert shown["run"]["failure"].endswith("cancelled the run: wrong file")
    assert [told["what"] for told in shown["told"]] == ["that the run was cancelled"]
    assert shown["told"][0]["at"]

    page = until(
        lambda: _on_page(stack, run), what="the page of runs does not know", seconds=SECONDS
    )
    assert (page.state, page.failure) == ("CANCELLED", shown["run"]["failure"])

    again = batchref.json("cancel", run.run_id)
    assert again["jobs_stopped"] == []
    assert len(stack.messages(run.run_id)) == 1, "a second time changes nothing"

    del stack.behaviour[run.run_id, "analysis"]
    retried = batchref.json("retry", run.run_id)
    assert (retried["outcome"], retried["attempt"]) == ("submitted", 2)
    _reaches(stack, run, "SUCCEEDED")
    over = batchref("cancel", run.run_id)
    assert over.code == ExitCode.RUN_FAILED
    assert "has ended as SUCCEEDED" in over.text
    assert stack.ready.cloud.denials == []


def test_uploads_wait_while_the_pipeline_is_paused(stack: Planted, batchref: Operator) -> None:
    before = stack.upload(analysis="hang")
    stack.hang(before, "analysis")
    (paused,) = batchref.json("pause", "--reason", "new AMI")
    assert (paused["queue"], paused["reason"]) == (None, "new AMI")

    waiting, unwanted = stack.upload(), stack.upload()
    _reaches(stack, waiting, "WAITING")
    _reaches(stack, unwanted, "WAITING")
    assert stack.jobs_of(waiting) == []
    assert "the pipeline is paused since" in batchref("runs").text
    begun_before = {run["run_id"] for run in batchref.json("runs", "--state", "waiting")}
    assert begun_before == {waiting.run_id, unwanted.run_id}
    assert batchref.json("cancel", before.run_id)["state"] == "CANCELLED", "a pause stops nothing"
    held = batchref("retry", before.run_id)
    assert held.code == ExitCode.RUN_FAILED
    assert "the pipeline is paused: `batchref resume` first" in held.text
    batchref.json("cancel", unwanted.run_id)

    assert batchref.json("resume")["begun"] == [waiting.run_id]

    _reaches(stack, waiting, "SUCCEEDED")
    assert stack.state(unwanted) == "CANCELLED"
    assert "paused" not in batchref("runs").text
    assert batchref.json("resume")["begun"] == []
    assert stack.ready.cloud.denials == []


def test_a_paused_queue_starts_no_job_and_fails_none(stack: Planted, batchref: Operator) -> None:
    queues, environments = stack.ready.outputs["queues"], stack.ready.outputs["environments"]
    (paused,) = batchref.json("pause", "--queue", "nodes")
    assert paused["environments"] == [environments["nodes"]]
    run = stack.upload()
    stack.job(run, "preprocess", "SUCCEEDED")
    waits = stack.job(run, "analysis", "RUNNABLE")
    assert "waits on" in batchref("show", run.run_id).text

    assert batchref("resume", "--queue", "main").code == ExitCode.RUN_FAILED
    assert batchref.json("resume", "--queue", queues["nodes"])["queues"] == ["nodes"]

    _reaches(stack, run, "SUCCEEDED")
    assert stack.job_id(run, "analysis") == waits["jobId"], (
        "the job that waited is the one that ran"
    )
    unknown = batchref("pause", "--queue", "nix")
    assert unknown.code == ExitCode.NOT_FOUND
    assert "the stack has main, nodes" in unknown.text


def test_a_queue_is_not_paused_with_that_of_somebody_else(
    stack: Planted, batchref: Operator
) -> None:
    batch, environment = stack.ready.client("batch"), stack.ready.outputs["environments"]["nodes"]
    batch.create_job_queue(
        jobQueueName="neighbour",
        priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": environment}],
    )
    try:
        refused = batchref("pause", "--queue", "nodes")
        assert refused.code == ExitCode.USAGE
        assert "works for the queue neighbour too" in refused.text
        found = batch.describe_compute_environments(computeEnvironments=[environment])
        assert found["computeEnvironments"][0]["state"] == "ENABLED"
    finally:
        batch.update_job_queue(jobQueue="neighbour", state="DISABLED")
        batch.delete_job_queue(jobQueue="neighbour")


def _memory(stack: Planted, run: Run, stage: Stage) -> set[str]:
    """What the containers of the stage's last job, of each node, asked for."""
    job = stack.job(run, stage, "SUCCEEDED")
    nodes = (job.get("nodeProperties") or {}).get("numNodes") or 0
    ids = [f"{job['jobId']}#{node}" for node in range(nodes)] or [job["jobId"]]
    return {
        each["value"]
        for part in stack.ready.client("batch").describe_jobs(jobs=ids)["jobs"]
        for each in part["container"]["resourceRequirements"]
        if each["type"] == "MEMORY"
    }


def test_a_stage_that_is_killed_for_its_memory_begins_again_with_more(
    stack: Planted, batchref: Operator
) -> None:
    assert batchref.json("up")["outputs"]["queues"] == stack.ready.outputs["queues"]
    run = stack.upload(needs_mib={"preprocess": 7000})
    _reaches(stack, run, "SUCCEEDED")
    shown = batchref.json("show", run.run_id)
    assert [(each["stage"], each["memory_mib"]) for each in shown["killed"]] == [
        ("preprocess", 6144),
        ("preprocess", 8192),
    ]
    assert shown["run"]["attempt"] == 3
    statuses = [each["status"] for each in shown["stages"] if each["stage"] == "preprocess"]
    assert statuses == ["FAILED", "FAILED", "SUCCEEDED"]
    assert _memory(stack, run, "preprocess") == {"8192"}
    assert "begun again with 6144 MiB" in batchref("show", run.run_id).text
    told = stack.messages(run.run_id, "killed for its memory")
    assert len(told) == 2
    assert sum("8192 MiB" in each for each in told) == 1
    assert stack.messages(run.run_id, "failed") == []


def test_a_stage_that_needs_more_than_it_may_ask_for_fails_and_is_told_once(
    stack: Planted, batchref: Operator
) -> None:
    run = stack.upload(needs_mib={"preprocess": 9000})
    _reaches(stack, run, "FAILED")
    until(lambda: stack.messages(run.run_id, "preprocess failed"), what="the message")
    shown = batchref.json("show", run.run_id)
    assert [each["memory_mib"] for each in shown["killed"]] == [6144, 8192]
    assert shown["costs"][0]["attempts"] == 3, "what was killed has cost, too"
    assert len(stack.messages(run.run_id, "preprocess failed")) == 1
    why = batchref.json("why", run.run_id)
    assert why["causes"][0]["code"] == "MEMORY"
    assert why["causes"][0]["found"] == "8192 MiB"
    assert "memory_growth_mib" in why["causes"][0]["fix"]
    assert any("begun again with 8192 MiB" in each for each in why["seen"])
    stack.needs_mib.clear()
    batchref.json("retry", run.run_id)
    _reaches(stack, run, "SUCCEEDED")
    assert _memory(stack, run, "preprocess") == {"4096"}, "somebody begins anew"


def test_nodes_ask_for_more_together_or_the_fallback_follows(
    stack: Planted, batchref: Operator
) -> None:
    has_fallback = bool(stack.ready.outputs["state_machine_arn"])
    run = stack.upload(needs_mib={"analysis": 70_000})
    _reaches(stack, run, "SUCCEEDED")
    killed = batchref.json("show", run.run_id)["killed"]
    assert [each["memory_mib"] for each in killed] == ([] if has_fallback else [81_920])
    if not has_fallback:
        assert _memory(stack, run, "analysis") == {"81920"}
        assert len(stack.jobs_of(run)) == 5, "preprocess is not done again"

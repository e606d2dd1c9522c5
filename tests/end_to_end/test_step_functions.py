"""The state machine in place of dependent jobs: the same results, the same records, and an end for
whatever goes wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from cli.paths import ROOT, SAMPLE
from cli.rehearsal import rehearsal
from localcloud.deployment.stack_file import read_stack
from tests.end_to_end.conftest import SHARES_THE_STACK, SharedStack, Stack
from tests.localcloud.conftest import until
from workloads import contract
from workloads.contract import STAGES, Run, Upload
from workloads.variables import ENV_DEADLINE_HOURS

pytestmark = [pytest.mark.timeout(600), SHARES_THE_STACK]

FALLBACK = {
    "queue": "main",
    "nodes": 1,
    "vcpus": 2,
    "memory_mib": 4096,
    "ranks_per_node": 1,
    "array_backend": "numpy",
    "timeout_minutes": 10,
}
PIPELINE = {"orchestrator": "step-functions", "poll_seconds": 2, "deadline_hours": 1}
TABLE = b"id,height,weight\n" + b"".join(
    b"r%d,%d.5,%d\n" % (i, 150 + i % 50, 50 + i % 37) for i in range(600)
)


def _facts(stack: Stack, run: Run) -> dict[str, Any]:
    """What both orchestrators have to agree on; moments, ids and bucket names differ between any
    two stacks.
    """
    # other files of the shared stack have runs of the same data set
    items = {
        sk: item
        for sk, item in stack.items(run).items()
        if sk.startswith(run.sort_key_prefix) or not sk.startswith("RUN#")
    }
    state = items[f"{run.sort_key_prefix}STATE"]
    metrics = {
        sk.removeprefix(run.sort_key_prefix): {
            k: v for k, v in item.items() if k not in {"sk", "run_id"}
        }
        for sk, item in items.items()
        if "#METRIC#" in sk
    }
    summary = stack.summary(run)
    return {
        "digest": summary["digest"],
        "columns": summary["columns"],
        "items": sorted(sk.removeprefix(run.sort_key_prefix) for sk in items),
        "metrics": metrics,
        "state": sorted(state.keys() - {"execution_arn"}),
        "jobs": sorted(state["jobs"]["M"]),
        "told": len(stack.told(run)),
    }


def _run_sample(stack: Stack) -> dict[str, Any]:
    sample = next(SAMPLE.glob("*.csv"))
    # on the shared stack it is the run of test_pipeline.py, which nothing does again
    run = Run(stack.put(f"data/20260101/{sample.name}", sample.read_bytes()).run_id)
    status = stack.finish(run)
    assert status.state == "SUCCEEDED", status
    assert [stage.status for stage in status.stages] == ["SUCCEEDED"] * 3
    return _facts(stack, run)


@pytest.fixture(scope="module")
def by_dependencies(shared_stack: SharedStack) -> dict[str, Any]:
    """The facts of the sample's run where dependencies order the jobs; that stack is gone before
    the other one is deployed.
    """
    facts = _run_sample(shared_stack.get())
    shared_stack.end()
    return facts


@pytest.fixture(scope="module")
def stack(
    by_dependencies: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The local stack with the state machine, a fallback, and half the ranks."""
    assert by_dependencies
    jobs = json.loads(read_stack(ROOT, "local", {}, {}).config["batch-reference:jobs"])
    jobs["analysis"]["ranks_per_node"] = 1
    config = {
        "batch-reference:pipeline": json.dumps(PIPELINE),
        "batch-reference:jobs": json.dumps({**jobs, "fallback": FALLBACK}),
    }
    with rehearsal(
        "local", tmp_path_factory.mktemp("states"), config=config, say=lambda _: None
    ) as ready:
        yield Stack(ready)


def _execution(stack: Stack, run: Run, attempt: int = 1) -> dict[str, Any]:
    """The execution of a run, when it has ended."""
    client = stack.ready.client("stepfunctions")
    arn = (
        stack.ready.outputs["state_machine_arn"].replace(":stateMachine:", ":execution:")
        + f":{run.execution_name(attempt)}"
    )
    return dict(until(lambda: _ended(client.describe_execution(executionArn=arn)), pause=0.1))


def _ended(execution: dict[str, Any]) -> dict[str, Any] | None:
    return execution if execution["status"] != "RUNNING" else None


def test_both_orchestrators_give_the_same_findings_items_and_digest(
    by_dependencies: dict[str, Any], stack: Stack
) -> None:
    found = _run_sample(stack)
    assert found["metrics"]
    assert found == by_dependencies
    assert found["told"] == 1
    assert stack.ready.cloud.denials == []
    assert stack.ready.cloud.undelivered == []


def test_a_failed_analysis_is_followed_by_the_fallback(
    stack: Stack, new_key: Callable[[], str]
) -> None:
    run = Run(stack.put(new_key(), TABLE).run_id)
    analysis = until(lambda: stack.job_id(run, "analysis"), pause=0.1)
    batch, cloud = stack.ready.client("batch"), stack.ready.cloud

    def failed() -> bool:
        job = batch.describe_jobs(jobs=[analysis])["jobs"][0]
        if job["status"] == "RUNNING":
            with suppress(LookupError):  # or between them
                cloud.batch.lose_host(analysis)  # in each of its attempts
        return bool(job["status"] == "FAILED")

    until(failed, pause=0.1)

    status = stack.finish(run)

    assert status.state == "SUCCEEDED", status
    assert stack.job_id(run, "analysis") != analysis
    names = {name for name in stack.jobs() if name.startswith(run.run_id)}
    assert names == {
        *(run.job_name(stage) for stage in STAGES),
        f"{run.job_name('analysis')}-fallback",
    }
    assert len(stack.told(run)) == 1, (
        "the findings; nobody hears of the analysis that was made good"
    )
    assert _execution(stack, run)["status"] == "SUCCEEDED"
    assert stack.ready.cloud.denials == []


def test_a_failed_job_ends_the_run_with_one_message(
    stack: Stack, new_key: Callable[[], str]
) -> None:
    run = Run(stack.put(new_key(), b"name,town\n").run_id)

    status = stack.finish(run)

    assert status.state == "FAILED"
    assert "header" in status.failure
    assert _execution(stack, run)["error"] == contract.JOB_FAILED_ERROR
    assert len(until(lambda: stack.told(run), pause=0.1)) == 1


def test_a_queue_that_takes_no_jobs_ends_the_run_and_the_run_can_be_done_again(
    stack: Stack, new_key: Callable[[], str]
) -> None:
    batch = stack.ready.client("batch")
    queue = stack.ready.outputs["stage_queues"]["preprocess"]
    batch.update_job_queue(jobQueue=queue, state="DISABLED")
    key = new_key()
    upload = stack.put(key, TABLE)
    run = Run(upload.run_id)
    try:
        status = stack.finish(run)
    finally:
        batch.update_job_queue(jobQueue=queue, state="ENABLED")
    assert status.state == "FAILED"
    assert "Batch.ClientException" in status.failure
    assert _execution(stack, run)["status"] == "FAILED"
    assert len(until(lambda: stack.told(run), pause=0.1)) == 1

    assert _invoke(stack, upload, again=False)["outcome"] == "exists"
    assert _invoke(stack, upload, again=True)["outcome"] == "submitted"
    status = stack.finish(run)

    assert status.state == "SUCCEEDED", status
    assert _execution(stack, run, 2)["status"] == "SUCCEEDED"
    assert {name for name in stack.jobs() if name.startswith(run.run_id)} == {
        run.job_name(stage, 2) for stage in STAGES
    }
    assert stack.state_item(run)["attempt"] == {"N": "2"}
    assert len(stack.told(run)) == 2
    assert stack.ready.cloud.denials == []


def test_a_run_that_is_late_is_stopped_and_told_once(
    stack: Stack, new_key: Callable[[], str]
) -> None:
    functions, name = stack.ready.client("lambda"), stack.ready.outputs["submit_function"]
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    functions.update_function_configuration(
        FunctionName=name,
        Environment={"Variables": {**variables, ENV_DEADLINE_HOURS: "0"}},
    )
    stack.ready.cloud.batch.withhold_capacity("*")
    try:
        run = Run(stack.put(new_key(), TABLE).run_id)
        status = stack.finish(run)
    finally:
        stack.ready.cloud.batch.withhold_capacity()
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": variables}
        )
    assert status.state == "FAILED"
    assert [stage.status for stage in status.stages] == ["FAILED", "", ""]
    execution = _execution(stack, run)
    assert execution["error"] == contract.DEADLINE_ERROR
    assert (
        len(
            until(
                lambda: [text for text in stack.told(run) if "deadline" in text.lower()], pause=0.1
            )
        )
        == 1
    )
    assert stack.ready.cloud.denials == []


def _invoke(stack: Stack, upload: Upload, *, again: bool) -> dict[str, Any]:
    found = {"key": upload.key, "etag": upload.etag, "version-id": upload.version_id}
    detail = {"bucket": {"name": upload.bucket}, "object": found, "again": again}
    reply = stack.ready.client("lambda").invoke(
        FunctionName=stack.ready.outputs["submit_function"],
        Payload=json.dumps({"detail": detail}).encode(),
    )
    answer: dict[str, Any] = json.loads(reply["Payload"].read())
    return answer

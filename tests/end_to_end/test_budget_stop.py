"""A used-up budget stops what begins, under either orchestrator, is told, and can be lifted;
nobody's stop is undone elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from cli import operate
from cli.target import Target
from localcloud.protocol.wire import Call, Reply
from tests.end_to_end.failing import Planted, answering, planted_stack
from tests.end_to_end.test_step_functions import FALLBACK, PIPELINE
from tests.localcloud.conftest import until
from workloads.contract import STAGES, Run

pytestmark = pytest.mark.timeout(600)

SECONDS = 60
LIMIT = 100.0
BUDGET = {"stop_submissions_percent": 90}


@pytest.fixture(scope="module", params=["batch", "step-functions"])
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Planted]:
    pipeline = PIPELINE if request.param == "step-functions" else {"orchestrator": "batch"}
    fallback = {"jobs": {"fallback": FALLBACK}} if request.param == "step-functions" else {}
    with planted_stack(
        tmp_path_factory.mktemp("budget"), budget=BUDGET, pipeline=pipeline, **fallback
    ) as planted:
        yield planted


def _machine(stack: Planted) -> bool:
    return bool(stack.ready.outputs["state_machine_arn"])


def _budget(stack: Planted) -> tuple[str, dict[str, Any]]:
    client = stack.ready.client("budgets")
    account = stack.ready.client("sts").get_caller_identity()["Account"]
    name = client.describe_budgets(AccountId=account)["Budgets"][0]["BudgetName"]
    (action,) = client.describe_budget_actions_for_budget(AccountId=account, BudgetName=name)[
        "Actions"
    ]
    return name, action


def _reverse(stack: Planted) -> None:
    name, action = _budget(stack)
    account = stack.ready.client("sts").get_caller_identity()["Account"]
    for kind in ("REVERSE_BUDGET_ACTION", "RESET_BUDGET_ACTION"):
        stack.ready.client("budgets").execute_budget_action(
            AccountId=account, BudgetName=name, ActionId=action["ActionId"], ExecutionType=kind
        )


def _ended(stack: Planted, run: Run, state: str) -> None:
    until(
        lambda: stack.state(run) == state,
        what=lambda: f"{state}, {stack.state_item(run)}",
        seconds=SECONDS,
    )


def test_a_used_up_budget_refuses_new_runs_until_somebody_lifts_the_stop(stack: Planted) -> None:
    name, _ = _budget(stack)
    under_way = stack.upload(preprocess="hang")
    stack.hang(under_way, "preprocess")
    _ended(stack, under_way, "SUBMITTED")

    stack.ready.cloud.spend(name, 0.8 * LIMIT)
    assert _budget(stack)[1]["Status"] == "STANDBY", "below the threshold nothing happens"
    stack.ready.cloud.spend(name, 0.95 * LIMIT)
    assert _budget(stack)[1]["Status"] == "EXECUTION_SUCCESS"

    refused = stack.upload()
    until(
        lambda: stack.messages(refused.run_id, "has not begun"),
        what="nobody is told",
        seconds=SECONDS,
    )
    until(
        lambda: "submit-dead-letters" in stack.ringing(),
        what=lambda: str(stack.ringing()),
        seconds=SECONDS,
    )
    assert stack.state(refused) == "CLAIMED"
    assert stack.jobs_of(refused) == []
    assert len(stack.messages(refused.run_id)) == 1
    denied = {denial.action for denial in stack.ready.cloud.denials}
    assert denied == {"states:StartExecution" if _machine(stack) else "batch:SubmitJob"}

    # a run under way: what is submitted already goes on; the machine's next submission is refused
    stack.behaviour[under_way.run_id, "preprocess"] = "succeed"
    stack.lose_host(under_way, "preprocess")
    _ended(stack, under_way, "FAILED" if _machine(stack) else "SUCCEEDED")
    if _machine(stack):
        until(
            lambda: stack.messages(under_way.run_id),
            what="the end of the run is told",
            seconds=SECONDS,
        )
        assert "by a policy that forbids it" in stack.messages(under_way.run_id)[0]
        assert stack.jobs_of(under_way) == [under_way.job_name("preprocess")]

    _reverse(stack)
    target: Any = Target(
        outputs=stack.ready.outputs,
        endpoint_url=stack.ready.cloud.endpoint_url,
        credentials=stack.ready.cloud.deployer.credentials,
    )
    assert operate.replay(target, "submit", as_json=True) == 0
    _ended(stack, refused, "SUCCEEDED")
    assert len(stack.messages(refused.run_id)) == 1
    _ended(stack, stack.upload(), "SUCCEEDED")


def _without_flags(stack: Planted, call: Call) -> Reply | None:
    """DescribeJobs that says of no job whether somebody ended it."""
    if call.operation != "DescribeJobs":
        return None
    found = stack.ready.client("batch").describe_jobs(jobs=call.params["jobs"])["jobs"]
    for job in found:
        del job["isTerminated"], job["isCancelled"]
    return call.result({"jobs": found})


@pytest.mark.parametrize("flags", [True, False])
def test_an_analysis_that_somebody_ends_is_not_begun_elsewhere(stack: Planted, flags: bool) -> None:
    """The flags, or the reason of one of the program's own stops: either says so."""
    run = stack.upload(analysis="hang")
    stack.hang(run, "analysis")
    job = stack.job(run, "analysis", "RUNNING")["jobId"]

    with nullcontext() if flags else answering(stack, _without_flags):
        stack.ready.client("batch").terminate_job(
            jobId=job, reason="Stopped by the running-cost guard: too dear"
        )
        _ended(stack, run, "FAILED")
    until(lambda: stack.messages(run.run_id), what="nobody is told", seconds=SECONDS)
    assert len(stack.messages(run.run_id)) == 1
    assert stack.messages(run.run_id, "running-cost guard: too dear")
    assert f"{run.job_name('analysis')}-fallback" not in stack.jobs_of(run)


def test_a_failed_analysis_and_one_that_cannot_start_go_to_the_fallback(stack: Planted) -> None:
    if not _machine(stack):
        return
    failed = stack.upload(analysis="fail")
    _ended(stack, failed, "SUCCEEDED")
    batch, nodes = stack.ready.client("batch"), stack.ready.outputs["environments"]["nodes"]
    batch.update_compute_environment(computeEnvironment=nodes, computeResources={"maxvCpus": 36})
    try:
        cannot = stack.upload()
        until(
            lambda: (
                "MAX_RESOURCE" in stack.job(cannot, "analysis", "RUNNABLE").get("statusReason", "")
            ),
            seconds=SECONDS,
        )
        stack.ready.cloud.batch.advance(20 * 60 + 1)
        _ended(stack, cannot, "SUCCEEDED")
    finally:
        batch.update_compute_environment(
            computeEnvironment=nodes, computeResources={"maxvCpus": 72}
        )
    for run in (failed, cannot):
        names = {run.job_name(stage) for stage in STAGES} | {f"{run.job_name('analysis')}-fallback"}
        assert set(stack.jobs_of(run)) == names
        assert [text for text in stack.messages(run.run_id) if "is blocked" not in text] == []

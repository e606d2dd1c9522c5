"""Every row of "What can go wrong" (docs/runs.md), planted in a deployed stack: the state of the
run, the message, the alarm.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cli import operate
from cli.paths import ROOT
from cli.target import Target
from tests.end_to_end.failing import EXIT_CODE, Planted, planted_stack
from tests.localcloud.conftest import until
from workloads.contract import STAGES, Run

pytestmark = pytest.mark.timeout(600)


SECONDS = 90
"""For one thing to happen; on a quiet machine each takes less than three."""


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    state: str
    says: tuple[str, ...]
    alarms: tuple[str, ...]


def _table() -> dict[str, Row]:
    text = (
        (ROOT / "docs" / "runs.md")
        .read_text()
        .partition("## What can go wrong")[2]
        .partition("\n## ")[0]
    )
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| ")
    ][1:]
    return {
        cells[0]: Row(
            "" if cells[1] == "none" else cells[1].strip("`"),
            tuple(re.findall('"([^"]+)"', cells[2])),
            _names(cells[3]),
        )
        for cells in rows
    }


def _names(cell: str) -> tuple[str, ...]:
    return tuple(re.findall("`([^`]+)`", cell))


Scenario = Callable[[Planted], Iterator[Run]]
"""Plants a cause and yields the run; what comes after the checks is the mending, and what is to be
seen then.
"""
SCENARIOS: dict[str, Scenario] = {}


def scenario(row: str) -> Callable[[Scenario], Scenario]:
    def add(function: Scenario) -> Scenario:
        SCENARIOS[row] = function
        return function

    return add


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    with planted_stack(tmp_path_factory.mktemp("planted")) as planted:
        yield planted


def test_every_row_has_its_scenario() -> None:
    assert list(_table()) == list(SCENARIOS)
    assert f'"exit code {EXIT_CODE}"' in (ROOT / "docs" / "runs.md").read_text()


@pytest.mark.parametrize("row", SCENARIOS)
def test_what_goes_wrong_is_told(stack: Planted, row: str) -> None:
    expected = _table()[row]
    for run in SCENARIOS[row](stack):
        _compare(stack, expected, run)
    assert stack.ready.cloud.denials == []


def _compare(stack: Planted, expected: Row, run: Run) -> None:
    until(
        lambda: stack.state(run) == expected.state,
        what=lambda: f"{expected.state}, {stack.items(run)}",
        seconds=SECONDS,
    )
    if expected.alarms:
        until(
            lambda: set(expected.alarms) <= stack.ringing(),
            what=lambda: f"{expected.alarms}, {stack.ringing()}",
            seconds=SECONDS,
        )
    if expected.says:
        # a blocked queue is told of by its name, everything else with the run
        fragments = expected.says if expected.state == "SUBMITTED" else (run.run_id, *expected.says)
        until(
            lambda: stack.messages(*fragments), what=f"no message with {fragments}", seconds=SECONDS
        )
    if expected.state == "FAILED" and expected.says:
        # of the blocked queue, which names the run and the same cause, people hear before and
        # beside it
        until(
            lambda: _of_the_end(stack, run),
            what=f"no message of the end of {run.run_id}",
            seconds=SECONDS,
        )
        assert len(_of_the_end(stack, run)) == 1
    if not expected.says:
        assert stack.messages(run.run_id) == []


def _of_the_end(stack: Planted, run: Run) -> list[str]:
    return [text for text in stack.messages(run.run_id) if "is blocked" not in text]


@scenario("preprocess fails")
def preprocess_fails(stack: Planted) -> Iterator[Run]:
    yield stack.upload(preprocess="fail")


@scenario("the analysis fails")
def analysis_fails(stack: Planted) -> Iterator[Run]:
    yield stack.upload(analysis="fail")


@scenario("postprocess fails")
def postprocess_fails(stack: Planted) -> Iterator[Run]:
    yield stack.upload(postprocess="fail")


@scenario("a stage runs out of time")
def a_stage_runs_out_of_time(stack: Planted) -> Iterator[Run]:
    runs = []
    for stage in reversed(STAGES):  # an analysis that hangs holds up those behind it
        runs.append(stack.upload(**{stage: "hang"}))  # type: ignore[arg-type]
        stack.job(runs[-1], stage, "RUNNING")
    stack.ready.cloud.batch.advance(30 * 60 + 1)
    yield from runs


@scenario("the machine is taken away, attempts are left")
def the_machine_is_taken_away(stack: Planted) -> Iterator[Run]:
    for stage in STAGES:
        run = stack.upload(**{stage: "hang"})  # type: ignore[arg-type]
        stack.hang(run, stage)
        stack.behaviour[run.run_id, stage] = "succeed"
        stack.lose_host(run, stage)
        yield run
        assert len(stack.job(run, stage, "SUCCEEDED")["attempts"]) == 2


@scenario("the machine is taken away in the last attempt")
def the_machine_is_taken_away_again(stack: Planted) -> Iterator[Run]:
    run = stack.upload(preprocess="hang")
    stack.lose_host(run, "preprocess")
    stack.lose_host(run, "preprocess")
    yield run


@scenario("the image is missing")
def the_image_is_missing(stack: Planted) -> Iterator[Run]:
    batch = stack.ready.client("batch")
    name = (
        stack.ready.outputs["stage_job_definitions"]["preprocess"]
        .rsplit("/", 1)[-1]
        .partition(":")[0]
    )
    current = batch.describe_job_definitions(jobDefinitionName=name, status="ACTIVE")[
        "jobDefinitions"
    ][0]
    kept = (
        "jobDefinitionName",
        "type",
        "containerProperties",
        "retryStrategy",
        "timeout",
        "platformCapabilities",
        "propagateTags",
    )
    changed = {member: current[member] for member in kept if member in current}
    changed["containerProperties"] = {
        **changed["containerProperties"],
        "image": "registry.example.com/gone:1",
    }
    revision = batch.register_job_definition(**changed)["jobDefinitionArn"]
    yield stack.upload()
    batch.deregister_job_definition(jobDefinition=revision)


@scenario("EC2 has no machine")
def ec2_has_no_machine(stack: Planted) -> Iterator[Run]:
    cloud = stack.ready.cloud
    cloud.batch.withhold_capacity("*")
    run = stack.upload()
    stack.job(run, "preprocess", "RUNNABLE")
    cloud.batch.advance(61)
    yield run
    cloud.batch.withhold_capacity()
    until(lambda: stack.state(run) == "SUCCEEDED", seconds=SECONDS)


@scenario("a job asks for more than its environment has, on a queue with `runnable_limits`")
def a_job_is_too_large(stack: Planted) -> Iterator[Run]:
    batch, name = stack.ready.client("batch"), stack.ready.outputs["environments"]["nodes"]
    batch.update_compute_environment(computeEnvironment=name, computeResources={"maxvCpus": 36})
    run = stack.upload()
    try:
        until(
            lambda: (
                "MAX_RESOURCE" in stack.job(run, "analysis", "RUNNABLE").get("statusReason", "")
            ),
            seconds=SECONDS,
        )
        stack.ready.cloud.batch.advance(20 * 60 + 1)
        yield run
        assert stack.messages("is blocked", run.run_id), (
            "the queue is told of before the limit comes"
        )
    finally:  # the rows after it need the environment
        batch.update_compute_environment(computeEnvironment=name, computeResources={"maxvCpus": 72})


@scenario("DynamoDB or AWS Batch throttles for moments")
def aws_throttles(stack: Planted) -> Iterator[Run]:
    with (
        stack.refusing("dynamodb", "submit", "ProvisionedThroughputExceededException", times=2),
        stack.refusing("batch", "submit", "TooManyRequestsException", times=2),
    ):
        yield stack.upload()


@scenario("the submit function cannot work")
def submit_cannot_work(stack: Planted) -> Iterator[Run]:
    with stack.refusing("dynamodb", "submit", "InternalFailure"):
        run = stack.upload()
        yield run
        _dead_letter(stack, "submit")
    assert stack.jobs_of(run) == []
    _replay(stack, "submit")
    until(lambda: stack.state(run) == "SUCCEEDED", seconds=SECONDS)


@scenario("the notify function cannot write")
def notify_cannot_write(stack: Planted) -> Iterator[Run]:
    with stack.refusing("dynamodb", "notify", "InternalFailure"):
        run = stack.upload(preprocess="fail")
        yield run
        _dead_letter(stack, "notify")
    _replay(stack, "notify")  # unless the redrive function was faster
    until(lambda: stack.messages(run.run_id), what="no message after the replay", seconds=SECONDS)
    assert stack.state(run) == "FAILED"
    assert len(stack.messages(run.run_id)) == 1


@scenario("Slack is down")
def slack_is_down(stack: Planted) -> Iterator[Run]:
    about = {
        f"{function}-{what}"
        for function in ("notify", "alarm")
        for what in ("errors", "dead-letters")
    }
    until(
        lambda: not about & _redrive(stack),
        what=lambda: f"over: {about}, {stack.ringing()}",
        seconds=SECONDS,
    )
    stack.ready.cloud.slack.fail_next(1_000_000, status=403)  # whose refusals cost no waiting
    run = stack.upload(preprocess="fail")
    yield run
    until(
        lambda: about <= stack.ringing(),
        what=lambda: f"{about}, {stack.ringing()}",
        seconds=SECONDS,
    )
    _redrive(stack)
    assert stack.messages(run.run_id) == []
    stack.ready.cloud.slack.recover()
    _redrive(stack)
    until(lambda: stack.messages(run.run_id), what="nothing was told by itself", seconds=SECONDS)
    until(
        lambda: not about & _redrive(stack),
        what=lambda: f"over: {about}, {stack.ringing()}",
        seconds=SECONDS,
    )
    until(
        lambda: not any(_depth(stack, function, hidden=True) for function in ("notify", "alarm")),
        what="dead letters",
        seconds=SECONDS,
    )
    assert len(stack.messages(run.run_id)) == 1
    until(
        lambda: all(_last(stack, label).startswith("Over: ") for label in about),
        what="Slack is told of alarms that are over",
        seconds=SECONDS,
    )


@scenario("an event of a failure comes after the success")
def a_failure_comes_late(stack: Planted) -> Iterator[Run]:
    run = stack.upload()
    until(lambda: stack.state(run) == "SUCCEEDED", seconds=SECONDS)
    detail = {
        **stack.job(run, "analysis", "SUCCEEDED"),
        "status": "FAILED",
        "statusReason": "Host EC2 (instance i-0) terminated.",
    }
    event = {
        "detail-type": "Batch Job State Change",
        "source": "aws.batch",
        "region": "us-east-1",
        "detail": detail,
    }
    reply = stack.ready.client("lambda").invoke(
        FunctionName=stack.ready.outputs["notify_function"],
        Payload=json.dumps(event, default=str).encode(),
    )
    assert json.loads(reply["Payload"].read())["outcome"] == "ended already"
    yield run


def _dead_letter(stack: Planted, function: str) -> None:
    """Waits until Lambda has given the event up: the alarm may still be that of an earlier row."""
    until(lambda: _depth(stack, function), what=f"no dead letter of {function}", seconds=SECONDS)


def _depth(stack: Planted, function: str, *, hidden: bool = False) -> int:
    """Dead letters of a function that are to be seen in its queue, or with those that somebody has
    at the moment.
    """
    url, names = (
        stack.ready.outputs["dead_letter_queues"][function]["url"],
        ["ApproximateNumberOfMessages"],
    )
    names += ["ApproximateNumberOfMessagesNotVisible"] if hidden else []
    found = stack.ready.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)[
        "Attributes"
    ]
    return sum(int(found[name]) for name in names)


def _last(stack: Planted, label: str) -> str:
    """The text of the last message of an alarm."""
    texts = stack.messages(f"monitoring-alarms-{label}-")
    return str(json.loads(texts[-1])["text"]) if texts else ""


def _redrive(stack: Planted) -> set[str]:
    """A quarter of an hour goes by, and with it the time of every schedule; the alarms that ring
    then.
    """
    stack.ready.cloud.batch.advance(15 * 60)
    return stack.ringing()


def _replay(stack: Planted, function: str) -> None:
    cloud = stack.ready.cloud
    target: Any = Target(
        outputs=stack.ready.outputs,
        endpoint_url=cloud.endpoint_url,
        credentials=cloud.deployer.credentials,
    )
    assert operate.replay(target, function, as_json=True) == 0

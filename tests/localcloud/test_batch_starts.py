"""What containers are given when they start, and which failures before the start are worth another
attempt.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from components.retries import retry_strategy
from localcloud.batch.container import HIDDEN
from tests.localcloud.conftest import Stage

ROOT = Path(__file__).parents[2]
LOGS = {"Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "*"}


@pytest.fixture(scope="module")
def instances(stage: Stage) -> str:
    return stage.queue(stage.environment())


@pytest.fixture(scope="module")
def fargate(stage: Stage) -> str:
    return stage.queue(stage.environment("FARGATE"))


def on_fargate(
    stage: Stage, command: list[str], *, definition: dict[str, Any] | None = None, **container: Any
) -> str:
    return stage.definition(
        command,
        vcpus="1",
        memory="2048",
        executionRoleArn=stage.role("ecs-tasks.amazonaws.com", LOGS),
        definition={"platformCapabilities": ["FARGATE"], **(definition or {})},
        **container,
    )


def test_the_region_comes_from_the_definition_except_on_fargate(
    stage: Stage, instances: str, fargate: str
) -> None:
    code = (
        "import json, os; print(json.dumps([os.environ.get(n) for n in ('AWS_REGION',"
        " 'AWS_DEFAULT_REGION')]))"
    )
    given = [{"name": "AWS_REGION", "value": "eu-west-1"}]
    jobs = {
        "instances": stage.submit(instances, stage.python(code)),
        "instances, given": stage.submit(instances, stage.python(code, environment=given)),
        "Fargate": stage.submit(fargate, on_fargate(stage, ["python", "-c", code])),
    }
    told = {
        name: json.loads(stage.log(stage.wait(job)["container"]["logStreamName"])[0])
        for name, job in jobs.items()
    }
    assert told == {
        "instances": [None, None],
        "instances, given": ["eu-west-1", None],
        "Fargate": ["us-east-1", "us-east-1"],
    }


def _rules(*, fargate: bool) -> dict[str, Any]:
    """The retry strategy of the program's own definitions, as RegisterJobDefinition takes it."""
    strategy: Any = retry_strategy(attempts=2, fargate=fargate, multi_node=False)
    names = {
        "on_reason": "onReason",
        "on_status_reason": "onStatusReason",
        "on_exit_code": "onExitCode",
        "action": "action",
    }
    rules = [
        {api: getattr(rule, name) for name, api in names.items() if getattr(rule, name)}
        for rule in strategy.evaluate_on_exits
    ]
    return {"retryStrategy": {"attempts": 2, "evaluateOnExit": rules}}


CASES = {
    "no image": ({"image": "elsewhere/x:1"}, ["true"], 2),
    "no role": ({"jobRoleArn": "untrusted"}, ["true"], 2),
    "no program": ({}, ["no-such-program"], 1),
    "a bug": ({}, ["python", "-c", "raise SystemExit(70)"], 1),
}


@pytest.mark.parametrize("kind", ["instances", "fargate"])
@pytest.mark.parametrize("case", CASES)
def test_trouble_before_the_start_is_tried_again(
    stage: Stage, instances: str, fargate: str, kind: str, case: str
) -> None:
    container, command, attempts = CASES[case]
    if "jobRoleArn" in container:
        container = {"jobRoleArn": stage.role("lambda.amazonaws.com")}
    strategy = _rules(fargate=kind == "fargate")
    if kind == "fargate":
        job = stage.wait(
            stage.submit(fargate, on_fargate(stage, command, definition=strategy, **container))
        )
        if attempts == 2:  # there the status reason is the only place
            assert job["statusReason"].startswith(
                ("CannotPullContainerError", "ResourceInitializationError")
            )
            assert "reason" not in job["container"]
    else:
        job = stage.wait(
            stage.submit(instances, stage.definition(command, definition=strategy, **container))
        )
        assert (job["statusReason"] == "Task failed to start") == (case != "a bug")
    assert (job["status"], len(job["attempts"])) == ("FAILED", attempts)


def test_a_job_sees_no_package_that_no_image_has(stage: Stage, instances: str) -> None:
    code = "try: import pandas\nexcept ModuleNotFoundError as error: print(error)"
    ended = stage.wait(stage.submit(instances, stage.python(code)))
    assert stage.log(ended["container"]["logStreamName"]) == ["no image has pandas"]
    for image in ("cpu", "gpu"):
        lock = (ROOT / "requirements" / f"{image}.lock").read_text()
        names = {line.split("==")[0] for line in lock.splitlines() if "==" in line}
        hidden = {path.stem for path in HIDDEN.glob("*.py")} - {"__init__"}
        assert hidden
        assert not names & hidden

"""Retries of jobs: the rules as AWS Batch reads them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from components.retries import retry_strategy
from tests.components.program import STACKS, deployed
from workloads.analysis.launch.exit_codes import LaunchExit

DEFINITION = "aws:batch/jobDefinition:JobDefinition"

# what the provider accepts in patterns (terraform-provider-aws, job_definition.go)
_TEXT_PATTERN = re.compile(r"[0-9A-Za-z.:\s]*\*?")
_CODE_PATTERN = re.compile(r"[0-9]*\*?")

_NO_INTERFACE = "Timeout waiting for network interface provisioning to complete."
_NO_SECRET = (
    "ResourceInitializationError: unable to pull secrets or registry auth: execution resource"
    " retrieval failed"
)
FARGATE_ONLY = {
    "Fargate Spot",
    "image not pulled, on Fargate",
    "no secrets, on Fargate",
    "no network interface",
}
ENDS = {
    "Fargate Spot": ("Your Spot Task was interrupted.", "", None, "RETRY"),
    "image not pulled, on Fargate": (
        "CannotPullContainerError: pull image manifest has been retried 5 time(s)",
        "",
        None,
        "RETRY",
    ),
    "no secrets, on Fargate": (_NO_SECRET, "", None, "RETRY"),
    "no network interface": (_NO_INTERFACE, "", None, "RETRY"),
    "not started": ("Task failed to start", "", None, "RETRY"),
    "no secrets": ("Task failed to start", _NO_SECRET, None, "RETRY"),
    "no memory on Fargate": (
        "OutOfMemoryError: Container killed due to memory usage",
        "",
        137,
        "EXIT",
    ),
    "Spot interruption": ("Host EC2 (instance i-0123456789abcdef0) terminated.", "", None, "RETRY"),
    "image not pulled": (
        "Task failed to start",
        "CannotPullContainerError: context canceled",
        None,
        "RETRY",
    ),
    "Docker too slow": (
        "Task failed to start",
        "DockerTimeoutError: Could not transition to created",
        None,
        "RETRY",
    ),
    "a bug": ("Essential container in task exited", "", 70, "EXIT"),
    "bad data": ("Essential container in task exited", "", 1, "EXIT"),
    "out of memory": (
        "Essential container in task exited",
        "OutOfMemoryError: Container killed due to memory usage",
        137,
        "EXIT",
    ),
    "stopped": ("Essential container in task exited", "", 143, "EXIT"),
    "no image of that name": (
        "Task failed to start",
        "CannotStartContainerError: no such executable",
        127,
        "EXIT",
    ),
}


def _action(
    rules: list[dict[str, str]], status_reason: str, reason: str, exit_code: int | None
) -> str:
    """The first rule whose every pattern matches; without one the job is retried (AWS Batch API,
    RetryStrategy).
    """

    def matches(pattern: str | None, text: str | None) -> bool:
        if pattern is None:
            return True
        return (text or "").startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern

    for rule in rules:
        code = None if exit_code is None else str(exit_code)
        if "onExitCode" in rule and code is None:
            continue
        found = [
            (rule.get("onStatusReason"), status_reason),
            (rule.get("onReason"), reason),
            (rule.get("onExitCode"), code),
        ]
        if all(matches(*pair) for pair in found):
            return rule["action"]
    return "RETRY"


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("end", ENDS)
def test_only_trouble_that_another_attempt_can_cure_is_retried(stack: str, end: str) -> None:
    status_reason, reason, exit_code, action = ENDS[end]
    judged = 0
    for definition in deployed(stack).all(DEFINITION, count=3):
        fargate, multi_node = (
            definition.inputs.get("platformCapabilities") == ["FARGATE"],
            definition.inputs["type"] == "multinode",
        )
        if fargate and end in {"Spot interruption", "Docker too slow"}:
            continue
        if (
            not fargate
            and end in FARGATE_ONLY
            and not (multi_node and end == "no network interface")
        ):
            continue
        if definition.inputs["type"] == "multinode" and end == "Docker too slow":
            continue
        judged += 1
        assert (
            _action(
                definition.inputs["retryStrategy"]["evaluateOnExits"],
                status_reason,
                reason,
                exit_code,
            )
            == action
        ), definition.name
    assert (
        judged
        or (stack, end) == ("dev", "Docker too slow")
        or (stack != "dev" and end in FARGATE_ONLY)
    )


@pytest.mark.parametrize("stage", ["analysis", "preprocess"])
@pytest.mark.parametrize("code", LaunchExit)
def test_a_missing_or_lost_node_starts_the_analysis_again(code: LaunchExit, stage: str) -> None:
    worth_it = stage == "analysis" and code in {LaunchExit.JOIN_DEADLINE, LaunchExit.CHILD_LOST}
    rules = (
        deployed("prod").one(DEFINITION, f"jobs-{stage}").inputs["retryStrategy"]["evaluateOnExits"]
    )
    assert _action(rules, "Essential container in task exited", "", int(code)) == (
        "RETRY" if worth_it else "EXIT"
    )


def test_fargate_spot_interruption_is_retried() -> None:
    rules = (
        deployed("dev")
        .one(DEFINITION, "jobs-preprocess")
        .inputs["retryStrategy"]["evaluateOnExits"]
    )
    assert _action(rules, "Your Spot Task was interrupted.", "", None) == "RETRY"


@pytest.mark.parametrize(("fargate", "multi_node"), [(True, False), (False, False), (False, True)])
def test_rules_are_five_fit_the_api_and_end_with_exit(fargate: bool, multi_node: bool) -> None:
    strategy = retry_strategy(attempts=3, fargate=fargate, multi_node=multi_node)
    rules: Any = strategy.evaluate_on_exits
    assert len(rules) == 5, (
        "another number replaces the definition and takes its old revisions away"
    )
    assert (
        rules[-1].action,
        rules[-1].on_reason,
        rules[-1].on_status_reason,
        rules[-1].on_exit_code,
    ) == ("EXIT", "*", None, None)
    for rule in rules:
        assert all(
            _TEXT_PATTERN.fullmatch(text)
            for text in (rule.on_reason, rule.on_status_reason)
            if text is not None
        )
        assert rule.on_exit_code is None or _CODE_PATTERN.fullmatch(rule.on_exit_code)

"""The program as a whole: evaluates for every stack, tells operators the names, and refuses a bad
config in sentences.
"""

from __future__ import annotations

import ast
from typing import Any

import pulumi
import pulumi_aws
import pytest
from pulumi import _types

from components import settings
from config import Problem, StackConfig, keys
from tests.components.program import STACKS, config_of, deploy, deployed
from tests.support.program import ROOT
from workloads.contract import STAGES

EXPORTS = {
    "region",
    "vpc_id",
    "ingest_bucket",
    "intermediate_bucket",
    "results_bucket",
    "table",
    "cpu_repository_url",
    "gpu_repository_url",
    "environments",
    "queues",
    "queue_arns",
    "stage_queues",
    "stage_job_definitions",
    "analysis_is_multi_node",
    "analysis_shards",
    "log_groups",
    "state_machine_arn",
    "day_machine_arn",
    "submit_function",
    "notify_function",
    "dead_letter_queues",
    "alarm_topic_arn",
}


@pytest.mark.parametrize("stack", STACKS)
def test_outputs_are_the_names_that_an_operator_needs(stack: str) -> None:
    made, config = deployed(stack), config_of(stack)
    out = made.exports
    assert out.keys() == EXPORTS
    names = {r.outputs.get("name") or r.outputs.get("bucket") for r in made.resources if r.custom}
    singles = [
        out[key]
        for key in (
            "ingest_bucket",
            "intermediate_bucket",
            "results_bucket",
            "table",
            "submit_function",
            "notify_function",
        )
    ]
    maps = [
        name
        for key in ("environments", "queues", "stage_queues", "stage_job_definitions", "log_groups")
        for name in out[key].values()
    ]
    assert len(maps) == len(config.environments) + len(config.queues) + 3 * len(STAGES)
    assert {*singles, *maps} <= names
    assert out["queues"].keys() == out["queue_arns"].keys() == config.queues.keys()
    assert out["stage_queues"] == {
        stage: out["queues"][getattr(config.jobs, stage).queue] for stage in STAGES
    }
    assert (out["region"], out["analysis_is_multi_node"]) == ("us-east-1", True)
    machines = {
        r.outputs["arn"] for r in made.resources if r.type == "aws:sfn/stateMachine:StateMachine"
    }
    assert {out["state_machine_arn"], out["day_machine_arn"]} == (machines or {""})
    daily = config.pipeline.daily is not None
    assert out["dead_letter_queues"].keys() == {"submit", "notify", "alarm"} | (
        {"daily"} if daily else set()
    )
    letters = {r.outputs["url"]: r.name for r in made.all("aws:sqs/queue:Queue")}
    functions = {r.outputs["name"]: r.name for r in made.all("aws:lambda/function:Function")}
    for each in out["dead_letter_queues"].values():
        assert letters[each["url"]].removesuffix("-dead-letters") == functions[each["function"]]


@pytest.mark.parametrize("stack", STACKS)
def test_preview_with_unknown_values_makes_the_same_resources(stack: str) -> None:
    planned, made = deploy(stack, preview=True), deployed(stack)
    assert {r.urn for r in planned.resources} == {r.urn for r in made.resources}


def test_data_are_protected_in_prod() -> None:
    protected = {r.name for r in deployed("prod").resources if r.options.protect}
    assert protected == {
        "storage-ingest",
        "storage-intermediate",
        "storage-results",
        "storage-metrics",
    }
    assert not any(r.options.protect for r in deployed("dev").resources)


def test_every_problem_of_a_config_is_told_at_once() -> None:
    changes: dict[str, Any] = {
        "environments": {"gpu": {"max_vcpus": 64}},
        "jobs": {"preprocess": {"queue": "mian"}},
    }
    with pytest.raises(pulumi.RunError) as refused:
        deploy("prod", changes=changes)
    text = str(refused.value)
    assert text.startswith("Pulumi.prod.yaml has 2 errors:")
    assert "environments.gpu.max_vcpus: found 64" in text
    assert "768" in text
    assert 'jobs.preprocess.queue: found "mian"' in text


def test_warnings_of_a_config_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    doubt = Problem(
        code="DOUBT",
        level="warning",
        path="jobs.analysis",
        found=1,
        message="this is odd",
        fix="look again",
    )

    def with_doubt(stack: str, *_args: Any, **_kwargs: Any) -> tuple[StackConfig, list[Problem]]:
        return config_of(stack), [doubt]

    monkeypatch.setattr(settings, "load_stack_config", with_doubt)
    assert deploy("dev").doubts == (
        "warning DOUBT at jobs.analysis: found 1; this is odd. Fix: look again.",
    )


def test_main_only_wires() -> None:
    """One screen of statements, no branches, no loops, no functions."""
    tree = ast.parse((ROOT / "__main__.py").read_text())
    assert len(tree.body) <= 55, "statements, whose number no formatter changes"
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.Expr)
    assert [type(node).__name__ for node in tree.body if not isinstance(node, allowed)] == []


@pytest.mark.parametrize(
    ("key", "fix"),
    [
        ("batch-reference:tag", "write tags"),
        ("batch-reference:Tags", "write tags"),
        ("batch-reference:network.az_count", "write it as a field below network"),
        ("batch_reference:tags", "write batch-reference:tags"),
        ("batchreference:monitoring", "write batch-reference:monitoring"),
        ("aws:tags", "write batch-reference:tags"),
        ("batch-refrence:tgas", "write batch-reference:tgas, or remove it"),
        ("aws:regoin", "write aws:region"),
        ("pulumi:autoname", "write pulumi:autonaming"),
    ],
)
def test_no_key_is_dropped_without_a_word(key: str, fix: str) -> None:
    with pytest.raises(pulumi.RunError) as refused:
        deploy("dev", keys={key: "{}"})
    assert fix in str(refused.value)


def test_a_key_that_something_else_may_read_is_a_warning() -> None:
    (doubt,) = deploy("dev", keys={"elsewhere:level": "3"}).doubts
    assert "nothing in this program reads the namespace elsewhere" in doubt


def test_an_empty_secret_is_refused() -> None:
    with pytest.raises(pulumi.RunError, match="SHAPE-EMPTY at slack-webhook-url"):
        deploy("dev", secrets={"batch-reference:slack-webhook-url": ""})


def test_the_settings_of_the_aws_provider_are_known() -> None:
    assert set(keys._AWS) == set(_types.input_type_types(pulumi_aws.ProviderArgs))

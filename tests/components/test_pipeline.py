"""The submit function: when it is called, what it is told, what it may do."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from tests.components.mocks import Recording
from tests.components.program import STACKS, config_of, deploy, deployed
from workloads.contract import STAGES, concerns_uploads
from workloads.functions import executions
from workloads.functions.job_targets import JobTargets

FUNCTION = "aws:lambda/function:Function"
RULE = "aws:cloudwatch/eventRule:EventRule"
QUEUE = "aws:batch/jobQueue:JobQueue"
DEFINITION = "aws:batch/jobDefinition:JobDefinition"
BATCH = {"pipeline": {"orchestrator": "batch"}}


@cache
def _by_batch(stack: str) -> Recording:
    return deploy(stack, changes=BATCH, until="pipeline")


def _pattern(made: Recording) -> dict[str, Any]:
    return dict(json.loads(made.one(RULE, "pipeline-uploads").inputs["eventPattern"]))


def test_new_objects_of_the_ingest_bucket_call_the_function() -> None:
    made = deployed("prod")
    pattern = _pattern(made)
    assert (pattern["source"], pattern["detail-type"]) == (["aws.s3"], ["Object Created"])
    bucket = made.one("aws:s3/bucket:Bucket", "storage-ingest").outputs["bucket"]
    assert pattern["detail"]["bucket"] == {"name": [bucket]}
    assert made.one("aws:s3/bucketNotification:BucketNotification").inputs == {
        "bucket": bucket,
        "eventbridge": True,
    }


@pytest.mark.parametrize(
    "key",
    [
        "data/20260101/sales.csv",
        "data/20260101/Sales.Csv",
        "data/20260101/sales.TSV.gz",
        "data/20260101/a b+c=ü.csv",
        "data/20260101/sales.parquet",
        "data/sales.csv",
        "other/20260101/sales.csv",
    ],
)
def test_the_function_hears_of_every_object_that_it_has_something_to_say_of(key: str) -> None:
    prefixes = [
        matcher["prefix"] for matcher in _pattern(deployed("prod"))["detail"]["object"]["key"]
    ]
    assert any(key.startswith(prefix) for prefix in prefixes) is concerns_uploads(key), (
        "the rule and the function agree"
    )


@pytest.mark.parametrize("stack", STACKS)
def test_the_function_reads_its_settings_from_its_environment(
    stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment goes through the function's own reader."""
    made, config = _by_batch(stack), config_of(stack)
    monkeypatch.delenv("PIPELINE_STATE_MACHINE_ARN", raising=False)
    function = made.one(FUNCTION, "pipeline-submit")
    assert function.inputs["handler"] == "workloads.functions.submit.handler"
    for name, value in function.inputs["environment"]["variables"].items():
        monkeypatch.setenv(name, value)
    assert executions.Settings.from_env() is None
    settings = JobTargets.from_env()
    assert (
        function.inputs["environment"]["variables"]["PIPELINE_TABLE"]
        == made.one("aws:dynamodb/table:Table").outputs["name"]
    )
    assert list(settings.targets) == list(STAGES)
    for stage, target in settings.targets.items():
        job = getattr(config.jobs, stage)
        definition = made.one(DEFINITION, f"jobs-{stage}")
        assert target.queue == made.one(QUEUE, f"queues-{job.queue}").outputs["arn"]
        assert f"{target.definition}:1" == definition.outputs["arn"], (
            "without revision: the newest is taken"
        )
        assert (
            target.multi_node == (definition.inputs["type"] == "multinode") == (stage == "analysis")
        )
        assert target.share_identifier == job.share_identifier
    assert {target.share_identifier for target in settings.targets.values()} == (
        {"pipeline", None} if stack == "prod" else {None}
    )


def test_with_a_state_machine_the_function_reads_where_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = deployed("prod")
    variables = made.one(FUNCTION, "pipeline-submit").inputs["environment"]["variables"]
    assert "PIPELINE_JOB_QUEUES" not in variables
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = executions.Settings.from_env()
    assert settings is not None
    assert (
        settings.state_machine_arn
        == made.one("aws:sfn/stateMachine:StateMachine", "pipeline-run-machine").outputs["arn"]
    )
    assert settings.deadline_hours == config_of("prod").pipeline.deadline_hours


def test_the_function_may_submit_to_these_queues_and_definitions_alone() -> None:
    made = _by_batch("prod")
    statements = {
        s["Sid"]: (s["Action"], s["Resource"])
        for s in made.policy(made.one("aws:iam/rolePolicy:RolePolicy", "pipeline-submit-role"))
    }
    jobs = "arn:aws:batch:us-east-1:123456789012:job/*"
    prefixes = [made.one(DEFINITION, f"jobs-{stage}").outputs["arnPrefix"] for stage in STAGES]
    assert statements.pop("SubmitJobs") == (
        ["batch:SubmitJob"],
        [
            made.one(QUEUE, "queues-main").outputs["arn"],
            made.one(QUEUE, "queues-gpu").outputs["arn"],
            *(arn for prefix in prefixes for arn in (prefix, f"{prefix}:*")),
            jobs,
        ],
    )
    table = made.one("aws:dynamodb/table:Table").outputs["arn"]
    webhook = made.one("aws:secretsmanager/secret:Secret", "secrets-slack-webhook").outputs["arn"]
    assert statements.pop("TagJobs") == (["batch:TagResource"], [jobs])
    assert statements.pop("FindJobs") == (["batch:ListJobs"], ["*"])
    assert statements.pop("RunStates") == (
        ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
        [table],
    )
    assert statements.pop("WhatWasTold") == (["dynamodb:GetItem", "dynamodb:UpdateItem"], [table])
    assert statements.pop("Pause") == (["dynamodb:GetItem"], [table])
    assert statements.pop("ReadWebhook") == (["secretsmanager:GetSecretValue"], [webhook])
    assert statements.keys() == {"WriteLogs", "KeepDeadLetters"}


def test_without_slack_there_is_no_secret_to_read() -> None:
    made = deploy("dev", secrets={})
    for name in ("pipeline-submit", "monitoring-notify"):
        assert (
            "PIPELINE_SLACK_WEBHOOK_SECRET_ARN"
            not in made.one(FUNCTION, f"{name}").inputs["environment"]["variables"]
        )
        assert "ReadWebhook" not in {
            s["Sid"] for s in made.policy(made.one("aws:iam/rolePolicy:RolePolicy", f"{name}-role"))
        }


def test_uploads_can_be_switched_off() -> None:
    made = deploy(
        "dev",
        changes={
            "pipeline": {
                "enabled": False,
                "function_timeout_seconds": 120,
                "event_max_age_hours": 1,
            }
        },
    )
    states = {rule.name: rule.inputs["state"] for rule in made.all(RULE)}
    assert {name for name, state in states.items() if state == "DISABLED"} == {"pipeline-uploads"}
    assert states["monitoring-failures"] == "ENABLED"
    assert made.one(FUNCTION, "pipeline-submit").inputs["timeout"] == 120
    assert (
        made.one("aws:cloudwatch/eventTarget:EventTarget", "pipeline-uploads").inputs[
            "retryPolicy"
        ]["maximumEventAgeInSeconds"]
        == 3600
    )

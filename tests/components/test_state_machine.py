"""The state machine: whole, least privileged, and sound in the eyes of validators that are not
ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

from tests.components.mocks import Recording
from tests.components.program import deploy, deployed

MACHINE = "aws:sfn/stateMachine:StateMachine"
RUN = "pipeline-run-machine"
LOGS = {"DeliverLogs"}
DAY = "pipeline-day-runs-machine"
QUEUE = "aws:batch/jobQueue:JobQueue"
DEFINITION = "aws:batch/jobDefinition:JobDefinition"
FALLBACK = {
    "queue": "main",
    "nodes": 1,
    "vcpus": 4,
    "memory_mib": 6144,
    "timeout_minutes": 300,
    "array_backend": "numpy",
    "share_identifier": "pipeline",
    "scheduling_priority": 100,
}

SHARDS = {"queue": "main", "nodes": 1, "vcpus": 4, "memory_mib": 4096, "shards": 5}
OF_SHARDS = {
    "jobs": {
        "analysis": SHARDS,
        "fallback": {
            "queue": "main",
            "nodes": 1,
            "vcpus": 2,
            "memory_mib": 4096,
            "array_backend": "numpy",
            "timeout_minutes": 30,
        },
    },
    "pipeline": {"orchestrator": "step-functions"},
}


@pytest.fixture(scope="module")
def with_fallback() -> Recording:
    return deploy("prod", changes={"jobs": {"fallback": FALLBACK}}, until="pipeline")


@cache
def _with_shards() -> Recording:
    return deploy("local", changes=OF_SHARDS, until="pipeline")


def _definition(made: Recording) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(made.one(MACHINE, RUN).inputs["definition"])
    return found


def _next(state: dict[str, Any]) -> Iterator[str]:
    for holder in (state, *state.get("Choices", ()), *state.get("Catch", ())):
        for key in ("Next", "Default"):
            if key in holder:
                yield holder[key]


def _machine(kind: str, with_fallback: Recording) -> dict[str, Any]:
    if kind == "shards":
        return _definition(_with_shards())
    return _definition(with_fallback if kind == "fallback" else deployed("prod"))


@pytest.mark.parametrize(("kind", "count"), [("plain", 15), ("fallback", 20), ("shards", 25)])
def test_every_state_is_reached_every_task_is_retried_and_caught_and_all_ways_end(
    kind: str, count: int, with_fallback: Recording
) -> None:
    machine = _machine(kind, with_fallback)
    states = machine["States"]
    reached, todo = set[str](), [machine["StartAt"]]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo += _next(states[name])
    assert reached == states.keys()
    tasks = [state for state in states.values() if state["Type"] == "Task"]
    assert len(tasks) == count
    for task in tasks:
        assert task["Retry"]
        assert "States.ALL" in task["Catch"][-1]["ErrorEquals"]
    ends = {name for name, state in states.items() if not list(_next(state))}
    assert {name: states[name]["Type"] for name in ends} == {
        "Done": "Succeed",
        "JobFailed": "Fail",
        "Broken": "Fail",
    }
    for name in states:  # from everywhere some end can be reached
        seen, todo = set[str](), [name]
        while todo:
            here = todo.pop()
            if here not in seen:
                seen.add(here)
                todo += _next(states[here])
        assert seen & ends, name


def test_a_shard_that_batch_itself_cancelled_is_followed_by_the_fallback() -> None:
    states = _definition(_with_shards())["States"]
    assert states["AnalysisEnded"]["Choices"][-2]["Next"] == "AnalysisChildren"
    by = states["AnalysisChildCancelledBy"]
    assert [(each["StringMatches"], each["Next"]) for each in by["Choices"]] == [
        ("*JobStateTimeLimit*", "FallbackSubmit")
    ]
    assert by["Default"] == states["AnalysisChildTerminated"]["Next"] == "AnalysisTerminated"
    assert states["AnalysisChildrenFound"]["Default"] == "FallbackSubmit"
    pages = (states["AnalysisChildren"], states["AnalysisChildrenMore"])
    # a description of a job has some thousand bytes, and a state hands on 256 KiB
    assert {page["Parameters"]["MaxResults"] for page in pages} == {20}


def _validator() -> Any:
    """The schema of cfn-lint, without its imports: these take longer than all tests of this file."""
    (folder,) = find_spec("cfnlint").submodule_search_locations  # type: ignore[union-attr,misc]
    schema = Path(folder) / "data/schemas/other/step_functions/statemachine.json"
    return jsonschema.Draft7Validator(json.loads(schema.read_text()))


@pytest.mark.parametrize("kind", ["plain", "fallback", "shards"])
def test_validators_that_are_not_ours_accept_it(kind: str, with_fallback: Recording) -> None:
    machine = _machine(kind, with_fallback)
    validator = _validator()
    assert list(validator.iter_errors(machine)) == []
    broken = json.loads(json.dumps(machine))
    broken["States"]["Done"]["Type"] = "Success"
    assert list(validator.iter_errors(broken)), "the schema looks at states"
    AmazonStateLanguageParser.parse(json.dumps(machine))


def test_the_machine_of_the_day_is_whole_and_least_privileged() -> None:
    made = deployed("prod")
    machine = json.loads(made.one(MACHINE, DAY).inputs["definition"])
    assert list(_validator().iter_errors(machine)) == []
    AmazonStateLanguageParser.parse(json.dumps(machine))
    files = machine["States"]["Files"]
    assert (files["MaxConcurrency"], files["ToleratedFailurePercentage"]) == (10, 100)
    states = files["ItemProcessor"]["States"]
    reached, todo = set[str](), [files["ItemProcessor"]["StartAt"]]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo += _next(states[name])
    assert reached == states.keys()
    assert all(
        state["Catch"][-1]["Next"] == "Broken"
        for state in states.values()
        if state["Type"] == "Task"
    ), "one file stops no other"
    daily, submit = (
        made.one("aws:lambda/function:Function", f"pipeline-{each}").outputs["arn"]
        for each in ("day-look", "submit")
    )
    arn, table = (
        made.one(MACHINE, DAY).outputs["arn"],
        made.one("aws:dynamodb/table:Table").outputs["arn"],
    )
    policies = [
        made.one("aws:iam/rolePolicy:RolePolicy", f"pipeline-day-runs-{each}")
        for each in ("role", "distribute")
    ]
    may = {
        s["Sid"]: (s["Action"], s["Resource"])
        for policy in policies
        for s in made.policy(policy)
        if s["Sid"] not in LOGS
    }
    assert may == {
        "CallFunctions": (["lambda:InvokeFunction"], [daily, submit]),
        "RunStates": (["dynamodb:GetItem"], [table]),
        "StartParts": (["states:StartExecution"], [arn]),
        "FollowParts": (
            ["states:DescribeExecution", "states:StopExecution"],
            [f"{arn.replace(':stateMachine:', ':execution:')}:*"],
        ),
    }


@pytest.mark.parametrize("orchestrator", ["step-functions", "batch"])
def test_the_schedules_of_the_day_follow_its_time_zone_and_may_call_their_targets_alone(
    orchestrator: str,
) -> None:
    made = (
        deployed("prod")
        if orchestrator == "step-functions"
        else deploy("prod", changes={"pipeline": {"orchestrator": orchestrator}}, until="pipeline")
    )
    function = made.one("aws:lambda/function:Function", "pipeline-day-look").outputs["arn"]
    letters = made.one("aws:sqs/queue:Queue", "pipeline-day-look-dead-letters").outputs["arn"]
    first = made.one(MACHINE, DAY).outputs["arn"] if orchestrator == "step-functions" else function
    schedules = made.all("aws:scheduler/schedule:Schedule", count=2)
    found = {
        s.inputs["scheduleExpression"]: (
            s.inputs["target"]["arn"],
            s.inputs["scheduleExpressionTimezone"],
        )
        for s in schedules
    }
    assert found == {
        "cron(0 6 * * ? *)": (first, "Europe/Berlin"),
        "cron(0 18 * * ? *)": (function, "Europe/Berlin"),
    }
    for schedule in schedules:
        assert schedule.inputs["flexibleTimeWindow"] == {"mode": "OFF"}
        assert schedule.inputs["target"]["deadLetterConfig"] == {"arn": letters}
        assert made.depends_on(
            schedule, made.one("aws:iam/rolePolicy:RolePolicy", "pipeline-day-schedules")
        )
    may = {
        s["Sid"]: s["Resource"]
        for s in made.policy(made.one("aws:iam/rolePolicy:RolePolicy", "pipeline-day-schedules"))
    }
    assert may.pop("StartDay", [first]) == [first]
    assert may == {"CallFunction": [function], "KeepDeadLetters": [letters]}


def test_a_job_is_submitted_as_its_stage_wants_it(with_fallback: Recording) -> None:
    states = _definition(with_fallback)["States"]
    for label, stage, queue, share in (
        ("Preprocess", "preprocess", "main", "pipeline"),
        ("Analysis", "analysis", "gpu", None),
        ("Fallback", "fallback", "main", "pipeline"),
        ("Postprocess", "postprocess", "main", "pipeline"),
    ):
        asked = states[f"{label}Submit"]["Parameters"]
        assert asked["JobQueue"] == with_fallback.one(QUEUE, f"queues-{queue}").outputs["arn"]
        assert (
            asked["JobDefinition"]
            == with_fallback.one(DEFINITION, f"jobs-{stage}").outputs["arnPrefix"]
        )
        assert asked.get("ShareIdentifier") == share
        assert asked["JobName.$"] == f"$.jobs.{stage}"
        assert (
            ("NodeOverrides" in asked) == (label == "Analysis") != ("ContainerOverrides" in asked)
        )
        assert ("pipeline-fallback" in asked["Tags"]) == (label == "Analysis")
    assert (
        states["AnalysisSubmit"]["Parameters"]["NodeOverrides"]["NodePropertyOverrides"][0][
            "TargetNodes"
        ]
        == "0:"
    )
    assert states["AnalysisEnded"]["Choices"][1]["Next"] == "FallbackSubmit"
    assert states["FallbackEnded"]["Choices"][1]["Next"] == "JobFailed"
    assert (
        states["FallbackRecord"]["Parameters"]["ExpressionAttributeNames"]["#stage"] == "analysis"
    )


def test_only_calls_that_did_nothing_for_certain_are_repeated_blindly() -> None:
    states = _definition(deployed("prod"))["States"]
    for label in ("Preprocess", "Analysis", "Postprocess"):
        repeated = [
            error for retry in states[f"{label}Submit"]["Retry"] for error in retry["ErrorEquals"]
        ]
        assert repeated == ["Batch.TooManyRequestsException", "Batch.ThrottlingException"]
        assert states[f"{label}Submit"]["Catch"][-1]["Next"] == f"{label}Settle"


def test_the_machine_and_the_function_may_do_what_they_need_and_no_more() -> None:
    made = deployed("prod")
    inputs = made.one(MACHINE, RUN).inputs
    assert inputs["type"] == "STANDARD"
    assert inputs["tracingConfiguration"] == {"enabled": False}
    assert inputs["loggingConfiguration"]["logDestination"].endswith(":*")
    of_machine = {
        s["Sid"]: s
        for s in made.policy(made.one("aws:iam/rolePolicy:RolePolicy", "pipeline-run-role"))
    }
    assert of_machine.keys() == {
        "SubmitJobs",
        "TagJobs",
        "LookAtJobs",
        "StopJobs",
        "RunStates",
        *LOGS,
    }
    group = made.one("aws:cloudwatch/logGroup:LogGroup", "pipeline-run-logs").outputs
    # below this prefix a group takes nothing of the 5,120 characters that the account's log
    # resource policy may have
    assert group["name"] == "/aws/vendedlogs/states/batch-reference/prod/pipeline-run"
    # the eight that AWS CDK grants; what is written below the group the delivery writes itself
    assert len(of_machine["DeliverLogs"]["Action"]) == 8
    assert of_machine["RunStates"]["Condition"] == {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["DS#*"]}
    }
    assert of_machine["RunStates"]["Action"] == ["dynamodb:UpdateItem"]
    of_function = {
        s["Sid"]: s
        for s in made.policy(made.one("aws:iam/rolePolicy:RolePolicy", "pipeline-submit-role"))
    }
    assert of_function.keys() == {
        "StartRuns",
        "Pause",
        "RunStates",
        "WhatWasTold",
        "ReadWebhook",
        "WriteLogs",
        "KeepDeadLetters",
    }
    assert of_function["StartRuns"]["Resource"] == [made.one(MACHINE, RUN).outputs["arn"]]
    pattern = json.loads(
        made.one("aws:cloudwatch/eventRule:EventRule", "monitoring-failures-executions").inputs[
            "eventPattern"
        ]
    )
    assert pattern["detail"]["stateMachineArn"] == [made.one(MACHINE, RUN).outputs["arn"]]


def test_the_batch_orchestrator_has_no_machine() -> None:
    made = deployed("dev")
    made.none(MACHINE)
    assert made.exports["state_machine_arn"] == ""

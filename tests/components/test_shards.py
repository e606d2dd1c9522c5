"""An analysis of several shards: whoever submits it asks for an array, the job knows the size, and
the functions may look at children.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from tests.components import mocks
from tests.components.program import config_of, deploy, deployed
from workloads.variables import ENV_JOB_DEFINITIONS, ENV_SHARDS, ENV_STAGE_PRICES

JOB = {"queue": "main", "nodes": 1, "vcpus": 4, "memory_mib": 4096, "shards": 5}
FUNCTION, POLICY = "aws:lambda/function:Function", "aws:iam/rolePolicy:RolePolicy"


def changes(orchestrator: str) -> dict[str, Any]:
    jobs: dict[str, Any] = {"analysis": JOB}
    if orchestrator == "step-functions":
        jobs["fallback"] = {
            **config_of("local").jobs.analysis.model_dump(exclude_defaults=True, mode="json"),
            **JOB,
            "shards": 2,
        }
    return {"pipeline": {"orchestrator": orchestrator}, "jobs": jobs}


@cache
def with_shards(orchestrator: str) -> mocks.Recording:
    return deploy("local", changes=changes(orchestrator))


@pytest.mark.parametrize("orchestrator", ["batch", "step-functions"])
def test_an_analysis_of_shards_is_a_plain_job_that_knows_their_number(orchestrator: str) -> None:
    made = with_shards(orchestrator)
    for name, shards in (("analysis", "5"), ("fallback", "2"))[
        : 1 + (orchestrator == "step-functions")
    ]:
        inputs = made.one("aws:batch/jobDefinition:JobDefinition", f"jobs-{name}").inputs
        assert (inputs["type"], inputs["platformCapabilities"]) == ("container", ["EC2"])
        variables = {
            each["name"]: each["value"]
            for each in json.loads(inputs["containerProperties"])["environment"]
        }
        assert variables[ENV_SHARDS] == shards
        one = json.loads(variables[ENV_STAGE_PRICES])["analysis"] / 5
        assert one == pytest.approx(_price_of_one(), rel=1e-4)
    assert {s["Sid"] for s in made.policy(made.one(POLICY, "monitoring-notify-role"))} >= {
        "SeeChildren"
    }
    assert "SeeChildren" not in {
        s["Sid"]
        for s in deployed("local").policy(deployed("local").one(POLICY, "monitoring-notify-role"))
    }


@cache
def _price_of_one() -> float:
    made = deploy("local", changes={"jobs": {"analysis": {**JOB, "shards": 1}}}, until="jobs")
    text = made.one("aws:batch/jobDefinition:JobDefinition", "jobs-analysis").inputs[
        "containerProperties"
    ]
    variables = {each["name"]: each["value"] for each in json.loads(text)["environment"]}
    assert ENV_SHARDS not in variables
    return float(json.loads(variables[ENV_STAGE_PRICES])["analysis"])


def test_both_orchestrators_ask_for_the_array() -> None:
    variables = (
        with_shards("batch").one(FUNCTION, "pipeline-submit").inputs["environment"]["variables"]
    )
    definitions = json.loads(variables[ENV_JOB_DEFINITIONS])
    assert {stage: each["shards"] for stage, each in definitions.items()} == {
        "preprocess": 1,
        "analysis": 5,
        "postprocess": 1,
    }
    states = json.loads(
        with_shards("step-functions").one("aws:sfn/stateMachine:StateMachine").inputs["definition"]
    )["States"]
    sizes = {
        name: state["Parameters"].get("ArrayProperties")
        for name, state in states.items()
        if name.endswith("Submit")
    }
    assert sizes == {
        "PreprocessSubmit": None,
        "AnalysisSubmit": {"Size": 5},
        "FallbackSubmit": {"Size": 2},
        "PostprocessSubmit": None,
    }

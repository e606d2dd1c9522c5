"""As many environments and queues as AWS Batch allows in a region, and as many data sets as the
config, and every guard on: all within AWS's limits.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from config.loading import load_stack_config
from config.stack import SECTIONS
from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import deploy
from tests.config.stacks import sections

ROOT = Path(__file__).parents[2]
MOST = 50


def largest() -> dict[str, Any]:
    """The sections of prod with everything that a list can hold, and the longest names."""
    found = sections()
    spare = {"kind": "on-demand", "instance_types": ["c6i.xlarge"], "max_vcpus": 16}
    for number in range(MOST - len(found["environments"])):
        found["environments"][f"environment-{number:018}"] = spare
    for number in range(MOST - len(found["queues"])):
        found["queues"][f"queue-{number:024}"] = {
            "environments": [f"environment-{number % 40:018}"]
        }
    daily = {
        "file_by": "06:00",
        "finished_by": "12:00",
        "time_zone": "Europe/Berlin",
        "datasets": [f"{n:064}" for n in range(100)],
    }
    found["pipeline"] = {**found.get("pipeline", {}), "daily": daily}
    found["budget"] |= {"stop_submissions_percent": 90, "guard": {"limit_usd": 8000}}
    found["storage"] = {**found.get("storage", {}), "protect": False, "delete_with_content": True}
    return found


@pytest.mark.timeout(600)
def test_the_largest_config_that_check_passes_deploys(tmp_path: Path) -> None:
    made = {name: value for name, value in largest().items() if name in SECTIONS}
    config, _ = load_stack_config("prod", made.get)
    assert (len(config.environments), len(config.queues), len(config.pipeline.daily.datasets)) == (  # type: ignore[union-attr]
        MOST,
        MOST,
        100,
    )
    with LocalCloud(tmp_path, images={}) as cloud:
        texts = {f"batch-reference:{name}": json.dumps(value) for name, value in made.items()}
        deployed = deploy(ROOT, "prod", cloud.client, config=texts)
        # what travels with the code is what the function finds there
        function = deployed.resource(
            "aws:lambda/function:Function", "monitoring-measure-look"
        ).outputs["name"]
        answer = cloud.client("lambda").invoke(FunctionName=function, Payload=b"{}")
        assert json.loads(answer["Payload"].read()) == {"outcome": "looked"}
        look = deployed.resource("aws:lambda/function:Function", "pipeline-day-look").outputs[
            "name"
        ]
        answer = cloud.client("lambda").invoke(
            FunctionName=look,
            Payload=json.dumps({"at": "2026-01-02T12:00:00Z", "begin": False}).encode(),
        )
        assert "FunctionError" not in answer, answer["Payload"].read()
        (action,) = (
            r for r in deployed.resources if r.type == "aws:budgets/budgetAction:BudgetAction"
        )
        (told,) = cloud.client("budgets").describe_budget_actions_for_budget(
            AccountId=cloud.account_id, BudgetName=action.inputs["budgetName"]
        )["Actions"]
    roles = {r.outputs["name"] for r in deployed.resources if r.type == "aws:iam/role:Role"}
    assert set(told["Definition"]["IamActionDefinition"]["Roles"]) <= roles
    assert (told["ActionThreshold"]["ActionThresholdValue"], told["Status"]) == (90, "STANDBY")

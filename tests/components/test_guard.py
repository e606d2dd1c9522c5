"""What stops the spending is there where the config asks for it, and may do no more than it has
to.
"""

from __future__ import annotations

import json
from collections import Counter

import pulumi
import pytest

from components import guard as guard_module
from config.facts import ec2_facts
from localcloud.deployment.engine import Resource
from tests.components import mocks
from tests.components.program import deploy, deployed

ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"


@pytest.fixture(scope="module")
def guarded() -> mocks.Recording:
    return deploy(
        "dev",
        changes={
            "budget": {
                "guard": {"limit_usd": 100, "check_minutes": 1},
                "stop_submissions_percent": 90,
            }
        },
    )


def test_both_are_off_unless_asked_for_and_cost_what_somebody_decided(
    guarded: mocks.Recording,
) -> None:
    without = deployed("dev")
    without.none("aws:budgets/budgetAction:BudgetAction")
    more = Counter(r.type for r in guarded.resources if r.custom) - Counter(
        r.type for r in without.resources if r.custom
    )
    assert more == {
        "aws:budgets/budgetAction:BudgetAction": 1,
        "aws:iam/policy:Policy": 1,
        "aws:iam/role:Role": 2,
        ROLE_POLICY: 2,
        "aws:cloudwatch/eventRule:EventRule": 1,
        "aws:cloudwatch/eventTarget:EventTarget": 1,
        "aws:cloudwatch/logGroup:LogGroup": 1,
        "aws:cloudwatch/metricAlarm:MetricAlarm": 3,
        "aws:lambda/function:Function": 1,
        "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": 1,
        "aws:lambda/permission:Permission": 1,
        "aws:sqs/queue:Queue": 1,
        "aws:sqs/queuePolicy:QueuePolicy": 1,
    }


ORCHESTRATORS = {"batch": ["submit"], "step-functions": ["submit", "run", "day-runs"]}
"""Whose roles submit jobs or start runs."""


def _submitters(made: mocks.Recording, orchestrator: str) -> list[Resource]:
    return [
        made.one("aws:iam/role:Role", f"pipeline-{each}-role")
        for each in ORCHESTRATORS[orchestrator]
    ]


@pytest.fixture(scope="module", params=ORCHESTRATORS)
def stopped(request: pytest.FixtureRequest) -> tuple[str, mocks.Recording]:
    changes = {
        "budget": {"stop_submissions_percent": 90},
        "pipeline": {"orchestrator": request.param},
    }
    return request.param, deploy("prod", changes=changes)


def test_the_used_up_budget_forbids_whoever_submits_to_begin_anything(
    stopped: tuple[str, mocks.Recording],
) -> None:
    orchestrator, guarded = stopped
    action = guarded.one("aws:budgets/budgetAction:BudgetAction").inputs
    assert action["budgetName"] == guarded.one("aws:budgets/budget:Budget").outputs["name"]
    assert (action["actionType"], action["approvalModel"], action["notificationType"]) == (
        "APPLY_IAM_POLICY",
        "AUTOMATIC",
        "ACTUAL",
    )
    assert action["actionThreshold"] == {
        "actionThresholdType": "PERCENTAGE",
        "actionThresholdValue": 90,
    }
    names = [role.outputs["name"] for role in _submitters(guarded, orchestrator)]
    policy = guarded.one("aws:iam/policy:Policy")
    assert action["definition"] == {
        "iamActionDefinition": {"policyArn": policy.outputs["arn"], "roles": names}
    }
    (deny,) = guarded.policy(policy)
    assert (deny["Effect"], deny["Action"], deny["Resource"]) == (
        "Deny",
        ["batch:SubmitJob", "states:StartExecution"],
        ["*"],
    )


def test_no_role_that_may_begin_work_is_left_out(stopped: tuple[str, mocks.Recording]) -> None:
    orchestrator, made = stopped
    begins = {"batch:SubmitJob", "states:StartExecution"}
    policies = made.all(ROLE_POLICY)
    may = {
        policy.inputs["role"]
        for policy in policies
        if any(begins & set(s["Action"]) for s in made.policy(policy))
    }
    by_schedule = made.one("aws:iam/role:Role", "pipeline-day-schedules").outputs[
        "name"
    ]  # starts the day's machine, which is stopped
    assert may - {by_schedule} == {role.outputs["name"] for role in _submitters(made, orchestrator)}


def test_budgets_may_attach_this_policy_to_these_roles_and_nothing_else(
    stopped: tuple[str, mocks.Recording],
) -> None:
    orchestrator, guarded = stopped
    (allowed,) = guarded.policy(guarded.one(ROLE_POLICY, "budget-stop-role"))
    assert allowed["Action"] == ["iam:AttachRolePolicy", "iam:DetachRolePolicy"]
    assert allowed["Resource"] == [
        role.outputs["arn"] for role in _submitters(guarded, orchestrator)
    ]
    assert allowed["Condition"] == {
        "ArnEquals": {"iam:PolicyARN": guarded.one("aws:iam/policy:Policy").outputs["arn"]}
    }
    (trust,) = guarded.policy(
        guarded.one("aws:iam/role:Role", "budget-stop-role"), "assumeRolePolicy"
    )
    assert trust["Principal"] == {"Service": "budgets.amazonaws.com"}
    assert "Resource" not in trust
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": mocks.ACCOUNT}


def test_the_guard_looks_on_schedule_and_knows_queue_limit_and_prices(
    guarded: mocks.Recording,
) -> None:
    rule = guarded.one("aws:cloudwatch/eventRule:EventRule", "budget-guard-clock").inputs
    assert rule["scheduleExpression"] == "rate(1 minute)", "EventBridge knows the singular"
    assert "eventPattern" not in rule
    function = guarded.one("aws:lambda/function:Function", "budget-guard-watch").inputs
    assert function["handler"] == "workloads.functions.guard.handler"
    variables = function["environment"]["variables"]
    queue = guarded.one("aws:batch/jobQueue:JobQueue", "queues-gpu").outputs
    assert (variables["PIPELINE_GUARD_QUEUE"], variables["PIPELINE_GUARD_LIMIT_USD"]) == (
        queue["arn"],
        "100.0",
    )
    price = ec2_facts().types["g5.8xlarge"].usd_per_hour
    assert price is not None
    (rates,) = json.loads(variables["PIPELINE_GUARD_RATES"])
    assert rates == pytest.approx(
        {"instance": price, "vcpu": price / 32, "gib": price / 128, "gpu": price}, abs=1e-6
    )


def test_the_guard_disables_its_own_queue_only(guarded: mocks.Recording) -> None:
    statements = {
        s["Sid"]: s for s in guarded.policy(guarded.one(ROLE_POLICY, "budget-guard-watch-role"))
    }
    assert statements.keys() == {
        "WriteLogs",
        "KeepDeadLetters",
        "SeeJobs",
        "DisableQueue",
        "TerminateJobs",
        "Records",
        "ReadWebhook",
    }
    assert statements["DisableQueue"]["Resource"] == [
        guarded.one("aws:batch/jobQueue:JobQueue", "queues-gpu").outputs["arn"]
    ]
    assert statements["Records"]["Condition"] == {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["GUARD#*"]}
    }
    assert {
        action for s in statements.values() if "*" in s["Resource"] for action in s["Action"]
    } == {
        "batch:ListJobs",
        "batch:DescribeJobs",
    }


def test_a_guard_that_cannot_count_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = ec2_facts().model_copy(
        update={"prices": ec2_facts().prices.model_copy(update={"region": "eu-west-1"})}
    )
    monkeypatch.setattr(guard_module, "ec2_facts", lambda: elsewhere)
    with pytest.raises(
        pulumi.RunError, match=r"price list of eu-west-1, and the stack is in us-east-1"
    ):
        deploy("dev", changes={"budget": {"guard": {"limit_usd": 100}}})

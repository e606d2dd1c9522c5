"""A living stack follows its file: every section changes, AWS has what the file says, and a preview
had said so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import Deployment, deploy, destroy
from tests.localcloud.deploying import no_aws
from tests.localcloud.inventory import inventory

ROOT = Path(__file__).parents[2]
OPEN = {"storage": {"protect": False, "delete_with_content": True}}
EVERYWHERE: dict[str, Any] = {
    "storage": {**OPEN["storage"], "intermediate_days": 9},
    "tags": {"cost-center": "other", "new": "x"},
    "environments": {
        "spot-cpu": {"max_vcpus": 32, "root_volume_gib": 99, "update_timeout_minutes": 77},
        "on-demand-cpu": {"enabled": False},
    },
    "queues": {
        "main": {
            "priority": 7,
            "fair_share": {"weights": {"pipeline": 1, "adhoc": 4}},
            "runnable_limits": [],
        }
    },
    "jobs": {"preprocess": {"memory_mib": 8192}},
    "monitoring": {"log_retention_days": 30, "emails": ["a@example.com"]},
    "budget": {"monthly_usd": 20000, "notify_percents": [60]},
    "pipeline": {"function_timeout_seconds": 99},
}
ELSEWHERE: dict[str, Any] = {
    **EVERYWHERE,
    "network": {"nat": "single", "az_count": 2, "interface_endpoints": ["logs"]},
    "pipeline": {"orchestrator": "batch"},
    "queues": {"main": {"fair_share": None}},
    "jobs": {
        stage: {"share_identifier": None, "scheduling_priority": None}
        for stage in ("preprocess", "postprocess")
    },
}


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return {**old, **{name: _merged(old.get(name), value) for name, value in new.items()}}
    return new


def _config(changes: Mapping[str, Any]) -> dict[str, str]:
    stack = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text())["config"]
    return {
        f"batch-reference:{name}": json.dumps(
            _merged(stack.get(f"batch-reference:{name}", {}), value)
        )
        for name, value in changes.items()
    }


def _steps(deployment: Deployment) -> set[tuple[str, str]]:
    return {(step.operation, step.urn) for step in deployment.steps}


@pytest.mark.timeout(300)
def test_a_stack_follows_its_file_through_every_section(tmp_path: Path) -> None:
    with LocalCloud(tmp_path, images={}) as cloud:
        cloud.batch.store.relation_seconds = 0.0  # test_replacement.py is about that
        before = inventory(cloud.client, cloud.account_id)
        state = deploy(ROOT, "prod", cloud.client, config=_config(OPEN)).state
        for changes in (EVERYWHERE, ELSEWHERE):
            previewed = deploy(
                ROOT, "prod", no_aws, config=_config(changes), previous=state, preview=True
            )
            changed = deploy(ROOT, "prod", cloud.client, config=_config(changes), previous=state)
            # a preview may fear for what an update leaves as it is, and never overlooks anything
            assert {step for step in _steps(changed) if step[0] != "same"} <= _steps(previewed)
            again = deploy(
                ROOT, "prod", cloud.client, config=_config(changes), previous=changed.state
            )
            assert {step.operation for step in again.steps} == {"same"}, [
                step for step in again.steps if step.operation != "same"
            ]
            state = again.state
            replaced = {
                urn.rpartition("::")[2]
                for operation, urn in _steps(changed)
                if operation == "replace"
            }
            if changes is ELSEWHERE:
                assert "queues-main" in replaced  # AWS takes no policy from a queue
                assert not {name for name in replaced if name.startswith("environments")}
            else:
                assert {operation for operation, _ in _steps(changed)} == {
                    "same",
                    "update",
                    "replace",
                    "delete replaced",
                }
                _check(cloud, changed)
        destroy(ROOT, "prod", cloud.client, config=_config(ELSEWHERE), previous=state)
        assert inventory(cloud.client, cloud.account_id) == before


def _check(cloud: LocalCloud, deployed: Deployment) -> None:
    """That AWS has what EVERYWHERE says."""
    ids = {resource.name: resource.id for resource in deployed.resources}
    batch = cloud.client("batch")
    (spot,) = batch.describe_compute_environments(
        computeEnvironments=[ids["environments-spot-cpu"]]
    )["computeEnvironments"]
    assert (
        spot["computeResources"]["maxvCpus"],
        spot["computeResources"]["launchTemplate"]["version"],
    ) == (32, "2")
    assert spot["updatePolicy"]["jobExecutionTimeoutMinutes"] == 77
    assert spot["tags"]["new"] == spot["computeResources"]["tags"]["new"] == "x"
    (rest,) = batch.describe_compute_environments(
        computeEnvironments=[ids["environments-on-demand-cpu"]]
    )["computeEnvironments"]
    assert rest["state"] == "DISABLED"
    (queue,) = batch.describe_job_queues(jobQueues=[ids["queues-main"]])["jobQueues"]
    assert (queue["priority"], queue["jobStateTimeLimitActions"]) == (7, [])
    (shares,) = batch.describe_scheduling_policies(arns=[queue["schedulingPolicyArn"]])[
        "schedulingPolicies"
    ]
    assert {
        share["shareIdentifier"]: share["weightFactor"]
        for share in shares["fairsharePolicy"]["shareDistribution"]
    } == {
        "pipeline": 1,
        "adhoc": 4,
    }
    name = deployed.resource("aws:batch/jobDefinition:JobDefinition", "jobs-preprocess").outputs[
        "name"
    ]
    revisions = batch.describe_job_definitions(jobDefinitionName=name)["jobDefinitions"]
    sizes = {
        r["revision"]: next(
            e["value"]
            for e in r["containerProperties"]["resourceRequirements"]
            if e["type"] == "MEMORY"
        )
        for r in revisions
    }
    assert {r["revision"]: r["status"] for r in revisions} == {1: "ACTIVE", 2: "ACTIVE"}
    assert (sizes[1], sizes[2]) == ("4096", "8192")
    groups = cloud.client("logs").describe_log_groups()["logGroups"]
    assert {group["retentionInDays"] for group in groups} == {30}
    (budget,) = cloud.client("budgets").describe_budgets(AccountId=cloud.account_id)["Budgets"]
    assert float(budget["BudgetLimit"]["Amount"]) == 20000
    told = cloud.client("budgets").describe_notifications_for_budget(
        AccountId=cloud.account_id, BudgetName=budget["BudgetName"]
    )
    assert {notification["Threshold"] for notification in told["Notifications"]} == {60, 100}
    function = cloud.client("lambda").get_function(FunctionName=ids["pipeline-submit"])
    assert function["Configuration"]["Timeout"] == 99
    assert function["Tags"]["new"] == "x"
    rules = cloud.client("s3").get_bucket_lifecycle_configuration(
        Bucket=ids["storage-intermediate"]
    )["Rules"]
    assert 9 in {rule.get("Expiration", {}).get("Days") for rule in rules}
    topic = deployed.resource(
        "aws:sns/topicSubscription:TopicSubscription", "monitoring-email-0"
    ).inputs
    (mail,) = [
        s
        for s in cloud.client("sns").list_subscriptions_by_topic(TopicArn=topic["topic"])[
            "Subscriptions"
        ]
        if s["Protocol"] == "email"
    ]
    assert mail["Endpoint"] == "a@example.com"

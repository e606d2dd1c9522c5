"""The documented way to CI: the roles allow what the program and its scripts ask, and previews do
not wait for one another.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.session import get_session

from tests.components.program import deployed

ROOT = Path(__file__).parents[1]
ROLES = sorted((ROOT / "examples/ci").glob("*.json"))
INVOKES = {
    "aws:index/getAvailabilityZones:getAvailabilityZones": "ec2:DescribeAvailabilityZones",
    "aws:index/getCallerIdentity:getCallerIdentity": "sts:GetCallerIdentity",
    "aws:secretsmanager/getRandomPassword:getRandomPassword": "secretsmanager:GetRandomPassword",
    "aws:index/getRegion:getRegion": None,
    "aws:index/getPartition:getPartition": None,
    "aws:iam/getPolicyDocument:getPolicyDocument": None,
}
"""What a function of the provider asks AWS; None: nothing."""
BOTO = {
    "kms": "kms",
    "s3": "s3",
    "ec2": "ec2",
    "ecr": "ecr",
    "sts": "sts",
    "states": "stepfunctions",
    "secretsmanager": "secretsmanager",
}
NOT_OPERATIONS = {"s3:ListBucket", "ecr:UploadLayerPart"}


def _actions(name: str) -> set[str]:
    statements = json.loads((ROOT / "examples/ci" / name).read_text())["Statement"]
    return {action for statement in statements for action in statement["Action"]}


def _workflow(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows" / name).read_text())
    return loaded


@pytest.mark.parametrize("path", ROLES, ids=lambda path: path.name)
def test_example_policies_are_documents_whose_actions_exist(path: Path) -> None:
    document = json.loads(path.read_text())
    assert document["Version"] == "2012-10-17"
    for statement in document["Statement"]:
        assert statement["Effect"] == "Allow"
        actions = (
            statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        )
        for action in actions:
            service, _, operation = action.partition(":")
            known = get_session().get_service_model(BOTO[service]).operation_names
            assert operation in known or action in NOT_OPERATIONS, action
    assert f"examples/ci/{path.name}" in (ROOT / "docs/ci.md").read_text()


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_preview_role_allows_what_the_program_asks_while_it_is_evaluated(stack: str) -> None:
    asked = {INVOKES[token] for token in deployed(stack).invoked} - {None}
    assert {"secretsmanager:GetRandomPassword", "ec2:DescribeAvailabilityZones"} <= asked
    allowed = _actions("preview-role.json")
    assert asked <= allowed
    # the provider has a state machine's definition checked while it compares; state and secrets are
    # read in any case
    assert allowed - asked == {
        "states:ValidateStateMachineDefinition",
        "kms:Decrypt",
        "s3:GetObject",
        "s3:ListBucket",
    }


def test_the_images_role_opens_the_state_and_pushes() -> None:
    assert {"kms:Decrypt", "s3:GetObject", "ecr:PutImage", "ecr:GetAuthorizationToken"} <= _actions(
        "images-role.json"
    )


def test_previews_of_different_pull_requests_run_side_by_side_and_updates_one_by_one() -> None:
    concurrency = _workflow("stack.yml")["jobs"]["pulumi"]["concurrency"]
    assert "github.event.pull_request.number" in concurrency["group"]
    assert re.search(
        r"inputs\.command == 'preview' && format\('-\{0\}', github\.event\.pull_request\.number\)"
        r" \|\| ''",
        concurrency["group"],
    )
    assert concurrency["cancel-in-progress"] == "${{ inputs.command == 'preview' }}"


def test_unreviewed_code_gets_no_secrets() -> None:
    jobs = _workflow("stack.yml")["jobs"]
    assert jobs["pulumi"]["needs"] == "reviewed"
    assert jobs["reviewed"]["if"] == "inputs.command == 'preview'"
    assert "environment" not in jobs["reviewed"], "who looks for reviewers has no role"
    assert "required_reviewers" in json.dumps(jobs["reviewed"]["steps"])
    for caller in ("preview.yml", "up.yml"):
        for job in _workflow(caller)["jobs"].values():
            if "uses" in job:  # a called workflow has no more than its caller grants
                assert {"actions", "contents", "id-token", "pull-requests"} <= job[
                    "permissions"
                ].keys()

"""What holds for every component and every resource of every stack."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.context import TYPE_PACKAGE
from localcloud.deployment.engine import Resource
from localcloud.deployment.provider.schema import resource_schema
from tests.components.mocks import PROJECT, Recording
from tests.components.program import SLACK_URL, STACKS, deployed
from tests.support.program import ROOT

pytestmark = pytest.mark.parametrize("stack", STACKS)

# Type -> how many in the stacks dev, local and prod. Another number is another bill, or other
# rights: change it here on purpose.
COUNTS = {
    "aws:batch/computeEnvironment:ComputeEnvironment": (2, 3, 3),
    "aws:batch/jobDefinition:JobDefinition": (3, 3, 3),
    "aws:batch/jobQueue:JobQueue": (2, 2, 2),
    "aws:batch/schedulingPolicy:SchedulingPolicy": (0, 0, 1),
    "aws:budgets/budget:Budget": (1, 1, 1),
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": (2, 2, 3),
    "aws:cloudwatch/dashboard:Dashboard": (1, 1, 1),
    "aws:cloudwatch/eventRule:EventRule": (7, 7, 9),
    "aws:cloudwatch/eventTarget:EventTarget": (7, 7, 9),
    "aws:cloudwatch/logGroup:LogGroup": (8, 8, 11),
    "aws:cloudwatch/metricAlarm:MetricAlarm": (28, 32, 46),
    "aws:cloudwatch/queryDefinition:QueryDefinition": (8, 8, 8),
    "aws:dynamodb/table:Table": (1, 1, 1),
    "aws:ec2/eip:Eip": (1, 1, 3),
    "aws:ec2/internetGateway:InternetGateway": (1, 1, 1),
    "aws:ec2/launchTemplate:LaunchTemplate": (1, 3, 3),
    "aws:ec2/natGateway:NatGateway": (1, 1, 3),
    "aws:ec2/placementGroup:PlacementGroup": (1, 1, 1),
    "aws:ec2/route:Route": (3, 3, 4),
    "aws:ec2/routeTable:RouteTable": (3, 3, 4),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": (4, 4, 6),
    "aws:ec2/securityGroup:SecurityGroup": (2, 2, 2),
    "aws:ec2/subnet:Subnet": (4, 4, 6),
    "aws:ec2/vpc:Vpc": (1, 1, 1),
    "aws:ec2/vpcEndpoint:VpcEndpoint": (2, 2, 2),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": (2, 2, 2),
    "aws:ecr/repository:Repository": (2, 2, 2),
    "aws:iam/instanceProfile:InstanceProfile": (1, 1, 1),
    "aws:iam/role:Role": (10, 10, 14),
    "aws:iam/rolePolicy:RolePolicy": (9, 9, 14),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": (2, 2, 2),
    "aws:kms/key:Key": (1, 1, 1),
    "aws:lambda/function:Function": (5, 5, 6),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": (5, 5, 6),
    "aws:lambda/permission:Permission": (8, 8, 10),
    "aws:s3/bucket:Bucket": (3, 3, 3),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": (3, 3, 3),
    "aws:s3/bucketNotification:BucketNotification": (1, 1, 1),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": (3, 3, 3),
    "aws:s3/bucketPolicy:BucketPolicy": (3, 3, 3),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": (3, 3, 3),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        3,
        3,
        3,
    ),
    "aws:s3/bucketVersioning:BucketVersioning": (3, 3, 3),
    "aws:scheduler/schedule:Schedule": (0, 0, 2),
    "aws:secretsmanager/secret:Secret": (2, 2, 2),
    "aws:secretsmanager/secretVersion:SecretVersion": (2, 2, 2),
    "aws:sfn/stateMachine:StateMachine": (0, 0, 2),
    "aws:sns/topic:Topic": (1, 1, 1),
    "aws:sns/topicPolicy:TopicPolicy": (1, 1, 1),
    "aws:sns/topicSubscription:TopicSubscription": (1, 1, 2),
    "aws:sqs/queue:Queue": (5, 5, 6),
    "aws:sqs/queuePolicy:QueuePolicy": (5, 5, 6),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": (3, 3, 3),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": (1, 1, 1),
}


def _components(made: Recording) -> list[Resource]:
    found = [r for r in made.resources if r.type.startswith(f"{TYPE_PACKAGE}:")]
    assert len(found) >= 12
    return found


def _aws(made: Recording) -> list[Resource]:
    found = [r for r in made.resources if r.custom]
    assert len(found) > 100
    return found


def test_every_resource_is_a_component_or_belongs_to_one(stack: str) -> None:
    made = deployed(stack)
    components = {c.urn: c for c in _components(made)}
    root = {r.urn for r in made.resources if r.type == "pulumi:pulumi:Stack"}
    assert len(root) == 1
    children = Counter(r.parent for r in made.resources)
    for resource in made.resources:
        if resource.urn in root:
            continue
        if resource.urn in components:
            assert children[resource.urn] > 0, f"{resource.name} holds nothing"
            assert resource.parent in root | components.keys()
        else:
            assert resource.parent in components, (
                f"{resource.type} {resource.name} hangs on the stack itself"
            )
        if resource.parent in components:
            parent = components[resource.parent].name
            assert resource.name == parent or resource.name.startswith(f"{parent}-"), (
                f"{resource.name} is a child of {parent}"
            )


MACHINES = {"Orchestration", "Machine", "Daily"}
OPTIONAL = {
    "Guard",
    "PreparedImages",
    "PreparedRoles",
    "SharedEfs",
    "SharedLustre",
    "SubmissionStop",
    *MACHINES,
}
"""Components that a stack has only where its config asks for them; test_guard.py,
test_shared_files.py and test_prepared_images.py deploy the others.
"""


def test_every_component_class_is_deployed_and_has_its_token(stack: str) -> None:
    defined = {
        node.name
        for path in (ROOT / "components").rglob("*.py")
        for node in _component_classes(path)
    }
    assert len(defined) >= 12
    expected = defined - OPTIONAL | (MACHINES if stack == "prod" else set())
    assert {c.type for c in _components(deployed(stack))} == {
        f"{TYPE_PACKAGE}:{name}" for name in expected
    }
    assert defined > OPTIONAL


def _component_classes(path: Path) -> Iterator[ast.ClassDef]:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef) and any(
            isinstance(base, ast.Name) and base.id == "Component" for base in node.bases
        ):
            yield node


def test_every_component_registers_its_outputs(stack: str) -> None:
    for component in _components(deployed(stack)):
        assert component.outputs, f"{component.name} registered no outputs"


def test_every_resource_that_can_have_tags_has_those_of_the_stack(stack: str) -> None:
    tagged = 0
    for resource in _aws(deployed(stack)):
        schema = resource_schema(resource.type)
        assert schema is not None
        if "tags" not in schema.inputs:
            continue
        tagged += 1
        tags = resource.inputs.get("tags", {})
        assert tags.items() >= {"project": PROJECT, "stack": stack}.items(), (
            f"{resource.type} {resource.name}"
        )
        assert "cost-center" in tags, f"{resource.type} {resource.name}"
    assert tagged > 50


def test_secrets_stand_nowhere_but_in_secrets_manager(stack: str) -> None:
    made = deployed(stack)
    secrets = (SLACK_URL, "correct-horse-battery-staple")
    holders: Counter[str] = Counter()
    for resource in made.resources:
        for key, value in resource.inputs.items():
            if any(secret in json.dumps(value, default=str) for secret in secrets):
                assert (resource.type, key) == (
                    "aws:secretsmanager/secretVersion:SecretVersion",
                    "secretString",
                ), resource.name
                assert key in resource.secret_inputs, (
                    f"{resource.name}.{key} is not marked as secret"
                )
                holders[resource.name] += 1
        assert (
            not any(secret in json.dumps(resource.outputs, default=str) for secret in secrets)
            or resource.name in holders
        )
    assert holders == {"secrets-launch-token": 1, "secrets-slack-webhook": 1}
    assert not any(secret in json.dumps(made.exports, default=str) for secret in secrets)


LOG_DELIVERY = {
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
}
"""What Step Functions needs to write its log; AWS knows no resources for it."""


def test_no_policy_allows_everything(stack: str) -> None:
    """Every wildcard resource is one that AWS knows no resources for, or a key policy, where `*` is
    the key itself.
    """
    made = deployed(stack)
    everywhere: set[str] = set()
    statements = 0
    for resource in made.all("aws:iam/rolePolicy:RolePolicy"):
        for statement in made.policy(resource):
            statements += 1
            actions = statement["Action"]
            assert statement["Effect"] == "Allow"
            assert not any(action == "*" or action.endswith(":*") for action in actions), (
                f"{resource.name} {statement['Sid']}"
            )
            if "*" in statement["Resource"]:
                everywhere |= set(actions)
    assert statements > 10
    looks = {
        "batch:ListJobs",
        "batch:DescribeJobs",
        "batch:DescribeComputeEnvironments",
        "cloudwatch:GetMetricStatistics",
    }
    machine = LOG_DELIVERY if stack == "prod" else set()
    assert everywhere == {"ecr:GetAuthorizationToken"} | looks | machine


@pytest.mark.parametrize(
    ("kind", "policy", "names"),
    [
        ("aws:s3/bucket:Bucket", "aws:s3/bucketPolicy:BucketPolicy", "bucket"),
        ("aws:sqs/queue:Queue", "aws:sqs/queuePolicy:QueuePolicy", "queueUrl"),
        ("aws:sns/topic:Topic", "aws:sns/topicPolicy:TopicPolicy", "arn"),
    ],
)
def test_nobody_comes_to_buckets_queues_and_topics_over_plain_http(
    stack: str, kind: str, policy: str, names: str
) -> None:
    made = deployed(stack)
    closed = set()
    for each in made.all(policy):
        denied = [s for s in made.policy(each) if s["Effect"] == "Deny"]
        assert [(s["Principal"], s["Condition"]) for s in denied] == [
            ("*", {"Bool": {"aws:SecureTransport": "false"}})
        ]
        closed.add(each.inputs[names])
    assert closed == {
        each.outputs["url" if names == "queueUrl" else names] for each in made.all(kind)
    }


def test_roles_are_assumed_by_services_of_this_account_alone(stack: str) -> None:
    made = deployed(stack)
    of_this_account = {"ecs-tasks.amazonaws.com", "states.amazonaws.com", "scheduler.amazonaws.com"}
    for role in made.all(
        "aws:iam/role:Role", count=COUNTS["aws:iam/role:Role"][STACKS.index(stack)]
    ):
        for statement in made.policy(role, "assumeRolePolicy"):
            service = statement["Principal"]["Service"]
            assert service in {"ec2.amazonaws.com", "lambda.amazonaws.com", *of_this_account}
            if service in of_this_account:
                assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == "123456789012"


def test_counts_are_what_somebody_decided(stack: str) -> None:
    made = Counter(r.type for r in _aws(deployed(stack)))
    expected = {
        type_: counts[STACKS.index(stack)]
        for type_, counts in COUNTS.items()
        if counts[STACKS.index(stack)]
    }
    assert dict(sorted(made.items())) == dict(sorted(expected.items()))


def test_json_inputs_name_no_missing_value(stack: str) -> None:
    """An output that nobody provides would turn into the text None inside a policy or pattern."""
    texts = 0
    for resource in _aws(deployed(stack)):
        for leaf in _texts(resource.inputs):
            texts += 1
            assert not re.search(r"\bNone\b|Output object at", leaf), (
                f"{resource.name}: {leaf[:200]}"
            )
    assert texts > 500


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)

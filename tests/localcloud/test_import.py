"""What exists already is taken over by its id alone, as `pulumi import` does it: its inputs are
such as would have made it, and its outputs those that its creation gave.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import Deployment, deploy
from localcloud.deployment.engine.state import Resource
from localcloud.deployment.provider import HANDLERS, Provider, ProviderError
from localcloud.deployment.provider.package import package_schema
from localcloud.deployment.provider.values import is_unknown, plain, poisoned, walk

ROOT = Path(__file__).parents[2]
SECRETS = {"batch-reference:slack-webhook-url": "https://hooks.slack.com/services/T0/B0/x"}
STEERS = frozenset({"code", "deregisterOnNewRevision", "forceDestroy", "forceDelete", "timeouts"})
"""Inputs of the provider alone: AWS knows nothing of them."""
UNTOLD = {
    ("aws:budgets/budget:Budget", "tags"),
    ("aws:budgets/budgetAction:BudgetAction", "tags"),
    ("aws:sns/topicSubscription:TopicSubscription", "pendingConfirmation"),
    ("aws:cloudwatch/metricAlarm:MetricAlarm", "threshold"),  # of 0, which is nothing to Terraform
}
"""What the AWS in memory does not tell of them."""


@pytest.fixture(scope="module")
def provider(cloud: LocalCloud) -> Provider:
    return Provider(client=cloud.client, config={"aws:region": cloud.region}, preview=False)


def import_id(resource: Resource) -> str:
    """The id that the real provider's documentation asks for."""
    inputs, outputs = resource.inputs, resource.outputs
    forms: dict[str, Callable[[], str]] = {
        "aws:cloudwatch/eventTarget:EventTarget": lambda: f"{inputs['rule']}/{outputs['targetId']}",
        "aws:ec2/route:Route": lambda: f"{inputs['routeTableId']}_{inputs['destinationCidrBlock']}",
        "aws:ec2/routeTableAssociation:RouteTableAssociation": lambda: (
            f"{inputs['subnetId']}/{inputs['routeTableId']}"
        ),
        "aws:lambda/permission:Permission": lambda: f"{inputs['function']}/{resource.id}",
        "aws:cloudwatch/queryDefinition:QueryDefinition": lambda: (
            f"arn:aws:logs:us-east-1:123456789012:query-definition:{resource.id}"
        ),
    }
    return forms.get(resource.type, lambda: resource.id)()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("stack", ["local", "prod"])
def test_every_resource_of_a_stack_is_taken_over_by_its_id(
    cloud: LocalCloud, provider: Provider, stack: str
) -> None:
    made: Deployment = deploy(ROOT, stack, cloud.client, secrets=SECRETS)
    seen, wrong = set(), {}
    for resource in made.resources:
        if not resource.custom or resource.type.startswith("pulumi:"):
            continue
        seen.add(resource.type)
        found = provider.adopt(resource.type, import_id(resource))
        assert found is not None, resource.urn
        identity, inputs, outputs = found
        assert identity == resource.id
        # the code that is written for it is right, and changes nothing
        checked = provider.check(resource.type, resource.name, inputs)
        before = replace(resource, inputs=plain(inputs), outputs=plain(outputs))
        assert not provider.diff(resource.type, before, checked), resource.urn
        # and the program's own resource, given an `import` option, is found as it is
        paths = provider.diff(resource.type, before, resource.inputs).changed
        mine = {(resource.type, name) for name in paths if name not in STEERS}
        known = {
            name: value
            for name, value in resource.outputs.items()
            if name not in STEERS
            and not poisoned(value)
            and not any(is_unknown(leaf) for _, leaf in walk(value))
        }
        told = plain(outputs)
        lacking = {(resource.type, n) for n, v in known.items() if v and n not in told}
        if odd := (mine | lacking) - UNTOLD:
            wrong[resource.urn] = odd
    assert wrong == {}
    assert len(seen) > 40


def _bucket(client: Callable[[str], Any]) -> str:
    client("s3").create_bucket(Bucket="imported")
    tags = [{"Key": "a", "Value": "b"}]
    client("s3").put_bucket_tagging(Bucket="imported", Tagging={"TagSet": tags})
    return "imported"


def _queue(client: Callable[[str], Any]) -> str:
    made = client("sqs").create_queue(QueueName="imported", Attributes={"DelaySeconds": "7"})
    return str(made["QueueUrl"])


def _topic(client: Callable[[str], Any]) -> str:
    made = client("sns").create_topic(Name="imported", Attributes={"DisplayName": "x"})
    return str(made["TopicArn"])


def _table(client: Callable[[str], Any]) -> str:
    client("dynamodb").create_table(
        TableName="imported",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        Tags=[{"Key": "a", "Value": "b"}],
    )
    return "imported"


def _group(client: Callable[[str], Any]) -> str:
    client("logs").create_log_group(logGroupName="/imported")
    client("logs").put_retention_policy(logGroupName="/imported", retentionInDays=7)
    return "/imported"


def _role(client: Callable[[str], Any]) -> str:
    document = json.dumps({"Version": "2012-10-17", "Statement": []})
    client("iam").create_role(
        RoleName="imported", AssumeRolePolicyDocument=document, Description="x"
    )
    return "imported"


def _repository(client: Callable[[str], Any]) -> str:
    tags = [{"Key": "a", "Value": "b"}]
    client("ecr").create_repository(
        repositoryName="imported", imageTagMutability="IMMUTABLE", tags=tags
    )
    return "imported"


def _files(client: Callable[[str], Any]) -> str:
    made = client("efs").create_file_system(
        CreationToken="imported", Encrypted=True, Tags=[{"Key": "a", "Value": "b"}]
    )
    return str(made["FileSystemId"])


@pytest.mark.parametrize(
    ("token", "make", "wanted", "told"),
    [
        (
            "aws:efs/fileSystem:FileSystem",
            _files,
            {"creationToken": "imported", "encrypted": True, "tags": {"a": "b"}},
            {"ownerId": "{account}"},
        ),
        (
            "aws:s3/bucket:Bucket",
            _bucket,
            {"bucket": "imported", "tags": {"a": "b"}},
            {"arn": "arn:aws:s3:::imported"},
        ),
        (
            "aws:sqs/queue:Queue",
            _queue,
            # AWS's own size of messages is not that of the provider
            {"name": "imported", "delaySeconds": "7", "maxMessageSize": "1048576"},
            {"arn": "arn:aws:sqs:us-east-1:{account}:imported"},
        ),
        (
            "aws:sns/topic:Topic",
            _topic,
            {"name": "imported", "displayName": "x"},
            {"owner": "{account}"},
        ),
        (
            "aws:dynamodb/table:Table",
            _table,
            {
                "name": "imported",
                "billingMode": "PAY_PER_REQUEST",
                "hashKey": "pk",
                "attributes": [{"name": "pk", "type": "S"}],
                "tags": {"a": "b"},
            },
            {"arn": "arn:aws:dynamodb:us-east-1:{account}:table/imported"},
        ),
        (
            "aws:cloudwatch/logGroup:LogGroup",
            _group,
            {"name": "/imported", "retentionInDays": 7},
            {"arn": "arn:aws:logs:us-east-1:{account}:log-group:/imported"},
        ),
        (
            "aws:iam/role:Role",
            _role,
            {
                "name": "imported",
                "description": "x",
                "assumeRolePolicy": '{"Version": "2012-10-17", "Statement": []}',
            },
            {"arn": "arn:aws:iam::{account}:role/imported", "path": "/"},
        ),
        (
            "aws:ecr/repository:Repository",
            _repository,
            {"name": "imported", "imageTagMutability": "IMMUTABLE", "tags": {"a": "b"}},
            {"arn": "arn:aws:ecr:us-east-1:{account}:repository/imported"},
        ),
    ],
)
def test_what_was_made_by_hand_is_written_down_shortly(
    cloud: LocalCloud,
    provider: Provider,
    token: str,
    make: Callable[[Any], str],
    wanted: dict[str, Any],
    told: dict[str, str],
) -> None:
    """What is as AWS has it of its own is no part of the inputs, and so not of the code."""
    found = provider.adopt(token, make(cloud.client))
    assert found is not None
    _, inputs, outputs = found
    assert {name: value for name, value in inputs.items() if not name.startswith("__")} == wanted
    for name, text in told.items():
        assert outputs[name] == text.format(account=cloud.account_id)


@pytest.mark.parametrize(
    ("token", "given"),
    [
        ("aws:s3/bucket:Bucket", "nothing-of-this-name"),
        ("aws:sns/topic:Topic", "arn:aws:sns:us-east-1:123456789012:nothing"),
        ("aws:iam/role:Role", "nothing"),
        ("aws:lambda/permission:Permission", "nothing/at-all"),
        ("aws:cloudwatch/eventTarget:EventTarget", "nothing/at-all"),
        ("aws:ec2/route:Route", "rtb-0123456789abcdef0_0.0.0.0/0"),
    ],
)
def test_what_does_not_exist_is_told_as_that(provider: Provider, token: str, given: str) -> None:
    assert provider.adopt(token, given) is None


@pytest.mark.parametrize(
    ("token", "given", "says"),
    [
        ("aws:sns/topic:Topic", "news", "it is its ARN"),
        ("aws:sqs/queue:Queue", "news", "it is its URL"),
        ("aws:lambda/permission:Permission", "news", "it is function/statement"),
        ("aws:cloudwatch/eventTarget:EventTarget", "a", "it is bus/rule/target, or rule/target"),
        ("aws:iam/rolePolicy:RolePolicy", "role", "it is role:name"),
        ("aws:s3/bucketPolicy:BucketPolicy", "a,b", "it is the bucket's name"),
        ("aws:kms/alias:Alias", "alias/a", "cannot be read by the local provider"),
        ("aws:rds/instance:Instance", "a", "is not modelled by the local provider"),
    ],
)
def test_a_wrong_id_is_one_sentence(provider: Provider, token: str, given: str, says: str) -> None:
    with pytest.raises(ProviderError, match=says):
        provider.adopt(token, given)


def test_the_schema_says_what_the_types_take() -> None:
    document = json.loads(package_schema())
    assert set(document["resources"]) == set(HANDLERS)
    bucket = document["resources"]["aws:s3/bucketVersioning:BucketVersioning"]
    assert bucket["requiredInputs"] == ["bucket", "versioningConfiguration"]
    reference = bucket["inputProperties"]["versioningConfiguration"]["$ref"]
    nested = document["types"][reference.removeprefix("#/types/")]
    assert nested["required"] == ["status"]
    assert nested["properties"]["status"] == {"type": "string"}
    function = document["resources"]["aws:lambda/function:Function"]["inputProperties"]
    assert function["code"] == {"$ref": "pulumi.json#/Archive"}
    assert function["timeout"] == {"type": "integer"}
    assert function["layers"] == {"type": "array", "items": {"type": "string"}}
    assert function["tags"] == {"type": "object", "additionalProperties": {"type": "string"}}
    role = document["resources"]["aws:iam/role:Role"]["inputProperties"]
    assert role["assumeRolePolicy"] == {"type": "string"}  # or an object, which AWS never tells
    # an automatic name is not asked for
    assert "name" not in document["resources"]["aws:iam/role:Role"]["requiredInputs"]
    references = {each for each in _references(document) if each.startswith("#/types/")}
    assert {f"#/types/{token}" for token in document["types"]} == references


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)

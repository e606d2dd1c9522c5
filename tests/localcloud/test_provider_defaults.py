"""What counts where the program says nothing, and what a preview knows: as the real provider has
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from components.endpoint_policies import OPEN_POLICY
from localcloud.cloud import LocalCloud
from localcloud.deployment.provider import Provider
from localcloud.deployment.provider.lifecycle import LIFECYCLES
from localcloud.deployment.provider.values import UNKNOWN, plain
from tests.localcloud.deploying import no_aws
from tests.localcloud.test_functions import package

JOB = "aws:batch/jobDefinition:JobDefinition"
BUCKET = "aws:s3/bucket:Bucket"


@dataclass(frozen=True, kw_only=True)
class Made:
    """A resource as an earlier deployment left it."""

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any] = field(default_factory=dict)
    id: str = "made"


@pytest.fixture
def provider(cloud: LocalCloud) -> Provider:
    return Provider(client=cloud.client, config={"aws:region": cloud.region}, preview=False)


def planned() -> Provider:
    return Provider(client=no_aws, config={"aws:region": "us-east-1"}, preview=True)


@pytest.mark.parametrize(
    ("token", "name", "default", "other"),
    [
        ("aws:sqs/queue:Queue", "visibilityTimeoutSeconds", 30, 60),
        ("aws:cloudwatch/eventRule:EventRule", "state", "ENABLED", "DISABLED"),
        ("aws:lambda/function:Function", "memorySize", 128, 0),
        ("aws:lambda/function:Function", "reservedConcurrentExecutions", -1, 0),
        ("aws:ec2/vpc:Vpc", "enableDnsSupport", True, False),
        ("aws:iam/role:Role", "maxSessionDuration", 3600, 7200),
        ("aws:ecr/repository:Repository", "imageTagMutability", "MUTABLE", "IMMUTABLE"),
    ],
)
def test_a_default_that_is_written_down_is_no_change(
    token: str, name: str, default: Any, other: Any
) -> None:
    provider = planned()
    for then, now in (({}, {name: default}), ({name: default}, {})):
        assert not provider.diff(token, Made(inputs=then), now)
    for then, now, kind in (
        ({}, {name: other}, "add"),
        ({name: other}, {}, "delete"),
        ({name: default}, {name: other}, "update"),
    ):
        assert provider.diff(token, Made(inputs=then), now).paths == {name: kind}


def test_what_is_taken_away_becomes_the_default_again(
    cloud: LocalCloud, provider: Provider
) -> None:
    token = "aws:sqs/queue:Queue"
    given = {"name": "patient", "visibilityTimeoutSeconds": 60, "maxMessageSize": 1024}
    url, outputs = provider.create(token, "patient", given)
    before = Made(id=url, inputs=given, outputs=plain(outputs))
    provider.update(token, "patient", {"name": "patient"}, before=before)
    names = ["VisibilityTimeout", "MaximumMessageSize"]
    found = cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
    assert found["Attributes"] == {"VisibilityTimeout": "30", "MaximumMessageSize": "262144"}


def test_a_bucket_that_exists_is_locked_in_place_and_never_unlocked(
    cloud: LocalCloud, provider: Provider
) -> None:
    identity, outputs = provider.create(BUCKET, "kept", {"bucket": "kept"})
    versions = {"Status": "Enabled"}  # AWS asks for them
    cloud.client("s3").put_bucket_versioning(Bucket="kept", VersioningConfiguration=versions)
    locked = {"bucket": "kept", "objectLockEnabled": True}
    before = Made(id=identity, inputs={"bucket": "kept"}, outputs=plain(outputs))
    assert provider.diff(BUCKET, before, locked).replaces == ()
    provider.update(BUCKET, "kept", locked, before=before)
    found = cloud.client("s3").get_object_lock_configuration(Bucket="kept")
    assert found["ObjectLockConfiguration"]["ObjectLockEnabled"] == "Enabled"
    after = provider.diff(BUCKET, Made(inputs=locked), {"bucket": "kept"})
    assert after.replaces == ("objectLockEnabled",)


@pytest.mark.parametrize(
    ("then", "now", "replaces"),
    [
        ("dedicated", None, ()),
        ("dedicated", "default", ()),
        (None, "default", ()),
        (None, "dedicated", ("instanceTenancy",)),
        ("default", "dedicated", ("instanceTenancy",)),
    ],
)
def test_a_vpc_gets_out_of_dedicated_tenancy_in_place(
    then: str | None, now: str | None, replaces: tuple[str, ...]
) -> None:
    old, new = ({"cidrBlock": "10.0.0.0/16", "instanceTenancy": each} for each in (then, now))
    assert planned().diff("aws:ec2/vpc:Vpc", Made(inputs=old), new).replaces == replaces


def test_the_policy_of_an_endpoint_stays_when_the_program_says_nothing_of_it() -> None:
    """Optional and Computed; so a program that opens an endpoint has to say so."""
    token, provider = "aws:ec2/vpcEndpoint:VpcEndpoint", planned()
    inputs = {"vpcId": "vpc-1", "serviceName": "com.amazonaws.us-east-1.s3"}
    closed = '{"Version": "2012-10-17", "Statement": []}'
    before = provider.check(token, "x", {**inputs, "policy": closed, "routeTableIds": ["rtb-1"]})
    after = provider.check(token, "x", {**inputs, "routeTableIds": ["rtb-2"]}, olds=before)
    assert after["policy"] == closed
    assert provider.diff(token, Made(inputs=before), after).changed == ("routeTableIds",)
    opened = provider.check(token, "x", {**inputs, "policy": OPEN_POLICY}, olds=before)
    assert provider.diff(token, Made(inputs=before), opened).changed == ("policy",)
    plain = provider.check(token, "x", inputs)
    said = provider.check(token, "x", {**inputs, "policy": OPEN_POLICY}, olds=plain)
    assert not provider.diff(token, Made(inputs=plain), said)


@pytest.mark.parametrize(
    ("token", "inputs", "decided"),
    [
        (
            JOB,
            {"name": "job", "type": "container", "containerProperties": '{"image": "x"}'},
            {"arn": "arn:job:1", "revision": 1},
        ),
        (
            "aws:ec2/launchTemplate:LaunchTemplate",
            {"name": "template", "imageId": "ami-0123456789abcdef0"},
            {"latestVersion": 3, "defaultVersion": 1},
        ),
        (
            "aws:lambda/function:Function",
            {"name": "function", "role": "arn:role", "timeout": 5},
            {"version": "$LATEST", "lastModified": "2026-01-01"},
        ),
    ],
)
def test_another_tag_leaves_known_what_a_new_version_would_decide(
    token: str, inputs: dict[str, Any], decided: dict[str, Any]
) -> None:
    provider = planned()
    before = Made(inputs=inputs, outputs={**inputs, **decided})
    tagged = {**inputs, "tags": {"cost-center": "other"}}
    _, outputs = provider.update(token, "x", tagged, before=before, preview=True)
    assert {name: outputs[name] for name in decided} == decided
    name = next(each for each in ("containerProperties", "imageId", "timeout") if each in inputs)
    value = {"containerProperties": '{"image": "y"}', "imageId": "ami-1", "timeout": 6}[name]
    _, outputs = provider.update(token, "x", {**tagged, name: value}, before=before, preview=True)
    assert {outputs[name] is UNKNOWN for name in decided} == {True}


@pytest.mark.parametrize(
    ("region", "count"), [("us-east-1", 6), ("us-west-1", 2), ("eu-central-1", 3)]
)
def test_a_preview_knows_the_zones_of_its_region(region: str, count: int) -> None:
    """It asks nothing of AWS, and refuses nothing that the deployment takes."""
    provider = Provider(client=no_aws, config={"aws:region": region}, preview=True)
    token = "aws:index/getAvailabilityZones:getAvailabilityZones"
    found = provider.invoke(token, {})
    assert found is not None
    assert len(found["names"]) == len(found["zoneIds"]) == count
    assert all(name.startswith(region) for name in found["names"])
    first = found["names"][0]
    rest = provider.invoke(token, {"excludeNames": [first]})
    assert rest is not None
    assert rest["names"] == found["names"][1:]


@pytest.mark.parametrize("token", sorted(LIFECYCLES))
def test_an_update_of_something_else_leaves_what_counts_by_default(token: str) -> None:
    inputs = {"tags": {"a": "2"}}
    for name, default in LIFECYCLES[token].defaults.items():
        before = Made(inputs={"tags": {"a": "1"}}, outputs={name: default})
        _, outputs = planned().update(token, "it", inputs, before=before)
        assert outputs[name] == default
        before = Made(inputs={"tags": {"a": "1"}, name: "x"}, outputs={name: "x"})
        _, outputs = planned().update(token, "it", inputs, before=before)
        assert outputs[name] == default


def test_a_resource_of_whose_state_a_default_is_missing_can_be_read(
    cloud: LocalCloud, provider: Provider
) -> None:
    """As after an update by an older release."""
    cloud.client("events").put_rule(Name="every", ScheduleExpression="rate(1 hour)")
    inputs = {"name": "every", "scheduleExpression": "rate(1 hour)"}
    found = provider.read("aws:cloudwatch/eventRule:EventRule", "every", inputs, {"name": "every"})
    assert found is not None
    assert found[0] == inputs


@pytest.mark.parametrize(
    ("token", "inputs"),
    [
        (
            "aws:ec2/launchTemplate:LaunchTemplate",
            {"tagSpecifications": [{"resourceType": "instance", "tags": {"a": "", "b": "c"}}]},
        ),
        (
            "aws:dynamodb/table:Table",  # AWS tells ten tags at a time
            {
                "attributes": [{"name": "key", "type": "S"}],
                "hashKey": "key",
                "billingMode": "PAY_PER_REQUEST",
                "tags": {f"tag-{number}": "" for number in range(25)},
            },
        ),
    ],
)
def test_tags_are_read_as_they_were_made(
    provider: Provider, token: str, inputs: dict[str, Any]
) -> None:
    inputs = {"name": "tags-as-made", **inputs}
    made, outputs = provider.create(token, "it", inputs)
    found = provider.read(token, made, inputs, outputs)
    assert found is not None
    assert found[0] == inputs


def test_the_second_way_of_handling_events_takes_the_place_of_the_first(
    cloud: LocalCloud, provider: Provider
) -> None:
    role = cloud.client("iam").create_role(RoleName="events-twice", AssumeRolePolicyDocument="{}")
    cloud.client("lambda").create_function(
        FunctionName="twice",
        Runtime="python3.13",
        Role=role["Role"]["Arn"],
        Handler="a.b",
        Code={"ZipFile": package("")},
    )
    token = "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig"
    first = {"functionName": "twice", "maximumEventAgeInSeconds": 3600}
    made, outputs = provider.create(token, "it", first)
    then = {**first, "maximumEventAgeInSeconds": 7200}
    before = Made(inputs=first, outputs=outputs, id=made)
    _, outputs = provider.update(token, "it", then, before=before)
    found = provider.read(token, made, then, outputs)
    assert found is not None
    assert found[0] == then

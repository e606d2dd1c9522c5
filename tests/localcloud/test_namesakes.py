"""What is made under the name of a thing that was deleted has nothing of it, and what moto would
not delete goes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.localcloud.conftest import Stage

Act = Callable[[Stage, dict[str, Any]], Any]

_PASS = json.dumps({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}})
_ROLE = "arn:aws:iam::123456789012:role/machine"


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:us-east-1:123456789012:{resource}"


def _bucket(stage: Stage, tags: dict[str, Any]) -> None:
    stage.client("s3").create_bucket(Bucket="namesake")
    if tags:
        stage.client("s3").put_bucket_tagging(
            Bucket="namesake", Tagging={"TagSet": [{"Key": "a", "Value": "1"}]}
        )


def _alarm(stage: Stage, tags: dict[str, Any]) -> None:
    stage.client("cloudwatch").put_metric_alarm(
        AlarmName="namesake",
        EvaluationPeriods=1,
        ComparisonOperator="GreaterThanThreshold",
        MetricName="m",
        Namespace="n",
        Period=60,
        Statistic="Sum",
        Threshold=1.0,
        **tags,
    )


_LIST = {"Tags": [{"Key": "a", "Value": "1"}]}
_KINDS: dict[str, tuple[dict[str, Any], Act, str, dict[str, Any], str]] = {
    # kind -> tags, creation, deletion with its arguments, and the ARN
    "logs": (
        {"tags": {"a": "1"}},
        lambda s, tags: s.client("logs").create_log_group(logGroupName="namesake", **tags),
        "delete_log_group",
        {"logGroupName": "namesake"},
        _arn("logs", "log-group:namesake"),
    ),
    "cloudwatch": (
        _LIST,
        _alarm,
        "delete_alarms",
        {"AlarmNames": ["namesake"]},
        _arn("cloudwatch", "alarm:namesake"),
    ),
    "s3": (_LIST, _bucket, "delete_bucket", {"Bucket": "namesake"}, "arn:aws:s3:::namesake"),
    "scheduler": (
        _LIST,
        lambda s, tags: s.client("scheduler").create_schedule_group(Name="namesake", **tags),
        "delete_schedule_group",
        {"Name": "namesake"},
        _arn("scheduler", "schedule-group/namesake"),
    ),
    "stepfunctions": (
        {"tags": [{"key": "a", "value": "1"}]},
        lambda s, tags: s.client("stepfunctions").create_state_machine(
            name="namesake", roleArn=_ROLE, definition=_PASS, **tags
        ),
        "delete_state_machine",
        {"stateMachineArn": _arn("states", "stateMachine:namesake")},
        _arn("states", "stateMachine:namesake"),
    ),
}


@pytest.mark.parametrize("service", list(_KINDS))
def test_tags_end_with_the_thing(service: str, stage: Stage) -> None:
    tags, make, delete, named, arn = _KINDS[service]
    make(stage, tags)
    assert _tags(stage, service, arn) == {"a": "1"}
    getattr(stage.client(service), delete)(**named)
    make(stage, {})
    assert _tags(stage, service, arn) == {}


def test_tags_of_what_exists_stay(stage: Stage) -> None:
    _alarm(stage, _LIST)
    _alarm(stage, {})  # changes it
    assert _tags(stage, "cloudwatch", _KINDS["cloudwatch"][-1]) == {"a": "1"}


def _tags(stage: Stage, service: str, arn: str) -> dict[str, str]:
    """Of the thing, as the service itself shows them."""
    client = stage.client(service)
    if service == "s3":
        try:
            found: Any = client.get_bucket_tagging(Bucket="namesake")["TagSet"]
        except client.exceptions.ClientError:  # NoSuchTagSet
            found = []
    else:
        name = {"cloudwatch": "ResourceARN", "scheduler": "ResourceArn"}.get(service, "resourceArn")
        answer = client.list_tags_for_resource(**{name: arn})
        found = answer.get("Tags", answer.get("tags"))
    if isinstance(found, dict):
        return found
    return {
        str(each.get("Key", each.get("key"))): str(each.get("Value", each.get("value")))
        for each in found
    }


def test_a_gateway_endpoint_goes_whatever_its_route_tables_have(stage: Stage) -> None:
    ec2 = stage.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
    first, second, third = (
        ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"] for _ in range(3)
    )
    endpoint = ec2.create_vpc_endpoint(
        VpcId=vpc, ServiceName="com.amazonaws.us-east-1.s3", RouteTableIds=[first, second]
    )["VpcEndpoint"]["VpcEndpointId"]
    ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, AddRouteTableIds=[third])
    ec2.delete_route_table(RouteTableId=first)
    ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    (found,) = ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"]
    assert found["State"] == "deleted"

"""Deletions that take more than one call, as the real provider does them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Final

from localcloud.deployment.provider.calls import ProviderError
from localcloud.deployment.provider.lifecycle import Removal

_BATCH_MINUTES: Final = 10.0
_DISABLED_MINUTES: Final = 20.0
_NAT_MINUTES: Final = 30.0
_MACHINE_MINUTES: Final = 5.0
"""How long the real provider waits: job_queue.go, compute_environment.go, vpc_nat_gateway.go and
state_machine.go of terraform-provider-aws.
"""
_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 2.0


def until(condition: Callable[[], bool], failure: str, *, seconds: float) -> None:
    """Waits for AWS as long as the real provider does.

    Raises ProviderError with `failure` where that is not long enough.
    """
    started = time.monotonic()
    while not condition():
        waited = time.monotonic() - started
        if waited > seconds:
            raise ProviderError(failure)
        time.sleep(min(_LONGEST_PAUSE_SECONDS, max(_PAUSE_SECONDS, waited / 10)))


def _late(what: str, minutes: float) -> str:
    return f"{what} has not come about within {minutes:g} minutes"


def compute_environment(removal: Removal) -> None:
    """Disabled, then deleted, as the provider does (terraform-provider-aws,
    internal/service/batch/compute_environment.go).
    """

    def found() -> list[dict[str, Any]]:
        answer = removal.send(
            "batch", "DescribeComputeEnvironments", computeEnvironments=[removal.id]
        )
        return [each for each in answer["computeEnvironments"] if each["status"] != "DELETED"]

    if not removal.send_if_there(
        "batch", "UpdateComputeEnvironment", computeEnvironment=removal.id, state="DISABLED"
    ):
        return
    until(
        lambda: all(each["status"] != "UPDATING" for each in found()),
        _late(f"the DISABLED state of compute environment {removal.id}", _DISABLED_MINUTES),
        seconds=60 * _DISABLED_MINUTES,
    )
    removal.send("batch", "DeleteComputeEnvironment", computeEnvironment=removal.id)
    until(
        lambda: all(each["status"] != "DELETING" for each in found()),
        _late(f"the deletion of compute environment {removal.id}", _DISABLED_MINUTES),
        seconds=60 * _DISABLED_MINUTES,
    )
    for each in found():
        raise ProviderError(
            f"compute environment {removal.id} is {each['status']}: {each.get('statusReason', '')}"
        )


def state_machine(removal: Removal) -> None:
    """It is DELETING until its executions have ended, each at its next state (Step Functions API
    reference, DeleteStateMachine).
    """
    if removal.send_if_there("stepfunctions", "DeleteStateMachine", stateMachineArn=removal.id):
        until(
            lambda: (
                not removal.send_if_there(
                    "stepfunctions", "DescribeStateMachine", stateMachineArn=removal.id
                )
            ),
            f"waiting for Step Functions State Machine ({removal.id}) delete: timeout while waiting"
            " for resource to be gone (last state: 'DELETING', timeout:"
            f" {_MACHINE_MINUTES:g}m0s)",
            seconds=60 * _MACHINE_MINUTES,
        )


def job_queue(removal: Removal) -> None:
    """Disabled, then deleted; AWS ends the jobs that are left."""
    if removal.send_if_there("batch", "UpdateJobQueue", jobQueue=removal.id, state="DISABLED"):
        removal.send("batch", "DeleteJobQueue", jobQueue=removal.id)
        until(
            lambda: (
                not removal.send("batch", "DescribeJobQueues", jobQueues=[removal.id])["jobQueues"]
            ),
            _late(f"the deletion of job queue {removal.id}", _BATCH_MINUTES),
            seconds=60 * _BATCH_MINUTES,
        )


def job_definition(removal: Removal) -> None:
    """Every active revision is deregistered."""
    found = removal.send(
        "batch",
        "DescribeJobDefinitions",
        jobDefinitionName=str(removal.values["name"]),
        status="ACTIVE",
    )
    for each in found["jobDefinitions"]:
        removal.send("batch", "DeregisterJobDefinition", jobDefinition=each["jobDefinitionArn"])


def bucket(removal: Removal) -> None:
    """A bucket; what is in it goes only with `forceDestroy`."""
    if removal.values.get("forceDestroy") and removal.send_if_there(
        "s3", "GetBucketVersioning", Bucket=removal.id
    ):
        while True:
            page = removal.send("s3", "ListObjectVersions", Bucket=removal.id)
            there = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            if not there:
                break
            objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in there]
            removal.send(
                "s3", "DeleteObjects", Bucket=removal.id, Delete={"Objects": objects, "Quiet": True}
            )
    removal.send_if_there("s3", "DeleteBucket", Bucket=removal.id)


def versioning(removal: Removal) -> None:
    """Versioning cannot be taken off a bucket; it is suspended."""
    if removal.values["versioningConfiguration"]["status"] != "Disabled":
        removal.send_if_there(
            "s3",
            "PutBucketVersioning",
            Bucket=removal.id,
            VersioningConfiguration={"Status": "Suspended"},
        )


def schedule(removal: Removal) -> None:
    """The id is group and name."""
    group, _, name = removal.id.partition("/")
    removal.send_if_there("scheduler", "DeleteSchedule", Name=name, GroupName=group)


def topic_policy(removal: Removal) -> None:
    """The topic gets the policy back that AWS gives a new one: its owner may use it."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [
            "SNS:Publish",
            "SNS:Subscribe",
            "SNS:GetTopicAttributes",
            "SNS:SetTopicAttributes",
        ],
        "Resource": removal.id,
        "Condition": {"StringEquals": {"AWS:SourceOwner": removal.aws.account}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    removal.send_if_there(
        "sns",
        "SetTopicAttributes",
        TopicArn=removal.id,
        AttributeName="Policy",
        AttributeValue=policy,
    )


def event_target(removal: Removal) -> None:
    """One target of a rule."""
    name, bus = str(removal.values["rule"]), removal.values.get("eventBusName")
    removal.send_if_there(
        "events", "RemoveTargets", Rule=name, EventBusName=bus, Ids=[removal.values["targetId"]]
    )


def internet_gateway(removal: Removal) -> None:
    """Detached, then deleted."""
    if removal.values.get("vpcId"):
        removal.send_if_there(
            "ec2",
            "DetachInternetGateway",
            InternetGatewayId=removal.id,
            VpcId=removal.values["vpcId"],
        )
    removal.send_if_there("ec2", "DeleteInternetGateway", InternetGatewayId=removal.id)


def nat_gateway(removal: Removal) -> None:
    """Its address is free only when the gateway is gone."""

    def gone() -> bool:
        found = removal.send("ec2", "DescribeNatGateways", NatGatewayIds=[removal.id])[
            "NatGateways"
        ]
        return all(each["State"] == "deleted" for each in found)

    if removal.send_if_there("ec2", "DeleteNatGateway", NatGatewayId=removal.id):
        until(
            gone,
            _late(f"the deletion of NAT gateway {removal.id}", _NAT_MINUTES),
            seconds=60 * _NAT_MINUTES,
        )


def instance_profile(removal: Removal) -> None:
    """Emptied, then deleted."""
    if removal.values.get("role"):
        owner = removal.values["role"]
        removal.send_if_there(
            "iam", "RemoveRoleFromInstanceProfile", InstanceProfileName=removal.id, RoleName=owner
        )
    removal.send_if_there("iam", "DeleteInstanceProfile", InstanceProfileName=removal.id)


def policy(removal: Removal) -> None:
    """Its former versions first; IAM refuses the whole while it is attached."""
    if not removal.send_if_there("iam", "GetPolicy", PolicyArn=removal.id):
        return
    for version in removal.send("iam", "ListPolicyVersions", PolicyArn=removal.id)["Versions"]:
        if not version["IsDefaultVersion"]:
            removal.send(
                "iam", "DeletePolicyVersion", PolicyArn=removal.id, VersionId=version["VersionId"]
            )
    removal.send("iam", "DeletePolicy", PolicyArn=removal.id)


def secret(removal: Removal) -> None:
    """At once where the recovery window is 0, else after its days."""
    days = removal.values.get("recoveryWindowInDays")
    window: dict[str, Any] = (
        {"ForceDeleteWithoutRecovery": True} if days == 0 else {"RecoveryWindowInDays": days or 30}
    )
    removal.send_if_there("secretsmanager", "DeleteSecret", SecretId=removal.id, **window)


def route(removal: Removal) -> None:
    """One route by its destination."""
    table, values = removal.values["routeTableId"], removal.values
    removal.send_if_there(
        "ec2",
        "DeleteRoute",
        RouteTableId=table,
        DestinationCidrBlock=values.get("destinationCidrBlock"),
        DestinationIpv6CidrBlock=values.get("destinationIpv6CidrBlock"),
        DestinationPrefixListId=values.get("destinationPrefixListId"),
    )

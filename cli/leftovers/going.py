"""What is deleted already, although AWS still names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

Client = Callable[[str], Any]


def _nat_gateway_is_gone(client: Client, arn: str) -> bool:
    found = client("ec2").describe_nat_gateways(NatGatewayIds=[arn.rsplit("/", 1)[-1]])
    return all(one["State"] in {"deleting", "deleted"} for one in found["NatGateways"])


def _instance_is_gone(client: Client, arn: str) -> bool:
    found = client("ec2").describe_instances(InstanceIds=[arn.rsplit("/", 1)[-1]])
    return all(
        one["State"]["Name"] in {"shutting-down", "terminated"}
        for reservation in found["Reservations"]
        for one in reservation["Instances"]
    )


def _secret_waits(client: Client, arn: str) -> bool:
    found = client("secretsmanager").describe_secret(SecretId=arn)
    return "DeletedDate" in found


def _key_waits(client: Client, arn: str) -> bool:
    found = client("kms").describe_key(KeyId=arn)
    return bool(found["KeyMetadata"]["KeyState"] == "PendingDeletion")


def _definition_is_inactive(client: Client, arn: str) -> bool:
    found = client("batch").describe_job_definitions(jobDefinitions=[arn])
    return all(one["status"] == "INACTIVE" for one in found["jobDefinitions"])


def _job_has_ended(client: Client, arn: str) -> bool:
    found = client("batch").describe_jobs(jobs=[arn.partition(":job/")[2]])
    return all(one["status"] in {"SUCCEEDED", "FAILED"} for one in found["jobs"])


GOING: Final[dict[str, Callable[[Client, str], bool]]] = {
    "batch:job": _job_has_ended,
    "batch:job-definition": _definition_is_inactive,
    "ec2:natgateway": _nat_gateway_is_gone,
    "ec2:instance": _instance_is_gone,
    "secretsmanager": _secret_waits,
    "kms": _key_waits,
}
"""Kinds that the tagging API still names for a while after their deletion -> whether one is
deleted.
"""

"""What has the stack's tags, as the Resource Groups Tagging API knows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from botocore.exceptions import ClientError

from cli.leftovers.account import Account, Leftover
from cli.leftovers.kinds import KINDS, OTHER

_LOOKED_FOR: Final = (
    "budgets:budget",
    "ec2:image",
    "ec2:security-group-rule",
    "logs:log-group",
)
"""Kinds that are looked for by themselves."""
ALIVE: Final = "was not deleted: protected, retained, or the deletion failed"


def tagged(account: Account) -> Iterator[Leftover]:
    """Resources with the stack's tags."""
    filters = [{"Key": key, "Values": [value]} for key, value in account.tags.items()]
    for item in account.pages(
        "resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList", TagFilters=filters
    ):
        arn = item["ResourceARN"]
        service, kind, _ = parts_of(arn)
        if f"{service}:{kind}" not in _LOOKED_FOR and not _is_gone(account, arn):
            yield _of_arn(account, arn)


def _is_gone(account: Account, arn: str) -> bool:
    """Whether it is deleted: the tagging API goes on to name some kinds for a while."""
    service, kind, _ = parts_of(arn)
    going = _GOING.get(f"{service}:{kind}") or _GOING.get(service)
    try:
        return going is not None and going(account, arn)
    except ClientError as error:
        if "NotFound" in error.response["Error"]["Code"]:
            return True
        raise


def _nat_gateway_is_gone(account: Account, arn: str) -> bool:
    found = account.client("ec2").describe_nat_gateways(NatGatewayIds=[arn.rsplit("/", 1)[-1]])
    return all(one["State"] in {"deleting", "deleted"} for one in found["NatGateways"])


def _internet_gateway_is_gone(account: Account, arn: str) -> bool:
    name = arn.rsplit("/", 1)[-1]
    found = account.client("ec2").describe_internet_gateways(InternetGatewayIds=[name])
    return not found["InternetGateways"]


def _instance_is_gone(account: Account, arn: str) -> bool:
    found = account.client("ec2").describe_instances(InstanceIds=[arn.rsplit("/", 1)[-1]])
    return all(
        one["State"]["Name"] in {"shutting-down", "terminated"}
        for reservation in found["Reservations"]
        for one in reservation["Instances"]
    )


def _secret_waits(account: Account, arn: str) -> bool:
    found = account.client("secretsmanager").describe_secret(SecretId=arn)
    return "DeletedDate" in found


def _key_waits(account: Account, arn: str) -> bool:
    found = account.client("kms").describe_key(KeyId=arn)
    return bool(found["KeyMetadata"]["KeyState"] == "PendingDeletion")


def _definition_is_inactive(account: Account, arn: str) -> bool:
    found = account.client("batch").describe_job_definitions(jobDefinitions=[arn])
    return all(one["status"] == "INACTIVE" for one in found["jobDefinitions"])


def _job_has_ended(account: Account, arn: str) -> bool:
    found = account.client("batch").describe_jobs(jobs=[arn.partition(":job/")[2]])
    return all(one["status"] in {"SUCCEEDED", "FAILED"} for one in found["jobs"])


_GOING: Final[dict[str, Callable[[Account, str], bool]]] = {
    "batch:job": _job_has_ended,
    "batch:job-definition": _definition_is_inactive,
    "ec2:natgateway": _nat_gateway_is_gone,
    "ec2:instance": _instance_is_gone,
    "ec2:internet-gateway": _internet_gateway_is_gone,
    "secretsmanager": _secret_waits,
    "kms": _key_waits,
}
"""Kinds that the tagging API names for a while after their deletion -> whether one is deleted."""


def parts_of(arn: str) -> tuple[str, str, list[str]]:
    """Service, type of resource, and all parts of the resource's name, its type among them."""
    _, _, service, _, _, resource = arn.split(":", 5)
    parts = resource.replace(":", "/").split("/")
    return service, parts[0], parts


def _of_arn(account: Account, arn: str) -> Leftover:
    service, kind, parts = parts_of(arn)
    known = KINDS.get(f"{service}:{kind}") or KINDS.get(service) or OTHER
    remove = known.remove.format(name=parts[-1], path="/".join(parts[1:]), arn=arn)
    before = _BEFORE.get(f"{service}:{kind}")
    return Leftover(
        kind=known.kind,
        name=arn,
        why=ALIVE,
        costs=known.costs,
        remove=" && ".join([*(before(account, parts[-1]) if before else ()), remove]),
    )


def _detachments(account: Account, identity: str) -> list[str]:
    """A gateway that is attached cannot be deleted."""
    found = account.client("ec2").describe_internet_gateways(InternetGatewayIds=[identity])
    return [
        f"aws ec2 detach-internet-gateway --internet-gateway-id {identity}"
        f" --vpc-id {attachment['VpcId']}"
        for gateway in found["InternetGateways"]
        for attachment in gateway["Attachments"]
    ]


_BEFORE: Final[dict[str, Callable[[Account, str], list[str]]]] = {
    "ec2:internet-gateway": _detachments,
}
"""Kinds whose removal begins with other commands -> those, by account and id."""

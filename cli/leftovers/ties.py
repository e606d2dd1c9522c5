"""What is tied to a thing that is left, and has to go or be taken off it before AWS deletes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from cli.leftovers.going import Client


def ties_of_role(client: Client, name: str) -> Iterator[str]:
    """Commands that take a role's policies away, and take it out of its instance profiles (IAM user
    guide, "Delete roles or instance profiles").
    """
    iam, role = client("iam"), f"--role-name {name}"
    for policy in _all(iam, "list_role_policies", "PolicyNames", RoleName=name):
        yield f"aws iam delete-role-policy {role} --policy-name {policy}"
    for policy in _all(iam, "list_attached_role_policies", "AttachedPolicies", RoleName=name):
        yield f"aws iam detach-role-policy {role} --policy-arn {policy['PolicyArn']}"
    for found in _all(iam, "list_instance_profiles_for_role", "InstanceProfiles", RoleName=name):
        profile = f"--instance-profile-name {found['InstanceProfileName']}"
        yield f"aws iam remove-role-from-instance-profile {role} {profile}"


def _of_profile(client: Client, arn: str) -> Iterator[str]:
    name = arn.rsplit("/", 1)[-1]
    found = client("iam").get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    for role in found["Roles"]:
        yield (
            f"aws iam remove-role-from-instance-profile --role-name {role['RoleName']}"
            f" --instance-profile-name {name}"
        )


def _of_policy(client: Client, arn: str) -> Iterator[str]:
    """IAM user guide, "Delete IAM policies": no role has it, and no version but the default one."""
    iam = client("iam")
    for role in _all(iam, "list_entities_for_policy", "PolicyRoles", PolicyArn=arn):
        yield f"aws iam detach-role-policy --role-name {role['RoleName']} --policy-arn {arn}"
    for version in _all(iam, "list_policy_versions", "Versions", PolicyArn=arn):
        if not version["IsDefaultVersion"]:
            identity = version["VersionId"]
            yield f"aws iam delete-policy-version --policy-arn {arn} --version-id {identity}"


def _of_rule(client: Client, arn: str) -> Iterator[str]:
    name = arn.rsplit("/", 1)[-1]
    targets = _all(client("events"), "list_targets_by_rule", "Targets", Rule=name)
    if identities := " ".join(target["Id"] for target in targets):
        yield f"aws events remove-targets --rule {name} --ids {identities}"


def _of_gateway(client: Client, arn: str) -> Iterator[str]:
    name = arn.rsplit("/", 1)[-1]
    found = client("ec2").describe_internet_gateways(InternetGatewayIds=[name])
    for attached in found["InternetGateways"][0]["Attachments"]:
        yield (
            f"aws ec2 detach-internet-gateway --internet-gateway-id {name}"
            f" --vpc-id {attached['VpcId']}"
        )


def _of_route_table(client: Client, arn: str) -> Iterator[str]:
    name = arn.rsplit("/", 1)[-1]
    found = client("ec2").describe_route_tables(RouteTableIds=[name])["RouteTables"][0]
    for association in found["Associations"]:
        if not association["Main"]:
            identity = association["RouteTableAssociationId"]
            yield f"aws ec2 disassociate-route-table --association-id {identity}"


TIES: Final[dict[str, Callable[[Client, str], Iterator[str]]]] = {
    "events": _of_rule,
    "ec2:internet-gateway": _of_gateway,
    "ec2:route-table": _of_route_table,
    "iam:instance-profile": _of_profile,
    "iam:policy": _of_policy,
}
"""Service, or service and type of resource, of an ARN -> the commands that come before the one that
deletes it. Each raises botocore's errors.
"""


def _all(client: Any, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page[key]

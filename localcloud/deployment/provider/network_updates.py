"""Updates of networks, launch templates and security groups, as the real provider does them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from localcloud.deployment.provider.calls import ProviderError
from localcloud.deployment.provider.compute import template_data
from localcloud.deployment.provider.lifecycle import Update


def launch_template(update: Update) -> None:
    """A new version."""
    update.ignore("updateDefaultVersion", "defaultVersion", "name")
    description = update.take("description")
    data = template_data(update)
    update.sent_whole()
    created = update.send(
        "ec2",
        "CreateLaunchTemplateVersion",
        LaunchTemplateId=update.id,
        VersionDescription=description,
        LaunchTemplateData=data,
    )
    version = created["LaunchTemplateVersion"]["VersionNumber"]
    update.outputs["latestVersion"] = version
    if update.values.get("updateDefaultVersion"):
        update.send(
            "ec2", "ModifyLaunchTemplate", LaunchTemplateId=update.id, DefaultVersion=str(version)
        )
        update.outputs["defaultVersion"] = version


def vpc(update: Update) -> None:
    """DNS attributes and tenancy."""
    for name, member in (
        ("enableDnsSupport", "EnableDnsSupport"),
        ("enableDnsHostnames", "EnableDnsHostnames"),
    ):
        value = update.new(name)
        if value is not None:
            update.send(
                "ec2", "ModifyVpcAttribute", VpcId=update.id, **{member: {"Value": bool(value)}}
            )
    if update.new_or_nothing("instanceTenancy"):
        update.send("ec2", "ModifyVpcTenancy", VpcId=update.id, InstanceTenancy="default")


def subnet(update: Update) -> None:
    """Whether instances get a public address."""
    value = update.new_or_nothing("mapPublicIpOnLaunch")
    update.send(
        "ec2",
        "ModifySubnetAttribute",
        SubnetId=update.id,
        MapPublicIpOnLaunch={"Value": bool(value)},
    )


def internet_gateway(update: Update) -> None:
    """Moved to another VPC."""
    vpc_id = update.new_or_nothing("vpcId")
    if update.old.get("vpcId"):
        update.send(
            "ec2", "DetachInternetGateway", InternetGatewayId=update.id, VpcId=update.old["vpcId"]
        )
    if vpc_id:
        update.send("ec2", "AttachInternetGateway", InternetGatewayId=update.id, VpcId=vpc_id)


def route(update: Update) -> None:
    """Another target of the same destination."""
    values = {name: update.new_or_nothing(name) for name in sorted(update.changed)}
    target = update.aws.request(
        "ec2", "ReplaceRoute", {name: value for name, value in values.items() if value is not None}
    )
    destination = update.take("destinationCidrBlock")
    update.send(
        "ec2",
        "ReplaceRoute",
        RouteTableId=update.take("routeTableId"),
        DestinationCidrBlock=destination,
        **target,
    )


def route_table_association(update: Update) -> None:
    """Another table; AWS gives the association a new id."""
    table = update.new("routeTableId")
    answer = update.send(
        "ec2", "ReplaceRouteTableAssociation", AssociationId=update.id, RouteTableId=table
    )
    update.id = answer["NewAssociationId"]


_SOURCES: Final[Mapping[str, str]] = {
    "cidrIpv4": "CidrIpv4",
    "cidrIpv6": "CidrIpv6",
    "prefixListId": "PrefixListId",
    "referencedSecurityGroupId": "ReferencedGroupId",
}


def another_tenancy(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The tenancy of a VPC changes from dedicated to default alone (terraform-provider-aws,
    vpc_.go; EC2 API, ModifyVpcTenancy).
    """
    then, now = (each.get("instanceTenancy") or "default" for each in (old, new))
    return ["instanceTenancy"] if then != now and now != "default" else []


def another_kind_of_source(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """A rule for addresses does not become one for a group: EC2 refuses that
    (terraform-provider-aws, vpc_security_group_ingress_rule.go).
    """
    return [name for name in _SOURCES if bool(old.get(name)) != bool(new.get(name))]


def security_group_rule(update: Update) -> None:
    """Addresses, group, protocol, ports and description change in place, all of the rule in one
    call.
    """
    values = {name: update.take(name) for name in (*_SOURCES, "ipProtocol", "fromPort", "toPort")}
    rule: dict[str, Any] = {
        member: values[name] for name, member in _SOURCES.items() if values[name] is not None
    }
    ports = {"FromPort": values["fromPort"], "ToPort": values["toPort"]}
    every = {name: -1 if port is None else port for name, port in ports.items()}
    rule |= {"IpProtocol": str(values["ipProtocol"]), **every}
    if (description := update.take("description")) is not None:
        rule["Description"] = description
    update.send(
        "ec2",
        "ModifySecurityGroupRules",
        GroupId=update.take("securityGroupId"),
        SecurityGroupRules=[{"SecurityGroupRuleId": update.id, "SecurityGroupRule": rule}],
    )
    (now,) = update.send("ec2", "DescribeSecurityGroupRules", SecurityGroupRuleIds=[update.id])[
        "SecurityGroupRules"
    ]
    group = now.get("ReferencedGroupInfo", {}).get("GroupId")
    found = {**now, "ReferencedGroupId": group}
    for name, member in _SOURCES.items():
        if values[name] is not None and found.get(member) != values[name]:
            raise ProviderError(f"a change of {name} is not modelled by the AWS in memory")


def endpoint_replacements(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Private DNS changes in place for interface endpoints alone (pulumi_aws,
    ec2.VpcEndpointArgs).
    """
    differs = bool(old.get("privateDnsEnabled")) != bool(new.get("privateDnsEnabled"))
    return ["privateDnsEnabled"] if differs and new.get("vpcEndpointType") != "Interface" else []


_KEPT_OF_ENDPOINTS: Final = (
    "dnsOptions",
    "ipAddressType",
    "policy",
    "privateDnsEnabled",
    "routeTableIds",
    "securityGroupIds",
    "subnetIds",
)
"""Optional and Computed (terraform-provider-aws, vpc_endpoint.go): taking one away changes
nothing.
"""


def endpoint_keeps(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """AWS's side of what the program no longer says of an endpoint."""
    kept = {name: old[name] for name in _KEPT_OF_ENDPOINTS if old.get(name) is not None}
    return {**kept, **{name: value for name, value in new.items() if value is not None}}


def vpc_endpoint(update: Update) -> None:
    """Tables, subnets and groups that come and go, and the policy."""
    request: dict[str, Any] = {}
    for name, member in (
        ("routeTableIds", "RouteTableIds"),
        ("subnetIds", "SubnetIds"),
        ("securityGroupIds", "SecurityGroupIds"),
    ):
        if update.has(name):
            then, now = set(update.old.get(name) or []), set(update.new_or_nothing(name) or [])
            request[f"Add{member}"], request[f"Remove{member}"] = (
                sorted(now - then) or None,
                sorted(then - now) or None,
            )
    request["PolicyDocument"] = update.new("policy")
    request["PrivateDnsEnabled"] = update.new("privateDnsEnabled")
    update.send("ec2", "ModifyVpcEndpoint", VpcEndpointId=update.id, **request)

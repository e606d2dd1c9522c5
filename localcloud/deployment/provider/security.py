"""Security groups: the group, its inline rules, and rules that stand alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from localcloud.deployment.provider.calls import Call, Naming, ProviderError, handles, names, rows

names({"ec2/securityGroup:SecurityGroup": Naming()})
_DEFAULT_DESCRIPTION: Final = "Managed by Pulumi"


@handles("ec2/securityGroup:SecurityGroup")
def security_group(call: Call) -> None:
    """Security group.

    AWS adds an egress rule for everything, which the real provider takes away; so a group starts
    with no rule at all.
    """
    call.ignore("revokeRulesOnDelete")
    ingress, egress = call.take("ingress") or [], call.take("egress") or []
    name, description = call.take("name"), call.take("description", _DEFAULT_DESCRIPTION)
    created = call.create(
        "ec2",
        "CreateSecurityGroup",
        tagged="security-group",
        GroupName=name,
        Description=description,
    )
    call.id = created["GroupId"]
    _revoke_all(call, ("egress",))
    _authorize(call, ingress, egress)
    call.outputs |= {
        "arn": call.aws.arn("ec2", f"security-group/{call.id}"),
        "ownerId": call.aws.account,
        "description": description,
        "vpcId": call.values.get("vpcId") or _describe(call)["VpcId"],
    }


@handles("ec2/defaultSecurityGroup:DefaultSecurityGroup")
def default_security_group(call: Call) -> None:
    """The group that comes with the VPC, adopted: all its rules go, those given come."""
    call.ignore("revokeRulesOnDelete")
    ingress, egress, vpc = call.take("ingress") or [], call.take("egress") or [], call.take("vpcId")
    filters = [
        {"Name": "group-name", "Values": ["default"]},
        *([{"Name": "vpc-id", "Values": [vpc]}] if vpc else []),
    ]
    found = call.send("ec2", "DescribeSecurityGroups", Filters=filters)["SecurityGroups"]
    if not found:
        raise ProviderError(f"vpcId is {vpc}, which has no default security group")
    call.id = found[0]["GroupId"]
    _revoke_all(call, ("ingress", "egress"))
    _authorize(call, ingress, egress)
    if call.tags:
        call.send(
            "ec2",
            "CreateTags",
            Resources=[call.id],
            Tags=[{"Key": k, "Value": v} for k, v in sorted(call.tags.items())],
        )
    call.outputs |= {
        "arn": call.aws.arn("ec2", f"security-group/{call.id}"),
        "name": "default",
        "description": found[0]["Description"],
        "ownerId": call.aws.account,
        "vpcId": found[0]["VpcId"],
    }


def _describe(call: Call) -> dict[str, Any]:
    group: dict[str, Any] = call.send("ec2", "DescribeSecurityGroups", GroupIds=[call.id])[
        "SecurityGroups"
    ][0]
    return group


def _revoke_all(call: Call, directions: tuple[str, ...]) -> None:
    group = _describe(call)
    for direction in directions:
        permissions = group["IpPermissions" if direction == "ingress" else "IpPermissionsEgress"]
        if permissions:
            call.send(
                "ec2",
                f"RevokeSecurityGroup{direction.title()}",
                GroupId=call.id,
                IpPermissions=permissions,
            )


def _authorize(
    call: Call, ingress: list[Mapping[str, Any]], egress: list[Mapping[str, Any]]
) -> None:
    for direction, given in (("Ingress", ingress), ("Egress", egress)):
        if given:
            request = [_permission(rule, call.id) for rule in given]
            call.send(
                "ec2", f"AuthorizeSecurityGroup{direction}", GroupId=call.id, IpPermissions=request
            )


def _permission(rule: Mapping[str, Any], group: str) -> dict[str, Any]:
    note = {"Description": rule["description"]} if rule.get("description") else {}
    groups = [*rule.get("securityGroups", []), *([group] if rule.get("self") else [])]
    permission = _ports(rule, str(rule["protocol"]))
    permission["IpRanges"] = [{"CidrIp": cidr, **note} for cidr in rule.get("cidrBlocks") or []]
    permission["Ipv6Ranges"] = [
        {"CidrIpv6": cidr, **note} for cidr in rule.get("ipv6CidrBlocks") or []
    ]
    permission["PrefixListIds"] = [
        {"PrefixListId": listed, **note} for listed in rule.get("prefixListIds") or []
    ]
    permission["UserIdGroupPairs"] = [{"GroupId": other, **note} for other in groups]
    filled = {name: value for name, value in permission.items() if value != []}
    if len(filled) == len(_ports(rule, str(rule["protocol"]))):
        raise ProviderError(
            "a rule has no source or destination; give cidrBlocks, ipv6CidrBlocks, prefixListIds,"
            " securityGroups or self"
        )
    return filled


def _ports(rule: Mapping[str, Any], protocol: str) -> dict[str, Any]:
    # `-1` means all protocols, for which AWS takes no ports
    protocol = "-1" if protocol == "all" else protocol
    ports = (
        {} if protocol == "-1" else {"FromPort": rule.get("fromPort"), "ToPort": rule.get("toPort")}
    )
    return {
        "IpProtocol": protocol,
        **{name: int(value) for name, value in ports.items() if value is not None},
    }


@handles("ec2/securityGroupRule:SecurityGroupRule")
def security_group_rule(call: Call) -> None:
    """One rule of the older kind, inbound or outbound by `type`."""
    values = call.rest()
    group, direction, source = (
        values["securityGroupId"],
        str(values["type"]),
        values.get("sourceSecurityGroupId"),
    )
    if direction not in ("ingress", "egress"):
        raise ProviderError(f"type is {direction!r}, allowed are ingress, egress")
    rule = {**values, "securityGroups": [source] if source else []}
    created = call.send(
        "ec2",
        f"AuthorizeSecurityGroup{direction.title()}",
        GroupId=group,
        IpPermissions=[_permission(rule, group)],
    )
    call.id = (
        f"sgrule-{created['SecurityGroupRules'][0]['SecurityGroupRuleId'].removeprefix('sgr-')}"
    )
    call.outputs["securityGroupRuleId"] = created["SecurityGroupRules"][0]["SecurityGroupRuleId"]


def _single_rule(direction: str) -> Any:
    def create(call: Call) -> None:
        values = call.rest()
        targets = {
            "cidrIpv4": "cidrBlocks",
            "cidrIpv6": "ipv6CidrBlocks",
            "prefixListId": "prefixListIds",
            "referencedSecurityGroupId": "securityGroups",
        }
        given = [name for name in targets if values.get(name)]
        if len(given) != 1:
            raise ProviderError(
                f"exactly one of {', '.join(targets)} is needed, found {', '.join(given) or 'none'}"
            )
        rule = {**values, "protocol": values["ipProtocol"], targets[given[0]]: [values[given[0]]]}
        request: dict[str, Any] = {"IpPermissions": [_permission(rule, values["securityGroupId"])]}
        request |= call.aws.tags(
            "ec2", f"AuthorizeSecurityGroup{direction}", call.tags, "security-group-rule"
        )
        created = call.send(
            "ec2",
            f"AuthorizeSecurityGroup{direction}",
            GroupId=values["securityGroupId"],
            **request,
        )
        call.id = created["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        call.outputs |= {
            "securityGroupRuleId": call.id,
            "arn": call.aws.arn("ec2", f"security-group-rule/{call.id}"),
        }

    return create


rows(
    {
        "vpc/securityGroupIngressRule:SecurityGroupIngressRule": _single_rule("Ingress"),
        "vpc/securityGroupEgressRule:SecurityGroupEgressRule": _single_rule("Egress"),
    }
)

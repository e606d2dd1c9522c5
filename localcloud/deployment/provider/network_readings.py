"""What is read of networks by more than one call, or lies otherwise than in the inputs."""

from __future__ import annotations

from typing import Any, Final

from localcloud.deployment.provider.network import prefix_list, public_dns, vpc_defaults
from localcloud.deployment.provider.reading import Actual, Described, Found, Reading, tag_map


def vpc(reading: Reading, _found: Found) -> Found:
    """DNS attributes, one call each, and what came with it."""
    told: dict[str, Any] = vpc_defaults(reading.send, reading.id)
    for name in ("enableDnsSupport", "enableDnsHostnames"):
        member = f"{name[0].upper()}{name[1:]}"
        answer = reading.send("ec2", "DescribeVpcAttribute", VpcId=reading.id, Attribute=name)
        told[name] = answer[member]["Value"]
    return told


def internet_gateway(_reading: Reading, found: Found) -> Found:
    """The VPC that it is attached to."""
    return {"vpcId": next((each["VpcId"] for each in found.get("Attachments", [])), None)}


def nat_gateway(_reading: Reading, found: Found) -> Found:
    """The address."""
    address: Found = next(iter(found.get("NatGatewayAddresses", [])), {})
    names = ("allocationId", "publicIp", "privateIp", "networkInterfaceId")
    told = {name: address.get(f"{name[0].upper()}{name[1:]}") for name in names}
    return {**told, "connectivityType": found.get("ConnectivityType", "public")}


def address(reading: Reading, found: Found) -> Found:
    """Its public name."""
    return {"publicDns": public_dns(found["PublicIp"], reading.aws.region)}


def without_routes(_reading: Reading, _found: Found) -> Found:
    """Routes that stand alone are no part of their table."""
    return {"routes": None}


def without_rules(_reading: Reading, _found: Found) -> Found:
    """Rules that stand alone are no part of their group."""
    return {"ingress": None, "egress": None}


def rule(_reading: Reading, found: Found) -> Found:
    """The other end of a rule; protocol -1 has no ports."""
    group = (found.get("ReferencedGroupInfo") or {}).get("GroupId")
    every = found.get("IpProtocol") == "-1"
    ports = {"fromPort": None, "toPort": None} if every else {}
    return {"referencedSecurityGroupId": group, **ports}


def endpoint(reading: Reading, found: Found) -> Found:
    """Its security groups, and the prefix list of a gateway endpoint."""
    groups = [each["GroupId"] for each in found.get("Groups", [])]
    told: dict[str, Any] = {"securityGroupIds": groups}
    if found.get("VpcEndpointType") == "Gateway":
        told["privateDnsEnabled"] = False  # moto says true of every endpoint
        told["prefixListId"] = prefix_list(reading.send, found["ServiceName"])
    return told


def route(reading: Reading) -> Actual | None:
    """The route of a table to one destination."""
    tables = reading.maybe(
        "ec2", "DescribeRouteTables", RouteTableIds=[reading.values["routeTableId"]]
    )
    names = {
        "destinationCidrBlock": "DestinationCidrBlock",
        "gatewayId": "GatewayId",
        "natGatewayId": "NatGatewayId",
        "networkInterfaceId": "NetworkInterfaceId",
        "transitGatewayId": "TransitGatewayId",
        "vpcPeeringConnectionId": "VpcPeeringConnectionId",
    }
    wanted = reading.values.get("destinationCidrBlock")
    for table in tables.get("RouteTables", []):
        for each in table["Routes"]:
            if each.get("DestinationCidrBlock") == wanted:
                told = {name: each.get(member) for name, member in names.items()}
                return {**told, "state": each.get("State"), "origin": each.get("Origin")}
    return None


def route_table_association(reading: Reading) -> Actual | None:
    """The association itself lies in its table."""
    filters = [{"Name": "association.route-table-association-id", "Values": [reading.id]}]
    for each in reading.send("ec2", "DescribeRouteTables", Filters=filters)["RouteTables"]:
        for found in each["Associations"]:
            if found["RouteTableAssociationId"] == reading.id:
                return {
                    "routeTableId": found["RouteTableId"],
                    "subnetId": found.get("SubnetId"),
                    "gatewayId": found.get("GatewayId"),
                }
    return None


_TEMPLATE: Final = Described(
    service="ec2",
    operation="DescribeLaunchTemplateVersions",
    request={"LaunchTemplateId": "{id}", "Versions": ["$Latest"]},
    at="LaunchTemplateVersions.0.LaunchTemplateData",
    rename={
        "vpcSecurityGroupIds": "SecurityGroupIds",
        "securityGroupNames": "SecurityGroups",
        "networkInterfaces.securityGroups": "Groups",
        "tags": "",
    },
)


def launch_template(reading: Reading) -> Actual | None:
    """The latest version, and the template around it."""
    request = {"LaunchTemplateIds": [reading.id]}
    found = reading.maybe("ec2", "DescribeLaunchTemplates", **request).get("LaunchTemplates")
    data = _TEMPLATE(reading)
    if not found:
        return None
    latest = reading.send(
        "ec2", "DescribeLaunchTemplateVersions", LaunchTemplateId=reading.id, Versions=["$Latest"]
    )["LaunchTemplateVersions"][0]
    own = {
        "name": found[0]["LaunchTemplateName"],
        "description": latest.get("VersionDescription"),
        "tags": tag_map(found[0].get("Tags", [])),
        "arn": reading.aws.arn("ec2", f"launch-template/{reading.id}"),
        "latestVersion": found[0]["LatestVersionNumber"],
        "defaultVersion": found[0]["DefaultVersionNumber"],
    }
    told = dict(data or {})
    # moto notes the template's own tags among those of what is launched, where AWS takes none of
    # this kind
    specifications = told.get("tagSpecifications") or []
    told["tagSpecifications"] = [
        each for each in specifications if each.get("resourceType") != "launch-template"
    ]
    return {**told, **own}

"""Networks: VPC, subnets, gateways, routes, endpoints, flow logs, placement groups."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

from localcloud.deployment.provider.calls import Call, Naming, Row, handles, rows

rows(
    {
        "ec2/routeTableAssociation:RouteTableAssociation": Row(
            "ec2", "AssociateRouteTable", "AssociationId", tagged=None
        )
    }
)


@handles("ec2/vpc:Vpc")
def vpc(call: Call) -> None:
    """VPC; DNS attributes are set by calls of their own, as the real provider does."""
    support, hostnames = (
        call.take("enableDnsSupport", default=True),
        call.take("enableDnsHostnames", default=False),
    )
    created = call.create(
        "ec2",
        "CreateVpc",
        tagged="vpc",
        rename={"assignGeneratedIpv6CidrBlock": "AmazonProvidedIpv6CidrBlock"},
    )["Vpc"]
    call.id = created["VpcId"]
    call.send("ec2", "ModifyVpcAttribute", VpcId=call.id, EnableDnsSupport={"Value": bool(support)})
    call.send(
        "ec2", "ModifyVpcAttribute", VpcId=call.id, EnableDnsHostnames={"Value": bool(hostnames)}
    )
    call.outputs |= {
        "arn": call.aws.arn("ec2", f"vpc/{call.id}"),
        "ownerId": call.aws.account,
        "cidrBlock": created["CidrBlock"],
        "instanceTenancy": created["InstanceTenancy"],
        "dhcpOptionsId": created.get("DhcpOptionsId"),
        "enableDnsSupport": bool(support),
        "enableDnsHostnames": bool(hostnames),
        **vpc_defaults(call.send, call.id),
    }


def vpc_defaults(send: Callable[..., dict[str, Any]], vpc: str) -> dict[str, str]:
    """What AWS has made together with a VPC, as outputs."""
    mine = {"Name": "vpc-id", "Values": [vpc]}

    def only(operation: str, member: str, name: str, value: str) -> dict[str, Any]:
        found = send("ec2", operation, Filters=[mine, {"Name": name, "Values": [value]}])
        return dict(found[member][0])

    group = only("DescribeSecurityGroups", "SecurityGroups", "group-name", "default")
    table = only("DescribeRouteTables", "RouteTables", "association.main", "true")
    acl = only("DescribeNetworkAcls", "NetworkAcls", "default", "true")
    return {
        "defaultSecurityGroupId": group["GroupId"],
        "defaultRouteTableId": table["RouteTableId"],
        "mainRouteTableId": table["RouteTableId"],
        "defaultNetworkAclId": acl["NetworkAclId"],
    }


@handles("ec2/subnet:Subnet")
def subnet(call: Call) -> None:
    """Subnet; what CreateSubnet does not take is modified afterwards."""
    attributes = {
        member: call.take(name)
        for name, member in {
            "mapPublicIpOnLaunch": "MapPublicIpOnLaunch",
            "assignIpv6AddressOnCreation": "AssignIpv6AddressOnCreation",
            "enableDns64": "EnableDns64",
            "enableResourceNameDnsARecordOnLaunch": "EnableResourceNameDnsARecordOnLaunch",
            "enableResourceNameDnsAaaaRecordOnLaunch": "EnableResourceNameDnsAAAARecordOnLaunch",
        }.items()
    }
    created = call.create("ec2", "CreateSubnet", tagged="subnet")["Subnet"]
    call.id = created["SubnetId"]
    for member, value in attributes.items():
        if value:
            call.send("ec2", "ModifySubnetAttribute", SubnetId=call.id, **{member: {"Value": True}})
    call.outputs |= {
        "arn": call.aws.arn("ec2", f"subnet/{call.id}"),
        "ownerId": call.aws.account,
        "availabilityZone": created["AvailabilityZone"],
        "availabilityZoneId": created.get("AvailabilityZoneId"),
        "cidrBlock": created["CidrBlock"],
        "mapPublicIpOnLaunch": bool(attributes["MapPublicIpOnLaunch"]),
    }


@handles("ec2/internetGateway:InternetGateway")
def internet_gateway(call: Call) -> None:
    """Internet gateway, attached where a VPC is given."""
    vpc_id = call.take("vpcId")
    call.id = call.create("ec2", "CreateInternetGateway", tagged="internet-gateway")[
        "InternetGateway"
    ]["InternetGatewayId"]
    if vpc_id:
        call.send("ec2", "AttachInternetGateway", InternetGatewayId=call.id, VpcId=vpc_id)
    call.outputs |= {
        "arn": call.aws.arn("ec2", f"internet-gateway/{call.id}"),
        "ownerId": call.aws.account,
    }


@handles("ec2/eip:Eip")
def elastic_ip(call: Call) -> None:
    """Elastic IP address; `instance` and `networkInterface` associate it in a second call."""
    instance, interface, private = (
        call.take("instance"),
        call.take("networkInterface"),
        call.take("associateWithPrivateIp"),
    )
    call.take("domain")
    created = call.create("ec2", "AllocateAddress", tagged="elastic-ip", Domain="vpc")
    call.id = created["AllocationId"]
    call.outputs |= {
        "allocationId": call.id,
        "arn": call.aws.arn("ec2", f"elastic-ip/{call.id}"),
        "publicIp": created["PublicIp"],
        "publicDns": public_dns(created["PublicIp"], call.aws.region),
        "domain": "vpc",
    }
    if instance or interface:
        request = {
            "InstanceId": instance,
            "NetworkInterfaceId": interface,
            "PrivateIpAddress": private,
        }
        call.outputs["associationId"] = call.send(
            "ec2", "AssociateAddress", AllocationId=call.id, **request
        )["AssociationId"]


def public_dns(ip: str, region: str) -> str:
    """The public name of an address (Amazon VPC user guide, DNS attributes of a VPC)."""
    host = f"ec2-{ip.replace('.', '-')}"
    zone = "compute-1" if region == "us-east-1" else f"{region}.compute"
    return f"{host}.{zone}.amazonaws.com"


@handles("ec2/natGateway:NatGateway")
def nat_gateway(call: Call) -> None:
    """NAT gateway of one subnet."""
    created = call.create("ec2", "CreateNatGateway", tagged="natgateway")["NatGateway"]
    call.id = created["NatGatewayId"]
    address = (created.get("NatGatewayAddresses") or [{}])[0]
    call.outputs |= {
        "publicIp": address.get("PublicIp"),
        "privateIp": address.get("PrivateIp"),
        "networkInterfaceId": address.get("NetworkInterfaceId"),
        "connectivityType": created.get("ConnectivityType", "public"),
    }


_ROUTE = {
    "cidrBlock": "DestinationCidrBlock",
    "ipv6CidrBlock": "DestinationIpv6CidrBlock",
    "egressOnlyGatewayId": "EgressOnlyInternetGatewayId",
}


@handles("ec2/routeTable:RouteTable")
def route_table(call: Call) -> None:
    """Route table with its inline routes."""
    routes = call.take("routes") or []
    call.id = call.create("ec2", "CreateRouteTable", tagged="route-table")["RouteTable"][
        "RouteTableId"
    ]
    for route in routes:
        values = {name: value for name, value in route.items() if value not in (None, "")}
        call.send(
            "ec2",
            "CreateRoute",
            RouteTableId=call.id,
            **call.aws.request("ec2", "CreateRoute", values, _ROUTE),
        )
    call.outputs |= {
        "arn": call.aws.arn("ec2", f"route-table/{call.id}"),
        "ownerId": call.aws.account,
    }


@handles("ec2/route:Route")
def route(call: Call) -> None:
    """One route of a table that stands alone."""
    target = {
        name: call.take(name)
        for name in ("destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId")
    }
    table = call.take("routeTableId")
    request: dict[str, Any] = {name[0].upper() + name[1:]: value for name, value in target.items()}
    call.create("ec2", "CreateRoute", tagged=None, rename=_ROUTE, RouteTableId=table, **request)
    call.id = route_id(table, list(target.values()))
    call.outputs |= {"state": "active", "origin": "CreateRoute"}


def route_id(table: str, destinations: Sequence[str | None]) -> str:
    """The real provider's id of a route (internal/service/ec2/vpc_route.go)."""
    return f"r-{table}{zlib.crc32(''.join(value or '' for value in destinations).encode())}"


@handles("ec2/vpcEndpoint:VpcEndpoint")
def vpc_endpoint(call: Call) -> None:
    """Gateway or interface endpoint; the prefix list of a gateway endpoint is looked up
    afterwards.
    """
    call.ignore("autoAccept")
    kind, service = call.values.get("vpcEndpointType") or "Gateway", call.values.get("serviceName")
    created = call.create(
        "ec2", "CreateVpcEndpoint", tagged="vpc-endpoint", rename={"policy": "PolicyDocument"}
    )["VpcEndpoint"]
    call.id = created["VpcEndpointId"]
    call.outputs |= {
        "arn": call.aws.arn("ec2", f"vpc-endpoint/{call.id}"),
        "ownerId": call.aws.account,
        "state": created.get("State", "available"),
        "vpcEndpointType": kind,
        "requesterManaged": False,
        "networkInterfaceIds": created.get("NetworkInterfaceIds", []),
        "dnsEntries": [
            {"dnsName": e.get("DnsName"), "hostedZoneId": e.get("HostedZoneId")}
            for e in created.get("DnsEntries", [])
        ],
    }
    if kind == "Gateway":
        call.outputs["prefixListId"] = prefix_list(call.send, str(service))


def prefix_list(send: Callable[..., dict[str, Any]], service: str) -> str | None:
    """The prefix list of a service with gateway endpoints; None where AWS has none."""
    named = [{"Name": "prefix-list-name", "Values": [service]}]
    found = send("ec2", "DescribeManagedPrefixLists", Filters=named)["PrefixLists"]
    return str(found[0]["PrefixListId"]) if found else None


@handles("ec2/vpcEndpointRouteTableAssociation:VpcEndpointRouteTableAssociation")
def endpoint_route_table(call: Call) -> None:
    """A route table that uses a gateway endpoint."""
    endpoint, table = call.take("vpcEndpointId"), call.take("routeTableId")
    call.send("ec2", "ModifyVpcEndpoint", VpcEndpointId=endpoint, AddRouteTableIds=[table])
    call.id = f"a-{endpoint}{table}"


@handles("ec2/placementGroup:PlacementGroup", Naming())
def placement_group(call: Call) -> None:
    """Placement group; the API answers its creation with nothing, so it is described afterwards."""
    name = call.take("name")
    call.create("ec2", "CreatePlacementGroup", tagged="placement-group", GroupName=name)
    call.id = name
    group = call.send("ec2", "DescribePlacementGroups", GroupNames=[name])["PlacementGroups"][0]
    call.outputs |= {
        "arn": call.aws.arn("ec2", f"placement-group/{name}"),
        "placementGroupId": group["GroupId"],
    }


@handles("ec2/flowLog:FlowLog")
def flow_log(call: Call) -> None:
    """Flow log of a VPC, a subnet or a network interface."""
    kinds = {
        "vpcId": "VPC",
        "subnetId": "Subnet",
        "eniId": "NetworkInterface",
        "transitGatewayId": "TransitGateway",
    }
    resource = next(
        ((kind, value) for name, kind in kinds.items() if (value := call.take(name))), ("VPC", None)
    )
    created = call.create(
        "ec2",
        "CreateFlowLogs",
        tagged="vpc-flow-log",
        rename={"iamRoleArn": "DeliverLogsPermissionArn"},
        ResourceType=resource[0],
        ResourceIds=[resource[1]],
    )
    call.id = created["FlowLogIds"][0]
    call.outputs |= {"arn": call.aws.arn("ec2", f"vpc-flow-log/{call.id}")}

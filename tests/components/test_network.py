from __future__ import annotations

import json

import pulumi
import pytest

from components.endpoint_policies import OPEN_POLICY
from components.network import Network, NetworkArgs
from config.network import PRIVATE_BATCH_SERVICES, NetworkSection
from localcloud.iam.policy_evaluation import resource_policy_allows
from tests.components import mocks

SUBNET, ROUTE, TABLE = (
    "aws:ec2/subnet:Subnet",
    "aws:ec2/route:Route",
    "aws:ec2/routeTable:RouteTable",
)
ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation"
NAT, EIP, GATEWAY = (
    "aws:ec2/natGateway:NatGateway",
    "aws:ec2/eip:Eip",
    "aws:ec2/internetGateway:InternetGateway",
)
ENDPOINT, GROUP = "aws:ec2/vpcEndpoint:VpcEndpoint", "aws:ec2/securityGroup:SecurityGroup"
INGRESS, EGRESS = (
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
)


def deploy(context, **section) -> mocks.Recording:
    return mocks.deploy(
        lambda: Network("network", NetworkArgs(context=context, section=NetworkSection(**section)))
    )


def service(endpoint) -> str:
    return str(endpoint.inputs["serviceName"]).removeprefix(f"com.amazonaws.{mocks.REGION}.")


@pytest.mark.parametrize(
    ("nat", "gateways", "ways_out"),
    [("none", 0, []), ("single", 1, [0, 0, 0]), ("per-zone", 3, [0, 1, 2])],
)
def test_each_private_subnet_leaves_by_its_nat(context, nat, gateways, ways_out) -> None:
    made = deploy(context, az_count=3, nat=nat)
    subnets = {s.id: s for s in made.all(SUBNET, count=6 if gateways else 3)}
    assert all(s.inputs["mapPublicIpOnLaunch"] is False for s in subnets.values())
    assert [
        subnets[i].inputs["availabilityZone"]
        for i in made.component("Network").outputs["private_subnet_ids"]
    ] == list(mocks.ZONES)
    table_of = {
        a.inputs["subnetId"]: a.inputs["routeTableId"]
        for a in made.all(ASSOCIATION, count=len(subnets))
    }
    assert set(table_of) == set(subnets)
    if gateways:
        internet = made.one(GATEWAY)
        routes = {r.inputs["routeTableId"]: r for r in made.all(ROUTE, count=1 + len(ways_out))}
        nats = made.all(NAT, count=gateways)
        for one in [*nats, *made.all(EIP, count=gateways)]:
            assert made.depends_on(one, internet), (
                f"{one.name} has to wait for the internet gateway"
            )
            # and none of it may go before the gateway: environments drain by this way
            for part in [*routes.values(), *made.all(ASSOCIATION)]:
                assert made.depends_on(one, part) == ("private" not in part.name), (
                    one.name,
                    part.name,
                )
        by_zone = {subnets[n.inputs["subnetId"]].inputs["availabilityZone"]: n.id for n in nats}
        private = [s for s in subnets.values() if "private" in s.name]
        for subnet, zone in zip(private, ways_out, strict=True):
            assert routes[table_of[subnet.id]].inputs["natGatewayId"] == by_zone[mocks.ZONES[zone]]
        for subnet in subnets.values():
            if "public" in subnet.name:
                assert routes[table_of[subnet.id]].inputs["gatewayId"] == internet.id
    else:
        # nothing leads out, and there is nothing to lead to
        for kind in (NAT, EIP, GATEWAY, ROUTE):
            made.none(kind)
        assert made.component("Network").outputs["public_subnet_ids"] == []


@pytest.mark.parametrize("room", [None, 3])
def test_more_zones_leave_the_subnets_where_they_are(context, room) -> None:
    section = {} if room is None else {"room_for_zones": room}

    def subnets(count: int) -> dict[str, tuple[str, str]]:
        made = deploy(context, az_count=count, **section)
        return {
            s.name: (s.inputs["availabilityZone"], s.inputs["cidrBlock"])
            for s in made.all(SUBNET, count=2 * count)
        }

    one, two, three = (subnets(count) for count in (1, 2, 3))
    assert one.items() <= two.items() <= three.items()
    # a stack that was cut for as many zones as it has keeps its addresses by room_for_zones
    assert three["network-private-0"][1] == ("10.0.0.0/19" if room is None else "10.0.0.0/18")


def test_an_impaired_zone_moves_no_subnet(context, monkeypatch) -> None:
    def zones() -> list[str]:
        return [s.inputs["availabilityZone"] for s in deploy(context, az_count=2).all(SUBNET)]

    before = zones()
    monkeypatch.setattr(mocks, "IMPAIRED", {mocks.ZONES[0]})
    assert zones() == before


OURS, THEIRS = mocks.ACCOUNT, "999999999999"
LAYERS, PACKAGES = "prod-us-east-1-starport-layer-bucket", "al2023-repos-us-east-1-de612dc2"


@pytest.mark.parametrize(
    ("name", "principal", "owner", "action", "resource", "passes"),
    [
        ("s3", OURS, OURS, "s3:PutObject", "arn:aws:s3:::ours/key", True),
        ("s3", OURS, THEIRS, "s3:PutObject", "arn:aws:s3:::theirs/key", False),
        ("s3", THEIRS, OURS, "s3:GetObject", "arn:aws:s3:::ours/key", False),
        ("s3", THEIRS, THEIRS, "s3:PutObject", "arn:aws:s3:::theirs/key", False),
        ("s3", None, THEIRS, "s3:GetObject", f"arn:aws:s3:::{LAYERS}/layer", True),
        ("s3", None, THEIRS, "s3:PutObject", f"arn:aws:s3:::{LAYERS}/layer", False),
        ("s3", None, THEIRS, "s3:GetObject", f"arn:aws:s3:::{PACKAGES}/core/x.rpm", True),
        ("dynamodb", OURS, OURS, "dynamodb:PutItem", "arn:aws:dynamodb:us-east-1:1:table/t", True),
        (
            "dynamodb",
            THEIRS,
            THEIRS,
            "dynamodb:PutItem",
            "arn:aws:dynamodb:us-east-1:2:table/t",
            False,
        ),
        ("logs", OURS, OURS, "logs:PutLogEvents", "arn:aws:logs:us-east-1:1:log-group:g", True),
        (
            "logs",
            THEIRS,
            THEIRS,
            "logs:PutLogEvents",
            "arn:aws:logs:us-east-1:2:log-group:g",
            False,
        ),
        ("logs", OURS, THEIRS, "logs:PutLogEvents", "arn:aws:logs:us-east-1:2:log-group:g", False),
        ("ecr.api", OURS, None, "ecr:GetAuthorizationToken", "*", True),
        ("ecr.api", THEIRS, None, "ecr:GetAuthorizationToken", "*", False),
        (
            "secretsmanager",
            THEIRS,
            THEIRS,
            "secretsmanager:PutSecretValue",
            "arn:aws:secretsmanager:us-east-1:2:secret:s",
            False,
        ),
    ],
)
def test_without_nat_endpoints_lead_to_the_own_account_alone(
    context, name, principal, owner, action, resource, passes
) -> None:
    endpoint = next(e for e in deploy(context, nat="none").all(ENDPOINT) if service(e) == name)
    keys = {"aws:principalaccount": principal, "aws:resourceaccount": owner}
    known = {key: value for key, value in keys.items() if value is not None}
    policy = json.loads(endpoint.inputs["policy"])
    assert resource_policy_allows(policy, {"AWS": "somebody"}, action, resource, known) == passes


def test_policies_stand_where_the_endpoints_are_the_only_way(context) -> None:
    closed = {service(e): e.inputs.get("policy") for e in deploy(context, nat="none").all(ENDPOINT)}
    without = {"ecs-agent", "ecs-telemetry"}
    assert {name for name, policy in closed.items() if policy is None} == without
    assert OPEN_POLICY not in closed.values()
    # said, and not left out: what is left out stays as it was
    made = deploy(context, nat="single", interface_endpoints=("logs",))
    assert {e.inputs["policy"] for e in made.all(ENDPOINT)} == {OPEN_POLICY}


def test_gateway_endpoints_are_in_every_private_route_table(context) -> None:
    made = deploy(context, az_count=2)
    endpoints = made.all(ENDPOINT, count=2)
    private = {t.id for t in made.all(TABLE) if "private" in t.name}
    assert len(private) == 2
    assert {service(e) for e in endpoints} == {"s3", "dynamodb"}
    assert all(
        e.inputs["vpcEndpointType"] == "Gateway" and set(e.inputs["routeTableIds"]) == private
        for e in endpoints
    )


def test_without_nat_every_service_that_batch_needs_has_an_endpoint(context) -> None:
    made = deploy(context, nat="none", interface_endpoints=("sns", "ecs"))
    interface = [e for e in made.all(ENDPOINT) if e.inputs["vpcEndpointType"] == "Interface"]
    assert sorted(map(service, interface)) == sorted({*PRIVATE_BATCH_SERVICES, "sns"})
    registered = made.component("Network").outputs
    (group,) = {tuple(e.inputs["securityGroupIds"]) for e in interface}
    callers = {
        r.inputs["referencedSecurityGroupId"]
        for r in made.all(INGRESS)
        if (r.inputs["securityGroupId"],) == group
    }
    assert callers == {
        registered[f"{name}_security_group_id"] for name in ("instance", "hpc", "default")
    }
    for endpoint in interface:
        assert endpoint.inputs["privateDnsEnabled"] is True
        assert endpoint.inputs["subnetIds"] == registered["private_subnet_ids"]
    for rule in made.all(INGRESS):
        if (rule.inputs["securityGroupId"],) == group:
            assert (rule.inputs["ipProtocol"], rule.inputs["fromPort"], rule.inputs["toPort"]) == (
                "tcp",
                443,
                443,
            )
    vpc = made.one("aws:ec2/vpc:Vpc").inputs
    assert vpc["enableDnsSupport"] is True
    assert vpc["enableDnsHostnames"] is True


def test_with_nat_only_the_endpoints_asked_for(context) -> None:
    made = deploy(context, nat="single", interface_endpoints=("logs",))
    assert sorted(map(service, made.all(ENDPOINT))) == ["dynamodb", "logs", "s3"]


def test_every_group_has_a_declared_way_out_and_efa_names_its_own_group(context) -> None:
    made = deploy(context, nat="none")
    groups = {g.id for g in made.all(GROUP, count=3)}
    assert {
        r.inputs["securityGroupId"]
        for r in made.all(EGRESS)
        if r.inputs.get("cidrIpv4") == "0.0.0.0/0"
    } == groups
    hpc = made.component("Network").outputs["hpc_security_group_id"]
    for direction in (INGRESS, EGRESS):
        rules = [
            r.inputs
            for r in made.all(direction)
            if r.inputs.get("referencedSecurityGroupId") == hpc == r.inputs["securityGroupId"]
        ]
        assert [r["ipProtocol"] for r in rules] == ["-1"]
    # nobody gets in from an address: no rule of the stack admits a range
    assert all("cidrIpv4" not in r.inputs and "cidrIpv6" not in r.inputs for r in made.all(INGRESS))
    made.none(
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
    )  # adopting it would strip the rules that multi-node containers need


def test_environments_can_wait_for_all_that_an_instance_needs(context) -> None:
    def program() -> None:
        network = Network(
            "network", NetworkArgs(context=context, section=NetworkSection(nat="none", az_count=2))
        )
        pulumi.ComponentResource(
            "test:index:Waits", "waits", None, pulumi.ResourceOptions(depends_on=network.ready)
        )

    made = mocks.deploy(program)
    waits = made.one("test:index:Waits")
    needed = [
        *made.all(ENDPOINT),
        *made.all(INGRESS),
        *made.all(EGRESS),
        *(a for a in made.all(ASSOCIATION) if "private" in a.name),
    ]
    assert len(needed) == 2 + len(PRIVATE_BATCH_SERVICES) + 4 + 4 + 2
    for resource in needed:
        assert made.depends_on(waits, resource), resource.name


def test_a_region_with_too_few_zones_is_one_sentence(context) -> None:
    with pytest.raises(
        pulumi.RunError,
        match=(
            r"az_count is 4, and region us-east-1 offers this account 3 zones .* Fix: lower"
            r" az_count to 3"
        ),
    ):
        deploy(context, az_count=4)

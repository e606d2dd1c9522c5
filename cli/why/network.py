"""What the network of an environment keeps back: zones, addresses, the way to ECS, ECR and the
logs.

Sources: ECS developer guide and AWS Batch user guide (interface endpoints), EC2 user guide (EFA).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from cli.why.account import AbsentError, Account
from cli.why.demand import Demand
from cli.why.fitting import Size
from cli.why.model import Cause

_ENDPOINTS: Final = ("ecs", "ecs-agent", "ecs-telemetry", "ecr.api", "ecr.dkr", "logs")
_FARGATE_ENDPOINTS: Final = ("ecr.api", "ecr.dkr", "logs")
_GONE: Final = ("deleting", "deleted", "failed", "rejected", "expired")
"""States of an endpoint that takes no calls; EC2 shows it for a while."""
_HTTPS: Final = 443
_UP: Final = "run pulumi up: it puts back what the stack owns"


def network_causes(
    account: Account, environment: dict[str, Any], sizes: Sequence[Size], demand: Demand
) -> Iterator[Cause]:
    """What of the network keeps instances or tasks from starting, or from reaching AWS."""
    resources = environment["computeResources"]
    wanted = sorted(resources.get("subnets") or [])
    try:
        answer = account.ask("ec2", "describe_subnets", SubnetIds=wanted)
    except AbsentError as error:
        yield Cause(
            code="SUBNET",
            what=f"a subnet of the environment is gone: {error}",
            setting="subnets",
            found=", ".join(wanted),
            fix=_UP,
        )
        return
    if answer is None:
        return
    subnets = answer["Subnets"]
    fargate = str(resources["type"]).startswith("FARGATE")
    if not fargate:
        yield from _offerings(account, environment, subnets, sizes, demand)
    yield from _addresses(account, resources, subnets, demand)
    yield from _ways(account, resources, subnets)


def way_causes(account: Account, environment: dict[str, Any]) -> Iterator[Cause]:
    """What keeps instances and containers of an environment from reaching AWS."""
    resources = environment.get("computeResources") or {}
    ids = sorted(resources.get("subnets") or [])
    subnets = account.listed("ec2", "describe_subnets", "Subnets", SubnetIds=ids) if ids else []
    yield from _ways(account, resources, subnets)


def _ways(
    account: Account, resources: dict[str, Any], subnets: Sequence[dict[str, Any]]
) -> Iterator[Cause]:
    fargate = str(resources["type"]).startswith("FARGATE")
    groups = _group_ids(account, resources)
    yield from _way_out(account, subnets, _FARGATE_ENDPOINTS if fargate else _ENDPOINTS, groups)
    yield from _security_groups(account, groups)


def _offerings(
    account: Account,
    environment: dict[str, Any],
    subnets: Sequence[dict[str, Any]],
    sizes: Sequence[Size],
    demand: Demand,
) -> Iterator[Cause]:
    holding = sorted(size.name for size in sizes if size.holds(demand))
    zones = sorted({subnet["AvailabilityZone"] for subnet in subnets})
    if not holding or not zones:
        return
    offers = account.listed(
        "ec2",
        "describe_instance_type_offerings",
        "InstanceTypeOfferings",
        LocationType="availability-zone",
        Filters=[{"Name": "instance-type", "Values": holding}],
    )
    sold = sorted({offer["Location"] for offer in offers})
    if not offers or set(zones) & set(sold):
        return
    name = str(environment["computeEnvironmentName"])
    shown = account.shown("environments", name)
    yield Cause(
        code="OFFERING",
        what=(
            f"environment {shown} is in {', '.join(zones)}, where EC2 does not sell"
            f" {', '.join(holding[:3])}"
        ),
        setting=account.setting("environments", name, "zone_index", "subnets"),
        found=", ".join(zones),
        needed=", ".join(sold),
        fix=(
            f"put the environment in one of {', '.join(sold)} (zone_index, or network.az_count), or"
            f" take a type that {zones[0]} has"
        ),
    )


def _addresses(
    account: Account,
    resources: dict[str, Any],
    subnets: Sequence[dict[str, Any]],
    demand: Demand,
) -> Iterator[Cause]:
    # each node of a multi-node job has a network interface of its own besides those of its instance
    needed = demand.nodes * (_interfaces(account, resources) + demand.multi_node)
    free = sum(int(subnet["AvailableIpAddressCount"]) for subnet in subnets)
    if free >= needed:
        return
    ids = ",".join(subnet["SubnetId"] for subnet in subnets)
    yield Cause(
        code="ADDRESSES",
        what=(
            f"the subnets of the environment have {free} free addresses, and the job takes {needed}"
        ),
        setting=ids,
        found=str(free),
        needed=str(needed),
        fix=(
            "find what holds them (aws ec2 describe-network-interfaces --filters "
            f"Name=subnet-id,Values={ids}), use more zones (network.az_count), or fewer "
            "nodes"
        ),
    )


def _interfaces(account: Account, resources: dict[str, Any]) -> int:
    """Interfaces with an address that an instance has."""
    cards = _template(account, resources).get("NetworkInterfaces") or [{}]
    return sum(card.get("InterfaceType") != "efa-only" for card in cards) or 1


def _template(account: Account, resources: dict[str, Any]) -> dict[str, Any]:
    """Data of the launch template of an environment; empty where it has none, or AWS does not
    tell.
    """
    template = resources.get("launchTemplate") or {}
    known = {
        key[0].upper() + key[1:]: value
        for key, value in template.items()
        if key in {"launchTemplateId", "launchTemplateName"}
    }
    if not known:
        return {}
    versions = account.listed(
        "ec2",
        "describe_launch_template_versions",
        "LaunchTemplateVersions",
        **known,
        Versions=[str(template.get("version") or "$Default")],
    )
    return dict(versions[0]["LaunchTemplateData"]) if versions else {}


def _way_out(
    account: Account,
    subnets: Sequence[dict[str, Any]],
    needed: Sequence[str],
    groups: Sequence[str],
) -> Iterator[Cause]:
    for subnet in subnets:
        vpc, subnet_id = subnet["VpcId"], subnet["SubnetId"]
        answer = account.ask(
            "ec2", "describe_route_tables", Filters=[{"Name": "vpc-id", "Values": [vpc]}]
        )
        if answer is None:
            return
        table = _table_of(answer["RouteTables"], subnet_id)
        default = next(
            (
                r
                for r in (table or {}).get("Routes") or []
                if r.get("DestinationCidrBlock") == "0.0.0.0/0"
            ),
            None,
        )
        if default is not None and default.get("State") == "blackhole":
            yield Cause(
                code="ROUTE",
                what=(
                    f"the default route of subnet {subnet_id} leads to a NAT gateway "
                    "or gateway that is gone"
                ),
                setting=str((table or {}).get("RouteTableId")),
                found="blackhole",
                needed="a NAT gateway that is there, or endpoints",
                fix=_UP,
            )
            return
        found = account.ask(
            "ec2", "describe_vpc_endpoints", Filters=[{"Name": "vpc-id", "Values": [vpc]}]
        )
        if found is None:
            return
        by_name = {
            each["ServiceName"].split(".", 3)[-1]: each
            for each in found["VpcEndpoints"]
            if str(each.get("State", "")).lower() not in _GONE
        }
        cause = (
            _endpoints(by_name, subnet_id, table or {}, needed) if default is None else None
        ) or _closed(account, by_name, subnet, needed, groups)
        if cause is not None:
            yield cause
            return


def _table_of(tables: Sequence[dict[str, Any]], subnet_id: str) -> dict[str, Any] | None:
    def associated(table: dict[str, Any], **wanted: Any) -> bool:
        return any(
            all(each.get(key) == value for key, value in wanted.items())
            for each in table.get("Associations") or []
        )

    own = [table for table in tables if associated(table, SubnetId=subnet_id)]
    return next(iter(own or [table for table in tables if associated(table, Main=True)]), None)


def _endpoints(
    by_name: Mapping[str, dict[str, Any]],
    subnet_id: str,
    table: dict[str, Any],
    needed: Sequence[str],
) -> Cause | None:
    missing = [name for name in (*needed, "s3") if name not in by_name]
    if missing:
        return Cause(
            code="ENDPOINTS",
            what=(
                f"subnet {subnet_id} has no route to the internet, and its VPC no endpoint for"
                f" {', '.join(missing)}: {_lost_by(missing)}"
            ),
            setting="network.nat",
            found=", ".join(sorted(by_name)) or "no endpoint",
            needed=", ".join(missing),
            fix=(
                "set network.nat to single, or run pulumi up: without NAT the stack makes these"
                " endpoints"
            ),
        )
    hidden = [
        name
        for name in needed
        if by_name[name].get("VpcEndpointType") == "Interface"
        and not by_name[name].get("PrivateDnsEnabled")
    ]
    if hidden:
        return Cause(
            code="PRIVATE-DNS",
            what=(
                f"the endpoints for {', '.join(hidden)} have no private DNS: their names lead to"
                f" the internet, which subnet {subnet_id} does not reach"
            ),
            setting="PrivateDnsEnabled",
            found="false",
            needed="true",
            fix=_UP,
        )
    s3 = by_name["s3"]
    if s3.get("VpcEndpointType") != "Interface" and table.get("RouteTableId") not in (
        s3.get("RouteTableIds") or []
    ):
        return Cause(
            code="S3-ENDPOINT",
            what=(
                "the S3 endpoint does not stand in the route table of subnet "
                f"{subnet_id}: image layers cannot be had"
            ),
            setting=str(table.get("RouteTableId")),
            found=", ".join(s3.get("RouteTableIds") or []) or "no route table",
            needed=str(table.get("RouteTableId")),
            fix=_UP,
        )
    return None


def _lost_by(services: Sequence[str]) -> str:
    lost = [
        what
        for what, wanted in (
            ("instances cannot join the cluster", {"ecs", "ecs-agent", "ecs-telemetry"}),
            ("images cannot be pulled", {"ecr.api", "ecr.dkr", "s3"}),
            ("no container starts, because its log has no place", {"logs"}),
        )
        if wanted & set(services)
    ]
    return "; ".join(lost)


def _closed(
    account: Account,
    by_name: Mapping[str, dict[str, Any]],
    subnet: Mapping[str, Any],
    needed: Sequence[str],
    groups: Sequence[str],
) -> Cause | None:
    """An endpoint that lets the environment not in: with private DNS all calls go by it, also
    beside a NAT gateway (VPC user guide, "Access an AWS service using an interface VPC endpoint").
    """
    closed: dict[str, str] = {}
    for name in needed:
        endpoint = by_name.get(name) or {}
        own = sorted(str(each["GroupId"]) for each in endpoint.get("Groups") or [])
        if not endpoint.get("PrivateDnsEnabled") or not own:
            continue
        found = account.listed("ec2", "describe_security_groups", "SecurityGroups", GroupIds=own)
        rules = [rule for group in found for rule in group.get("IpPermissions") or []]
        if found and not any(_admits(rule, groups, str(subnet["CidrBlock"])) for rule in rules):
            closed[name] = ", ".join(own)
    if not closed:
        return None
    return Cause(
        code="ENDPOINT-GROUP",
        what=(
            f"the security group of the endpoints for {', '.join(closed)} lets nothing of subnet"
            f" {subnet['SubnetId']} in: {_lost_by(list(closed))}"
        ),
        setting="; ".join(sorted(set(closed.values()))),
        found="no rule for the environment's security groups",
        needed=f"TCP {_HTTPS} from {', '.join(groups) or subnet['CidrBlock']}",
        fix=_UP,
    )


def _admits(rule: Mapping[str, Any], groups: Sequence[str], cidr_block: str) -> bool:
    """Whether a rule lets HTTPS in from members of these groups or from this block."""
    if rule["IpProtocol"] != "-1" and not (
        rule["IpProtocol"] == "tcp" and rule["FromPort"] <= _HTTPS <= rule["ToPort"]
    ):
        return False
    if any(each.get("GroupId") in groups for each in rule.get("UserIdGroupPairs") or []):
        return True
    block = ipaddress.IPv4Network(cidr_block)
    ranges = [ipaddress.IPv4Network(each["CidrIp"]) for each in rule.get("IpRanges") or []]
    return bool(rule.get("PrefixListIds")) or any(block.subnet_of(each) for each in ranges)


def _group_ids(account: Account, resources: dict[str, Any]) -> list[str]:
    cards = _template(account, resources).get("NetworkInterfaces") or []
    of_cards = {group for card in cards for group in card.get("Groups") or []}
    return sorted(resources.get("securityGroupIds") or of_cards)


def _security_groups(account: Account, ids: Sequence[str]) -> Iterator[Cause]:
    if not ids:
        return
    try:
        answer = account.ask("ec2", "describe_security_groups", GroupIds=list(ids))
    except AbsentError as error:
        yield Cause(
            code="SECURITY-GROUP",
            what=f"a security group of the environment is gone: {error}",
            setting="securityGroupIds",
            found=", ".join(ids),
            fix=_UP,
        )
        return
    if answer is None or any(
        group.get("IpPermissionsEgress") for group in answer["SecurityGroups"]
    ):
        return
    yield Cause(
        code="EGRESS",
        what=f"security group {', '.join(ids)} lets nothing out: instances cannot join the cluster",
        setting=", ".join(ids),
        found="no rule for outgoing traffic",
        needed="TCP 443 to ECS, ECR, S3 and the logs",
        fix=_UP,
    )

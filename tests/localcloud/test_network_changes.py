"""A stack gets another address space: everything in the VPC is made anew, then the former goes, and
nothing is stuck.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import Deployment, deploy, destroy
from tests.localcloud.inventory import inventory
from tests.support.program import write_part

NETWORK = "batch-reference:network"


def section(cidr_block: str, **more: object) -> dict[str, str]:
    return {NETWORK: json.dumps({"az_count": 2, "cidr_block": cidr_block, "nat": "single", **more})}


def named(deployment: Deployment, operation: str) -> set[str]:
    return {
        f"{s.type.rpartition(':')[2]} {s.name}"
        for s in deployment.steps
        if s.operation == operation
    }


@pytest.mark.timeout(300)
def test_the_address_space_changes_and_changes_back(tmp_path: Path) -> None:
    # what comes later is in no network
    program = write_part(tmp_path / "program", "local", "jobs")
    with LocalCloud(tmp_path / "cloud", images={}) as cloud:
        cloud.batch.store.relation_seconds = 0.0
        before = inventory(cloud.client, cloud.account_id)
        first = deploy(program, "local", cloud.client)
        made = inventory(cloud.client, cloud.account_id)
        state = first.state
        for block in ("10.99.0.0/16", "10.30.0.0/16"):
            done = deploy(program, "local", cloud.client, config=section(block), previous=state)
            state = done.state
            assert named(done, "replace") == named(done, "delete replaced")
            assert {
                "Vpc network-vpc",
                "NatGateway network-nat-0",
                "Eip network-nat-0",
                "InternetGateway network-internet",
            } <= named(done, "replace")
            # what holds data, and what runs and waits, stays
            kinds = {each.partition(" ")[0] for each in named(done, "replace")}
            assert not kinds & {
                "Bucket",
                "Table",
                "ComputeEnvironment",
                "JobQueue",
                "JobDefinition",
            }
            assert {
                f"ComputeEnvironment environments-{e}"
                for e in ("nodes", "spot-cpu", "on-demand-cpu")
            } <= named(done, "update")
            now = inventory(cloud.client, cloud.account_id)
            assert len(now) == len(made)
        same = deploy(program, "local", cloud.client, previous=state)
        assert {s.operation for s in same.steps} == {"same"}
        destroy(program, "local", cloud.client, previous=state)
        assert inventory(cloud.client, cloud.account_id) - before == set()


def _vpc(ec2: Any) -> tuple[str, str, str, str]:
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/24")["Subnet"]["SubnetId"]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    return vpc, gateway, subnet, address


def test_an_address_is_free_when_its_gateway_is_gone(tmp_path: Path) -> None:
    with LocalCloud(tmp_path, images={}) as cloud:
        ec2 = cloud.client("ec2")
        vpc, gateway, subnet, address = _vpc(ec2)
        nat = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"][
            "NatGatewayId"
        ]
        with pytest.raises(ClientError, match=r"Resource\.AlreadyAssociated"):
            ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)
        with pytest.raises(ClientError, match="has some mapped public address"):
            ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        ec2.delete_nat_gateway(NatGatewayId=nat)
        (found,) = ec2.describe_addresses(AllocationIds=[address])["Addresses"]
        assert "AssociationId" not in found
        again = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]
        ec2.delete_nat_gateway(NatGatewayId=again["NatGatewayId"])
        ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)

"""Compute environments: what must hold for all kinds, and what each kind adds."""

from __future__ import annotations

from typing import Any

import pytest

from config.environments import FargateEnvironment
from localcloud.deployment.engine import Resource
from tests.components.mocks import Recording
from tests.components.program import STACKS, config_of, deploy, deployed

CE = "aws:batch/computeEnvironment:ComputeEnvironment"
LT = "aws:ec2/launchTemplate:LaunchTemplate"


def _resources(made: Recording, name: str) -> dict[str, Any]:
    resources: dict[str, Any] = made.one(CE, f"environments-{name}").inputs["computeResources"]
    return resources


@pytest.mark.parametrize("stack", STACKS)
def test_every_environment_can_be_updated_in_place(stack: str) -> None:
    made, config = deployed(stack), config_of(stack)
    environments = made.all(CE, count=len(config.environments))
    instances = 0
    for environment in environments:
        resources = environment.inputs["computeResources"]
        # a custom role, a fixed name, BEST_FIT and $Latest each force a replacement; vCPUs wanted
        # at present are Batch's own business
        assert not {"serviceRole", "name", "namePrefix"} & environment.inputs.keys()
        assert not {"desiredVcpus", "spotIamFleetRole", "imageId"} & resources.keys()
        if resources["type"].startswith("FARGATE"):
            continue
        instances += 1
        assert resources["allocationStrategy"] in {
            "BEST_FIT_PROGRESSIVE",
            "SPOT_CAPACITY_OPTIMIZED",
            "SPOT_PRICE_CAPACITY_OPTIMIZED",
        }
        assert resources["launchTemplate"]["version"] == "1"
        assert resources["ec2Configurations"][0]["imageType"].startswith("ECS_AL2023")
        assert environment.inputs["updatePolicy"] == {
            "jobExecutionTimeoutMinutes": 30,
            "terminateJobsOnUpdate": False,
        }
        assert resources["tags"].items() >= {"project": "batch-reference", "stack": stack}.items()
    assert (
        instances
        == len(made.all(LT))
        == sum(not isinstance(e, FargateEnvironment) for e in config.environments.values())
    )


@pytest.mark.parametrize("stack", STACKS)
def test_environments_wait_for_permissions_and_for_a_way_out(stack: str) -> None:
    made = deployed(stack)
    needed = [
        *made.all("aws:iam/rolePolicyAttachment:RolePolicyAttachment"),
        *_private_routes(made),
    ]
    assert len(needed) >= 3
    for environment in made.all(CE):
        assert [n.name for n in needed if not made.depends_on(environment, n)] == []


def _private_routes(made: Recording) -> list[Resource]:
    return [route for route in made.all("aws:ec2/route:Route") if "natGatewayId" in route.inputs]


def test_fargate_has_nothing_of_instances() -> None:
    made = deployed("dev")
    fargate = made.one(CE, "environments-fargate")
    assert fargate.inputs["computeResources"].keys() == {
        "type",
        "maxVcpus",
        "subnets",
        "securityGroupIds",
    }
    assert (
        fargate.inputs["computeResources"]["type"],
        fargate.inputs["computeResources"]["maxVcpus"],
    ) == ("FARGATE_SPOT", 16)
    assert "updatePolicy" not in fargate.inputs
    assert [t.name for t in made.all(LT)] == ["environments-gpu-template"]


def test_spot_and_on_demand_spread_over_all_zones() -> None:
    made, config = deployed("prod"), config_of("prod")
    spot, on_demand = _resources(made, "spot-cpu"), _resources(made, "on-demand-cpu")
    assert (spot["type"], spot["allocationStrategy"]) == ("SPOT", "SPOT_PRICE_CAPACITY_OPTIMIZED")
    assert (on_demand["type"], on_demand["allocationStrategy"]) == ("EC2", "BEST_FIT_PROGRESSIVE")
    assert "bidPercentage" not in spot
    private = [s.id for s in made.all("aws:ec2/subnet:Subnet") if "-private-" in s.name]
    for resources in (spot, on_demand):
        assert sorted(resources["subnets"]) == sorted(private)
        assert len(private) == 3
        assert resources["securityGroupIds"] == [
            made.one("aws:ec2/securityGroup:SecurityGroup", "network-instance").id
        ]
        assert (resources["minVcpus"], "placementGroup" in resources) == (0, False)
    assert len(spot["instanceTypes"]) == len(config.environments["spot-cpu"].instance_types) == 10  # type: ignore[union-attr]


def test_settings_of_an_environment_reach_it() -> None:
    changes = {
        "environments": {
            "spot-cpu": {
                "bid_percent": 60,
                "min_vcpus": 4,
                "enabled": False,
                "update_timeout_minutes": 90,
                "terminate_jobs_on_update": True,
            },
            "on-demand-cpu": {"image_id": "ami-0123456789abcdef0"},
        }
    }
    made = deploy("local", changes=changes, until="environments")
    spot = made.one(CE, "environments-spot-cpu")
    assert spot.inputs["state"] == "DISABLED"
    assert spot.inputs["updatePolicy"] == {
        "jobExecutionTimeoutMinutes": 90,
        "terminateJobsOnUpdate": True,
    }
    assert (
        spot.inputs["computeResources"]["bidPercentage"],
        spot.inputs["computeResources"]["minVcpus"],
    ) == (60, 4)
    configuration = _resources(made, "on-demand-cpu")["ec2Configurations"]
    assert configuration == [
        {"imageType": "ECS_AL2023", "imageIdOverride": "ami-0123456789abcdef0"}
    ]


def test_hpc_with_efa_lies_in_one_zone_and_leaves_security_groups_to_its_template() -> None:
    made = deployed("prod")
    gpu = _resources(made, "gpu")
    assert gpu["subnets"] == [made.one("aws:ec2/subnet:Subnet", "network-private-0").id]
    assert gpu["instanceTypes"] == ["p5.48xlarge"]
    assert (gpu["minVcpus"], gpu["maxVcpus"], gpu["type"]) == (0, 768, "EC2")
    assert "securityGroupIds" not in gpu
    group = made.one("aws:ec2/placementGroup:PlacementGroup")
    assert group.inputs["strategy"] == "cluster"
    assert gpu["placementGroup"] == group.outputs["name"]
    # its deletion waits for instances that still shut down; the state of deployed stacks holds the
    # name
    assert group.options.hooks == {"on_error": ("environments-dispersed",)}


def test_hpc_without_efa_names_its_security_group_itself() -> None:
    made = deploy(
        "prod",
        changes={
            "environments": {"gpu": {"efa": False, "placement_group": False, "zone_index": 2}}
        },
        until="environments",
    )
    gpu = _resources(made, "gpu")
    assert gpu["securityGroupIds"] == [
        made.one("aws:ec2/securityGroup:SecurityGroup", "network-hpc").id
    ]
    assert gpu["subnets"] == [made.one("aws:ec2/subnet:Subnet", "network-private-2").id]
    assert "placementGroup" not in gpu
    made.none("aws:ec2/placementGroup:PlacementGroup")
    assert "networkInterfaces" not in made.one(LT, "environments-gpu-template").inputs

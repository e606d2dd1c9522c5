"""Changes of a living stack that AWS and the provider treat in ways of their own, and the order in
which a stack goes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import Deployment, deploy, destroy
from localcloud.deployment.engine.state import State
from tests.support.program import ROOT, write_part

CE, DEFINITION = (
    "aws:batch/computeEnvironment:ComputeEnvironment",
    "aws:batch/jobDefinition:JobDefinition",
)


class Site:
    """The dev stack as far as its jobs, which has Fargate and a NAT gateway, and a queue of
    instances beside it.
    """

    def __init__(self, cloud: LocalCloud, folder: Path) -> None:
        self._program = write_part(folder, "dev", "jobs")
        self.cloud, self.state = cloud, State()
        self.stack: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())[
            "config"
        ]
        self.change("storage", protect=False, delete_with_content=True)
        self.change(
            "environments",
            cpu={"kind": "on-demand", "max_vcpus": 16, "instance_types": ["c6i.xlarge"]},
        )
        self.change("queues", cpu={"environments": ["cpu"]})

    def change(self, section: str, **fields: Any) -> None:
        """Each field of a section; of one that is an object only what is named."""
        key = f"batch-reference:{section}"
        values = self.stack.setdefault(key, {})
        for name, value in fields.items():
            values[name] = {**values.get(name, {}), **value} if isinstance(value, dict) else value

    def deploy(self) -> Deployment:
        config = {
            key: json.dumps(value)
            for key, value in self.stack.items()
            if key.startswith("batch-reference:")
        }
        deployment = deploy(
            self._program, "dev", self.cloud.client, config=config, previous=self.state
        )
        self.state = deployment.state
        return deployment

    def destroy(self) -> Deployment:
        config = {
            key: json.dumps(value)
            for key, value in self.stack.items()
            if key.startswith("batch-reference:")
        }
        return destroy(self._program, "dev", self.cloud.client, config=config, previous=self.state)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("site")
    with LocalCloud(directory / "cloud", images={}) as cloud:
        cloud.batch.store.relation_seconds = 0.0  # test_replacement.py is about that
        site = Site(cloud, directory / "program")
        site.deploy()
        yield site


def names(deployment: Deployment, operation: str) -> set[str]:
    return {step.name for step in deployment.steps if step.operation == operation}


def revisions(site: Site, deployment: Deployment, definition: str) -> list[dict[str, Any]]:
    name = deployment.resource(DEFINITION, definition).outputs["name"]
    found = site.cloud.client("batch").describe_job_definitions(jobDefinitionName=name)[
        "jobDefinitions"
    ]
    return sorted(found, key=lambda each: each["revision"])


def test_a_job_that_moves_between_fargate_and_instances_keeps_its_definition(site: Site) -> None:
    site.change("jobs", preprocess={"queue": "cpu"})
    moved = site.deploy()
    assert "jobs-preprocess" in names(moved, "update")
    assert not {name for name in names(moved, "replace") if name.startswith("jobs-")}
    told = [
        (each["status"], each["platformCapabilities"])
        for each in revisions(site, moved, "jobs-preprocess")
    ]
    assert told == [("ACTIVE", ["FARGATE"]), ("ACTIVE", ["EC2"])]


def test_a_job_of_several_nodes_becomes_one_of_one_node_and_back_in_place(site: Site) -> None:
    for nodes, kind in ((1, "container"), (2, "multinode")):
        site.change("jobs", analysis={"nodes": nodes})
        changed = site.deploy()
        assert "jobs-analysis" in names(changed, "update")
        found = revisions(site, changed, "jobs-analysis")
        assert found[-1]["type"] == kind
        assert {each["status"] for each in found} == {"ACTIVE"}


def test_fargate_becomes_fargate_spot_by_a_replacement(site: Site) -> None:
    """AWS changes neither type of Fargate into the other (Batch API reference,
    ComputeResourceUpdate).
    """
    before = site.deploy().resource(CE, "environments-fargate")
    kind = (
        "fargate"
        if before.outputs["computeResources"]["type"] == "FARGATE_SPOT"
        else "fargate-spot"
    )
    site.change("environments", fargate={"kind": kind})
    changed = site.deploy()
    assert "environments-fargate" in names(changed, "replace")
    after = changed.resource(CE, "environments-fargate")
    assert after.outputs["arn"] != before.outputs["arn"]
    (found,) = site.cloud.client("batch").describe_compute_environments(
        computeEnvironments=[after.outputs["arn"]]
    )["computeEnvironments"]
    assert found["computeResources"]["type"] == kind.upper().replace("-", "_")
    # more vCPUs come in place as before
    site.change("environments", fargate={"max_vcpus": 32})
    assert "environments-fargate" in names(site.deploy(), "update")


def test_another_zone_moves_no_subnet(site: Site) -> None:
    """EC2 refuses a subnet whose addresses lie in another one (InvalidSubnet.Conflict), and a
    replacement comes before the deletion.
    """
    site.change("network", az_count=4)
    grown = site.deploy()
    assert {name for name in names(grown, "create") if "subnet" in name or "private-3" in name}
    assert not {name for name in names(grown, "replace") if name.startswith("network-p")}
    site.change("network", az_count=2)
    assert not {name for name in names(site.deploy(), "replace") if name.startswith("network-p")}


def test_the_way_out_goes_after_the_environments(site: Site) -> None:
    order = [step.name for step in site.destroy().steps if step.operation == "delete"]
    last = max(
        order.index(resource.name) for resource in site.state.resources if resource.type == CE
    )
    kinds = (
        "aws:ec2/natGateway:NatGateway",
        "aws:ec2/internetGateway:InternetGateway",
        "aws:ec2/route:Route",
    )
    way = [
        r.name
        for r in site.state.resources
        if r.type in (*kinds, "aws:ec2/routeTableAssociation:RouteTableAssociation")
    ]
    assert len(way) >= 5
    assert [name for name in way if order.index(name) < last] == []

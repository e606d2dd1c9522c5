"""What AWS Batch refuses, it is refused here: every rule with the request that breaks it."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.batch_refusals import (
    DEFINITIONS,
    DELETIONS,
    ENVIRONMENTS,
    QUEUES,
    SUBMISSIONS,
    Request,
    fair,
    interfaces,
    nodes,
    registered,
)
from tests.localcloud.conftest import Stage


def refused(stage: Stage, request: Request) -> str:
    with pytest.raises(ClientError) as error:
        request(stage)
    assert error.value.response["Error"]["Code"] == "ClientException"
    return str(error.value.response["Error"]["Message"])


@pytest.mark.parametrize(
    ("message", "request_"), ENVIRONMENTS + QUEUES + DEFINITIONS + SUBMISSIONS + DELETIONS
)
def test_refused(stage: Stage, message: str, request_: Request) -> None:
    assert message in refused(stage, request_)


def test_legal_requests_that_are_easily_refused_by_mistake(stage: Stage) -> None:
    stage.client("ec2").create_placement_group(GroupName="hpc", Strategy="cluster")
    nics_only: dict[str, Any] = {
        "launchTemplate": interfaces(stage),
        "securityGroupIds": [],
        "placementGroup": "hpc",
    }
    stage.environment(instanceTypes=["p5.48xlarge"], max_vcpus=768, **nics_only)
    stage.environment(
        instanceTypes=["optimal", "m5"], ec2Configuration=[{"imageType": "ECS_AL2023"}]
    )
    stage.environment("SPOT", spotIamFleetRole=stage.role("spotfleet.amazonaws.com"))
    assert nodes(stage, "0:", "3:", count=8)
    assert stage.submit(
        fair(stage),
        stage.definition(["true"], definition={"schedulingPriority": 1}),
        shareIdentifier="night",
    )


def test_life_of_queue_environment_and_definition(stage: Stage) -> None:
    environment = stage.environment()
    queue = stage.queue(environment)
    stuck = stage.submit(queue, stage.definition(["true"], vcpus="12", memory="512"))
    name = stage.name("family")
    arns = [
        registered(stage, jobDefinitionName=name, containerProperties=stage.container(["true"]))[  # type: ignore[index]
            "jobDefinitionArn"
        ]
        for _ in range(2)
    ]
    assert [arn.rsplit(":", 1)[1] for arn in arns] == ["1", "2"]
    stage.batch.deregister_job_definition(jobDefinition=arns[0])
    found = stage.batch.describe_job_definitions(jobDefinitionName=name)["jobDefinitions"]
    assert [(each["revision"], each["status"]) for each in found] == [
        (1, "INACTIVE"),
        (2, "ACTIVE"),
    ]
    assert "not ACTIVE" in refused(stage, lambda s: s.submit(queue, f"{name}:1"))
    assert stage.job(stage.submit(queue, name))["jobDefinition"] == arns[1]
    stage.batch.tag_resource(resourceArn=queue, tags={"a": "b"})
    assert stage.batch.list_tags_for_resource(resourceArn=queue)["tags"] == {"a": "b"}
    stage.batch.update_job_queue(jobQueue=queue, state="DISABLED")
    assert "is disabled" in refused(stage, lambda s: s.submit(queue, name))
    stage.batch.delete_job_queue(jobQueue=queue)
    assert stage.wait(stuck)["status"] == "FAILED"
    stage.batch.update_compute_environment(
        computeEnvironment=environment, state="DISABLED", computeResources={"maxvCpus": 8}
    )
    assert (
        stage.batch.describe_compute_environments(computeEnvironments=[environment])[
            "computeEnvironments"
        ][0]["computeResources"]["maxvCpus"]
        == 8
    )
    # AWS sees the relation a while longer
    assert "found existing JobQueue relationship" in refused(
        stage, lambda s: s.batch.delete_compute_environment(computeEnvironment=environment)
    )
    stage.cloud.batch.store.environments[environment.rpartition("/")[2]].related_until = 0.0
    stage.batch.delete_compute_environment(computeEnvironment=environment)
    assert (
        stage.batch.describe_compute_environments(computeEnvironments=[environment])[
            "computeEnvironments"
        ]
        == []
    )


def test_node_properties_are_described_in_full(stage: Stage) -> None:
    name = stage.name("mnp")
    linux = {"devices": [{"hostPath": "/dev/infiniband/uverbs0"}], "sharedMemorySize": 49152}
    group = {
        "targetNodes": "0:",
        "container": stage.container(
            ["true"], gpus="8", linuxParameters=linux, instanceType="p5.48xlarge"
        ),
    }
    properties = {"numNodes": 4, "mainNode": 0, "nodeRangeProperties": [group]}
    registered(stage, jobDefinitionName=name, type="multinode", nodeProperties=properties)
    assert (
        stage.batch.describe_job_definitions(jobDefinitionName=name)["jobDefinitions"][0][
            "nodeProperties"
        ]
        == properties
    )

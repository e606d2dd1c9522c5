"""Requests that AWS Batch refuses, each with words of its sentence, and what they are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.localcloud.conftest import Stage

Request = Callable[[Stage], object]


def launch_template(stage: Stage, **data: Any) -> dict[str, str]:
    name = stage.name("lt")
    stage.client("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
    return {"launchTemplateName": name, "version": "1"}


def interfaces(stage: Stage) -> dict[str, str]:
    return launch_template(
        stage,
        NetworkInterfaces=[{"DeviceIndex": 0, "InterfaceType": "efa", "Groups": [stage.group]}],
    )


def fifo(stage: Stage) -> str:
    return stage.queue(stage.environment())


def fair(stage: Stage, **policy: Any) -> str:
    arn = stage.batch.create_scheduling_policy(name=stage.name("policy"), fairsharePolicy=policy)[
        "arn"
    ]
    return stage.queue(stage.environment(), schedulingPolicyArn=arn)


def become(stage: Stage, before: str, after: str) -> object:
    """An environment of one kind is asked to be of another."""
    return stage.batch.update_compute_environment(
        computeEnvironment=stage.environment(before),
        computeResources={"maxvCpus": 16, "type": after},
    )


def registered(stage: Stage, **spec: Any) -> object:
    return stage.batch.register_job_definition(
        **{"jobDefinitionName": stage.name("def"), "type": "container", **spec}
    )


def nodes(stage: Stage, *targets: str, count: int = 2, main: int = 0, **more: Any) -> object:
    groups = [
        {"targetNodes": target, "container": stage.container(["true"], **more)}
        for target in targets
    ]
    return registered(
        stage,
        type="multinode",
        nodeProperties={"numNodes": count, "mainNode": main, "nodeRangeProperties": groups},
    )


def retry(stage: Stage, **strategy: Any) -> object:
    return stage.definition(["true"], definition={"retryStrategy": strategy})


def limits(reason: str, seconds: int) -> list[dict[str, Any]]:
    return [{"reason": reason, "state": "RUNNABLE", "maxTimeSeconds": seconds, "action": "CANCEL"}]


ENVIRONMENTS: list[tuple[str, Request]] = [
    ("allocationStrategy 'BEST'", lambda s: s.environment(allocationStrategy="BEST")),
    (
        "only available for Spot",
        lambda s: s.environment(allocationStrategy="SPOT_CAPACITY_OPTIMIZED"),
    ),
    (
        "spotIamFleetRole is required",
        lambda s: s.environment("SPOT", allocationStrategy="BEST_FIT"),
    ),
    ("spotIamFleetRole and bidPercentage", lambda s: s.environment(bidPercentage=50)),
    ("minvCpus (32)", lambda s: s.environment(minvCpus=32)),
    ("Instance type c5.huge", lambda s: s.environment(instanceTypes=["c5.huge"])),
    ("one architecture", lambda s: s.environment(instanceTypes=["c5.large", "c6g.large"])),
    ("subnet ID 'subnet-0'", lambda s: s.environment(subnets=["subnet-0"])),
    ("security group 'sg-0'", lambda s: s.environment(securityGroupIds=["sg-0"])),
    ("placement group nowhere", lambda s: s.environment(placementGroup="nowhere")),
    ("Instance profile nobody", lambda s: s.environment(instanceRole="nobody")),
    (
        "ECS_AL2 is no longer supported",
        lambda s: s.environment(ec2Configuration=[{"imageType": "ECS_AL2"}]),
    ),
    ("imageType 'AL2023'", lambda s: s.environment(ec2Configuration=[{"imageType": "AL2023"}])),
    (
        "does not exist in this version",
        lambda s: s.environment(launchTemplate={"launchTemplateName": "none"}),
    ),
    ("exclusively allowed", lambda s: s.environment(launchTemplate=interfaces(s))),
    (
        "security groups is required",
        lambda s: s.environment(
            securityGroupIds=[], launchTemplate=launch_template(s, EbsOptimized=True)
        ),
    ),
    ("minvCpus not applicable for FARGATE", lambda s: s.environment("FARGATE", minvCpus=0)),
    ("securityGroupIds takes 1 to 5", lambda s: s.environment("FARGATE", securityGroupIds=[])),
    (
        "valid pattern",
        lambda s: s.batch.create_compute_environment(computeEnvironmentName="a b", type="MANAGED"),
    ),
    (
        "computeResources must be provided",
        lambda s: s.batch.create_compute_environment(
            computeEnvironmentName="empty", type="MANAGED"
        ),
    ),
    (
        "type cannot be updated in a FARGATE compute environment",
        lambda s: become(s, "FARGATE", "FARGATE_SPOT"),
    ),
    (
        "type cannot be updated in a FARGATE_SPOT compute environment",
        lambda s: become(s, "FARGATE_SPOT", "EC2"),
    ),
    ("type cannot be updated from EC2 to FARGATE", lambda s: become(s, "EC2", "FARGATE")),
    (
        "Role arn:aws:iam::123456789012:role/none",
        lambda s: s.batch.create_compute_environment(
            computeEnvironmentName="r",
            type="UNMANAGED",
            serviceRole="arn:aws:iam::123456789012:role/none",
        ),
    ),
]

QUEUES: list[tuple[str, Request]] = [
    (
        "1 to 3 compute environments, found 4",
        lambda s: s.queue(*(s.environment() for _ in range(4))),
    ),
    ("computeEnvironment nowhere", lambda s: s.queue("nowhere")),
    ("can't be mixed", lambda s: s.queue(s.environment(), s.environment("FARGATE"))),
    (
        "one architecture",
        lambda s: s.queue(s.environment(), s.environment(instanceTypes=["c6g.large"])),
    ),
    ("priority must be", lambda s: s.queue(s.environment(), priority=1001)),
    ("Scheduling policy arn:x", lambda s: s.queue(s.environment(), schedulingPolicyArn="arn:x")),
    (
        "maxTimeSeconds",
        lambda s: s.queue(
            s.environment(),
            jobStateTimeLimitActions=limits("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", 599),
        ),
    ),
    (
        "reason 'CAPACITY'",
        lambda s: s.queue(s.environment(), jobStateTimeLimitActions=limits("CAPACITY", 600)),
    ),
    (
        "Order of compute environments must be unique",
        lambda s: s.batch.create_job_queue(
            jobQueueName="twice",
            priority=1,
            computeEnvironmentOrder=[
                {"order": 1, "computeEnvironment": s.environment()} for _ in range(2)
            ],
        ),
    ),
    (
        "overlap",
        lambda s: fair(
            s, shareDistribution=[{"shareIdentifier": "User*"}, {"shareIdentifier": "UserA"}]
        ),
    ),
    (
        "weightFactor",
        lambda s: fair(s, shareDistribution=[{"shareIdentifier": "a", "weightFactor": 0}]),
    ),
    ("computeReservation", lambda s: fair(s, computeReservation=100)),
    (
        "cannot get one",
        lambda s: s.batch.update_job_queue(jobQueue=fifo(s), schedulingPolicyArn="arn:x"),
    ),
]

DEFINITIONS: list[tuple[str, Request]] = [
    ("needs exactly containerProperties", registered),
    ("must specify VCPU and MEMORY", lambda s: registered(s, containerProperties={"image": "x"})),
    ("at least 4 MiB", lambda s: s.definition(["true"], memory="3")),
    ("whole number", lambda s: s.definition(["true"], vcpus="0.5")),
    (
        "exceeds the limit of 24576 bytes",
        lambda s: s.definition(["true"], environment=[{"name": "LONG", "value": "x" * 24_576}]),
    ),
    (
        "cannot start with AWS_BATCH",
        lambda s: s.definition(["true"], environment=[{"name": "AWS_BATCH_X", "value": "1"}]),
    ),
    (
        "jobRoleArn",
        lambda s: s.definition(["true"], jobRoleArn="arn:aws:iam::123456789012:role/none"),
    ),
    ("jobRoleArn some-name", lambda s: s.definition(["true"], jobRoleArn="some-name")),
    (
        "executionRoleArn is required for containers with secrets",
        lambda s: s.definition(["true"], secrets=[{"name": "A", "valueFrom": "b"}]),
    ),
    (
        "only applicable to jobs on Fargate",
        lambda s: s.definition(["true"], ephemeralStorage={"sizeInGiB": 100}),
    ),
    ("Unknown volume", lambda s: s.definition(["true"], mountPoints=[{"sourceVolume": "x"}])),
    ("attempts must be between 1 and 10", lambda s: retry(s, attempts=11)),
    ("attempts is required", lambda s: retry(s, evaluateOnExit=[{"action": "EXIT"}])),
    (
        "at most 5",
        lambda s: retry(s, attempts=2, evaluateOnExit=[{"onReason": "*", "action": "EXIT"}] * 6),
    ),
    (
        "action must be RETRY or EXIT",
        lambda s: retry(s, attempts=2, evaluateOnExit=[{"onReason": "*", "action": "STOP"}]),
    ),
    (
        "must match",
        lambda s: retry(s, attempts=2, evaluateOnExit=[{"onReason": "a-b*", "action": "EXIT"}]),
    ),
    (
        "at least 60 seconds",
        lambda s: s.definition(["true"], definition={"timeout": {"attemptDurationSeconds": 30}}),
    ),
    (
        "Fargate VCPU",
        lambda s: s.definition(
            ["true"], vcpus="3", definition={"platformCapabilities": ["FARGATE"]}
        ),
    ),
    (
        "Fargate resource requirements",
        lambda s: s.definition(
            ["true"], memory="4096", vcpus="0.25", definition={"platformCapabilities": ["FARGATE"]}
        ),
    ),
    (
        "executionRoleArn is required for jobs on Fargate",
        lambda s: s.definition(
            ["true"], memory="2048", definition={"platformCapabilities": ["FARGATE"]}
        ),
    ),
    (
        "not supported on FARGATE",
        lambda s: registered(
            s,
            type="multinode",
            nodeProperties={"numNodes": 1, "mainNode": 0, "nodeRangeProperties": []},
            platformCapabilities=["FARGATE"],
        ),
    ),
    ("must cover all nodes", lambda s: nodes(s, "0:1", count=3)),
    ("does not fit numNodes", lambda s: nodes(s, "0:2", count=2)),
    ("overlap", lambda s: nodes(s, "0:1", "1:2", count=3)),
    ("mainNode 5", lambda s: nodes(s, "0:", main=5)),
    ("numNodes must be", lambda s: nodes(s, "0:", count=0)),
    ("1 to 5 node ranges", nodes),
]

SUBMISSIONS: list[tuple[str, Request]] = [
    ("Job queue nowhere", lambda s: s.submit("nowhere", s.definition(["true"]))),
    ("Job definition nothing", lambda s: s.submit(fifo(s), "nothing")),
    (
        "cannot be specified",
        lambda s: s.submit(fifo(s), s.definition(["true"]), shareIdentifier="a"),
    ),
    ("Share identifier is required", lambda s: s.submit(fair(s), s.definition(["true"]))),
    (
        "Either schedulingPriority in job definition",
        lambda s: s.submit(fair(s), s.definition(["true"]), shareIdentifier="a"),
    ),
    (
        "in dependsOn does not exist",
        lambda s: s.submit(fifo(s), s.definition(["true"]), dependsOn=[{"jobId": "none"}]),
    ),
    (
        "only for array jobs",
        lambda s: s.submit(fifo(s), s.definition(["true"]), dependsOn=[{"type": "SEQUENTIAL"}]),
    ),
    (
        "Array size",
        lambda s: s.submit(fifo(s), s.definition(["true"]), arrayProperties={"size": 1}),
    ),
    (
        "at least 60 seconds",
        lambda s: s.submit(fifo(s), s.definition(["true"]), timeout={"attemptDurationSeconds": 59}),
    ),
    (
        "nodeOverrides are only for",
        lambda s: s.submit(fifo(s), s.definition(["true"]), nodeOverrides={"numNodes": 2}),
    ),
    (
        "at most 8192",
        lambda s: s.submit(
            fifo(s), s.definition(["true"]), containerOverrides={"command": ["x" * 9000]}
        ),
    ),
    (
        "platformCapabilities EC2 but",
        lambda s: s.submit(s.queue(s.environment("FARGATE")), s.definition(["true"])),
    ),
    (
        "Job name should match",
        lambda s: s.batch.submit_job(jobName="a.b", jobQueue=fifo(s), jobDefinition="x"),
    ),
]

DELETIONS: list[tuple[str, Request]] = [
    (
        "found existing JobQueue relationship",
        lambda s: (
            e := s.environment(),
            s.queue(e),
            s.batch.delete_compute_environment(computeEnvironment=e),
        ),
    ),
    (
        "must be disabled first",
        lambda s: s.batch.delete_compute_environment(computeEnvironment=s.environment()),
    ),
    ("job queue must be disabled", lambda s: s.batch.delete_job_queue(jobQueue=fifo(s))),
]

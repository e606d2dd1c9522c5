"""A running LocalCloud per module, with the network, roles, environments and definitions that most
tests need.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from localcloud.cloud import LocalCloud

ACCOUNT = LocalCloud.account_id
BATCH_LOGS = "/test/batch"
PATIENCE = 90.0
"""Seconds after which a test gives up on something: a ceiling for a busy machine, which a quiet one
never comes near.
"""
LONGEST_PAUSE = 0.2
"""Seconds between two looks, once a test has waited for ten times as long."""


def trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclass
class Stage:
    """A cloud with a network and roles; the rest is made by the tests."""

    cloud: LocalCloud
    directory: Path
    subnet: str
    group: str
    vpc: str
    names: int = 0
    jobs: list[str] = field(default_factory=list)

    def client(self, service: str) -> Any:
        return self.cloud.client(service)

    @property
    def batch(self) -> Any:
        return self.client("batch")

    def name(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}-{self.names}"

    def role(self, service: str, *statements: dict[str, Any], managed: tuple[str, ...] = ()) -> str:
        name = self.name("role")
        iam = self.client("iam")
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(service))["Role"]["Arn"]
        if statements:
            document = {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", **each} for each in statements],
            }
            iam.put_role_policy(
                RoleName=name, PolicyName="inline", PolicyDocument=json.dumps(document)
            )
        for policy in managed:
            iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
        return str(arn)

    def instance_profile(
        self, *, managed: tuple[str, ...] = ("service-role/AmazonEC2ContainerServiceforEC2Role",)
    ) -> str:
        role, name, iam = (
            self.role("ec2.amazonaws.com", managed=managed),
            self.name("profile"),
            self.client("iam"),
        )
        arn = iam.create_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Arn"]
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role.rsplit("/", 1)[-1])
        return str(arn)

    def environment(self, kind: str = "EC2", *, max_vcpus: int = 16, **more: Any) -> str:
        resources: dict[str, Any] = {
            "type": kind,
            "maxvCpus": max_vcpus,
            "subnets": [self.subnet],
            "securityGroupIds": [self.group],
        }
        if not kind.startswith("FARGATE"):
            strategy = "BEST_FIT_PROGRESSIVE" if kind == "EC2" else "SPOT_PRICE_CAPACITY_OPTIMIZED"
            resources |= {"instanceTypes": ["c5.xlarge"], "allocationStrategy": strategy}
            if "instanceRole" not in more:
                resources["instanceRole"] = self.instance_profile()
        resources |= more
        answer = self.batch.create_compute_environment(
            computeEnvironmentName=self.name("ce"),
            type="MANAGED",
            state="ENABLED",
            computeResources=resources,
        )
        return str(answer["computeEnvironmentArn"])

    def queue(self, *environments: str, priority: int = 1, **more: Any) -> str:
        order = [{"order": n, "computeEnvironment": arn} for n, arn in enumerate(environments)]
        answer = self.batch.create_job_queue(
            jobQueueName=self.name("queue"),
            state="ENABLED",
            priority=priority,
            computeEnvironmentOrder=order,
            **more,
        )
        return str(answer["jobQueueArn"])

    def container(
        self, command: list[str], *, vcpus: str = "1", memory: str = "512", **more: Any
    ) -> dict[str, Any]:
        sizes = [{"type": "VCPU", "value": vcpus}, {"type": "MEMORY", "value": memory}]
        if "gpus" in more:
            sizes.append({"type": "GPU", "value": more.pop("gpus")})
        log = {
            "logDriver": "awslogs",
            "options": {"awslogs-group": BATCH_LOGS, "awslogs-stream-prefix": "test"},
        }
        return {
            "image": "repo/test:1",
            "command": command,
            "resourceRequirements": sizes,
            "logConfiguration": log,
            **more,
        }

    def definition(
        self, command: list[str], *, definition: dict[str, Any] | None = None, **container: Any
    ) -> str:
        answer = self.batch.register_job_definition(
            jobDefinitionName=self.name("def"),
            type="container",
            containerProperties=self.container(command, **container),
            **(definition or {}),
        )
        return str(answer["jobDefinitionArn"])

    def python(self, code: str, **more: Any) -> str:
        return self.definition(["python", "-c", code], **more)

    def submit(self, queue: str, definition: str, **more: Any) -> str:
        job = str(
            self.batch.submit_job(
                jobName=self.name("job"), jobQueue=queue, jobDefinition=definition, **more
            )["jobId"]
        )
        self.jobs.append(job)
        return job

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.batch.describe_jobs(jobs=[job_id])["jobs"][0])

    def wait(self, job_id: str, *statuses: str, seconds: float = PATIENCE) -> dict[str, Any]:
        wanted = statuses or ("SUCCEEDED", "FAILED")
        return dict(
            until(
                lambda: (job := self.job(job_id))["status"] in wanted and job,
                what=lambda: self.job(job_id),
                seconds=seconds,
            )
        )

    def log(self, stream: str, group: str = BATCH_LOGS) -> list[str]:
        return [
            each["message"]
            for each in self.client("logs").get_log_events(
                logGroupName=group, logStreamName=stream
            )["events"]
        ]


def until(
    condition: Callable[[], Any],
    *,
    what: Callable[[], Any] | str = "condition",
    seconds: float = PATIENCE,
    pause: float = 0.01,
) -> Any:
    began = time.monotonic()
    while (waited := time.monotonic() - began) < seconds:
        if found := condition():
            return found
        # whoever is waited for needs the processor, of which a look takes hundredths of a second
        time.sleep(max(pause, min(0.1 * waited, LONGEST_PAUSE)))
    raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")


def forward(cloud: LocalCloud, hour: int, zone: ZoneInfo) -> datetime:
    """Puts the cloud's clock to a minute after the next time that it is this hour in a time zone;
    the moment there.
    """
    now = datetime.fromtimestamp(cloud.now(), zone)
    then = now.replace(hour=hour, minute=1, second=0)
    then += timedelta(days=1) if then <= now else timedelta()
    cloud.batch.advance((then.astimezone(UTC) - now.astimezone(UTC)).total_seconds())
    return then


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A cloud that is still empty."""
    with LocalCloud(tmp_path_factory.mktemp("cloud"), images={}) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    directory = tmp_path_factory.mktemp("cloud")
    image = tmp_path_factory.mktemp("image")
    (image / "in_image.py").write_text("WORD = 'from the image'\n")
    with LocalCloud(directory, images={"repo/*": image}) as cloud:
        yield on(cloud, directory)


@pytest.fixture(scope="module")
def queue(stage: Stage) -> str:
    return stage.queue(stage.environment(max_vcpus=64))


def on(cloud: LocalCloud, directory: Path) -> Stage:
    """A stage in a cloud that is still empty."""
    ec2 = cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    # without a zone moto draws one, and not every zone has every instance type
    zone = f"{cloud.region}a"
    made = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24", AvailabilityZone=zone)
    subnet = made["Subnet"]["SubnetId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    group = ec2.create_security_group(GroupName="jobs", Description="jobs", VpcId=vpc)["GroupId"]
    cloud.client("logs").create_log_group(logGroupName=BATCH_LOGS)
    return Stage(cloud=cloud, directory=directory, subnet=subnet, group=group, vpc=vpc)

"""Containers that cannot start because their network keeps a service of AWS back: a log, an image,
a secret that nobody can reach. Instances join, the environment is VALID, and the job fails.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import pytest

from cli.why.model import Diagnosis
from tests.cli.why.conftest import Asking
from tests.localcloud.conftest import Stage

SERVICES: Final = (
    "ecs",
    "ecs-agent",
    "ecs-telemetry",
    "ecr.api",
    "ecr.dkr",
    "logs",
    "secretsmanager",
)
HTTPS: Final = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
ECR: Final = "123456789012.dkr.ecr.us-east-1.amazonaws.com/r:1"


@dataclass
class Private:
    """A VPC without a route to the internet, with all endpoints that jobs need."""

    asking: Asking
    subnet: str
    group: str
    door: str
    """Security group of the endpoints, which lets the jobs in."""
    table: str
    endpoints: dict[str, str]
    queue: str

    @property
    def ec2(self) -> Any:
        return self.asking.stage.client("ec2")

    def why(self, **container: Any) -> Diagnosis:
        """What `why` says of a job that failed."""
        stage = self.asking.stage
        job = stage.submit(self.queue, stage.python("1", **container))
        assert stage.wait(job)["status"] == "FAILED"
        return self.asking.why(job)


@pytest.fixture(scope="module")
def private(bare: Stage) -> Private:
    stage = bare
    ec2 = stage.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
    made = ec2.create_subnet(
        VpcId=vpc, CidrBlock="10.77.1.0/24", AvailabilityZone=f"{stage.cloud.region}a"
    )
    subnet = made["Subnet"]["SubnetId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    group, door = (
        ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
        for name in ("private-jobs", "private-door")
    )
    inside = {**HTTPS, "UserIdGroupPairs": [{"GroupId": group}]}
    ec2.authorize_security_group_ingress(GroupId=door, IpPermissions=[inside])
    environment = stage.environment(subnets=[subnet], securityGroupIds=[group])
    queue = stage.queue(environment)
    found = Private(Asking(stage), subnet, group, door, table, {}, queue)
    made = ec2.create_vpc_endpoint(
        VpcId=vpc, ServiceName=f"com.amazonaws.{stage.cloud.region}.s3", RouteTableIds=[table]
    )
    found.endpoints["s3"] = made["VpcEndpoint"]["VpcEndpointId"]
    for service in SERVICES:
        _make(found, service, vpc)
    return found


def _make(private: Private, service: str, vpc: str, **more: Any) -> None:
    wanted = {"PrivateDnsEnabled": True, "SecurityGroupIds": [private.door], **more}
    made = private.ec2.create_vpc_endpoint(
        VpcId=vpc,
        ServiceName=f"com.amazonaws.us-east-1.{service}",
        VpcEndpointType="Interface",
        SubnetIds=[private.subnet],
        **wanted,
    )
    private.endpoints[service] = made["VpcEndpoint"]["VpcEndpointId"]


def _vpc(private: Private) -> str:
    found = private.ec2.describe_subnets(SubnetIds=[private.subnet])
    return str(found["Subnets"][0]["VpcId"])


def _again(private: Private, service: str, **more: Any) -> None:
    """The endpoint of a service made anew."""
    gone = private.endpoints.pop(service, None)
    if gone is not None:
        private.ec2.delete_vpc_endpoints(VpcEndpointIds=[gone])
    _make(private, service, _vpc(private), **more)


def _missing(private: Private, service: str) -> None:
    gone = private.endpoints.pop(service)
    private.ec2.delete_vpc_endpoints(VpcEndpointIds=[gone])


def _closed(private: Private, service: str) -> None:
    """Its security group is the VPC's default one, which lets its own members in alone."""
    _again(private, service, SecurityGroupIds=[])


def _unnamed(private: Private, service: str) -> None:
    _again(private, service, PrivateDnsEnabled=False)


LOSSES: Final[dict[str, tuple[Callable[[Private, str], None], str]]] = {
    "missing": (_missing, "ENDPOINTS"),
    "without private DNS": (_unnamed, "PRIVATE-DNS"),
    "closed": (_closed, ""),
}


def test_with_all_endpoints_jobs_run(private: Private) -> None:
    stage = private.asking.stage
    assert stage.wait(stage.submit(private.queue, stage.python("1")))["status"] == "SUCCEEDED"


@pytest.mark.parametrize("loss", LOSSES)
def test_a_log_that_cannot_be_reached(private: Private, loss: str) -> None:
    lose, code = LOSSES[loss]
    lose(private, "logs")
    try:
        found = private.why()
        assert found.causes[0].code == "UNREACHED"
        assert "does not reach logs.us-east-1.amazonaws.com" in found.verdict
        assert "VPC endpoint" in found.causes[0].fix
        assert code in {"", *(cause.code for cause in found.causes[1:])}
    finally:
        _again(private, "logs")


def test_an_endpoint_that_lets_the_jobs_not_in(private: Private) -> None:
    other = private.ec2.create_security_group(
        GroupName="others", Description="others", VpcId=_vpc(private)
    )["GroupId"]
    for service in ("logs", "ecr.dkr"):
        _again(private, service, SecurityGroupIds=[other])
    try:
        causes = {cause.code: cause for cause in private.why().causes}
        assert "endpoints for ecr.dkr, logs lets nothing" in causes["ENDPOINT-GROUP"].what
        assert causes["ENDPOINT-GROUP"].needed == f"TCP 443 from {private.group}"
        # by address instead of by group
        inside = {**HTTPS, "IpRanges": [{"CidrIp": "10.77.0.0/16"}]}
        private.ec2.authorize_security_group_ingress(GroupId=other, IpPermissions=[inside])
        test_with_all_endpoints_jobs_run(private)
    finally:
        for service in ("logs", "ecr.dkr"):
            _again(private, service)


@pytest.mark.parametrize("service", ["ecr.api", "ecr.dkr"])
def test_an_image_that_cannot_be_reached(private: Private, service: str) -> None:
    _missing(private, service)
    try:
        found = private.why(image=ECR)
        hosts = {"ecr.api": "api.ecr.us-east-1.amazonaws.com", "ecr.dkr": ECR.partition("/")[0]}
        assert f"does not reach {hosts[service]}" in found.verdict
        assert {"UNREACHED", "ENDPOINTS"} <= {cause.code for cause in found.causes}
    finally:
        _again(private, service)


def test_an_s3_endpoint_that_keeps_the_layers_back(private: Private) -> None:
    own = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "arn:aws:s3:::own/*"}
    modify = partial(private.ec2.modify_vpc_endpoint, VpcEndpointId=private.endpoints["s3"])
    modify(PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [own]}))
    try:
        assert "the registry denied it" in private.why(image=ECR).verdict
        layers = "arn:aws:s3:::prod-us-east-1-starport-layer-bucket/*"
        read = {**own, "Action": "s3:GetObject", "Resource": layers}
        modify(PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [own, read]}))
        assert "has none of that name" in private.why(image=ECR).verdict
    finally:
        modify(ResetPolicy=True)


def test_a_secret_that_cannot_be_reached(private: Private) -> None:
    stage = private.asking.stage
    secret = stage.client("secretsmanager").create_secret(Name=stage.name("s"), SecretString="x")
    role = stage.role("ecs-tasks.amazonaws.com", {"Action": "*", "Resource": "*"})
    _missing(private, "secretsmanager")
    try:
        found = private.why(
            executionRoleArn=role, secrets=[{"name": "KEY", "valueFrom": secret["ARN"]}]
        )
        assert "does not reach secretsmanager.us-east-1.amazonaws.com" in found.verdict
    finally:
        _again(private, "secretsmanager")


def test_an_endpoint_whose_policy_denies_is_named(private: Private) -> None:
    reads = {"Effect": "Allow", "Principal": "*", "Action": "logs:Get*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [reads]})
    _again(private, "logs", PolicyDocument=policy)
    try:
        verdict = private.why().verdict
        assert "because a VPC endpoint policy keeps" in verdict
        assert "from logs:CreateLogStream" in verdict
    finally:
        _again(private, "logs")


def test_an_endpoint_takes_the_calls_also_beside_a_nat_gateway(private: Private) -> None:
    ec2, route = private.ec2, {"DestinationCidrBlock": "0.0.0.0/0", "RouteTableId": private.table}
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=_vpc(private))
    ec2.create_route(**route, GatewayId=gateway)
    try:
        _missing(private, "logs")
        test_with_all_endpoints_jobs_run(private)
        _make(private, "logs", _vpc(private), SecurityGroupIds=[])
        assert private.why().causes[0].code == "UNREACHED"
    finally:
        ec2.delete_route(**route)
        _again(private, "logs")


def test_on_fargate_it_is_told_in_fargates_words(private: Private) -> None:
    stage = private.asking.stage
    role = stage.role("ecs-tasks.amazonaws.com", {"Action": "*", "Resource": "*"})
    made = partial(stage.environment, "FARGATE", subnets=[private.subnet])
    queue = stage.queue(made(securityGroupIds=[private.group]))
    definition = stage.python(
        "1",
        executionRoleArn=role,
        memory="2048",
        definition={"platformCapabilities": ["FARGATE"]},
        networkConfiguration={"assignPublicIp": "DISABLED"},
    )
    _missing(private, "logs")
    try:
        job = stage.submit(queue, definition)
        reason = stage.wait(job, "FAILED")["attempts"][-1]["statusReason"]
        assert reason.startswith("ResourceInitializationError: failed to validate logger args")
        assert "does not reach logs.us-east-1.amazonaws.com" in private.asking.why(job).verdict
    finally:
        _again(private, "logs")

"""Causes of RUNNABLE and PENDING, planted one by one: each is told with its setting, its number,
the number needed and the fix.
"""

from __future__ import annotations

from typing import Any

import pytest

from cli.why.account import Account
from cli.why.starting import start_causes
from tests.cli.why.conftest import FOREVER, Asking
from tests.localcloud.conftest import BATCH_LOGS, Stage, until


def multi_node(stage: Stage, *, nodes: int, **container: Any) -> str:
    name = stage.name("nodes")
    properties = stage.container(["python", "-c", FOREVER], **container)
    stage.batch.register_job_definition(
        jobDefinitionName=name,
        type="multinode",
        nodeProperties={
            "numNodes": nodes,
            "mainNode": 0,
            "nodeRangeProperties": [{"targetNodes": "0:", "container": properties}],
        },
    )
    return name


def another_subnet(stage: Stage, block: str, zone: str = "us-east-1a", *, routed: bool) -> str:
    ec2 = stage.client("ec2")
    subnet = str(
        ec2.create_subnet(VpcId=stage.vpc, CidrBlock=block, AvailabilityZone=zone)["Subnet"][
            "SubnetId"
        ]
    )
    if routed:
        tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [stage.vpc]}])
        table = next(t for t in tables["RouteTables"] if len(t["Routes"]) > 1)
        ec2.associate_route_table(RouteTableId=table["RouteTableId"], SubnetId=subnet)
    return subnet


# ---- the environment -----------------------------------------------------------------------------


def test_max_vcpus_below_the_job(asking: Asking) -> None:
    stage = asking.stage
    environment = stage.environment(max_vcpus=2)
    job = stage.submit(stage.queue(environment), stage.python(FOREVER, vcpus="3"))
    stage.wait(job, "RUNNABLE")
    name = environment.rsplit("/", 1)[-1]
    cause = asking.cause(job, "MAX-VCPUS", environments={"small": name})
    assert (cause.setting, cause.found, cause.needed) == ("environments.small.max_vcpus", "2", "3")
    assert f"--compute-environment {name} --compute-resources maxvCpus=3" in cause.fix
    assert asking.why(job).is_stuck
    stage.batch.update_compute_environment(
        computeEnvironment=name, computeResources={"maxvCpus": 3}
    )
    stage.wait(job, "RUNNING")
    assert not asking.why(job).is_stuck


def test_max_vcpus_below_all_nodes_counts_whole_instances(asking: Asking) -> None:
    stage = asking.stage
    queue = stage.queue(stage.environment(max_vcpus=8))
    job = stage.submit(queue, multi_node(stage, nodes=3))
    cause = asking.cause(job, "MAX-VCPUS")
    assert (cause.found, cause.needed) == ("8", "12")  # three c5.xlarge, whatever the job asks for
    assert "3 whole instances at once" in cause.what


@pytest.mark.parametrize(
    ("code", "asked", "found", "needed"),
    [
        ("JOB-MEMORY", {"memory": "8192"}, "7668 MiB", "8192 MiB"),
        ("JOB-VCPUS", {"vcpus": "5"}, "4 vCPUs", "5 vCPUs"),
        ("JOB-GPUS", {"gpus": "1"}, "0 GPUs", "1 GPUs"),
    ],
)
def test_a_job_larger_than_every_type(
    asking: Asking, code: str, asked: dict[str, Any], found: str, needed: str
) -> None:
    stage = asking.stage
    job = stage.submit(stage.queue(stage.environment()), stage.python(FOREVER, **asked))
    cause = asking.cause(job, code)
    assert cause.found.startswith(found)
    assert cause.needed.startswith(needed)
    assert "add a larger type" in cause.fix


def test_no_single_type_has_both(asking: Asking) -> None:
    stage = asking.stage
    environment = stage.environment(instanceTypes=["c5.xlarge", "r5.large"], max_vcpus=16)
    job = stage.submit(stage.queue(environment), stage.python(FOREVER, vcpus="3", memory="15000"))
    cause = asking.cause(job, "JOB-SHAPE")
    assert "3 vCPUs, 15000 MiB" in cause.what


def test_a_type_that_the_environment_may_not_start(asking: Asking) -> None:
    stage = asking.stage
    job = stage.submit(
        stage.queue(stage.environment(max_vcpus=64)),
        multi_node(stage, nodes=2, instanceType="c5n.9xlarge"),
    )
    cause = asking.cause(job, "JOB-INSTANCE-TYPE")
    assert (cause.found, cause.needed) == ("c5.xlarge", "c5n.9xlarge")


def test_a_disabled_environment(asking: Asking) -> None:
    stage = asking.stage
    environment = stage.environment()
    queue = stage.queue(environment)
    stage.batch.update_compute_environment(computeEnvironment=environment, state="DISABLED")
    job = stage.submit(queue, stage.python(FOREVER))
    cause = asking.cause(job, "ENV-DISABLED")
    assert (cause.found, cause.needed) == ("DISABLED", "ENABLED")
    assert "--state ENABLED;" in cause.fix


def test_one_good_environment_is_enough(asking: Asking) -> None:
    stage = asking.stage
    off = stage.environment()
    queue = stage.queue(off, stage.environment())
    stage.batch.update_compute_environment(computeEnvironment=off, state="DISABLED")
    job = stage.submit(queue, stage.python(FOREVER))
    stage.wait(job, "RUNNING")
    second = stage.submit(queue, stage.python(FOREVER, vcpus="4"))
    third = stage.submit(queue, stage.python(FOREVER, vcpus="4", memory="900000"))
    stage.wait(second, "RUNNING")
    found = asking.why(third)
    assert {cause.code for cause in found.causes} >= {"ENV-DISABLED", "JOB-MEMORY"}


def test_an_environment_at_its_maximum_names_who_holds_it(asking: Asking) -> None:
    stage = asking.stage
    queue = stage.queue(stage.environment(max_vcpus=4))
    running = stage.submit(queue, stage.python(FOREVER, vcpus="4"))
    stage.wait(running, "RUNNING")
    job = stage.submit(queue, stage.python(FOREVER, vcpus="3"))
    cause = asking.cause(job, "AT-MAX")
    assert (cause.weight, cause.found, cause.needed) == ("waits", "4", "7")
    assert stage.job(running)["jobName"] in cause.what
    assert not asking.why(job).is_stuck


def test_fargate_at_its_maximum(asking: Asking) -> None:
    stage = asking.stage
    role = stage.role("ecs-tasks.amazonaws.com", {"Action": ["logs:*"], "Resource": "*"})
    queue = stage.queue(stage.environment("FARGATE", max_vcpus=2))
    definition = stage.python(
        FOREVER,
        vcpus="2",
        memory="4096",
        executionRoleArn=role,
        definition={"platformCapabilities": ["FARGATE"]},
    )
    running = stage.submit(queue, definition)
    stage.wait(running, "RUNNING")
    cause = asking.cause(stage.submit(queue, definition), "AT-MAX")
    assert (cause.found, cause.needed) == ("2", "4")


def test_a_multi_node_job_before_spot(asking: Asking) -> None:
    stage = asking.stage
    job = stage.submit(stage.queue(stage.environment("SPOT")), multi_node(stage, nodes=2))
    cause = asking.cause(job, "MULTI-NODE")
    assert (cause.found, cause.needed.split(" ")[0]) == ("SPOT", "EC2")


# ---- roles and network: the environment is INVALID, or nothing joins -----------------------------


def test_an_instance_role_without_its_policy(asking: Asking) -> None:
    stage = asking.stage
    environment = stage.environment(instanceRole=stage.instance_profile(managed=()))
    job = stage.submit(stage.queue(environment), stage.python(FOREVER))
    found = until(
        lambda: (
            {
                cause.code: cause
                for cause in asking.why(job).causes
                if cause.code in {"ENV-INVALID", "INSTANCE-ROLE"}
            }
            if len(asking.why(job).causes) > 1
            else None
        )
    )
    assert "INVALIDATED" in found["ENV-INVALID"].what
    assert "AmazonEC2ContainerServiceforEC2Role" in found["INSTANCE-ROLE"].fix
    assert found["INSTANCE-ROLE"].found.startswith("0 of 5")


def test_a_subnet_without_a_way_out(asking: Asking) -> None:
    stage = asking.stage
    subnet = another_subnet(stage, "10.9.20.0/24", routed=False)
    job = stage.submit(stage.queue(stage.environment(subnets=[subnet])), stage.python(FOREVER))
    causes = until(
        lambda: (
            (found := asking.why(job)).causes
            and {c.code: c for c in found.causes if c.code in {"ENDPOINTS", "ENV-INVALID"}}
        )
    )
    assert causes["ENDPOINTS"].needed == "ecs, ecs-agent, ecs-telemetry, ecr.api, ecr.dkr, logs, s3"
    assert subnet in causes["ENDPOINTS"].what


def test_a_security_group_that_lets_nothing_out(asking: Asking) -> None:
    stage = asking.stage
    ec2 = stage.client("ec2")
    group = ec2.create_security_group(
        GroupName=stage.name("closed"), Description="closed", VpcId=stage.vpc
    )["GroupId"]
    egress = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=egress["IpPermissionsEgress"])
    job = stage.submit(
        stage.queue(stage.environment(securityGroupIds=[group])), stage.python(FOREVER)
    )
    until(lambda: "EGRESS" in {cause.code for cause in asking.why(job).causes})


# ---- EC2 -----------------------------------------------------------------------------------------


def test_a_quota_too_small(asking: Asking) -> None:
    stage = asking.stage
    stage.cloud.batch.limit_quota("L-1216C47A", 2)
    job = stage.submit(stage.queue(stage.environment()), stage.python(FOREVER))
    cause = asking.cause(job, "QUOTA")
    assert (cause.found, cause.needed, cause.weight) == ("2 vCPUs", "4 vCPUs", "blocks")
    assert cause.fix.endswith("--service-code ec2 --quota-code L-1216C47A --desired-value 4")


def test_a_quota_of_spot_that_others_use_up(asking: Asking) -> None:
    stage = asking.stage
    stage.cloud.batch.limit_quota("L-34B43A08", 4)
    one = stage.submit(stage.queue(stage.environment("SPOT")), stage.python(FOREVER, vcpus="4"))
    stage.wait(one, "RUNNING")
    job = stage.submit(stage.queue(stage.environment("SPOT")), stage.python(FOREVER))
    cause = asking.cause(job, "QUOTA")
    assert (cause.found, cause.needed, cause.weight) == ("4 vCPUs", "8 vCPUs", "waits")


def test_the_quota_is_told_from_the_activities_where_quotas_may_not_be_read(asking: Asking) -> None:
    stage = asking.stage
    stage.cloud.batch.limit_quota("L-1216C47A", 2)
    job = stage.submit(stage.queue(stage.environment()), stage.python(FOREVER))
    blind = Asking(stage, frozenset({"get_service_quota"}))
    cause = blind.cause(job, "QUOTA")
    assert "2 vCPUs" in cause.what
    assert blind.why(job).unseen == ("service-quotas:GetServiceQuota: AccessDeniedException",)


def test_no_capacity(asking: Asking) -> None:
    stage = asking.stage
    stage.cloud.batch.withhold_capacity("c5.xlarge")
    job = stage.submit(stage.queue(stage.environment()), stage.python(FOREVER))
    cause = asking.cause(job, "CAPACITY")
    assert "c5.xlarge in us-east-1" in cause.what
    assert "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY" in " ".join(asking.why(job).seen)
    stage.cloud.batch.withhold_capacity()
    stage.wait(job, "RUNNING")


def test_a_type_that_the_zone_does_not_sell(asking: Asking) -> None:
    stage = asking.stage
    subnet = another_subnet(stage, "10.9.21.0/24", "us-east-1e", routed=True)
    environment = stage.environment(instanceTypes=["c5n.9xlarge"], subnets=[subnet], max_vcpus=36)
    job = stage.submit(stage.queue(environment), stage.python(FOREVER))
    cause = asking.cause(job, "OFFERING")
    assert cause.found == "us-east-1e"
    assert "us-east-1a" in cause.needed


def test_a_subnet_without_addresses(asking: Asking) -> None:
    stage = asking.stage
    subnet = another_subnet(stage, "10.9.22.0/28", routed=True)
    for _ in range(8):
        stage.client("ec2").create_network_interface(SubnetId=subnet)
    environment = stage.environment(subnets=[subnet], max_vcpus=64)
    job = stage.submit(stage.queue(environment), multi_node(stage, nodes=2))
    cause = asking.cause(job, "ADDRESSES")
    assert (cause.found, cause.needed) == ("3", "4")  # each node has an interface of its own
    assert subnet in cause.fix


# ---- what it will lack ---------------------------------------------------------------------------


def test_what_a_container_will_lack_is_told_while_it_waits(asking: Asking) -> None:
    stage = asking.stage
    secret = stage.client("secretsmanager").create_secret(Name=stage.name("s"), SecretString="x")
    role = stage.role("ecs-tasks.amazonaws.com")
    stage.client("ecr").create_repository(repositoryName="there")
    registry = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    definition = stage.python(
        FOREVER,
        vcpus="3",
        image=f"{registry}/there@sha256:{'0' * 64}",
        executionRoleArn=role,
        secrets=[{"name": "KEY", "valueFrom": secret["ARN"]}],
        logConfiguration={"logDriver": "awslogs", "options": {"awslogs-group": "/no/such"}},
    )
    stage.client("secretsmanager").delete_secret(SecretId=secret["ARN"])
    job = stage.submit(stage.queue(stage.environment(max_vcpus=2)), definition)
    found = until(lambda: (d := asking.why(job)).causes and len(d.causes) > 4 and d)
    later = {cause.code: cause for cause in found.causes if cause.weight == "later"}
    assert set(later) == {"IMAGE", "PULL", "SECRET", "SECRET-ROLE", "LOG-GROUP"}
    assert later["LOG-GROUP"].needed == "/no/such"
    assert "restore-secret" in later["SECRET"].fix
    assert BATCH_LOGS not in later["LOG-GROUP"].what


def test_what_may_not_be_asked_is_said(asking: Asking) -> None:
    stage = asking.stage
    job = stage.submit(
        stage.queue(stage.environment(max_vcpus=2)), stage.python(FOREVER, vcpus="3")
    )
    blind = Asking(
        stage,
        frozenset({"get_job_queue_snapshot", "describe_subnets", "describe_scaling_activities"}),
    )
    stage.wait(job, "RUNNABLE")
    found = blind.why(job)
    assert found.causes[0].code == "MAX-VCPUS"
    assert any("GetJobQueueSnapshot: AccessDenied" in each for each in found.unseen)


def test_a_job_that_only_needs_some_minutes_is_not_called_stuck(asking: Asking) -> None:
    stage = asking.stage
    job = stage.submit(stage.queue(stage.environment()), stage.python("print(1)"))
    stage.wait(job)
    assert asking.why(job).verdict == "it has succeeded"


def test_a_role_of_another_partition_is_asked_about_repositories_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def ask(_: object, service: str, operation: str, **params: Any) -> dict[str, Any]:
        asked.extend(params.get("ResourceArns", ()))
        return {}

    monkeypatch.setattr(Account, "ask", ask)
    registry = "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com"
    container = {
        "image": f"{registry}/cpu@sha256:{'0' * 64}",
        "executionRoleArn": "arn:aws-us-gov:iam::123456789012:role/execution",
    }
    start_causes(object.__new__(Account), {"container": container}, [])
    assert "arn:aws-us-gov:ecr:us-gov-west-1:123456789012:repository/cpu" in asked
    assert not any(arn.startswith("arn:aws:") for arn in asked)

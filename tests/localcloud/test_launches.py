"""What EC2 refuses an environment, and the APIs that tell of it: Auto Scaling, Service Quotas, the
snapshot, the simulation.
"""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.conftest import Stage, until

FOREVER = "import time; time.sleep(60)"


def failures(stage: Stage, environment: str) -> list[dict[str, Any]]:
    name = environment.rsplit("/", 1)[-1]
    client = stage.client("autoscaling")
    (group,) = [
        each["AutoScalingGroupName"]
        for each in client.describe_auto_scaling_groups()["AutoScalingGroups"]
        if each["AutoScalingGroupName"].startswith(f"AWSBatch-{name}-")
    ]
    found = client.describe_scaling_activities(AutoScalingGroupName=group)["Activities"]
    return [each for each in found if each["StatusCode"] == "Failed"]


def test_a_quota_holds_a_job_until_more_is_granted(stage: Stage) -> None:
    stage.cloud.batch.limit_quota("L-1216C47A", 2)
    quotas = stage.client("service-quotas")
    asked = {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"}
    assert quotas.get_service_quota(**asked)["Quota"]["Value"] == 2
    environment = stage.environment()
    job = stage.submit(stage.queue(environment), stage.python("print(1)"))
    (failed,) = until(lambda: failures(stage, environment))
    assert "your current vCPU limit of 2 allows" in failed["StatusMessage"]
    until(lambda: stage.job(job).get("statusReason", "").startswith("UNDETERMINED"))
    with pytest.raises(ClientError, match="IllegalArgument"):
        quotas.request_service_quota_increase(**asked, DesiredValue=2)
    quotas.request_service_quota_increase(**asked, DesiredValue=64)
    stage.cloud.batch.wake()
    assert stage.wait(job)["status"] == "SUCCEEDED"


def test_a_type_that_the_zone_does_not_sell(stage: Stage) -> None:
    ec2 = stage.client("ec2")
    subnet = ec2.create_subnet(
        VpcId=stage.vpc, CidrBlock="10.9.7.0/24", AvailabilityZone="us-east-1e"
    )["Subnet"]["SubnetId"]
    tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [stage.vpc]}])
    table = next(t for t in tables["RouteTables"] if len(t["Routes"]) > 1)
    ec2.associate_route_table(RouteTableId=table["RouteTableId"], SubnetId=subnet)
    environment = stage.environment(instanceTypes=["c5n.9xlarge"], subnets=[subnet], max_vcpus=192)
    job = stage.submit(stage.queue(environment), stage.python("print(1)"))
    until(
        lambda: (
            stage.job(job)
            .get("statusReason", "")
            .startswith("MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED")
        )
    )
    (failed,) = failures(stage, environment)
    assert (
        "(c5n.9xlarge) is not supported in your requested Availability Zone (us-east-1e)"
        in (failed["StatusMessage"])
    )
    stage.batch.terminate_job(jobId=job, reason="done")


def test_a_subnet_without_addresses(stage: Stage) -> None:
    ec2 = stage.client("ec2")
    subnet = ec2.create_subnet(
        VpcId=stage.vpc, CidrBlock="10.9.8.0/28", AvailabilityZone="us-east-1a"
    )["Subnet"]["SubnetId"]
    tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [stage.vpc]}])
    table = next(t for t in tables["RouteTables"] if len(t["Routes"]) > 1)
    ec2.associate_route_table(RouteTableId=table["RouteTableId"], SubnetId=subnet)
    cards = [
        ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
        for _ in range(11)
    ]
    environment = stage.environment(subnets=[subnet])
    job = stage.submit(stage.queue(environment), stage.python("print(1)"))
    (failed,) = until(lambda: failures(stage, environment))
    assert f"not enough free addresses in subnet '{subnet}'" in failed["StatusMessage"]
    ec2.delete_network_interface(NetworkInterfaceId=cards[0])
    assert stage.wait(job)["status"] == "SUCCEEDED"


def test_the_snapshot_tells_what_a_queue_and_its_shares_use(stage: Stage) -> None:
    policy = stage.batch.create_scheduling_policy(
        name=stage.name("policy"),
        fairsharePolicy={"shareDistribution": [{"shareIdentifier": "a"}, {"shareIdentifier": "b"}]},
    )["arn"]
    queue = stage.queue(stage.environment(max_vcpus=4), schedulingPolicyArn=policy)
    definition = stage.python(FOREVER, vcpus="3")
    running = stage.submit(queue, definition, shareIdentifier="a", schedulingPriorityOverride=1)
    stage.wait(running, "RUNNING")
    waiting = stage.submit(queue, definition, shareIdentifier="b", schedulingPriorityOverride=1)
    stage.wait(waiting, "RUNNABLE")
    found = stage.batch.get_job_queue_snapshot(jobQueue=queue)
    assert [each["jobArn"].rsplit("/")[-1] for each in found["frontOfQueue"]["jobs"]] == [waiting]
    used = {"capacityUnit": "VCPU", "quantity": 3.0}
    assert found["queueUtilization"]["totalCapacityUsage"] == [used]
    assert found["queueUtilization"]["fairshareUtilization"] == {
        "activeShareCount": 1,
        "topCapacityUtilization": [{"shareIdentifier": "a", "capacityUsage": [used]}],
    }
    for job in (running, waiting):
        stage.batch.terminate_job(jobId=job, reason="done")


def test_the_simulation_says_what_the_policies_say(stage: Stage) -> None:
    role = stage.role(
        "ec2.amazonaws.com",
        {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::mine/*"},
        {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::mine/no"},
    )
    found = stage.client("iam").simulate_principal_policy(
        PolicySourceArn=role,
        ActionNames=["s3:GetObject", "s3:PutObject"],
        ResourceArns=["arn:aws:s3:::mine/yes", "arn:aws:s3:::mine/no"],
    )["EvaluationResults"]
    assert [each["EvalDecision"] for each in found] == [
        "allowed",
        "explicitDeny",
        "implicitDeny",
        "implicitDeny",
    ]
    with pytest.raises(ClientError, match="NoSuchEntity"):
        stage.client("iam").simulate_principal_policy(
            PolicySourceArn="arn:aws:iam::123456789012:role/none", ActionNames=["s3:GetObject"]
        )

"""Every modelled resource type is created through the API and can be read back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import Deployment, deploy
from localcloud.deployment.provider import HANDLERS

EVERYTHING = Path(__file__).with_name("everything")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Deployment, LocalCloud]]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), images={}) as cloud:
        yield deploy(EVERYTHING, "dev", cloud.client, secrets={"demo:hook": "https://hook"}), cloud


def outputs(made: tuple[Deployment, LocalCloud], type_: str, name: str) -> Any:
    return made[0].resource(f"aws:{type_}", name).outputs


def test_every_modelled_type_is_in_the_program(made: tuple[Deployment, LocalCloud]) -> None:
    created = {r.type for r in made[0].resources if r.custom}
    assert created == set(HANDLERS)
    assert len(created) >= 60
    assert all(r.id for r in made[0].resources if r.custom)


def test_network(made: tuple[Deployment, LocalCloud]) -> None:
    ec2 = made[1].client("ec2")
    vpc = outputs(made, "ec2/vpc:Vpc", "vpc")
    (found,) = ec2.describe_vpcs(VpcIds=[made[0].resource("aws:ec2/vpc:Vpc", "vpc").id])["Vpcs"]
    assert {"Key": "Name", "Value": "everything"} in found["Tags"]
    hostnames = ec2.describe_vpc_attribute(VpcId=found["VpcId"], Attribute="enableDnsHostnames")
    assert hostnames["EnableDnsHostnames"]["Value"]
    groups = {
        g["GroupName"].rpartition("-")[0]: g
        for g in ec2.describe_security_groups(
            Filters=[{"Name": "vpc-id", "Values": [found["VpcId"]]}]
        )["SecurityGroups"]
    }
    assert groups["bare"]["IpPermissions"] == groups["bare"]["IpPermissionsEgress"] == []
    assert [p["IpRanges"] for p in groups["group"]["IpPermissionsEgress"]] == [
        [{"CidrIp": "0.0.0.0/0"}]
    ]
    assert [p["UserIdGroupPairs"][0]["GroupId"] for p in groups["group"]["IpPermissions"]] == [
        groups["group"]["GroupId"]
    ]
    assert sorted(p["FromPort"] for p in groups["ruled"]["IpPermissions"]) == [22, 443]
    (default,) = ec2.describe_security_groups(GroupIds=[vpc["defaultSecurityGroupId"]])[
        "SecurityGroups"
    ]
    assert default["IpPermissions"] == default["IpPermissionsEgress"] == []
    table = made[0].resource("aws:ec2/routeTable:RouteTable", "private").id
    (private,) = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    assert [
        r["NatGatewayId"] for r in private["Routes"] if r.get("DestinationCidrBlock") == "0.0.0.0/0"
    ] == [made[0].resource("aws:ec2/natGateway:NatGateway", "nat").id]
    assert outputs(made, "ec2/vpcEndpoint:VpcEndpoint", "s3")["prefixListId"].startswith("pl-")


def test_launch_template(made: tuple[Deployment, LocalCloud]) -> None:
    template = made[0].resource("aws:ec2/launchTemplate:LaunchTemplate", "template")
    (version,) = (
        made[1]
        .client("ec2")
        .describe_launch_template_versions(LaunchTemplateId=template.id)["LaunchTemplateVersions"]
    )
    data = version["LaunchTemplateData"]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert data["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 100
    assert data["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True
    assert {"ResourceType": "instance", "Tags": [{"Key": "part", "Value": "job"}]} in data[
        "TagSpecifications"
    ]
    assert template.outputs["latestVersion"] == 1


def test_storage(made: tuple[Deployment, LocalCloud]) -> None:
    s3, name = made[1].client("s3"), made[0].outputs["bucket"]
    assert name.startswith("bucket-")
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert rule["BucketKeyEnabled"] is True
    assert all(s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values())
    assert [r["ID"] for r in s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]] == [
        "old",
        "parts",
    ]
    assert s3.get_bucket_logging(Bucket=name)["LoggingEnabled"]["TargetPrefix"] == "log/"
    assert s3.get_object(Bucket=name, Key="a.txt")["Body"].read() == b"hello"
    table, dynamodb = (
        outputs(made, "dynamodb/table:Table", "table")["name"],
        made[1].client("dynamodb"),
    )
    recovery = dynamodb.describe_continuous_backups(TableName=table)[
        "ContinuousBackupsDescription"
    ]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"
    assert (
        dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]["AttributeName"]
        == "expires"
    )
    (index,) = dynamodb.describe_table(TableName=table)["Table"]["GlobalSecondaryIndexes"]
    assert [k["AttributeName"] for k in index["KeySchema"]] == ["sk", "pk"]


def test_batch(made: tuple[Deployment, LocalCloud]) -> None:
    batch = made[1].client("batch")
    (nodes,) = batch.describe_compute_environments()["computeEnvironments"]
    assert nodes["updatePolicy"] == {
        "terminateJobsOnUpdate": False,
        "jobExecutionTimeoutMinutes": 30,
    }
    assert nodes["computeResources"]["launchTemplate"]["version"] == "1"
    assert nodes["computeResources"]["maxvCpus"] == 16
    (queue,) = batch.describe_job_queues()["jobQueues"]
    assert queue["jobStateTimeLimitActions"][0]["maxTimeSeconds"] == 3600
    assert (
        queue["schedulingPolicyArn"]
        == outputs(made, "batch/schedulingPolicy:SchedulingPolicy", "fair")["arn"]
    )
    definitions = {
        d["jobDefinitionName"].partition("-")[0]: d
        for d in batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]
    }
    assert definitions["job"]["retryStrategy"]["evaluateOnExit"][1] == {
        "onReason": "*",
        "action": "EXIT",
    }
    assert definitions["job"]["timeout"] == {"attemptDurationSeconds": 600}
    assert (
        definitions["job"]["containerProperties"]["jobRoleArn"]
        == outputs(made, "iam/role:Role", "job")["arn"]
    )
    assert (
        outputs(made, "batch/jobDefinition:JobDefinition", "job")["arn"]
        == definitions["job"]["jobDefinitionArn"]
    )
    assert (
        outputs(made, "batch/jobDefinition:JobDefinition", "job")["arnPrefix"]
        == definitions["job"]["jobDefinitionArn"].rpartition(":")[0]
    )


def test_identity_functions_and_messages(made: tuple[Deployment, LocalCloud]) -> None:
    client = made[1].client
    role = outputs(made, "iam/role:Role", "job")["name"]
    assert sorted(
        n.partition("-")[0] for n in client("iam").list_role_policies(RoleName=role)["PolicyNames"]
    ) == ["inline", "own"]
    assert len(client("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]) == 1
    function = outputs(made, "lambda/function:Function", "function")
    found = client("lambda").get_function_configuration(FunctionName=function["name"])
    assert found["Environment"]["Variables"] == {
        "TABLE": outputs(made, "dynamodb/table:Table", "table")["name"]
    }
    assert found["CodeSha256"] == function["codeSha256"] == function["sourceCodeHash"]
    rule = outputs(made, "cloudwatch/eventRule:EventRule", "uploads")["name"]
    (target,) = client("events").list_targets_by_rule(Rule=rule)["Targets"]
    assert target["Arn"] == function["arn"]
    assert target["InputTransformer"]["InputPathsMap"] == {"detail": "$.detail"}
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 2}
    pattern = json.loads(client("events").describe_rule(Name=rule)["EventPattern"])
    assert pattern["detail"]["bucket"]["name"] == [made[0].outputs["bucket"]]
    assert outputs(made, "sqs/queue:Queue", "work")["name"].endswith(".fifo")
    ratio = outputs(made, "cloudwatch/metricAlarm:MetricAlarm", "ratio")["name"]
    (alarm,) = client("cloudwatch").describe_alarms(AlarmNames=[ratio])["MetricAlarms"]
    assert [m.get("Expression") for m in alarm["Metrics"]] == ["m1 / 2", None]
    assert alarm["Metrics"][1]["MetricStat"]["Metric"]["MetricName"] == "Failed"
    machine = outputs(made, "sfn/stateMachine:StateMachine", "machine")["arn"]
    assert (
        client("stepfunctions").describe_state_machine(stateMachineArn=machine)[
            "loggingConfiguration"
        ]["level"]
        == "ALL"
    )
    (budget,) = client("budgets").describe_budgets(AccountId="123456789012")["Budgets"]
    assert float(budget["BudgetLimit"]["Amount"]) == 100
    assert made[0].secret_outputs == {"hook"}

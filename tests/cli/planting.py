"""Things of a destroyed stack, planted in the AWS in memory; each returns the name that is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from config.stack import NAMESPACE as PROJECT

TAGS = [{"Key": "project", "Value": PROJECT}, {"Key": "stack", "Value": "dev"}]


def log_group(client: Callable[[str], Any]) -> str:
    name = f"/{PROJECT}/dev/analysis"
    client("logs").create_log_group(logGroupName=name)
    return name


def secret(client: Callable[[str], Any]) -> str:
    client("secretsmanager").create_secret(Name="late", SecretString="x", Tags=TAGS)
    client("secretsmanager").delete_secret(SecretId="late", RecoveryWindowInDays=7)
    return "late"


def cluster(client: Callable[[str], Any]) -> str:
    client("ecs").create_cluster(clusterName="AWSBatch-environments-gpu-1234567-abc")
    return "AWSBatch-environments-gpu-1234567-abc"


def bucket(client: Callable[[str], Any]) -> str:
    client("s3").create_bucket(Bucket="kept-results")
    client("s3").put_bucket_tagging(Bucket="kept-results", Tagging={"TagSet": TAGS})
    return "arn:aws:s3:::kept-results"


def volume(client: Callable[[str], Any]) -> str:
    made = client("ec2").create_volume(
        AvailabilityZone="us-east-1a",
        Size=8,
        TagSpecifications=[{"ResourceType": "volume", "Tags": TAGS}],
    )
    return f"arn:aws:ec2:us-east-1:123456789012:volume/{made['VolumeId']}"


def efs(client: Callable[[str], Any]) -> str:
    made = client("efs").create_file_system(CreationToken="left", Tags=TAGS)
    return str(made["FileSystemArn"])


def lustre(client: Callable[[str], Any]) -> str:
    subnet = client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    made = client("fsx").create_file_system(
        FileSystemType="LUSTRE", StorageCapacity=1200, SubnetIds=[subnet], Tags=TAGS
    )
    return str(made["FileSystem"]["ResourceARN"])


def role(client: Callable[[str], Any]) -> str:
    iam, trust = client("iam"), '{"Version": "2012-10-17", "Statement": []}'
    for stack in ("dev", "dev-2"):  # the name of one begins with that of the other
        tags = [{"Key": "project", "Value": PROJECT}, {"Key": "stack", "Value": stack}]
        made = iam.create_role(
            RoleName=f"{PROJECT}-{stack}-notify-0a1b2", AssumeRolePolicyDocument=trust, Tags=tags
        )
        if stack == "dev":
            arn = str(made["Role"]["Arn"])
    return arn


def query(client: Callable[[str], Any]) -> str:
    made = client("logs").put_query_definition(
        name=f"{PROJECT}/dev/failed-runs", queryString="fields @message"
    )
    return str(made["queryDefinitionId"])


def dashboard(client: Callable[[str], Any]) -> str:
    for name in (f"{PROJECT}-dev", f"{PROJECT}-dev-2"):
        client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody='{"widgets": []}')
    return f"{PROJECT}-dev"


def schedule(client: Callable[[str], Any]) -> str:
    for name in (f"{PROJECT}-dev-pipeline-day-1", f"{PROJECT}-dev-2-pipeline-day-1"):
        client("scheduler").create_schedule(
            Name=name,
            ScheduleExpression="rate(1 day)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": "arn:aws:sqs:us-east-1:1:q", "RoleArn": "arn:aws:iam::1:role/r"},
        )
    return f"default/{PROJECT}-dev-pipeline-day-1"


def builds_log(client: Callable[[str], Any]) -> str:
    for stack in ("dev", "dev-2"):
        client("logs").create_log_group(
            logGroupName=f"/aws/imagebuilder/{PROJECT}-{stack}-gpu",
            tags={"project": PROJECT, "stack": stack},
        )
    return f"/aws/imagebuilder/{PROJECT}-dev-gpu"


def topic(client: Callable[[str], Any]) -> str:
    return str(client("sns").create_topic(Name="orphan", Tags=TAGS)["TopicArn"])

"""Kinds of resources that a destroyed stack may leave: what each costs and how it is removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FREE: Final = "nothing"
"""How the cost of what is free of charge begins."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of resource as its ARN begins after the account."""

    kind: str
    costs: str = FREE
    remove: str
    """Command; `{name}` is the last part of the ARN, `{arn}` all of it."""
    by_services: bool = False
    """Whether AWS's services make it for a stack that stands, and not the program."""


KINDS: Final[dict[str, Kind]] = {
    "s3": Kind(
        kind="bucket",
        costs="its objects and their versions, about $0.023 a GB a month",
        remove=(
            "storage.protect: false and storage.delete_with_content: true, `pulumi up`, then"
            " destroy; or `aws s3 rb --force s3://{name}` (old versions have to go first)"
        ),
    ),
    "dynamodb": Kind(
        kind="table",
        costs="its items, about $0.25 a GB a month, and as much for point-in-time recovery",
        remove=(
            "aws dynamodb update-table --table-name {name} --no-deletion-protection-enabled &&"
            " aws dynamodb delete-table --table-name {name}"
        ),
    ),
    "fsx:association": Kind(
        kind="link of FSx for Lustre to a bucket",
        remove="aws fsx delete-data-repository-association --association-id {name}",
    ),
    "fsx:file-system": Kind(
        kind="file system of FSx for Lustre",
        costs="its capacity, used or not, $0.14 to $0.60 a GiB a month",
        remove="aws fsx delete-file-system --file-system-id {name}",
    ),
    "elasticfilesystem:access-point": Kind(
        kind="access point of EFS",
        remove="aws efs delete-access-point --access-point-id {name}",
    ),
    "elasticfilesystem:file-system": Kind(
        kind="file system of EFS",
        costs="its files, about $0.30 a GB a month",
        remove="aws efs delete-file-system --file-system-id {name}",
    ),
    "backup:recovery-point": Kind(
        kind="backup of a file system",
        costs="about $0.05 a GB a month, until it goes after 35 days",
        remove=(
            "aws backup delete-recovery-point --recovery-point-arn {arn}"
            " --backup-vault-name aws/efs/automatic-backup-vault"
        ),
        by_services=True,
    ),
    "ecr": Kind(
        kind="image repository",
        costs="its images, $0.10 a GB a month",
        remove="aws ecr delete-repository --force --repository-name {path}",
    ),
    "batch:job": Kind(
        kind="job",
        costs="its instances, while it runs",
        remove="aws batch terminate-job --reason destroyed --job-id {name}",
        by_services=True,
    ),
    "batch:job-queue": Kind(
        kind="job queue",
        costs=f"{FREE} by itself",
        remove=(
            "aws batch update-job-queue --job-queue {name} --state DISABLED &&"
            " until aws batch delete-job-queue --job-queue {name}; do sleep 10; done"
        ),
    ),
    "batch:compute-environment": Kind(
        kind="compute environment",
        costs="its instances, while they run",
        remove=(
            "aws batch update-compute-environment --compute-environment {name} --state DISABLED &&"
            " until aws batch delete-compute-environment --compute-environment {name};"
            " do sleep 10; done"
        ),
    ),
    "batch:job-definition": Kind(
        kind="job definition",
        remove="aws batch deregister-job-definition --job-definition {arn}",
    ),
    "batch:scheduling-policy": Kind(
        kind="scheduling policy",
        remove="aws batch delete-scheduling-policy --arn {arn}",
    ),
    "ec2:instance": Kind(
        kind="instance",
        costs="its price by the hour",
        remove="aws ec2 terminate-instances --instance-ids {name}",
        by_services=True,
    ),
    "ec2:natgateway": Kind(
        kind="NAT gateway",
        costs="about $33 a month and its traffic",
        remove="aws ec2 delete-nat-gateway --nat-gateway-id {name}",
    ),
    "ec2:elastic-ip": Kind(
        kind="Elastic IP",
        costs="about $3.60 a month",
        remove="aws ec2 release-address --allocation-id {name}",
    ),
    "ec2:vpc-endpoint": Kind(
        kind="VPC endpoint",
        costs="about $7.30 a month for each zone where it is of type Interface",
        remove="aws ec2 delete-vpc-endpoints --vpc-endpoint-ids {name}",
    ),
    "ec2:volume": Kind(
        kind="EBS volume",
        costs="about $0.08 a GB a month",
        remove="aws ec2 delete-volume --volume-id {name}",
        by_services=True,
    ),
    "ec2:snapshot": Kind(
        kind="EBS snapshot",
        costs="about $0.05 a GB a month",
        remove="aws ec2 delete-snapshot --snapshot-id {name}",
        by_services=True,
    ),
    **{
        f"imagebuilder:{kind}": Kind(
            kind=f"{words} of EC2 Image Builder",
            remove=f"aws imagebuilder delete-{kind} --{argument}-arn {{arn}}",
        )
        for kind, words, argument in (
            ("image-pipeline", "pipeline", "image-pipeline"),
            ("lifecycle-policy", "lifecycle policy", "lifecycle-policy"),
            ("image", "image", "image-build-version"),
            ("image-recipe", "recipe", "image-recipe"),
            ("component", "component", "component-build-version"),
            ("distribution-configuration", "distribution", "distribution-configuration"),
            ("infrastructure-configuration", "infrastructure", "infrastructure-configuration"),
        )
    },
    "ssm": Kind(kind="parameter", remove="aws ssm delete-parameter --name /{path}"),
    "secretsmanager": Kind(
        kind="secret",
        costs="$0.40 a month",
        remove="aws secretsmanager delete-secret --secret-id {arn}",
    ),
    "cloudwatch": Kind(
        kind="alarm",
        costs="about $0.10 a month for a metric",
        remove="aws cloudwatch delete-alarms --alarm-names {name}",
    ),
    "events": Kind(
        kind="rule of EventBridge",
        remove="aws events delete-rule --name {name}",
    ),
    "lambda": Kind(
        kind="function",
        costs=f"{FREE} without calls",
        remove="aws lambda delete-function --function-name {name}",
    ),
    "states": Kind(
        kind="state machine",
        costs=f"{FREE} without executions",
        remove="aws stepfunctions delete-state-machine --state-machine-arn {arn}",
    ),
    "sqs": Kind(
        kind="queue",
        costs=f"{FREE} without messages",
        remove=(
            "aws sqs delete-queue --queue-url $(aws sqs get-queue-url --query QueueUrl"
            " --output text --queue-name {name})"
        ),
    ),
    "sns": Kind(
        kind="topic",
        costs=f"{FREE} without messages",
        remove="aws sns delete-topic --topic-arn {arn}",
    ),
    "kms": Kind(
        kind="key",
        costs="$1 a month",
        remove="aws kms schedule-key-deletion --key-id {name}",
    ),
    "iam:instance-profile": Kind(
        kind="instance profile",
        remove="aws iam delete-instance-profile --instance-profile-name {name}",
    ),
    "iam:policy": Kind(
        kind="managed policy",
        remove="aws iam delete-policy --policy-arn {arn}",
    ),
    "ec2:placement-group": Kind(
        kind="placement group",
        remove="aws ec2 delete-placement-group --group-name {name}",
    ),
    "ec2:launch-template": Kind(
        kind="launch template",
        remove="aws ec2 delete-launch-template --launch-template-id {name}",
    ),
    "ec2:route-table": Kind(
        kind="route table",
        remove="aws ec2 delete-route-table --route-table-id {name}",
    ),
    "ec2:subnet": Kind(kind="subnet", remove="aws ec2 delete-subnet --subnet-id {name}"),
    "ec2:security-group": Kind(
        kind="security group",
        remove="aws ec2 delete-security-group --group-id {name}",
    ),
    "ec2:internet-gateway": Kind(
        kind="internet gateway",
        remove="aws ec2 delete-internet-gateway --internet-gateway-id {name}",
    ),
    "ec2:vpc": Kind(kind="VPC", remove="aws ec2 delete-vpc --vpc-id {name}"),
}
"""By service, or service and type of resource, of the ARN; what another one uses comes after it, so
that the commands work from the first to the last.

Prices are those of us-east-1 (2026-11).
"""
OTHER: Final = Kind(
    kind="resource",
    costs=f"{FREE} by itself",
    remove="delete it in the console of its service",
    by_services=True,
)
SERVICE_ROLES: Final = (
    "AWSServiceRoleForBatch",
    "AWSServiceRoleForEC2Spot",
    "AWSServiceRoleForECS",
    "AWSServiceRoleForAutoScaling",
    "AWSServiceRoleForAmazonElasticFileSystem",
    "AWSServiceRoleForAmazonFSx",
    "AWSServiceRoleForBackup",
    "AWSServiceRoleForFSxS3Access",
    "AWSServiceRoleForImageBuilder",
)
"""Service-linked roles that AWS makes when the services are first used; the names of some have the
resource's behind them.
"""

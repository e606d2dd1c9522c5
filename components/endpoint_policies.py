"""What VPC endpoints let through where they are the only way out: the own account's principals to
the own account's resources.

Without these a job whose credentials are somebody else's, or that names somebody else's bucket,
could carry data out by the endpoints that it needs (VPC user guide, vpc-endpoints-access; IAM user
guide, data perimeters).
"""

from __future__ import annotations

import json
from typing import Final

import pulumi

from components.context import StackContext
from components.policies import document, statement

_WITHOUT_POLICY: Final = ("ecs-agent", "ecs-telemetry")
"""Control channels of the container agent, for which AWS documents no endpoint policies; no service
of the kind that keeps data.
"""


OPEN_POLICY: Final = json.dumps(
    {
        "Statement": [{"Action": "*", "Effect": "Allow", "Principal": "*", "Resource": "*"}],
        "Version": "2008-10-17",
    }
)
"""What AWS gives an endpoint without one (VPC user guide, vpc-endpoints-access). It has to be said:
the provider would leave the former policy where the program gives none any more.
"""


def gateway_policy(service: str, context: StackContext) -> pulumi.Output[str]:
    """Policy of the gateway endpoint of `s3` or `dynamodb`."""
    own = {"aws:PrincipalAccount": context.account_id, "aws:ResourceAccount": context.account_id}
    statements = [
        statement(
            "OwnAccount",
            principal="*",
            actions=["*"],
            resources=["*"],
            conditions={"StringEquals": own},
        )
    ]
    if service == "s3":
        # read by AWS's own links, or by nobody in particular: layers of images (ECR user guide,
        # vpc-endpoints), packages of the AMI (Amazon Linux 2023 user guide, repositories in S3),
        # what builds AMIs (EC2 Image Builder user guide, vpc-interface-endpoints)
        buckets = {
            "ImageLayers": f"prod-{context.region}-starport-layer-bucket",
            "AmazonLinux": f"al2023-repos-{context.region}-de612dc2",
            "ImageBuilder": f"ec2imagebuilder-toe-{context.region}-prod",
        }
        statements += [
            statement(
                sid,
                principal="*",
                actions=["s3:GetObject"],
                resources=[f"arn:{context.partition}:s3:::{bucket}/*"],
            )
            for sid, bucket in buckets.items()
        ]
    return document(*statements)


def interface_policy(
    service: str, context: StackContext, *, closed: bool
) -> pulumi.Input[str] | None:
    """Policy of an interface endpoint; None for the services that take none.

    Some actions are of no resource and so of no account.
    """
    if service in _WITHOUT_POLICY:
        return None
    if not closed:
        return OPEN_POLICY
    conditions = {
        "StringEquals": {"aws:PrincipalAccount": context.account_id},
        "StringEqualsIfExists": {"aws:ResourceAccount": context.account_id},
    }
    return document(
        statement(
            "OwnAccount", principal="*", actions=["*"], resources=["*"], conditions=conditions
        )
    )

"""IAM roles of instances, of the container agent, and of each stage's job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from components.arns import arn_of
from components.context import Component, StackContext
from components.images import Images
from components.job_policies import job_statements
from components.policies import document, statement, trust
from components.secrets import Secrets
from components.storage import Storage
from components.volumes import Volumes
from workloads.contract import STAGES, Stage

_INSTANCE_POLICIES: Final = {
    # registers the instance with ECS, pulls images, writes logs; without it no job ever leaves
    # RUNNABLE
    "ecs": "service-role/AmazonEC2ContainerServiceforEC2Role",
    # a shell on an instance without ssh, keys or open ports
    "ssm": "AmazonSSMManagedInstanceCore",
}


@dataclass(frozen=True, kw_only=True)
class RolesArgs:
    """What Roles needs: the resources that the policies name."""

    context: StackContext
    storage: Storage
    secrets: Secrets
    images: Images
    volumes: Volumes
    counts_reclaims: bool
    """Whether postprocess asks AWS Batch what became of the analysis's attempts."""


class Roles(Component):
    """One instance role, one execution role, one job role for each stage.

    AWS Batch itself uses its service-linked role: a role of our own would forbid updates of
    environments in place. Spot needs no fleet role with the allocation strategies that the config
    offers.
    """

    instance_profile_arn: pulumi.Output[str]
    execution_role_arn: pulumi.Output[str]
    """What the container agent does before and beside a job: image, logs on Fargate, secrets."""
    job_role_arns: dict[Stage, pulumi.Output[str]]
    """What the code of a stage may do."""
    ready: list[pulumi.Resource]
    """Environments depend on these: an instance that boots before them cannot register, and on
    destroy AWS Batch needs them to take its instances down, else the environment stays in DELETING.
    """

    def __init__(
        self, name: str, args: RolesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        self.ready = []
        self.instance_profile_arn = self._instance_profile(name, args)
        self.execution_role_arn = self._role(f"{name}-execution", args, _execution_statements(args))
        allowed = job_statements(args.context, args.storage, counts_reclaims=args.counts_reclaims)
        self.job_role_arns = {
            stage: self._role(
                f"{name}-{stage}", args, [*allowed[stage], *args.volumes.statements(stage)]
            )
            for stage in STAGES
        }
        self.register_outputs(
            {
                "instance_profile_arn": self.instance_profile_arn,
                "execution_role_arn": self.execution_role_arn,
                "job_role_arns": self.job_role_arns,
            }
        )

    def _instance_profile(self, name: str, args: RolesArgs) -> pulumi.Output[str]:
        role = aws.iam.Role(
            f"{name}-instance",
            assume_role_policy=trust("ec2.amazonaws.com"),
            tags=args.context.tags,
            opts=self.child(),
        )
        for label, policy in _INSTANCE_POLICIES.items():
            self.ready.append(
                aws.iam.RolePolicyAttachment(
                    f"{name}-instance-{label}",
                    role=role.name,
                    policy_arn=f"arn:{args.context.partition}:iam::aws:policy/{policy}",
                    opts=self.child(),
                )
            )
        profile = aws.iam.InstanceProfile(
            f"{name}-instance", role=role.name, tags=args.context.tags, opts=self.child()
        )
        return arn_of(profile, args.context)

    def _role(
        self, name: str, args: RolesArgs, statements: list[dict[str, Any]]
    ) -> pulumi.Output[str]:
        """A role of containers, with one inline policy."""
        role = aws.iam.Role(
            name,
            assume_role_policy=trust("ecs-tasks.amazonaws.com", args.context),
            tags=args.context.tags,
            opts=self.child(),
        )
        self.ready.append(
            aws.iam.RolePolicy(
                name, role=role.name, policy=document(*statements), opts=self.child()
            )
        )
        return arn_of(role, args.context)


def pull_statements(repository_arns: Sequence[pulumi.Input[str]]) -> list[dict[str, Any]]:
    """Pulling images of some repositories."""
    return [
        # this one action knows no resources (service authorization reference, Amazon ECR)
        statement("EcrLogin", actions=["ecr:GetAuthorizationToken"], resources=["*"]),
        statement(
            "PullImages",
            actions=[
                "ecr:BatchCheckLayerAvailability",
                "ecr:GetDownloadUrlForLayer",
                "ecr:BatchGetImage",
            ],
            resources=repository_arns,
        ),
    ]


def _execution_statements(args: RolesArgs) -> list[dict[str, Any]]:
    context, secrets = args.context, args.secrets
    secret_arns = [
        arn for arn in (secrets.launch_token_arn, secrets.slack_webhook_arn) if arn is not None
    ]
    logs = f"arn:{context.partition}:logs:{context.region}:{context.account_id}"
    log_streams = f"{logs}:log-group:{context.log_group_prefix}*:log-stream:*"
    return [
        *pull_statements(args.images.repository_arns),
        statement(
            "WriteLogs",
            actions=["logs:CreateLogStream", "logs:PutLogEvents"],
            resources=[log_streams],
        ),
        statement("ReadSecrets", actions=["secretsmanager:GetSecretValue"], resources=secret_arns),
    ]

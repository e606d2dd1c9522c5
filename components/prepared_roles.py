"""Roles of EC2 Image Builder: of the instance that builds, and of what removes old AMIs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from components.arns import arn_of
from components.context import Component, StackContext
from components.policies import document, statement, trust
from components.roles import pull_statements

BUILD_LOGS: Final = "/aws/imagebuilder/"
"""Image Builder's service-linked role writes to groups of such names alone."""


@dataclass(frozen=True, kw_only=True)
class PreparedRolesArgs:
    """What PreparedRoles needs."""

    context: StackContext
    recipes: Sequence[str]
    """Names of recipes, components and images."""
    repository_arns: Sequence[pulumi.Input[str]]


class PreparedRoles(Component):
    """The two roles."""

    profile_name: pulumi.Output[str]
    """Instance profile of who builds."""
    cleaner_arn: pulumi.Output[str]
    """Role of who removes."""

    def __init__(
        self, name: str, args: PreparedRolesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        self.profile_name = self._builder_profile()
        self.cleaner_arn = self._cleaner_role()
        self.register_outputs({"profile_name": self.profile_name, "cleaner_arn": self.cleaner_arn})

    def _builder_profile(self) -> pulumi.Output[str]:
        """Who builds: an instance that Systems Manager directs, and that pulls the stack's images
        (Image Builder user guide, image-builder-setting-up, instance profile).
        """
        name, context = f"{self._name}-builder", self._args.context
        partition, here = context.partition, f"{context.region}:{context.account_id}"
        role = aws.iam.Role(
            name,
            assume_role_policy=trust("ec2.amazonaws.com"),
            tags=context.tags,
            opts=self.child(),
        )
        attached = aws.iam.RolePolicyAttachment(
            f"{name}-ssm",
            role=role.name,
            policy_arn=f"arn:{partition}:iam::aws:policy/AmazonSSMManagedInstanceCore",
            opts=self.child(),
        )
        own = [
            statement(
                "OwnComponents",
                actions=["imagebuilder:GetComponent"],
                resources=[
                    f"arn:{partition}:imagebuilder:{here}:component/{recipe}/*"
                    for recipe in self._args.recipes
                ],
            ),
            # components are encrypted by a key of the service's own
            statement(
                "DecryptComponents",
                actions=["kms:Decrypt"],
                resources=["*"],
                conditions={
                    "ForAnyValue:StringEquals": {
                        "kms:EncryptionContextKeys": "aws:imagebuilder:arn",
                        "aws:CalledVia": ["imagebuilder.amazonaws.com"],
                    }
                },
            ),
            statement(
                "BuildTools",
                actions=["s3:GetObject"],
                resources=[f"arn:{partition}:s3:::ec2imagebuilder*"],
            ),
            *pull_statements(self._args.repository_arns),
            statement(
                "WriteLogs",
                actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                resources=[
                    f"arn:{partition}:logs:{here}:log-group:{BUILD_LOGS}{recipe}:log-stream:*"
                    for recipe in self._args.recipes
                ],
            ),
        ]
        policy = aws.iam.RolePolicy(name, role=role.name, policy=document(*own), opts=self.child())
        profile = aws.iam.InstanceProfile(
            name,
            role=role.name,
            tags=context.tags,
            opts=self.child(depends_on=[attached, policy]),
        )
        return profile.name

    def _cleaner_role(self) -> pulumi.Output[str]:
        """Who removes AMIs: as AWS's own policy says, which is for all that Image Builder has made,
        and of these the stack's alone.
        """
        name, context = f"{self._name}-cleaner", self._args.context
        role = aws.iam.Role(
            name,
            assume_role_policy=trust("imagebuilder.amazonaws.com"),
            tags=context.tags,
            opts=self.child(),
        )
        aws.iam.RolePolicyAttachment(
            name,
            role=role.name,
            policy_arn=(
                f"arn:{context.partition}:iam::aws:policy/service-role"
                "/EC2ImageBuilderLifecycleExecutionPolicy"
            ),
            opts=self.child(),
        )
        aws.iam.RolePolicy(
            name,
            role=role.name,
            policy=document(
                statement(
                    "OwnImagesAlone",
                    effect="Deny",
                    actions=["ec2:DeregisterImage", "ec2:DisableImage"],
                    resources=[f"arn:{context.partition}:ec2:*::image/*"],
                    conditions={"StringNotEquals": {"aws:ResourceTag/stack": context.stack}},
                )
            ),
            opts=self.child(),
        )
        return arn_of(role, self._args.context)

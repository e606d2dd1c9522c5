"""AMIs with the stack's container images on them, made and renewed by EC2 Image Builder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from components.context import Component, StackContext
from components.images import Images
from components.launch_template import ROOT_DEVICE
from components.network import Network
from components.prepared_plan import Plan, plans
from components.prepared_roles import BUILD_LOGS, PreparedRoles, PreparedRolesArgs
from config.stack import StackConfig

ENVIRONMENT_TAG: Final = "prepared-for"
"""Tag of an AMI that says of which environment it is."""
CONTENT_TAG: Final = "prepared-content"
"""Tag of an AMI that says what is on it, as twelve hex digits. AMIs get their tags when they are
distributed, after their test.
"""
_LAUNCHED_DAYS: Final = 90
"""An AMI that an instance was launched from in these days is in use."""


@dataclass(frozen=True, kw_only=True)
class PreparedImagesArgs:
    """What PreparedImages needs."""

    context: StackContext
    config: StackConfig
    network: Network
    images: Images


def prepared_images(args: PreparedImagesArgs) -> Mapping[str, pulumi.Output[str]]:
    """AMI by environment, of those with `prepared_image` whose container images are published."""
    made = plans(args.config, args.context)
    return PreparedImages("prepared", args, made).image_ids if made else {}


class PreparedImages(Component):
    """An AMI for each plan.

    `pulumi up` waits until a new AMI is built and tested, and only then moves the environment to
    it; where the test fails, the environment keeps the AMI that it has. Between deployments the
    pipeline builds anew when AWS has published another base, and the next deployment takes the
    newest. AMIs that are neither among the newest nor in use are removed with their snapshots.
    """

    image_ids: dict[str, pulumi.Output[str]]
    """AMI by environment."""

    def __init__(
        self,
        name: str,
        args: PreparedImagesArgs,
        made: Mapping[str, Plan],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        roles = PreparedRoles(
            f"{name}-roles",
            PreparedRolesArgs(
                context=args.context,
                recipes=[plan.name for plan in made.values()],
                repository_arns=args.images.repository_arns,
            ),
            opts=self.child(),
        )
        self.image_ids = {key: self._image(key, plan, roles) for key, plan in made.items()}
        self.register_outputs({"image_ids": self.image_ids})

    def _image(self, key: str, plan: Plan, roles: PreparedRoles) -> pulumi.Output[str]:
        name, args, context = f"{self._name}-{key}", self._args, self._args.context
        tags = context.named_tags(name)
        references = {"cpu": args.images.cpu_image, "gpu": args.images.gpu_image}
        parameter = aws.ssm.Parameter(
            name,
            name=plan.parameter,
            type="String",
            value=pulumi.Output.all(*(references[image] for image in plan.digests)).apply(" ".join),
            tags=tags,
            opts=self.child(),
        )
        logs = aws.cloudwatch.LogGroup(
            name,
            name=f"{BUILD_LOGS}{plan.name}",
            retention_in_days=args.config.monitoring.log_retention_days,
            tags=tags,
            opts=self.child(),
        )
        recipe = self._recipe(name, plan)
        machines = aws.imagebuilder.InfrastructureConfiguration(
            name,
            instance_profile_name=roles.profile_name,
            instance_types=[plan.builder],
            subnet_id=args.network.private_subnet_ids[0],
            security_group_ids=[args.network.instance_security_group_id],
            terminate_instance_on_failure=True,
            instance_metadata_options=aws.imagebuilder.InfrastructureConfigurationInstanceMetadataOptionsArgs(
                http_tokens="required", http_put_response_hop_limit=1
            ),
            resource_tags=tags,
            tags=tags,
            opts=self.child(),
        )
        distribution = aws.imagebuilder.DistributionConfiguration(
            name,
            distributions=[
                aws.imagebuilder.DistributionConfigurationDistributionArgs(
                    region=context.region,
                    ami_distribution_configuration=aws.imagebuilder.DistributionConfigurationDistributionAmiDistributionConfigurationArgs(
                        name=f"{plan.name} {{{{ imagebuilder:buildDate }}}}",
                        description=f"Environment {key} of {context.project}-{context.stack}",
                        ami_tags={**tags, ENVIRONMENT_TAG: key, CONTENT_TAG: plan.content},
                    ),
                )
            ],
            tags=tags,
            opts=self.child(),
        )
        needed = [parameter, logs, *args.network.ready]
        image = aws.imagebuilder.Image(
            name,
            image_recipe_arn=recipe.arn,
            infrastructure_configuration_arn=machines.arn,
            distribution_configuration_arn=distribution.arn,
            tags=tags,
            # gone from the state it stays with Image Builder, whose policy below removes it with
            # its AMI: DeleteImage leaves the AMI, which nothing would remove then
            opts=self.child(
                depends_on=needed,
                retain_on_delete=True,
                replacement_trigger=plan.content,
            ),
        )
        aws.imagebuilder.ImagePipeline(
            name,
            description=f"Renews the AMI of environment {key} when its base has changed",
            image_recipe_arn=recipe.arn,
            infrastructure_configuration_arn=machines.arn,
            distribution_configuration_arn=distribution.arn,
            schedule=aws.imagebuilder.ImagePipelineScheduleArgs(
                schedule_expression=_rate(plan.prepared.renewal_days),
                pipeline_execution_start_condition=(
                    "EXPRESSION_MATCH_AND_DEPENDENCY_UPDATES_AVAILABLE"
                ),
            ),
            tags=tags,
            opts=self.child(depends_on=needed),
        )
        self._cleaning(name, plan, roles.cleaner_arn)
        return _newest(key, plan, image)

    def _recipe(self, name: str, plan: Plan) -> aws.imagebuilder.ImageRecipe:
        tags = self._args.context.named_tags(name)
        component = aws.imagebuilder.Component(
            name,
            name=plan.name,
            version=plan.component_version,
            platform="Linux",
            data=plan.document,
            tags=tags,
            opts=self.child(),
        )
        return aws.imagebuilder.ImageRecipe(
            name,
            name=plan.name,
            version=plan.recipe_version,
            parent_image=plan.parent,
            components=[
                aws.imagebuilder.ImageRecipeComponentArgs(component_arn=component.arn),
            ],
            block_device_mappings=[
                aws.imagebuilder.ImageRecipeBlockDeviceMappingArgs(
                    device_name=ROOT_DEVICE,
                    ebs=aws.imagebuilder.ImageRecipeBlockDeviceMappingEbsArgs(
                        volume_size=plan.prepared.volume_gib,
                        volume_type="gp3",
                        # AWS shares no AMI whose snapshots are encrypted by its own key
                        encrypted="true",
                        delete_on_termination="true",
                    ),
                )
            ],
            tags=tags,
            opts=self.child(),
        )

    def _cleaning(self, name: str, plan: Plan, cleaner: pulumi.Output[str]) -> None:
        builder = aws.imagebuilder
        builder.LifecyclePolicy(
            name,
            description="Removes AMIs that are neither among the newest nor in use",
            execution_role=cleaner,
            resource_type="AMI_IMAGE",
            policy_details=[
                builder.LifecyclePolicyPolicyDetailArgs(
                    action=builder.LifecyclePolicyPolicyDetailActionArgs(
                        type="DELETE",
                        include_resources=builder.LifecyclePolicyPolicyDetailActionIncludeResourcesArgs(
                            amis=True, snapshots=True
                        ),
                    ),
                    filter=builder.LifecyclePolicyPolicyDetailFilterArgs(
                        type="COUNT", value=plan.prepared.keep
                    ),
                    exclusion_rules=builder.LifecyclePolicyPolicyDetailExclusionRulesArgs(
                        amis=builder.LifecyclePolicyPolicyDetailExclusionRulesAmisArgs(
                            last_launched=builder.LifecyclePolicyPolicyDetailExclusionRulesAmisLastLaunchedArgs(
                                value=_LAUNCHED_DAYS, unit="DAYS"
                            )
                        )
                    ),
                )
            ],
            resource_selection=builder.LifecyclePolicyResourceSelectionArgs(
                recipes=[
                    builder.LifecyclePolicyResourceSelectionRecipeArgs(
                        name=plan.name, semantic_version=plan.recipe_version
                    )
                ]
            ),
            tags=self._args.context.named_tags(name),
            opts=self.child(),
        )


def _newest(key: str, plan: Plan, image: aws.imagebuilder.Image) -> pulumi.Output[str]:
    """The newest AMI with this content: the one of `pulumi up`, or a renewed one."""
    wanted = {
        f"tag:{ENVIRONMENT_TAG}": key,
        f"tag:{CONTENT_TAG}": plan.content,
        "state": "available",
    }
    filters = [
        aws.ec2.GetAmiIdsFilterArgs(name=name, values=[value]) for name, value in wanted.items()
    ]
    found = aws.ec2.get_ami_ids_output(
        owners=["self"],
        filters=image.arn.apply(lambda _: filters),  # asked once the image is there
        sort_ascending=False,
    )
    return pulumi.Output.all(image.arn, found.ids).apply(lambda both: _first(key, both[1]))


def _first(key: str, ids: Sequence[Any]) -> str:
    if not ids:
        raise ValueError(
            f"environment {key}: none of the AMIs that were made for it is there any more. Take"
            " prepared_image out, deploy, put it in again and deploy: that makes a new one"
        )
    return str(ids[0])


def _rate(days: int) -> str:
    return f"rate({days} day{'s' if days > 1 else ''})"

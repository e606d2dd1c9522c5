"""AWS Batch compute environments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.arns import arn_of
from components.context import Component, StackContext
from components.environment_hooks import departure_hooks, placement_hooks
from components.launch_template import LaunchTemplate, LaunchTemplateArgs
from components.network import Network
from components.roles import Roles
from components.volumes import Volumes
from config.environments import (
    Environment,
    FargateEnvironment,
    HpcEnvironment,
    InstanceEnvironment,
    SpotEnvironment,
)

ComputeResources = aws.batch.ComputeEnvironmentComputeResourcesArgs


@dataclass(frozen=True, kw_only=True)
class EnvironmentsArgs:
    """What Environments needs."""

    context: StackContext
    environments: Mapping[str, Environment]
    """Environments by name; decides how many resources there are."""
    network: Network
    roles: Roles
    volumes: Volumes
    image_ids: Mapping[str, pulumi.Input[str]]
    """AMIs that were made for environments, by name."""


class Environments(Component):
    """One compute environment for each entry of the section.

    So that changes reach an environment in place, none has a service role of its own (AWS Batch
    takes its service-linked role) or a fixed name, and all have one of the strategies that AWS and
    the provider update (AWS Batch user guide, updating-compute-environments). Nothing here says how
    many vCPUs are wanted at present: AWS Batch changes that number itself. What can only be
    replaced is made anew first, then the queues move, and the old one goes by way of its hooks.
    """

    arns: dict[str, pulumi.Output[str]]
    names: dict[str, pulumi.Output[str]]

    def __init__(
        self, name: str, args: EnvironmentsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        self._args = args
        on_instances = {
            f"{name}-{key}": each
            for key, each in args.environments.items()
            if not isinstance(each, FargateEnvironment)
        }
        self._hooks, self._placement_hooks = (
            departure_hooks(name, on_instances),
            placement_hooks(name),
        )
        made = {
            key: self._environment(f"{name}-{key}", key, environment)
            for key, environment in args.environments.items()
        }
        self.arns = {key: arn_of(each, args.context) for key, each in made.items()}
        self.names = {key: environment.name for key, environment in made.items()}
        self.register_outputs({"arns": self.arns, "names": self.names})

    def _environment(
        self, name: str, key: str, environment: Environment
    ) -> aws.batch.ComputeEnvironment:
        args = self._args
        if isinstance(environment, FargateEnvironment):
            # AWS changes subnets, groups and vCPUs of such an environment, and the provider would
            # try the type in place too
            resources, update, image = self._fargate(environment), None, None
            replacing = ["computeResources.type"]
        else:
            replacing = None
            # Optional and Computed: an image that is taken away would stay (terraform-provider-aws,
            # compute_environment.go)
            image = (
                "the image of AWS Batch"
                if self._image_id(key, environment) is None
                else "an image of its own"
            )
            resources = self._instances(name, key, environment)
            update = aws.batch.ComputeEnvironmentUpdatePolicyArgs(
                job_execution_timeout_minutes=environment.update_timeout_minutes,
                terminate_jobs_on_update=environment.terminate_jobs_on_update,
            )
        return aws.batch.ComputeEnvironment(
            name,
            type="MANAGED",
            state="ENABLED" if environment.enabled else "DISABLED",
            compute_resources=resources,
            update_policy=update,
            tags=args.context.tags,
            opts=self.child(
                depends_on=[*args.network.ready, *args.roles.ready, *args.volumes.ready],
                replace_on_changes=replacing,
                replacement_trigger=image,
                hooks=self._hooks,
            ),
        )

    def _fargate(self, environment: FargateEnvironment) -> ComputeResources:
        network = self._args.network
        return ComputeResources(
            type="FARGATE_SPOT" if environment.kind == "fargate-spot" else "FARGATE",
            max_vcpus=environment.max_vcpus,
            subnets=network.private_subnet_ids,
            security_group_ids=[network.instance_security_group_id],
        )

    def _instances(self, name: str, key: str, environment: InstanceEnvironment) -> ComputeResources:
        args, network = self._args, self._args.network
        hpc = environment if isinstance(environment, HpcEnvironment) else None
        template = LaunchTemplate(
            name,
            LaunchTemplateArgs(
                context=args.context,
                environment=environment,
                efa_security_group_id=network.hpc_security_group_id,
                lustre=args.volumes.lustre_of(key),
                prepared=key in args.image_ids,
            ),
            opts=self.child(),
        )
        security_group_id = (
            network.hpc_security_group_id if hpc is not None else network.instance_security_group_id
        )
        return ComputeResources(
            type="SPOT" if isinstance(environment, SpotEnvironment) else "EC2",
            allocation_strategy=environment.allocation_strategy,
            bid_percentage=(
                environment.bid_percent if isinstance(environment, SpotEnvironment) else None
            ),
            # idle instances of an HPC environment would be paid for day and night
            min_vcpus=0 if isinstance(environment, HpcEnvironment) else environment.min_vcpus,
            max_vcpus=environment.max_vcpus,
            instance_types=(
                [environment.instance_type]
                if isinstance(environment, HpcEnvironment)
                else list(environment.instance_types)
            ),
            instance_role=args.roles.instance_profile_arn,
            # without the block the provider falls back on an image type that AWS no longer accepts
            ec2_configurations=[
                aws.batch.ComputeEnvironmentComputeResourcesEc2ConfigurationArgs(
                    image_type=environment.image_type,
                    image_id_override=self._image_id(key, environment),
                )
            ],
            launch_template=aws.batch.ComputeEnvironmentComputeResourcesLaunchTemplateArgs(
                launch_template_id=template.template_id, version=template.version
            ),
            # nodes of one job must share a subnet: EFA is not routed, and a cluster placement group
            # lies in one zone
            subnets=(
                [network.private_subnet_ids[hpc.zone_index]]
                if hpc is not None
                else network.private_subnet_ids
            ),
            security_group_ids=None if template.declares_interfaces else [security_group_id],
            placement_group=(
                self._placement_group(name) if hpc is not None and hpc.placement_group else None
            ),
            # tags of the environment stay on the environment; these reach the instances, where the
            # money is spent
            tags=args.context.named_tags(name),
        )

    def _image_id(self, key: str, environment: InstanceEnvironment) -> pulumi.Input[str] | None:
        """AMI that is not AWS Batch's own. By id: AWS Batch takes no parameter of Systems Manager
        there, and its service-linked role may read none of this account in a launch template
        (aws/containers-roadmap#2295, aws/amazon-ecs-ami#705).
        """
        return environment.image_id or self._args.image_ids.get(key)

    def _placement_group(self, name: str) -> pulumi.Output[str]:
        group = aws.ec2.PlacementGroup(
            f"{name}-placement",
            strategy="cluster",
            tags=self._args.context.tags,
            opts=self.child(hooks=self._placement_hooks),
        )
        return group.name

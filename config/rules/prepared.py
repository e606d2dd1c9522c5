"""AMIs that the stack has made for its environments."""

from __future__ import annotations

from collections.abc import Iterator

from config.facts import instance_type
from config.network import BUILDER_SERVICES
from config.problems import Problem
from config.rules.base import Rule
from config.rules.gpus import UNSERVED
from config.stack import StackConfig
from config.topology import builder_type_of, image_digests, images_on, preparing


class PreparedImageIsTheOnlyOne(Rule):
    """An environment boots one AMI: its own, or one that is made for it."""

    code = "PREPARED-IMAGE-ID"
    reason = "AWS Batch takes one AMI for an image type; the other would be made and never booted."
    source = "AWS Batch API, Ec2Configuration imageIdOverride"
    reads = frozenset({"environments"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each environment with both."""
        for name, environment, _ in preparing(config):
            if environment.image_id is not None:
                yield self.problem(
                    f"environments.{name}.image_id",
                    environment.image_id,
                    "this environment has a prepared_image too",
                    "remove one of the two",
                )


class PreparedImageHasJobs(Rule):
    """Jobs run on the instances of an AMI that is made."""

    code = "PREPARED-JOBS"
    reason = "There is no container image to put on it: the AMI would be AWS's own at a price."
    source = "this program's components: the images of the jobs of the environment's queues"
    reads = frozenset({"environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each environment that no job's queue names."""
        for name, _, _ in preparing(config):
            if not images_on(config, name):
                yield self.problem(
                    f"environments.{name}.prepared_image",
                    None,
                    "no job is sent to a queue of this environment",
                    "name it in the queue of a job, or remove prepared_image",
                )


class PreparedImageHasDigests(Rule):
    """The container images that an AMI is to have are published."""

    code = "PREPARED-DIGEST"
    level = "warning"
    reason = (
        "Without a digest there is nothing to pull, so that no AMI is made: instances boot the one"
        " of AWS Batch and pull each image."
    )
    source = "this program's images: without a digest a job names the tag `unpublished`"
    reads = frozenset({"environments", "images", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each environment whose jobs have no published image."""
        digests = image_digests(config)
        for name, _, _ in preparing(config):
            missing = [image for image in images_on(config, name) if digests[image] is None]
            if missing:
                fields = " and ".join(f"images.{image}_digest" for image in missing)
                yield self.problem(
                    f"environments.{name}.prepared_image",
                    None,
                    f"its jobs run the image of {fields}, which the file does not have yet",
                    "deploy, publish with `make push`, and deploy again: that makes the AMI",
                )


class BuilderServesTheImage(Rule):
    """The instance that makes an AMI can boot it, and test it as the jobs use it."""

    code = "PREPARED-BUILDER"
    reason = "The build ends with a failure after minutes, and `pulumi up` with it."
    source = (
        "Amazon ECS developer guide, ecs-optimized_AMI; this program's test of the AMI, which runs"
        " nvidia-smi and CuPy"
    )
    reads = frozenset({"environments"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each builder of another architecture, of another family, or without a GPU."""
        for name, environment, _ in preparing(config):
            builder, path = (
                builder_type_of(environment),
                f"environments.{name}.prepared_image.builder_type",
            )
            if builder is None:
                message = "no price of the environment's types is known, so none is the cheapest"
                yield self.problem(path, None, message, "name a type, for example m6i.large")
                continue
            facts, with_gpu = instance_type(builder), environment.image_type == "ECS_AL2023_NVIDIA"
            if facts is not None and facts.architecture != "x86_64":
                message = f"{builder} is of {facts.architecture}, the images are built for x86_64"
                yield self.problem(path, builder, message, "take an x86_64 type")
            elif builder.partition(".")[0] in UNSERVED[environment.image_type]:
                message = f"{environment.image_type} does not serve {builder}"
                yield self.problem(path, builder, message, "take a newer family")
            elif facts is not None and with_gpu and not facts.gpus:
                message = f"the AMI of ECS_AL2023_NVIDIA is tested on a GPU, and {builder} has none"
                fix = "take a small type with a GPU, for example g4dn.xlarge"
                yield self.problem(path, builder, message, fix)


class BuilderReachesItsServices(Rule):
    """In a network without NAT the instance that makes an AMI reaches what directs it."""

    code = "PREPARED-ENDPOINTS"
    reason = (
        "Image Builder directs the instance by Systems Manager; without a way there the build hangs"
        " until it times out, and `pulumi up` with it."
    )
    source = "EC2 Image Builder user guide, vpc-interface-endpoints"
    reads = frozenset({"environments", "network"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """A closed network with such an AMI and without these endpoints."""
        if config.network.nat != "none" or not any(preparing(config)):
            return
        missing = [
            each for each in BUILDER_SERVICES if each not in config.network.endpoint_services
        ]
        if missing:
            yield self.problem(
                "network.interface_endpoints",
                list(config.network.interface_endpoints),
                f"without NAT the build of environments.{next(preparing(config))[0]}.prepared_image"
                f" needs endpoints of {', '.join(missing)}",
                "add these endpoints, or use nat single",
            )


class PreparedImageFitsTheVolume(Rule):
    """The root volume of an instance holds the AMI."""

    code = "PREPARED-VOLUME"
    reason = "EC2 launches no instance whose root volume is smaller than the snapshot of its AMI."
    source = "EC2 API, RunInstances: InvalidBlockDeviceMapping"
    reads = frozenset({"environments"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each AMI that is larger."""
        for name, environment, prepared in preparing(config):
            root = environment.root_volume_gib
            if prepared.volume_gib > root:
                yield self.problem(
                    f"environments.{name}.prepared_image.volume_gib",
                    prepared.volume_gib,
                    f"root_volume_gib of this environment is {root}",
                    f"at most {root}, or a larger root_volume_gib",
                )

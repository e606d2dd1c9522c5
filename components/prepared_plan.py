"""What is to be made for the environments that boot an AMI of the stack's own."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from components.context import StackContext
from components.prepared_document import component_document
from config.prepared import PreparedImage
from config.stack import StackConfig
from config.topology import ContainerImage, builder_type_of, image_digests, images_on, preparing

_BASES: Final = {
    "ECS_AL2023": "amazon-linux-2023",
    "ECS_AL2023_NVIDIA": "amazon-linux-2023/gpu",
}
"""Part of the public parameter with the AMI that AWS Batch's own of this type is made from (Amazon
ECS developer guide, retrieve-ecs-optimized_AMI).
"""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be made for one environment."""

    name: str
    """Of component, recipe and their images: Image Builder tells versions apart, not owners."""
    parameter: str
    """Of Systems Manager, with the container images."""
    document: str
    """What the building instance does, see `component_document`."""
    parent: str
    """Where the AMI stands that it is made from."""
    prepared: PreparedImage
    digests: dict[ContainerImage, str]
    builder: str
    """Instance type."""

    @property
    def component_version(self) -> str:
        """Version of the document."""
        return _version(self.document)

    @property
    def recipe_version(self) -> str:
        """Version of the recipe, the same for all container images."""
        return _version(self.document, self.parent, str(self.prepared.volume_gib))

    @property
    def content(self) -> str:
        """The same for AMIs with the same images from the same recipe, whatever their base."""
        return _digest(self.recipe_version, *self.digests.values())[:12]


def plans(config: StackConfig, context: StackContext) -> dict[str, Plan]:
    """By environment: of each with `prepared_image` whose container images are all published."""
    found, made = image_digests(config), {}
    for key, environment, prepared in preparing(config):
        builder, images = builder_type_of(environment), images_on(config, key)
        digests = {each: digest for each in images if (digest := found[each]) is not None}
        if builder is None or not images or len(digests) < len(images):
            continue
        parameter = f"/{context.project}/{context.stack}/prepared/{key}"
        made[key] = Plan(
            # as Image Builder itself writes names in ARNs; a stack's may have dots
            name=re.sub(r"[^a-z0-9]", "-", f"{context.project}-{context.stack}-{key}".lower()),
            parameter=parameter,
            document=component_document(
                region=context.region,
                parameter=parameter,
                gpu=environment.image_type == "ECS_AL2023_NVIDIA",
            ),
            parent=f"ssm:/aws/service/ecs/optimized-ami/{_BASES[environment.image_type]}"
            "/recommended/image_id",
            prepared=prepared,
            digests=digests,
            builder=builder,
        )
    return made


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _version(*parts: str) -> str:
    """A version that another content does not have: Image Builder keeps each as it was made.

    A number of a version has at most 30 bits (Image Builder API, CreateImageRecipe).
    """
    return f"1.0.{int(_digest(*parts)[:7], 16)}"

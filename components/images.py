"""ECR repositories of the stack's two container images."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final, Literal

import pulumi
import pulumi_aws as aws

from components.arns import arn_of
from components.context import Component, StackContext
from config.images import ImagesSection

UNPUBLISHED_TAG: Final = "unpublished"
"""Tag that jobs name until the config has a digest.

Nothing is ever pushed under it, so that such a job fails with the pull and says so.
"""
_UNTAGGED_DAYS: Final = 7


@dataclass(frozen=True, kw_only=True)
class ImagesArgs:
    """What Images needs."""

    context: StackContext
    section: ImagesSection


class Images(Component):
    """Two repositories: `cpu` for preprocess and postprocess, `gpu` for the analysis.

    Their names are fixed, `<project>-<stack>/cpu` and `/gpu`, because whoever builds an image must
    know them, and nothing that this component changes replaces a repository.
    """

    cpu_image: pulumi.Output[str]
    """`<repository url>@<digest>`, or `<repository url>:unpublished`."""
    gpu_image: pulumi.Output[str]
    cpu_repository_url: pulumi.Output[str]
    gpu_repository_url: pulumi.Output[str]
    repository_arns: list[pulumi.Output[str]]

    def __init__(
        self, name: str, args: ImagesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        cpu, gpu = (self._repository(name, args, kind) for kind in ("cpu", "gpu"))
        self.cpu_repository_url = _url(cpu, args.context)
        self.gpu_repository_url = _url(gpu, args.context)
        self.cpu_image = _reference(self.cpu_repository_url, args.section.cpu_digest)
        self.gpu_image = _reference(self.gpu_repository_url, args.section.gpu_digest)
        self.repository_arns = [arn_of(each, args.context) for each in (cpu, gpu)]
        self.register_outputs(
            {
                "cpu_image": self.cpu_image,
                "gpu_image": self.gpu_image,
                "cpu_repository_url": self.cpu_repository_url,
                "gpu_repository_url": self.gpu_repository_url,
            }
        )

    def _repository(
        self, name: str, args: ImagesArgs, kind: Literal["cpu", "gpu"]
    ) -> aws.ecr.Repository:
        repository = aws.ecr.Repository(
            f"{name}-{kind}",
            name=f"{args.context.project}-{args.context.stack}/{kind}",
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration=aws.ecr.RepositoryImageScanningConfigurationArgs(
                scan_on_push=True
            ),
            # an image can be built again from its commit; the data have protection of their own
            force_delete=True,
            tags=args.context.tags,
            opts=self.child(),
        )
        aws.ecr.LifecyclePolicy(
            f"{name}-{kind}",
            repository=repository.name,
            policy=json.dumps({"rules": _lifecycle_rules(args.section.keep_images)}),
            opts=self.child(),
        )
        return repository


def _url(repository: aws.ecr.Repository, context: StackContext) -> pulumi.Output[str]:
    """The URL, known before there is a repository (Amazon ECR user guide, "Private registry")."""
    registry = f"{context.account_id}.dkr.ecr.{context.region}.amazonaws.com"
    return repository.name.apply(lambda name: f"{registry}/{name}")


def _reference(url: pulumi.Output[str], digest: str | None) -> pulumi.Output[str]:
    return pulumi.Output.concat(url, f"@{digest}" if digest else f":{UNPUBLISHED_TAG}")


def _lifecycle_rules(keep_images: int) -> list[dict[str, object]]:
    """Untagged images go after a week; of all others the newest stay.

    ECR wants the rule for any image to come last.
    """
    return [
        {
            "rulePriority": 1,
            "description": f"Untagged images expire after {_UNTAGGED_DAYS} days",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": _UNTAGGED_DAYS,
            },
            "action": {"type": "expire"},
        },
        {
            "rulePriority": 2,
            "description": f"The newest {keep_images} images stay",
            "selection": {
                "tagStatus": "any",
                "countType": "imageCountMoreThan",
                "countNumber": keep_images,
            },
            "action": {"type": "expire"},
        },
    ]

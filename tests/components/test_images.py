from __future__ import annotations

import json

from components.images import Images, ImagesArgs
from config.images import ImagesSection
from tests.components import mocks

REPOSITORY = "aws:ecr/repository:Repository"
DIGEST = "sha256:" + "0123456789abcdef" * 4


def deploy(context, **section) -> mocks.Recording:
    return mocks.deploy(
        lambda: Images("images", ImagesArgs(context=context, section=ImagesSection(**section)))
    )


def test_repositories_scan_and_never_move_a_tag(context) -> None:
    made = deploy(context, keep_images=7)
    for repository in made.all(REPOSITORY, count=2):
        assert repository.inputs["imageTagMutability"] == "IMMUTABLE"
        assert repository.inputs["imageScanningConfiguration"] == {"scanOnPush": True}
    assert [r.inputs["name"] for r in made.all(REPOSITORY)] == [
        "batch-reference-test/cpu",
        "batch-reference-test/gpu",
    ]
    for policy in made.all("aws:ecr/lifecyclePolicy:LifecyclePolicy", count=2):
        untagged, keep = json.loads(policy.inputs["policy"])["rules"]
        assert untagged["selection"]["tagStatus"] == "untagged"
        assert keep["selection"] == {
            "tagStatus": "any",
            "countType": "imageCountMoreThan",
            "countNumber": 7,
        }
        assert keep["rulePriority"] > untagged["rulePriority"], (
            "ECR wants the rule for any image last"
        )


def test_jobs_name_the_digest_and_never_latest(context) -> None:
    outputs = deploy(context, gpu_digest=DIGEST).component("Images").outputs
    assert outputs["gpu_image"] == f"{outputs['gpu_repository_url']}@{DIGEST}"
    assert outputs["cpu_image"] == f"{outputs['cpu_repository_url']}:unpublished"

"""Section `images`: which container images the job definitions name."""

from __future__ import annotations

from config.base import ImageDigest, Section, setting


class ImagesSection(Section):
    """Digests in the stack's own ECR repositories; `make push` builds, pushes and writes them
    here.
    """

    cpu_digest: ImageDigest | None = setting(
        None,
        about=(
            "Image of the preprocess and postprocess stages. Without it the jobs name the tag"
            " `unpublished`."
        ),
        change="new revision",
    )
    gpu_digest: ImageDigest | None = setting(
        None,
        about="Image of the analysis stage. Without it the job names the tag `unpublished`.",
        change="new revision",
    )
    keep_images: int = setting(
        20, about="Images kept in each repository.", change="in place", ge=1, le=1000
    )

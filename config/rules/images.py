"""Container images."""

from __future__ import annotations

from collections.abc import Iterator

from config.problems import Problem
from config.rules.base import Rule
from config.stack import StackConfig
from config.topology import environments_of, image_digests, jobs, known_types_of, some


class BothImagesArePublished(Rule):
    """Both images have a digest, or neither has.

    A stack's first deployment makes the repositories that images are pushed to, so a file without
    any digest is sound; its jobs name a tag that nothing is ever pushed under, and never a moving
    one such as latest.
    """

    code = "IMAGE-DIGESTS"
    reason = (
        "The job whose image has no digest fails with the pull, after the stages before it were"
        " paid for."
    )
    source = "this program's images: without a digest a job names the tag `unpublished`"
    reads = frozenset({"images"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """One digest without the other."""
        missing = [
            f"{image}_digest" for image, digest in image_digests(config).items() if digest is None
        ]
        if len(missing) == 1:
            message = "only one of the two images has a digest"
            yield self.problem(
                f"images.{missing[0]}", None, message, "publish both with `make push`"
            )


class ImagesRunOnTheInstances(Rule):
    """The instances have the architecture that the images are built for."""

    code = "IMAGE-ARCHITECTURE"
    reason = "A container of another architecture ends at once with `exec format error`."
    source = "this program's images: built for linux/amd64"
    reads = frozenset({"environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each queue of a stage with arm64 types alone; one that mixes both breaks another rule."""
        for queue in dict.fromkeys(job.queue for job in jobs(config).values()):
            types = {
                t: f
                for e in environments_of(config, queue).values()
                for t, f in known_types_of(e).items()
            }
            if types and all(facts.architecture == "arm64" for facts in types.values()):
                stages = ", ".join(
                    stage for stage, job in jobs(config).items() if job.queue == queue
                )
                message = (
                    f"the images of {stages} are built for x86_64, and these are arm64:"
                    f" {some(list(types))}"
                )
                yield self.problem(
                    f"queues.{queue}.environments",
                    list(config.queues[queue].environments),
                    message,
                    "take x86_64 types",
                )

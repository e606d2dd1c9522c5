"""A rehearsal: the in-memory AWS with one stack deployed into it."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cli.errors import CliError, ExitCode
from cli.paths import ROOT
from components.images import UNPUBLISHED_TAG
from localcloud.batch.tasks import Program
from localcloud.cloud import LocalCloud
from localcloud.deploy import DeploymentError, deploy

IMAGES: Final[Mapping[str, Path | Program]] = {"*/batch-reference*": ROOT}
"""The images of the stack's own repositories stand for this checkout: its `workloads/` is what they hold."""


_COLLECT_SELDOM: Final = (200_000, 50, 1000)
"""A deployment makes millions of objects that stay; looking through them again and again takes a fourth of its time."""


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """A deployed stack."""

    stack: str
    cloud: LocalCloud
    outputs: Mapping[str, Any]
    resources: int

    def client(self, service: str) -> Any:
        """A boto3 client of the in-memory AWS, with the deployer's rights."""
        return self.cloud.client(service)


_MANIFEST: Final = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"digest": f"sha256:{'0' * 64}", "size": 2},
        "layers": [],
    }
)
"""Of an image without content: what jobs run is this checkout."""


def _publish(ecr: Any, outputs: Mapping[str, Any]) -> None:
    """Puts the stack's images into its repositories, as `make push` does on AWS, so that whoever asks ECR finds them."""
    for kind in ("cpu", "gpu"):
        name = str(outputs[f"{kind}_repository_url"]).partition("/")[2]
        ecr.put_image(repositoryName=name, imageManifest=_MANIFEST, imageTag=UNPUBLISHED_TAG)


@contextmanager
def rehearsal(
    stack: str,
    directory: Path,
    *,
    port: int = 0,
    config: Mapping[str, str] | None = None,
    images: Mapping[str, Path | Program] = IMAGES,
    say: Callable[[str], None],
) -> Iterator[Rehearsal]:
    """Starts the in-memory AWS in `directory`, which is emptied first, and deploys the stack; stops all of it at the end.

    Args:
        stack: name of the stack file.
        directory: for the files of jobs and functions.
        port: of the endpoint on the loopback interface; 0 takes a free one.
        config: values by full key (`batch-reference:pipeline`) that replace those of the stack file.
        images: what the images of jobs stand for; see LocalCloud.
        say: is told of each step.

    Raises:
        CliError: the port is taken, or the deployment failed.
    """
    if not (ROOT / f"Pulumi.{stack}.yaml").is_file():
        known = ", ".join(sorted(p.name.split(".")[1] for p in ROOT.glob("Pulumi.*.yaml")))
        raise CliError(
            f"there is no Pulumi.{stack}.yaml; stack files stand here for: {known}", ExitCode.USAGE
        )
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    say("starting AWS in memory")
    gc.set_threshold(*_COLLECT_SELDOM)
    try:
        cloud = LocalCloud(directory, images=images, port=port).start()
    except OSError as error:
        raise CliError(
            f"cannot listen on port {port} of the loopback interface: {error}",
            ExitCode.REHEARSAL_FAILED,
        ) from error
    try:
        say(f"deploying stack {stack}")
        try:
            deployment = deploy(
                ROOT,
                stack,
                cloud.client,
                config=config,
                secrets={"batch-reference:slack-webhook-url": cloud.slack.url},
            )
        except DeploymentError as error:
            raise CliError(str(error), ExitCode.REHEARSAL_FAILED) from error
        _publish(cloud.client("ecr"), deployment.outputs)
        yield Rehearsal(
            stack=stack,
            cloud=cloud,
            outputs=deployment.outputs,
            resources=len(deployment.resources),
        )
    finally:
        cloud.stop()

"""A rehearsal: the in-memory AWS with one stack deployed into it."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from cli import pulumi
from cli.errors import CliError, ExitCode
from cli.paths import ROOT
from components.images import UNPUBLISHED_TAG
from config.stack import NAMESPACE
from localcloud.batch.container_engine import EngineError
from localcloud.batch.tasks import Program
from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import Deployment, DeploymentError, deploy
from localcloud.deployment.engine.checkpoint import checkpoint
from localcloud.deployment.provider.plugin import Server
from localcloud.deployment.stack_file import StackFileError, read_stack

IMAGES: Final[Mapping[str, Path | Program]] = {"*/batch-reference*": ROOT / "docker" / "app"}
"""The images of the stack's own repositories stand for this checkout: its `workloads/` is what they
hold.
"""


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """A deployed stack."""

    stack: str
    cloud: LocalCloud
    outputs: Mapping[str, Any]
    resources: int
    program: Path
    """Folder in which the Pulumi CLI works on the stack."""
    provider: int
    """Port of the provider that it deploys by."""
    state: Path
    """Where it keeps the state."""
    checkpoint: Callable[[], str] | None
    """Writes what there is for `pulumi stack import`; None where the CLI knows it."""
    secrets: Mapping[str, str]
    """Secret config that the stack was deployed with."""

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
    """Puts the stack's images into its repositories, as `make push` does on AWS, so that whoever
    asks ECR finds them.
    """
    for kind in ("cpu", "gpu"):
        name = str(outputs.get(f"{kind}_repository_url", "")).partition("/")[2]
        if name:  # a program of one's own has none
            ecr.put_image(repositoryName=name, imageManifest=_MANIFEST, imageTag=UNPUBLISHED_TAG)


@contextmanager
def rehearsal(
    stack: str,
    directory: Path,
    *,
    port: int = 0,
    engine: Literal["own", "pulumi"] = "own",
    config: Mapping[str, str] | None = None,
    images: Mapping[str, Path | Program] = IMAGES,
    containers: str | None = None,
    say: Callable[[str], None],
) -> Iterator[Rehearsal]:
    """Starts the in-memory AWS in `directory`, which is emptied first, and deploys the stack; stops
    all of it at the end.

    Args:
        stack: name of the stack, or path of its file.
        directory: for the files of jobs and functions.
        port: of the endpoint on the loopback interface; 0 takes a free one.
        engine: `own` deploys in this process, `pulumi` by the Pulumi CLI.
        config: values by full key (`batch-reference:pipeline`) that replace those of the stack
            file.
        images: what the images of jobs stand for; see LocalCloud.
        containers: engine for jobs with other images; see LocalCloud.
        say: is told of each step.

    Raises:
        CliError: the port is taken, the container engine does not answer, or the deployment failed.
    """
    file = pulumi.stack_file(stack)
    folder = pulumi.bin_folder() if engine == "pulumi" else None
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    program = pulumi.prepare_program(directory / "program", file)
    settings = _settings(program, file.name)
    say("starting AWS in memory")
    try:
        region = settings.get("aws:region", "us-east-1")
        cloud = LocalCloud(
            directory, images=images, port=port, region=region, containers=containers
        ).start()
    except EngineError as error:
        raise CliError(str(error), ExitCode.USAGE) from error
    except OSError as error:
        raise CliError(
            f"cannot listen on port {port} of the loopback interface: {error}",
            ExitCode.REHEARSAL_FAILED,
        ) from error
    try:
        server = Server(client=cloud.client, region=cloud.region)
    except BaseException:
        cloud.stop()
        raise
    try:
        say(f"deploying stack {file.name}{' by the Pulumi CLI' if folder else ''}")
        secrets = _secrets(settings, cloud)
        home = directory / "pulumi"
        home.mkdir()
        ready = functools.partial(
            Rehearsal,
            stack=file.name,
            cloud=cloud,
            program=program,
            provider=server.port,
            state=home,
            secrets=secrets,
        )
        if folder is not None:
            cli = pulumi.Pulumi(program, home, provider=server.port, bin=folder)
            for key, value in (config or {}).items():
                cli.must("config", "set", "--stack", file.name, key, value)
            outputs, resources = cli.deploy(file.name, secrets)
            _publish(cloud.client("ecr"), outputs)
            yield ready(outputs=outputs, resources=resources, checkpoint=None)
        else:
            made = _deploy(file, program, cloud, config=config or {}, secrets=secrets)
            _publish(cloud.client("ecr"), made.outputs)
            given = {
                key.removeprefix("aws:"): value
                for key, value in settings.items()
                if key.startswith("aws:")
            }
            yield ready(
                outputs=made.outputs,
                resources=len(made.resources),
                checkpoint=functools.partial(
                    checkpoint,
                    made.state,
                    exports=made.outputs,
                    settings=given,
                    passphrase=pulumi.PASSPHRASE,
                ),
            )
    finally:
        server.stop()
        cloud.stop()


def _deploy(
    file: pulumi.StackFile,
    program: Path,
    cloud: LocalCloud,
    *,
    config: Mapping[str, str],
    secrets: Mapping[str, str],
) -> Deployment:
    # the program of this checkout is loaded already, which saves a second
    folder = ROOT if file.in_checkout else program
    account = {"aws:allowedAccountIds": json.dumps([cloud.account_id])}
    try:
        return deploy(
            folder, file.name, cloud.client, config={**config, **account}, secrets=secrets
        )
    except DeploymentError as error:
        raise CliError(str(error), ExitCode.REHEARSAL_FAILED) from error


def _settings(program: Path, stack: str) -> Mapping[str, str]:
    """The config of a stack, its secret left out."""
    try:
        return read_stack(program, stack, {}, {pulumi.SLACK: ""}).config
    except StackFileError as error:
        raise CliError(str(error), ExitCode.USAGE) from error


def _secrets(settings: Mapping[str, str], cloud: LocalCloud) -> dict[str, str]:
    """The Slack of the rehearsal, for stacks from which there is a way to it."""
    network = json.loads(settings.get(f"{NAMESPACE}:network") or "{}")
    return {} if network.get("nat") == "none" else {pulumi.SLACK: cloud.slack.url}

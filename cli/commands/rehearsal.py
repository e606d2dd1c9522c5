"""Commands of the rehearsal: the whole system on this machine."""

from __future__ import annotations

import gc
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

import typer
from rich.text import Text

from cli.errors import CliError, ExitCode
from cli.frame import REHEARSAL, AsJson, app, err, out, print_json, say

Stack = Annotated[str, typer.Option(help="Stack to deploy: its name, or the path of its file.")]
Port = Annotated[
    int,
    typer.Option(
        help="Port of the endpoint on the loopback interface; 0 takes a free one.",
        min=0,
        max=65_535,
    ),
]


class ContainerEngine(StrEnum):
    """Programs that run containers."""

    DOCKER = "docker"
    PODMAN = "podman"


Containers = Annotated[
    ContainerEngine | None,
    typer.Option(
        help="Engine for jobs whose image is not the stack's own; they are refused without it."
    ),
]
Engine = Annotated[
    Literal["own", "pulumi"],
    typer.Option(
        envvar="ENGINE", help="What deploys: `own` needs nothing, `pulumi` is the Pulumi CLI."
    ),
]
_DEFAULT_PORT: Final = 5055
_COLLECT_SELDOM: Final = (200_000, 50, 1000)
"""An AWS in memory and a deployment are millions of objects that stay, those of the modules that
are imported first of all; looking through them again and again takes a fourth of the time.
"""


@app.command(rich_help_panel=REHEARSAL)
def demo(
    csv: Annotated[
        Path | None, typer.Argument(help="A CSV file of your own; the sample table without it.")
    ] = None,
    stack: Stack = "local",
    engine: Engine = "own",
) -> None:
    """Run one CSV through the whole system, in memory."""
    gc.set_threshold(*_COLLECT_SELDOM)
    from cli import demo as command

    code = command.demo(out, csv, stack, engine)
    out.file.flush()
    # every job, function and thread has ended; taking the interpreter's objects apart one by one
    # would take seconds more
    os._exit(code)


@app.command(rich_help_panel=REHEARSAL)
def up(
    stack: Stack = "local",
    port: Port = _DEFAULT_PORT,
    containers: Containers = None,
    engine: Engine = "own",
    as_json: AsJson = False,
) -> None:
    """Keep the AWS in memory running for your own clients."""
    from cli import hints, service

    endpoint = service.running()
    if endpoint is None:
        with err.status(Text(f"deploying stack {stack}")):
            endpoint = service.start(stack, port, engine, containers)
        service.write_private(service.DIRECTORY / "pulumi.sh", hints.pulumi_script(endpoint))
    elif containers is not None and endpoint.containers != containers:
        raise CliError(
            f"already up, with {endpoint.containers or 'no engine'} for containers; "
            f"end it (make down) before it runs with {containers}",
            ExitCode.USAGE,
        )
    elif not as_json:
        say(f"already up (stack {endpoint.stack}, process {endpoint.pid})")
    if as_json:
        print_json(hints.facts(endpoint))
    else:
        hints.show(out, endpoint)


@app.command(rich_help_panel=REHEARSAL)
def down() -> None:
    """End what `up` started."""
    from cli import service

    endpoint = service.running()
    if endpoint is None:
        raise CliError("nothing is up", ExitCode.NOT_RUNNING)
    service.stop(endpoint)
    say(f"down (stack {endpoint.stack})")


@app.command(rich_help_panel=REHEARSAL)
def refresh(as_json: AsJson = False) -> None:
    """Say what was changed by hand in the AWS that `up` keeps."""
    gc.set_threshold(*_COLLECT_SELDOM)
    from cli import refresh as command

    raise typer.Exit(command.run(out, as_json=as_json))


@app.command(hidden=True)
def serve(
    stack: Stack = "local",
    port: Port = _DEFAULT_PORT,
    engine: Engine = "own",
    containers: Containers = None,
) -> None:
    """Run what `up` starts in this process."""
    gc.set_threshold(*_COLLECT_SELDOM)
    from cli import serving

    serving.serve(stack, port, engine, containers, say=lambda step: print(step, flush=True))

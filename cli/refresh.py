"""`refresh`: what was changed by hand in the rehearsal since it was deployed, without the Pulumi
CLI.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import boto3
from rich.console import Console
from rich.text import Text

from cli import pulumi, service
from cli.errors import CliError, ExitCode
from cli.frame import print_json
from cli.service import Endpoint
from localcloud.deployment.engine.checkpoint import Restored, checkpoint, restored
from localcloud.deployment.engine.refresh import Drift, Refreshed, refresh
from localcloud.deployment.provider import Provider


def run(console: Console, *, as_json: bool) -> ExitCode:
    """Prints each resource that is not as it was left, and takes what there is as the new state.

    Raises CliError where nothing is up, where the CLI keeps the state, or where a resource cannot
    be read.
    """
    endpoint = service.running()
    if endpoint is None:
        raise CliError("nothing is up; `up` starts it", ExitCode.NOT_RUNNING)
    if not endpoint.pulumi["checkpoint"]:
        raise CliError(
            "the Pulumi CLI keeps the state of this stack; `pulumi refresh` is the command",
            ExitCode.USAGE,
        )
    path = Path(endpoint.pulumi["checkpoint"])
    found, done = read_again(endpoint)
    now = checkpoint(
        done.state,
        exports=found.exports,
        settings=found.settings,
        passphrase=pulumi.PASSPHRASE,
    )
    path.unlink()
    service.write_private(path, now)
    if as_json:
        print_json([_fact(each) for each in done.drift])
    else:
        _show(console, done.drift)
    return ExitCode.OK


def read_again(endpoint: Endpoint) -> tuple[Restored, Refreshed]:
    """What the rehearsal's own engine deployed, and what there is of it now.

    Raises CliError where a resource cannot be read.
    """
    found = restored(Path(endpoint.pulumi["checkpoint"]).read_text())
    region = str(endpoint.outputs["region"])
    keys: Any = endpoint.credentials
    session: Any = boto3.Session(region_name=region, **keys)
    lock, clients = threading.Lock(), dict[str, Any]()

    def client(name: str) -> Any:
        with lock:  # to make one takes as long as ten calls, and is not thread safe
            if name not in clients:
                clients[name] = session.client(name, endpoint_url=endpoint.url)
            return clients[name]

    provider = Provider(
        client=client,
        config={f"aws:{name}": value for name, value in found.settings.items()},
        preview=False,
    )
    done = refresh(found.state, provider)
    if done.failures:
        raise CliError("\n".join(map(str, done.failures)), ExitCode.REHEARSAL_FAILED)
    return found, done


def _fact(drift: Drift) -> dict[str, Any]:
    return {
        "urn": drift.resource.urn,
        "gone": drift.gone,
        "paths": dict(drift.paths),
    }


def _show(console: Console, drift: tuple[Drift, ...]) -> None:
    for each in drift:
        kind = each.resource.type.rpartition(":")[2]
        title = f"{'-' if each.gone else '~'} {kind} {each.resource.name}"
        console.print(Text(f"{title}  is gone" if each.gone else title))
        for path in each.paths:
            console.print(Text(f"    {path}"))
    word = "resource" if len(drift) == 1 else "resources"
    console.print(
        Text(f"{len(drift)} {word} changed by hand" if drift else "nothing was changed by hand")
    )

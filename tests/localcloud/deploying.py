"""What the deployment tests share: an in-memory AWS for the whole run and small programs written on
the spot.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Any

import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

from localcloud.deployment.deploy import Deployment, DeploymentError, deploy

REGION = "us-east-1"
HEADER = """\
import json

import pulumi
import pulumi_aws as aws


def trust(service):
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


"""
FIRST_LINE = HEADER.count("\n") + 1
"""Line of the first line of a program's body in its __main__.py."""


@cache
def aws_client() -> Callable[[str], Any]:
    """Clients of an AWS that is shared by all tests: automatic names keep their deployments
    apart.
    """
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    session: Any = boto3.Session(
        region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test"
    )
    lock = threading.Lock()
    clients: dict[str, Any] = {}

    def client(service: str) -> Any:
        with lock:
            if service not in clients:
                config = Config(retries={"max_attempts": 0}, max_pool_connections=20)
                clients[service] = session.client(
                    service, endpoint_url=f"http://127.0.0.1:{port}", config=config
                )
            return clients[service]

    return client


def no_aws(service: str) -> Any:
    """A client for deployments that may not touch AWS."""
    raise AssertionError(f"a preview asked for a client of {service}")


def write_program(
    folder: Path, body: str, *, config: str = "", files: Mapping[str, str] | None = None
) -> Path:
    """A program with the usual imports, line FIRST_LINE is the first of the body; `config` is YAML
    below `config:`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Python takes kept bytecode for its source's where second and size are the same.
    for kept in folder.rglob("__pycache__"):
        shutil.rmtree(kept)
    (folder / "Pulumi.yaml").write_text("name: demo\nruntime: python\n")
    (folder / "Pulumi.dev.yaml").write_text(f"config:\n  aws:region: {REGION}\n{config}")
    (folder / "__main__.py").write_text(HEADER + dedent(body).lstrip("\n"))
    for name, text in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(dedent(text))
    return folder


def run(folder: Path, body: str, **kwargs: Any) -> Deployment:
    """Deploys a program body."""
    written = {name: kwargs.pop(name) for name in ("config", "files") if name in kwargs}
    return deploy(
        write_program(folder, body, **written),
        "dev",
        kwargs.pop("client", None) or aws_client(),
        **kwargs,
    )


def failure(folder: Path, body: str, **kwargs: Any) -> DeploymentError:
    """The error of a program body that must not deploy."""
    try:
        deployment = run(folder, body, **kwargs)
    except DeploymentError as error:
        return error
    raise AssertionError(
        f"the program deployed {len(deployment.resources)} resources, it was expected to fail"
    )

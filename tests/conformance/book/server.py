"""An AWS in memory and its provider in a process of their own, for there is one AWS a process.

python -m tests.conformance.book.server FOLDER
"""

from __future__ import annotations

import contextlib
import gc
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config

from localcloud.cloud import LocalCloud
from localcloud.deployment.provider.plugin import Server

ROOT: Final = Path(__file__).parents[3]


@dataclass(frozen=True, kw_only=True)
class Aws:
    """An AWS that a test can look at: this process's, or another one's."""

    client: Callable[[str], Any]
    account_id: str
    region: str
    provider: int
    """Port of the local provider."""


@contextlib.contextmanager
def here(folder: Path) -> Iterator[Aws]:
    """In this process, without the waits that tests of their own are about."""
    with LocalCloud(folder, images={"*": ROOT}) as cloud:
        cloud.batch.store.relation_seconds = 0.0  # tests/localcloud/test_replacement.py
        server = Server(client=cloud.client, region=cloud.region)
        try:
            yield Aws(
                client=cloud.client,
                account_id=cloud.account_id,
                region=cloud.region,
                provider=server.port,
            )
        finally:
            server.stop()


@contextlib.contextmanager
def elsewhere(folder: Path) -> Iterator[Aws]:
    """The same in a process that ends with this one."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.conformance.book.server", str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        told = json.loads(process.stdout.readline())
        try:
            yield Aws(
                client=_clients(told.pop("endpoint"), told.pop("credentials"), told["region"]),
                **told,
            )
        finally:
            process.stdin.close()


def _clients(endpoint: str, credentials: Mapping[str, str], region: str) -> Callable[[str], Any]:
    session: Any = boto3.Session(region_name=region)
    config = Config(max_pool_connections=20, s3={"addressing_style": "path"})

    @cache
    def client(service: str) -> Any:
        return session.client(service, endpoint_url=endpoint, config=config, **credentials)

    return client


def main() -> None:
    """Serves until nobody listens any more."""
    gc.set_threshold(200_000, 50, 1000)  # as in tests/conftest.py
    with LocalCloud(Path(sys.argv[1]), images={"*": ROOT}) as cloud:
        cloud.batch.store.relation_seconds = 0.0
        server = Server(client=cloud.client, region=cloud.region)
        told = {
            "endpoint": cloud.endpoint_url,
            "credentials": cloud.deployer.credentials,
            "account_id": cloud.account_id,
            "region": cloud.region,
            "provider": server.port,
        }
        print(json.dumps(told), flush=True)  # noqa: T201 - read by the one who has started it
        sys.stdin.read()
        server.stop()


if __name__ == "__main__":
    main()

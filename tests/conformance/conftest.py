"""A rehearsal that the Pulumi CLI drives; skipped, with the reason, where there is no CLI."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from localcloud.cloud import LocalCloud
from localcloud.deployment.provider.plugin import Server
from tests.conformance import cli


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """An AWS in memory with the CLI before it."""

    cloud: LocalCloud
    cli: cli.Cli


@pytest.fixture(scope="session")
def pulumi_folder() -> Path:
    found, reason = cli.folder()
    if found is None:
        if os.environ.get(cli.REQUIRED) == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture(scope="module")
def rehearsal(pulumi_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    directory = tmp_path_factory.mktemp("conformance")
    with LocalCloud(directory / "aws", images={"*": cli.ROOT}) as cloud:
        cloud.batch.store.relation_seconds = (
            0.0  # tests/localcloud/test_replacement.py is about that
        )
        server = Server(client=cloud.client, region=cloud.region)
        try:
            yield Rehearsal(
                cloud=cloud,
                cli=cli.Cli(directory, provider=server.port, bin=pulumi_folder),
            )
        finally:
            server.stop()

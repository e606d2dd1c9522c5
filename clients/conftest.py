"""An AWS in memory for clients: a queue, roles, a bucket; the client's environment stands for the
image of its jobs.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from localcloud.cloud import LocalCloud
from tests.localcloud.conftest import Stage, on

ENVIRONMENTS = Path(__file__).resolve().parents[1] / ".clients"


@dataclass(frozen=True, kw_only=True)
class Client:
    """One client, and what it was given."""

    stage: Stage
    environment: Path
    directory: Path
    queue: str
    role: str
    bucket: str
    image: str

    def run(
        self, *command: str, files: Mapping[str, str], variables: Mapping[str, str] | None = None
    ) -> str:
        """Runs one of the client's programs among these files; its output.

        Fails with all of it where the program fails.
        """
        for name, text in files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        cloud = self.stage.cloud
        given = {
            "PATH": f"{self.environment / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.directory),
            "USER": "tester",
            "LANG": "C.UTF-8",
            "AWS_ENDPOINT_URL": cloud.endpoint_url,
            "AWS_DEFAULT_REGION": cloud.region,
            "AWS_REGION": cloud.region,
            "AWS_ACCESS_KEY_ID": cloud.deployer.access_key,
            "AWS_SECRET_ACCESS_KEY": cloud.deployer.secret,
            **(variables or {}),
        }
        done = subprocess.run(
            command,
            cwd=self.directory,
            env=given,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Callable[[str], Client]]:
    """Makes the client of a name, in an AWS that is its own."""
    (tmp_path / "home").mkdir()
    images = {f"clients/{each.name}*": each for each in ENVIRONMENTS.glob("*") if each.is_dir()}
    with LocalCloud(tmp_path / "cloud", images=images) as cloud:
        stage = on(cloud, tmp_path)

        def of(name: str) -> Client:
            environment = ENVIRONMENTS / name
            assert (environment / "bin" / "python").exists(), (
                f"there is no {environment}; run `make clients`"
            )
            bucket = stage.name("clients")
            cloud.client("s3").create_bucket(Bucket=bucket)
            allowed: list[dict[str, Any]] = [
                {"Action": ["s3:*", "batch:*", "logs:*", "dynamodb:*"], "Resource": "*"}
            ]
            return Client(
                stage=stage,
                environment=environment,
                directory=tmp_path / "home",
                queue=stage.queue(stage.environment()),
                role=stage.role("ecs-tasks.amazonaws.com", *allowed),
                bucket=bucket,
                image=f"clients/{name}:1",
            )

        yield of

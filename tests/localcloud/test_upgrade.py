"""A stack of an older release becomes one of today's program, and nothing that holds data is made
anew or goes. scripts/record_release.py has kept what these releases left.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from localcloud.deployment.deploy import deploy
from localcloud.deployment.engine.checkpoint import restored
from localcloud.deployment.engine.state import Step
from tests.localcloud.deploying import no_aws

ROOT = Path(__file__).parents[2]
RELEASES = Path(__file__).with_name("releases")
HOLDS_DATA = {
    "aws:s3/bucket:Bucket": "objects",
    "aws:dynamodb/table:Table": "items",
    "aws:ecr/repository:Repository": "images",
    "aws:kms/key:Key": "what is encrypted by it",
    "aws:secretsmanager/secret:Secret": "values that people have set",
    "aws:cloudwatch/logGroup:LogGroup": "logs",
    "aws:sqs/queue:Queue": "events that could not be handled",
}


def release(stack: str) -> str:
    return gzip.decompress((RELEASES / f"{stack}.json.gz").read_bytes()).decode()


def upgraded(text: str, stack: str, folder: Path) -> list[Step]:
    """What today's program does with the stack, by a preview."""
    kept = json.loads(text)
    for name in ("__main__.py", "Pulumi.yaml"):
        (folder / name).symlink_to(ROOT / name)
    (folder / f"Pulumi.{stack}.yaml").write_text(kept["file"])
    done = deploy(
        folder,
        stack,
        no_aws,
        previous=restored(text).state,
        preview=True,
    )
    return [step for step in done.steps if step.operation != "same"]


def lost(steps: list[Step]) -> list[str]:
    """What would lose data."""
    return [
        f"{step.operation} {step.name}: {HOLDS_DATA[step.type]}"
        for step in steps
        if step.type in HOLDS_DATA and step.operation in ("replace", "delete", "delete replaced")
    ]


@pytest.mark.parametrize("stack", ["local", "dev", "prod"])
def test_an_upgrade_loses_nothing(stack: str, tmp_path: Path) -> None:
    steps = upgraded(release(stack), stack, tmp_path)
    assert lost(steps) == []
    # and what runs and waits is not interrupted: only a queue's successor would be another one
    assert [s.name for s in steps if s.type.endswith(":JobQueue") and s.operation != "update"] == []


def test_a_name_that_the_program_forgets_is_told(tmp_path: Path) -> None:
    formerly = release("local").replace("::storage-ingest", "::storage-former")
    told = lost(upgraded(formerly, "local", tmp_path))
    assert told == ["delete storage-former: objects"]

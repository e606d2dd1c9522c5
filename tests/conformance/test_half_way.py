"""Changes of prod that AWS refuses half way, and the next `up`, by both engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.book import Change, book
from tests.conformance.book.play import Pair

_STACK = "prod"
_MISTYPED = Change(
    stack=_STACK,
    name="a-file-system-that-is-not-there",
    paths={
        "storage/efs": {"kind": "existing", "id": "fs-00000000000000bad"},
        "jobs/postprocess/volumes": [{"file_system": "efs", "path": "/shared"}],
    },
)
_CORRECTED = Change(
    stack=_STACK,
    name="the-file-system-of-others",
    paths={**_MISTYPED.paths, "storage/efs/id": "fs-0123456789abcdef0"},
)


@pytest.fixture
def pair(pulumi_folder: Path, tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path, _STACK, pulumi_folder)
    try:
        assert made.deploy() == []
        yield made
    finally:
        made.stop()


def _of_the_book(*names: str) -> tuple[Change, ...]:
    return tuple(each for each in book() if each.stack == _STACK and each.name in names)


@pytest.mark.drill
@pytest.mark.timeout(900)
def test_what_cannot_be_made_is_corrected_or_taken_back(pair: Pair) -> None:
    beside = _of_the_book("days", "other-shares", "retention-and-mails", "gpu-elsewhere")
    for page in ((), (*beside, _CORRECTED)):
        assert pair.fail((*beside, _MISTYPED), "FileSystemNotFound") == []
        assert pair.recover(page) == []
        assert pair.turn(page) == []  # nothing was left for another one
    assert pair.destroy() == []


@pytest.mark.drill
@pytest.mark.timeout(900)
def test_what_cannot_be_deleted_goes_when_it_is_free(pair: Pair) -> None:
    page = _of_the_book("no-fair-share", "days")
    for cloud in pair.clouds:
        batch = cloud.client("batch")
        (policy,) = batch.list_scheduling_policies()["schedulingPolicies"]
        (environment, *_) = batch.describe_compute_environments()["computeEnvironments"]
        batch.create_job_queue(
            jobQueueName="somebody-elses",
            priority=1,
            schedulingPolicyArn=policy["arn"],
            computeEnvironmentOrder=[
                {"order": 1, "computeEnvironment": environment["computeEnvironmentArn"]}
            ],
        )
    assert pair.fail(page, "the scheduling policy is used by a job queue") == []
    for cloud in pair.clouds:
        batch = cloud.client("batch")
        batch.update_job_queue(jobQueue="somebody-elses", state="DISABLED")
        batch.delete_job_queue(jobQueue="somebody-elses")
    assert pair.recover(page) == []
    assert pair.turn(page) == []
    assert pair.turn(()) == []
    assert pair.destroy() == []

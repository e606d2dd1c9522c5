"""The analysis as an array job on Spot: the findings of one job, a lost machine is made good, a
failed shard is told once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from cli.follow import RunStatus, follow
from cli.hints import text
from cli.paths import ROOT
from cli.rehearsal import rehearsal
from cli.serving import endpoint_of
from localcloud.deployment.stack_file import read_stack
from tests.end_to_end.conftest import Stack
from tests.end_to_end.one_rank import digest_of_one_rank
from tests.localcloud.conftest import until
from workloads.contract import Run

pytestmark = pytest.mark.timeout(600)

SHARDS = 3
ANALYSIS = {
    "queue": "main",
    "nodes": 1,
    "shards": SHARDS,
    "vcpus": 4,
    "memory_mib": 4096,
    "ranks_per_node": 1,
    "attempts": 3,
}


def _config(orchestrator: str) -> dict[str, str]:
    jobs = json.loads(read_stack(ROOT, "local", {}, {}).config["batch-reference:jobs"])
    jobs["preprocess"] |= {"unit_rows": 256}
    jobs["analysis"] |= ANALYSIS
    pipeline = {"orchestrator": orchestrator} | (
        {"poll_seconds": 2, "deadline_hours": 1} if orchestrator != "batch" else {}
    )
    return {
        "batch-reference:jobs": json.dumps(jobs),
        "batch-reference:pipeline": json.dumps(pipeline),
    }


@pytest.fixture(scope="module")
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The local stack under an orchestrator, its analysis in three shards on Spot."""
    with rehearsal(
        "local",
        tmp_path_factory.mktemp("shards"),
        config=_config(request.param),
        say=lambda _: None,
    ) as ready:
        yield Stack(ready)


def _table(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    values = rng.standard_t(4, size=(1_900, 3))
    return b"a,b,c\n" + b"".join(b"%.6f,%.6f,%.6f\n" % tuple(row) for row in values)  # 8 units


def _running_child(stack: Stack, run: Run, index: int) -> str:
    batch = stack.ready.client("batch")

    def look() -> str | None:
        parent = stack.job_id(run, "analysis")
        child = f"{parent}:{index}"
        found = batch.describe_jobs(jobs=[child])["jobs"] if parent else []
        return child if found and found[0]["status"] == "RUNNING" else None

    return str(until(look, pause=0.02))


@pytest.mark.parametrize("stack", ["batch"], indirect=True)
def test_the_commands_by_hand_submit_an_array_of_the_same_size(stack: Stack) -> None:
    endpoint = endpoint_of(stack.ready)
    (line,) = (line for line in text(endpoint).splitlines() if line.startswith("ANALYSIS="))
    assert f" --array-properties size={SHARDS} " in line
    assert "aws batch list-jobs --array-job-id $ANALYSIS --job-status SUCCEEDED" in text(endpoint)


def _statuses(stack: Stack, run: Run) -> list[RunStatus]:
    return list(
        follow(
            stack.ready.client("dynamodb"),
            stack.ready.client("batch"),
            stack.ready.outputs["table"],
            run,
        )
    )


@pytest.mark.parametrize("stack", ["batch", "step-functions"], indirect=True)
def test_a_lost_machine_is_made_good_and_the_findings_are_those_of_one_rank(
    stack: Stack, new_key: Callable[[], str]
) -> None:
    run = Run(stack.put(new_key(), _table(1)).run_id)
    child = _running_child(stack, run, 1)
    stack.ready.cloud.batch.lose_host(child)

    seen = _statuses(stack, run)

    assert seen[-1].state == "SUCCEEDED", seen[-1]
    batch = stack.ready.client("batch")
    attempts = batch.describe_jobs(jobs=[child])["jobs"][0]["attempts"]
    assert len(attempts) == 2
    assert attempts[0]["statusReason"].startswith("Host EC2")
    counts = [status.stages[1].shards for status in seen if status.stages[1].shards]
    assert all(sum(shards.values()) == SHARDS for shards in counts)
    assert counts[-1] == {"SUCCEEDED": SHARDS}
    summary = stack.summary(run)
    provenance: dict[str, Any] = summary["provenance"]["analysis"]
    assert (provenance["ranks"], provenance["nodes"]) == (SHARDS, SHARDS)
    analysis = next(stage for stage in summary["run"]["stages"] if stage["stage"] == "analysis")
    record = json.loads(stack.result(run.stage_record_key("analysis")))
    seconds = record["details"]["shard_seconds"]
    assert len(seconds) == SHARDS
    paid = sum(seconds) / SHARDS / 3600 * analysis["usd_per_hour"]
    assert analysis["usd"] == pytest.approx(paid, rel=1e-6)
    assert len(stack.told(run)) == 1
    assert summary["digest"] == digest_of_one_rank(stack, run, "shards")
    assert stack.ready.cloud.denials == []
    assert stack.ready.cloud.undelivered == []


@pytest.mark.parametrize("stack", ["batch"], indirect=True)
def test_a_failed_shard_ends_the_run_with_one_message_and_the_others_parts_are_kept(
    stack: Stack, new_key: Callable[[], str]
) -> None:
    upload = stack.put(new_key(), _table(2))
    run = Run(upload.run_id)
    child = _running_child(stack, run, 2)
    stack.ready.client("batch").terminate_job(jobId=child, reason="planted")

    status = stack.finish(run)

    assert status.state == "FAILED"
    assert status.failure.startswith(f"shard 2 of {SHARDS}: "), status.failure
    parent = child.partition(":")[0]
    found = stack.ready.client("batch").describe_jobs(jobs=[parent])["jobs"][0]
    assert (found["status"], found["arrayProperties"]["statusSummary"]["SUCCEEDED"]) == (
        "FAILED",
        SHARDS - 1,
    )
    stack.settle()  # neither the parent nor the job that waited for it tells it again
    (message,) = stack.told(run)
    assert f"shard 2 of {SHARDS}" in message
    assert child in message
    before = _parts(stack, run)
    assert len(before) == SHARDS - 1

    detail = {
        "bucket": {"name": upload.bucket},
        "object": {"key": upload.key, "etag": upload.etag, "version-id": upload.version_id},
    }
    stack.ready.client("lambda").invoke(
        FunctionName=stack.ready.outputs["submit_function"],
        Payload=json.dumps({"detail": {**detail, "again": True}}).encode(),
    )
    status = stack.finish(run)
    assert status.state == "SUCCEEDED", status
    assert len(stack.told(run)) == 2
    assert _parts(stack, run) == []
    assert stack.ready.cloud.denials == []


def _parts(stack: Stack, run: Run) -> list[str]:
    reply = stack.ready.client("s3").list_objects_v2(
        Bucket=stack.ready.outputs["results_bucket"], Prefix=run.shards_prefix
    )
    return [found["Key"] for found in reply.get("Contents", []) if "/part-" in found["Key"]]

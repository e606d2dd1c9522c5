"""A Spot market that lets no machine live: after its attempts on Spot the analysis goes on without,
under both orchestrators, finds the same, and says what was taken back.

The drill has machines of 90 seconds and a table that takes longer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from cli.paths import ROOT
from cli.rehearsal import rehearsal
from cli.serving import endpoint_of
from cli.show_run import document
from cli.target import Target
from localcloud.deployment.stack_file import read_stack
from tests.end_to_end.conftest import Stack
from tests.end_to_end.one_rank import digest_of_one_rank
from workloads import contract
from workloads.contract import Run

pytestmark = pytest.mark.timeout(1800)

SHARDS, SPOT_ATTEMPTS = 2, 2
ANALYSIS = {
    "queue": "spot",
    "nodes": 1,
    "shards": SHARDS,
    "vcpus": 4,
    "memory_mib": 4096,
    "ranks_per_node": 1,
    "attempts": 4,
    "spot_attempts": SPOT_ATTEMPTS,
    "on_demand_queue": "main",
}


@dataclass(frozen=True)
class Market:
    """How long a machine lives, how long before its end EC2 says so, and the rows of the table."""

    every: float
    notice: float
    rows: int


MARKETS = [
    pytest.param(Market(2.0, 0.8, 40_000), id="short"),
    pytest.param(Market(90.0, 30.0, 3_000_000), id="drill", marks=pytest.mark.drill),
]


@pytest.fixture(scope="module", params=["batch", "step-functions"])
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The local stack under an orchestrator, its analysis in shards on Spot."""
    jobs = json.loads(read_stack(ROOT, "local", {}, {}).config["batch-reference:jobs"])
    jobs["preprocess"] |= {"unit_rows": 1024}
    jobs["analysis"] |= ANALYSIS
    pipeline = {"orchestrator": request.param} | (
        {"poll_seconds": 2, "deadline_hours": 1} if request.param != "batch" else {}
    )
    sections: dict[str, Any] = {
        "jobs": jobs,
        "pipeline": pipeline,
        "queues": {"main": {"environments": ["on-demand-cpu"]}, "spot": {"environments": ["spot"]}},
        "environments": {
            "spot": {"kind": "spot", "instance_types": ["c6i.xlarge"], "max_vcpus": 16},
            "on-demand-cpu": {
                "kind": "on-demand",
                "instance_types": ["c6i.xlarge"],
                "max_vcpus": 16,
            },
        },
    }
    config = {f"batch-reference:{name}": json.dumps(value) for name, value in sections.items()}
    with rehearsal(
        "local", tmp_path_factory.mktemp("spot"), config=config, say=lambda _: None
    ) as ready:
        yield Stack(ready)


@pytest.mark.parametrize("market", MARKETS)
def test_an_analysis_that_spot_does_not_let_end_ends_on_demand(
    stack: Stack, new_key: Callable[[], str], market: Market
) -> None:
    rng = np.random.default_rng(market.rows)
    values = rng.standard_t(4, size=(market.rows, 3))
    table = b"a,b,c\n" + b"".join(b"%.6f,%.6f,%.6f\n" % tuple(row) for row in values)
    plane = stack.ready.cloud.batch
    plane.reclaim_every(market.every, notice_seconds=market.notice)
    try:
        run = Run(stack.put(new_key(), table).run_id)
        status = stack.finish(run)
    finally:
        plane.reclaim_every(None)

    assert status.state == "SUCCEEDED", status
    item = stack.state_item(run)
    batch = stack.ready.client("batch")
    first, last = item["replaced"]["S"], item["jobs"]["M"]["analysis"]["S"]
    found = {job["jobId"]: job for job in batch.describe_jobs(jobs=[first, last])["jobs"]}
    assert found[first]["jobQueue"].rsplit("/")[-1] != found[last]["jobQueue"].rsplit("/")[-1]
    assert found[last]["jobName"].endswith("-fallback")
    shards = batch.describe_jobs(jobs=[f"{first}:{index}" for index in range(SHARDS)])["jobs"]
    ends = [
        attempt["container"].get("exitCode") or attempt["statusReason"][:8]
        for shard in shards
        for attempt in shard["attempts"]
    ]
    lost = [end for end in ends if end in {contract.RECLAIMED_EXIT, "Host EC2"}]
    assert len(lost) >= SPOT_ATTEMPTS, ends

    summary = stack.summary(run)
    told = summary["run"]["reclaimed"]
    assert (told["attempts"], told["jobs"]) == (
        len(lost),
        sum(bool(set(_codes(shard)) & {contract.RECLAIMED_EXIT, None}) for shard in shards),
    )
    assert 0 < told["usd"] < summary["run"]["usd"]
    assert float(item["reclaimed"]["M"]["usd"]["N"]) == pytest.approx(told["usd"], abs=1e-6)
    (message,) = stack.told(run)
    assert "taken back by AWS" in message
    assert b"taken back by AWS" in stack.result(run.report_key)
    there = endpoint_of(stack.ready)
    target = Target(outputs=there.outputs, endpoint_url=there.url, credentials=there.credentials)
    shown = document(target, run)["reclaimed"]
    assert shown is not None
    assert shown["attempts"] == len(lost)
    assert stack.ready.cloud.denials == []
    assert stack.ready.cloud.undelivered == []
    assert summary["digest"] == digest_of_one_rank(stack, run, f"spot, {market.rows} rows")


def _codes(shard: dict[str, Any]) -> list[int | None]:
    return [attempt["container"].get("exitCode") for attempt in shard["attempts"]]

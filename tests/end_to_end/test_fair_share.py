"""Two teams on one queue of a deployed stack: what each gets follows its weight, and each team's
own priorities hold.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cli.paths import ROOT
from cli.rehearsal import IMAGES, Rehearsal, rehearsal
from localcloud.deployment.stack_file import read_stack
from tests.localcloud.conftest import until

pytestmark = pytest.mark.timeout(600)

WEIGHTS = {"analytics": 1, "research": 2}
"""A lower weight gets more: analytics twice as much as research."""
JOBS = 90
SECONDS = 0.05
"""Of one job."""


@dataclass(frozen=True)
class Shared:
    """The stack, and the jobs in the order in which their containers started."""

    ready: Rehearsal
    started: list[str] = field(default_factory=list)

    def submit(self, share: str, count: int, **more: Any) -> list[str]:
        batch, outputs = self.ready.client("batch"), self.ready.outputs
        return [
            batch.submit_job(
                jobName=f"{share}-{number}",
                jobQueue=outputs["stage_queues"]["preprocess"],
                jobDefinition=outputs["stage_job_definitions"]["preprocess"],
                shareIdentifier=share,
                **more,
            )["jobId"]
            for number in range(count)
        ]

    def run(self, jobs: list[str]) -> list[str]:
        """Gives the waiting jobs machines, and returns them in the order of their start."""
        self.ready.cloud.batch.withhold_capacity()
        until(lambda: set(jobs) <= set(self.started))
        return [job for job in self.started if job in set(jobs)]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    config = read_stack(ROOT, "local", {}, {}).config
    queues, jobs = (
        json.loads(config[f"batch-reference:{section}"]) for section in ("queues", "jobs")
    )
    queues["main"]["fair_share"] = {
        "weights": WEIGHTS,
        "decay_seconds": 3600,
        "compute_reservation_percent": 10,
    }
    for stage in ("preprocess", "postprocess"):
        jobs[stage] |= {"share_identifier": "analytics", "scheduling_priority": 1}
    started: list[str] = []
    lock = threading.Lock()

    def work(environment: Mapping[str, str], _: threading.Event) -> int:
        with lock:
            started.append(environment["AWS_BATCH_JOB_ID"])
        time.sleep(SECONDS)
        return 0

    directory: Path = tmp_path_factory.mktemp("cloud")
    changed = {
        "batch-reference:queues": json.dumps(queues),
        "batch-reference:jobs": json.dumps(jobs),
    }
    with rehearsal(
        "local", directory, config=changed, images=dict.fromkeys(IMAGES, work), say=lambda _: None
    ) as ready:
        yield Shared(ready, started)


def test_the_lower_weight_gets_twice_as_much(shared: Shared) -> None:
    shared.ready.cloud.batch.withhold_capacity("*")
    # the team that is to get less comes first, so that nothing but the weights can put the other
    # one before it
    research = shared.submit("research", JOBS)
    analytics = shared.submit("analytics", JOBS)

    order = shared.run([*research, *analytics])

    # while both have jobs that wait: the first of them has used up its own after so many starts
    both = order[: max(index for index, job in enumerate(order) if job in set(analytics))]
    got = {
        name: sum(job in set(jobs) for job in both)
        for name, jobs in (("analytics", analytics), ("research", research))
    }
    assert got["analytics"] / got["research"] == pytest.approx(2, rel=0.1), got
    third = len(both) // 3
    for part in (both[:third], both[third : 2 * third], both[2 * third :]):
        assert sum(job in set(analytics) for job in part) / len(part) == pytest.approx(
            2 / 3, abs=0.1
        ), "all the time, not in the end only"


def test_priorities_order_the_jobs_within_a_share(shared: Shared) -> None:
    shared.ready.cloud.batch.withhold_capacity("*")
    late = shared.submit("analytics", 20)  # with the definition's priority, 1
    urgent = shared.submit("analytics", 20, schedulingPriorityOverride=9)

    order = shared.run([*late, *urgent])

    # threads that start together may note it in another order: at most as many as the environments
    # hold at once
    at_once = 12
    assert set(urgent) <= set(order[: len(urgent) + at_once])
    assert set(order[: len(urgent) - at_once]) <= set(urgent)

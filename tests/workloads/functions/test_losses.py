"""What counts as a lost machine, and what it cost."""

from __future__ import annotations

from typing import Any

import pytest

from workloads import contract
from workloads.functions.losses import ends_elsewhere, reclaimed, sentence, together

HOST = "Host EC2 (instance i-0123456789abcdef0) terminated."
EXITED = "Essential container in task exited"


def _job(reason: str, code: int | None = None, **more: Any) -> dict[str, Any]:
    container = {} if code is None else {"exitCode": code}
    attempt = {
        "statusReason": reason,
        "container": container,
        "startedAt": 1_000,
        "stoppedAt": 10_000,
    }
    return {"statusReason": reason, "attempts": [attempt], **more}


ENDS = {
    "host": (_job(HOST), True),
    "host, with the code of a kill": (_job(HOST, 137), True),
    "Fargate": (_job("Your Spot Task was interrupted.", 143), True),
    "host, a shard": (_job(HOST, jobId="a:1"), True),
    "host, a shard with the code of a kill": (_job(HOST, 137, jobId="a:1"), False),
    "left in time": (_job(EXITED, contract.RECLAIMED_EXIT), True),
    "never started": (_job("Task failed to start"), True),
    "no machine came": (
        _job("Canceled by JobStateTimeLimit action due to reason: CAPACITY", isCancelled=True)
        | {"attempts": []},
        True,
    ),
    "its own failure": (_job(EXITED, 1), False),
    "stopped": (_job(EXITED, 143), False),
    "terminated": (_job("the wrong table", isTerminated=True), False),
    "terminated while it left": (_job("enough", contract.RECLAIMED_EXIT, isTerminated=True), False),
    "the guard": (_job(f"{contract.OWN_STOP}running-cost guard"), False),
    "too long": (_job("Job attempt duration exceeded timeout", 75), False),
}


@pytest.mark.parametrize("end", ENDS)
def test_only_what_other_machines_can_cure_goes_on(end: str) -> None:
    job, elsewhere = ENDS[end]
    assert ends_elsewhere(job) is elsewhere


def test_losses_are_counted_with_their_price() -> None:
    jobs = [_job(HOST), _job(EXITED, 1), _job(EXITED, 75)]
    jobs[0]["attempts"] *= 2
    found = reclaimed(jobs, 4.0)
    assert (found.attempts, found.jobs, found.seconds) == (3, 2, 27.0)
    assert found.usd == pytest.approx(27 / 3600 * 4)
    assert str(found) == "3 attempts of 2 shards taken back by AWS after 27.0 s, $0.0300"
    assert sentence(reclaimed([_job(HOST)], None).attributes()) == (
        "1 attempt taken back by AWS after 9.0 s, cost not known"
    )
    both = together([found, reclaimed([_job(EXITED, 1)], None)])
    assert both == found, "an unknown price of nothing is no unknown price"
    assert together([found, reclaimed([_job(HOST)], None)]).usd is None

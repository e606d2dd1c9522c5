"""Which job of a fair-share queue is next: weights, shares that are active, reservations."""

from __future__ import annotations

from typing import Any

from localcloud.batch.fair_share import Ledger, Usage, available_fraction, ordered, weight
from localcloud.batch.records import Job, JobDefinition, JobQueue


def shared(share: str, since: float, priority: int = 0) -> Job:
    queue = JobQueue(
        name="q",
        arn="arn:q",
        state="ENABLED",
        priority=1,
        environments=[],
        order=[],
        policy="p",
        time_limits=[],
        tags={},
    )
    definition = JobDefinition(name="d", revision=1, arn="arn:d:1", spec={"type": "container"})
    return Job(
        id=f"{share}{since}", name="j", queue=queue, definition=definition, nodes=[], request={}, retry={}, timeout_seconds=None,
        created_at=since, parameters={}, tags={}, share=share, priority=priority, runnable_since=since,
    )  # fmt: skip


def simulate(policy: dict[str, Any], jobs: list[Job], *, slots: int, seconds: float = 60.0) -> str:
    """Runs equal jobs, `slots` at a time, and returns the order of their shares."""
    usages: list[Usage] = []
    clock, order = 0.0, ""
    while jobs:
        chosen = ordered(policy, jobs, usages, {job.share or "" for job in jobs}, clock)[0]
        jobs.remove(chosen)
        order += chosen.share or ""
        usages.append(
            Usage(share=chosen.share or "", vcpus=1, started=clock, stopped=clock + seconds / slots)
        )
        clock += seconds / slots
    return order


def test_fair_share_alternates_and_follows_weights() -> None:
    jobs = [shared("a", n) for n in range(4)] + [shared("b", 10 + n) for n in range(2)]
    assert simulate({"shareDecaySeconds": 3600}, list(jobs), slots=1)[:4] in ("abab", "abba")
    heavy = {
        "shareDecaySeconds": 86400,
        "shareDistribution": [{"shareIdentifier": "b", "weightFactor": 0.25}],
    }
    many = [shared("a", n) for n in range(40)] + [shared("b", n) for n in range(40)]
    first = simulate(heavy, many, slots=1)[:40]
    assert 30 <= first.count("b") <= 34  # a quarter of the weight gets four times the share
    assert [
        job.priority for job in ordered({}, [shared("a", 0, 1), shared("a", 1, 9)], [], {"a"}, 0.0)
    ] == [9, 1]


def test_prefix_weights_are_divided_and_reservations_held() -> None:
    policy = {
        "shareDistribution": [
            {"shareIdentifier": "User*", "weightFactor": 1.0},
            {"shareIdentifier": "x", "weightFactor": 3.0},
        ]
    }
    assert weight(policy, "UserA", ["UserA", "UserB", "x"]) == 2.0
    assert weight(policy, "x", ["x"]) == 3.0
    assert weight(policy, "other", []) == 1.0
    assert available_fraction({"computeReservation": 50}, 2) == 0.75
    assert available_fraction({}, 2) == 1.0


def test_a_share_is_active_while_it_has_jobs_and_until_the_window_has_passed() -> None:
    policy, ledger = {"computeReservation": 50, "shareDecaySeconds": 900}, Ledger()
    first, second = shared("a", 0), shared("b", 1)
    for job in (first, second):
        ledger.enter(job)
    assert ledger.fraction(policy, "q", 0.0) == 0.75, "both are active before they run"
    ledger.open(first, 2.0, 0.0)
    ledger.open(second, 4.0, 0.0)
    ledger.close(second, 100.0)
    ledger.leave(second)
    assert [(usage.share, usage.vcpus) for usage in ledger.of("q") if usage.stopped is None] == [
        ("a", 2.0)
    ]
    assert ledger.fraction(policy, "q", 999.0) == 0.75
    assert ledger.fraction(policy, "q", 1000.0) == 0.5

"""What a job has cost so far, and settings that are not of their form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from workloads.contract import ContractError
from workloads.functions.guard import Settings, job_usd, stop_message
from workloads.variables import ENV_GUARD_LIMIT_USD, ENV_GUARD_QUEUE, ENV_GUARD_RATES

HOUR_MS = 3_600_000
NOW_MS = 1_770_000_000_000
P5 = {"instance": 55.04, "vcpu": 55.04 / 192, "gib": 55.04 / 2048, "gpu": 55.04 / 8}
C6I = {"instance": 0.34, "vcpu": 0.0425, "gib": 0.02125, "gpu": 0.0}
FARGATE = {"vcpu": 0.04, "gib": 0.004}


def job(
    status: str = "RUNNING",
    *,
    hours: float = 1,
    attempts: tuple[tuple[float, float], ...] = (),
    **more: Any,
) -> dict[str, Any]:
    ended = [
        {"startedAt": NOW_MS - int(begin * HOUR_MS), "stoppedAt": NOW_MS - int(end * HOUR_MS)}
        for begin, end in attempts
    ]
    started = {"startedAt": NOW_MS - int(hours * HOUR_MS)} if status == "RUNNING" else {}
    return {"jobId": "j", "jobName": "n", "status": status, "attempts": ended, **started, **more}


def container(vcpus: float, mib: int, gpus: int = 0) -> dict[str, Any]:
    asked = {"VCPU": vcpus, "MEMORY": mib, **({"GPU": gpus} if gpus else {})}
    return {
        "container": {
            "resourceRequirements": [
                {"type": kind, "value": f"{value:g}"} for kind, value in asked.items()
            ]
        }
    }


@pytest.mark.parametrize(
    ("described", "rates", "usd"),
    [
        (job(hours=3, nodeProperties={"numNodes": 4}), [P5], 4 * 3 * 55.04),
        # an attempt of two hours, an hour of waiting, half an hour of the second attempt
        (
            job(hours=0.5, attempts=((3.5, 1.5),), nodeProperties={"numNodes": 4}),
            [P5],
            4 * 2.5 * 55.04,
        ),
        (
            job("RUNNABLE", attempts=((3.5, 1.5),), nodeProperties={"numNodes": 4}),
            [P5],
            4 * 2 * 55.04,
        ),
        (job("RUNNABLE", nodeProperties={"numNodes": 4}), [P5], 0),
        # DescribeJobs still shows the start of the attempt that has ended
        (
            {
                **job("STARTING", attempts=((2, 1),), nodeProperties={"numNodes": 1}),
                "startedAt": NOW_MS - 2 * HOUR_MS,
            },
            [P5],
            55.04,
        ),
        (job(**container(2, 4096)), [C6I], 2 * 0.0425),
        (job(**container(1, 8192)), [C6I], 8 * 0.02125),
        (job(**container(64, 4096)), [C6I], 0.34),
        (job(**container(4, 4096, gpus=2)), [P5], 2 * 55.04 / 8),
        (job(**container(2, 4096)), [FARGATE], 2 * 0.04 + 4 * 0.004),
        (job(**container(2, 4096)), [FARGATE, C6I], 2 * 0.04 + 4 * 0.004),
        (job(ecsProperties={"taskProperties": []}), [P5], 55.04),
        (job(container={"vcpus": 2, "memory": 1024}), [C6I], 2 * 0.0425),
    ],
)
def test_what_a_job_has_cost(
    described: dict[str, Any], rates: list[dict[str, float]], usd: float
) -> None:
    assert job_usd(described, rates, NOW_MS) == pytest.approx(usd)


@pytest.mark.parametrize(
    ("limit", "rates", "says"),
    [
        ("", "[]", "PIPELINE_GUARD_LIMIT_USD is not set"),
        ("ten", json.dumps([P5]), "could not convert string to float"),
        ("10", "{", "is not of its form"),
        ("10", "[3]", "is not of its form"),
        ("10", "[]", "has 0 entries"),
        ("nan", json.dumps([P5]), "is nan"),
        ("0", json.dumps([P5]), "a limit above zero"),
    ],
)
def test_settings_that_cannot_be_used_are_said(
    monkeypatch: pytest.MonkeyPatch, limit: str, rates: str, says: str
) -> None:
    monkeypatch.setenv(ENV_GUARD_QUEUE, "arn:aws:batch:us-east-1:1:job-queue/gpu")
    monkeypatch.setenv(ENV_GUARD_LIMIT_USD, limit)
    monkeypatch.setenv(ENV_GUARD_RATES, rates)
    with pytest.raises(ContractError, match=says):
        Settings.from_env()


def test_the_message_names_amounts_jobs_and_the_way_back() -> None:
    settings = Settings(
        queue_arn="arn:aws:batch:us-east-1:1:job-queue/gpu-7", limit_usd=1000, rates=(P5,)
    )
    jobs = [{**job(), "jobName": f"job-{n}"} for n in range(12)]
    text = json.dumps(
        stop_message(
            settings, {"usd": 1234.5, "limit_usd": 1000, "jobs": ["j"] * 12}, jobs
        ).payload()
    )
    for part in (
        "gpu-7",
        "$1,234.50",
        "$1,000.00",
        "job-9",
        "and 2 more",
        "`batchref resume --queue gpu-7`",
    ):
        assert part in text, part
    assert "job-10" not in text

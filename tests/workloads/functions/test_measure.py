"""What the measure function publishes, from what AWS Batch answers."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from workloads import contract, metrics
from workloads.contract import ContractError
from workloads.functions import arrays, measure
from workloads.functions.measure import Environment, Measured
from workloads.variables import ENV_STACK

NOW_MS = 1_770_000_000_000
QUEUE, EC2, FARGATE = "arn:q", "arn:ec2", "arn:fargate"
RATES = {"vcpu": 0.05, "gib": 0.01}


class Batch:
    """AWS Batch with fixed answers, two jobs to a page."""

    def __init__(
        self, jobs: dict[str, list[str]], environments: list[dict[str, Any]], front: list[int]
    ) -> None:
        self.jobs, self.environments, self.front = jobs, environments, front

    def get_paginator(self, operation: str) -> Any:
        batch = self

        class Pages:
            def paginate(self, **request: Any) -> list[dict[str, Any]]:
                if operation == "describe_compute_environments":
                    return [{"computeEnvironments": [each]} for each in batch.environments]
                found = batch.jobs.get(request["jobStatus"], [])
                return [
                    {"jobSummaryList": [{"jobId": job} for job in found[at : at + 2]]}
                    for at in range(0, len(found) or 1, 2)
                ]

        return Pages()

    def get_job_queue_snapshot(self, **_: Any) -> dict[str, Any]:
        return {
            "frontOfQueue": {
                "jobs": [{"jobArn": "j", "earliestTimeAtPosition": at} for at in self.front]
            }
        }

    def describe_jobs(self, jobs: list[str]) -> dict[str, Any]:
        sizes = [{"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "4096"}]
        return {
            "jobs": [
                {
                    "jobId": job,
                    "platformCapabilities": ["FARGATE"],
                    "container": {"resourceRequirements": sizes},
                }
                for job in jobs
            ]
        }


def environment(
    arn: str, *, desired: int | None = None, status: str = "VALID", kind: str = "EC2"
) -> dict[str, Any]:
    resources: dict[str, Any] = {"type": kind, "maxvCpus": 16} | (
        {} if desired is None else {"desiredvCpus": desired}
    )
    return {"computeEnvironmentArn": arn, "status": status, "computeResources": resources}


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Metric and value by the last dimension's value, of all lines in the embedded metric
    format.
    """
    monkeypatch.setenv(ENV_STACK, "dev")

    def read() -> dict[tuple[str, str], float]:
        found = {}
        for entry in map(json.loads, capsys.readouterr().out.splitlines()):
            if "_aws" not in entry:
                continue
            (directive,) = entry["_aws"]["CloudWatchMetrics"]
            assert (directive["Namespace"], entry["_aws"]["Timestamp"], entry["Stack"]) == (
                metrics.NAMESPACE,
                NOW_MS,
                "dev",
            )
            (names,) = directive["Dimensions"]
            for metric in directive["Metrics"]:
                found[entry[names[-1]], metric["Name"]] = entry[metric["Name"]]
        return found

    return read


def look(batch: Batch, *, rates: dict[str, float] | None = RATES) -> None:
    environments = (
        Environment(name="ec2", arn=EC2, rates=rates),
        Environment(name="fargate", arn=FARGATE, rates=RATES),
    )
    measure.look(batch, Measured(queues={"main": QUEUE}, environments=environments), at_ms=NOW_MS)


def test_queues_environments_and_cost(published: Any) -> None:
    jobs = {"RUNNABLE": ["a", "b", "c"], "STARTING": ["d"], "RUNNING": ["e", "f", "d"]}
    look(
        Batch(
            jobs,
            [environment(EC2, desired=16), environment(FARGATE, kind="FARGATE")],
            [NOW_MS - 5_000, NOW_MS - 90_000],
        )
    )
    assert published() == {
        ("main", "SubmittedJobs"): 0,
        ("main", "PendingJobs"): 0,
        ("main", "RunnableJobs"): 3,
        ("main", "StartingJobs"): 1,
        ("main", "RunningJobs"): 3,
        ("main", metrics.FRONT_WAITED): 90,
        ("ec2", metrics.VALID): 1,
        ("ec2", metrics.MAX_VCPUS): 16,
        ("ec2", metrics.DESIRED_VCPUS): 16,
        ("ec2", metrics.AT_MAX): 1,
        ("fargate", metrics.VALID): 1,
        ("fargate", metrics.MAX_VCPUS): 16,
        ("ec2", metrics.USD_PER_HOUR): pytest.approx(16 * 0.05),
        ("fargate", metrics.USD_PER_HOUR): pytest.approx(3 * (2 * 0.05 + 4 * 0.01)),
        ("dev", metrics.LOOKS): 1,
        # the job that moved on from one list to the next counts once
        ("dev", metrics.USD_PER_HOUR): pytest.approx(16 * 0.05 + 3 * (2 * 0.05 + 4 * 0.01)),
    }


@pytest.mark.parametrize(
    ("found", "valid"),
    [
        ([], 0),
        ([environment(EC2, desired=0, status="INVALID")], 0),
        ([environment(EC2, desired=0, status="UPDATING")], 1),
    ],
)
def test_an_environment_that_is_gone_is_as_bad_as_an_invalid_one(
    published: Any, found: list[dict[str, Any]], valid: int
) -> None:
    look(Batch({}, found, []), rates=None)
    values = published()
    assert values["ec2", metrics.VALID] == valid
    assert ("dev", metrics.USD_PER_HOUR) not in values, "a cost that lacks a price is none"
    assert values["main", metrics.FRONT_WAITED] == 0


@pytest.mark.parametrize(
    ("detail", "counted"),
    [
        (
            {"status": "SUCCEEDED", "startedAt": 1000, "stoppedAt": 4500},
            {("analysis", metrics.SUCCEEDED): 1, ("analysis", metrics.SECONDS): 3.5},
        ),
        (
            {"status": "FAILED", "statusReason": "Essential container in task exited"},
            {("analysis", metrics.FAILED): 1},
        ),
        ({"status": "FAILED", "statusReason": "Dependent Job failed"}, {}),
        ({"status": "FAILED", "jobId": "j#0"}, {}),
        ({"status": "FAILED", "jobId": "j:0", "arrayProperties": {"index": 0}}, {}),
        (
            {"status": "SUCCEEDED", "arrayProperties": {"size": 2}},
            {("analysis", metrics.SUCCEEDED): 1},
        ),
        ({"status": "SUCCEEDED", "tags": {}, "jobName": "somebody-elses"}, {}),
    ],
)
def test_ends_of_stages_count_once(
    published: Any, detail: dict[str, Any], counted: dict[tuple[str, str], float]
) -> None:
    full = {"jobId": "j", "jobName": "x", "tags": {contract.STAGE_TAG: "analysis"}, **detail}
    event = {
        "detail-type": "Batch Job State Change",
        "time": "2026-02-02T02:40:00Z",
        "detail": full,
    }
    assert measure.handler(event, None) == {"outcome": "counted" if counted else "ignored"}
    assert published() == counted


@pytest.mark.parametrize(
    ("reason", "counted"), [("Essential container in task exited", 1), ("Dependent Job failed", 0)]
)
def test_a_failed_array_counts_unless_its_children_failed_with_the_job_before(
    published: Any, monkeypatch: pytest.MonkeyPatch, reason: str, counted: int
) -> None:
    monkeypatch.setattr(boto3, "client", lambda _: None)
    monkeypatch.setattr(
        arrays,
        "notifying_child",
        lambda _batch, parent: {"jobId": f"{parent}:1", "statusReason": reason},
    )
    detail = {
        "jobId": "j",
        "jobName": "x-analysis",
        "status": "FAILED",
        "statusReason": "Array Child Job failed",
    }
    event = {
        "detail-type": "Batch Job State Change",
        "time": "2026-02-02T02:40:00Z",
        "detail": {**detail, "arrayProperties": {"size": 2}},
    }
    measure.handler(event, None)
    assert published() == ({("analysis", metrics.FAILED): 1} if counted else {})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"queues": {}, "environments": {"a": {}}}'])
def test_settings_that_cannot_be_used_are_said(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(metrics.ENV_MEASURED, text)
    with pytest.raises(ContractError, match=r"PIPELINE_MEASURED is not (set|of its form)"):
        Measured.from_env()

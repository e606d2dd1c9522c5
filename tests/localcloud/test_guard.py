"""The guard in the deployed stack, under its own role: it stops the queue and its jobs, tells Slack
once, and leaves the rest alone.

localcloud has no clock of EventBridge rules, so the function is invoked as the rule would: what is
tested is all but the schedule itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import deploy
from localcloud.deployment.stack_file import read_stack
from tests.localcloud.conftest import until

ROOT = Path(__file__).parents[2]
PROJECT = "batch-reference"


@dataclass
class Guarded:
    cloud: LocalCloud
    outputs: dict[str, Any]
    function: str

    def look(self) -> dict[str, Any]:
        answer = self.cloud.client("lambda").invoke(FunctionName=self.function, Payload=b"{}")
        found: dict[str, Any] = json.loads(answer["Payload"].read())
        return found

    def submit(self, stage: str, name: str) -> str:
        """A job of a stage that only sleeps."""
        out = self.outputs
        overrides: dict[str, Any] = {"command": ["sleep", "300"]}
        how: dict[str, Any] = {"containerOverrides": overrides}
        if stage == "analysis":
            how = {
                "nodeOverrides": {
                    "nodePropertyOverrides": [
                        {"targetNodes": "0:", "containerOverrides": overrides}
                    ]
                }
            }
        definition, queue = out["stage_job_definitions"][stage], out["stage_queues"][stage]
        return str(
            self.cloud.client("batch").submit_job(
                jobName=name, jobQueue=queue, jobDefinition=definition, **how
            )["jobId"]
        )

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.cloud.client("batch").describe_jobs(jobs=[job_id])["jobs"][0])

    def running(self, job_id: str) -> None:
        until(lambda: self.job(job_id)["status"] == "RUNNING", what=lambda: self.job(job_id))

    def failed(self, job_id: str) -> None:
        until(lambda: self.job(job_id)["status"] == "FAILED", what=lambda: self.job(job_id))

    def state(self, stage: str) -> str:
        queues = self.cloud.client("batch").describe_job_queues(
            jobQueues=[self.outputs["stage_queues"][stage]]
        )["jobQueues"]
        return str(queues[0]["state"])

    def stops(self) -> list[dict[str, Any]]:
        found = self.cloud.client("dynamodb").scan(TableName=self.outputs["table"])["Items"]
        return [item for item in found if item["pk"]["S"].startswith("GUARD#")]

    def told(self) -> list[str]:
        return [
            text
            for text in map(json.dumps, self.cloud.slack.messages)
            if "cost more than the limit" in text
        ]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    budget = json.loads(read_stack(ROOT, "local", {}, {}).config[f"{PROJECT}:budget"])
    # two c5n.9xlarge cost this much in about two seconds
    budget["guard"] = {"limit_usd": 0.002}
    with LocalCloud(tmp_path_factory.mktemp("cloud"), images={"*/batch-reference*": ROOT}) as cloud:
        secrets = {f"{PROJECT}:slack-webhook-url": cloud.slack.url}
        made = deploy(
            ROOT,
            "local",
            cloud.client,
            config={f"{PROJECT}:budget": json.dumps(budget)},
            secrets=secrets,
        )
        (function,) = [
            each.outputs["name"]
            for each in made.resources
            if (each.type, each.name) == ("aws:lambda/function:Function", "budget-guard-watch")
        ]
        yield Guarded(cloud, dict(made.outputs), str(function))


def test_the_guard_acts_once_and_on_its_queue_only(guarded: Guarded) -> None:
    assert guarded.look() == {"outcome": "below", "usd": 0.0}
    cheap, analysis = guarded.submit("preprocess", "cheap"), guarded.submit("analysis", "dear")
    guarded.running(analysis)
    waiting = guarded.submit(
        "analysis", "waiting"
    )  # the environment holds two nodes, and both are taken
    guarded.cloud.slack.fail_next(1, status=403)
    until(lambda: guarded.look().get("outcome") != "below")

    # it stopped everything, and Slack refused the message: so the stop is on record, and nobody has
    # been told
    assert guarded.state("analysis") == "DISABLED"
    for job_id in (analysis, waiting):
        guarded.failed(job_id)
        assert guarded.job(job_id)["statusReason"].startswith(
            "Stopped by the running-cost guard: the jobs on queue"
        )
    (stop,) = guarded.stops()
    assert "told_at" not in stop
    assert {each["S"] for each in stop["jobs"]["L"]} == {analysis, waiting}
    assert guarded.told() == []

    # the next look finishes it, and later ones find nothing to do
    assert guarded.look()["outcome"] == "stopped"
    assert guarded.look()["outcome"] == "below"
    (stop,) = guarded.stops()
    assert "told_at" in stop
    (message,) = guarded.told()
    assert "Jobs terminated" in message

    # the other queue and its job are none of its business
    assert guarded.state("preprocess") == "ENABLED"
    assert guarded.job(cheap)["status"] in {"RUNNABLE", "STARTING", "RUNNING"}
    assert guarded.cloud.denials == []


def test_an_enabled_queue_is_guarded_again(guarded: Guarded) -> None:
    queue = guarded.outputs["stage_queues"]["analysis"]
    guarded.cloud.client("batch").update_job_queue(jobQueue=queue, state="ENABLED")
    assert guarded.look()["outcome"] == "below"
    assert guarded.state("analysis") == "ENABLED"
    again = guarded.submit("analysis", "again")
    guarded.running(again)
    until(lambda: guarded.look()["outcome"] == "stopped")
    guarded.failed(again)
    assert len(guarded.stops()) == len(guarded.told()) == 2
    assert guarded.cloud.denials == []

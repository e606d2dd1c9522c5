"""A deployed stack whose alarms are watched: what makes them go off, and what is told of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from localcloud.cloud import LocalCloud
from tests.localcloud.conftest import PATIENCE, until
from workloads import metrics

RUN = "20260131-sales-0123456789ab"

UNREADABLE = {"detail-type": "Batch Job State Change", "detail": 1, "Records": 1, "at": 1}
"""An event that no function can handle."""


@dataclass
class Watched:
    cloud: LocalCloud
    outputs: dict[str, Any]
    resources: dict[str, dict[str, Any]]
    """Outputs by logical name."""
    labels: dict[str, str]
    """Physical name of an alarm -> its label in components/monitoring/alarms.py."""
    rang: set[str] = field(default_factory=set)
    calm: set[str] = field(default_factory=set)

    def described(self) -> list[dict[str, Any]]:
        found = self.cloud.client("cloudwatch").describe_alarms(
            AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        return [*found["MetricAlarms"], *found["CompositeAlarms"]]

    def beat(self) -> dict[str, str]:
        """One tick; the states of all alarms by label."""
        self.cloud.tick()
        states = {
            self.labels[alarm["AlarmName"]]: str(alarm["StateValue"]) for alarm in self.described()
        }
        self.rang |= {label for label, state in states.items() if state == "ALARM"}
        self.calm |= {label for label, state in states.items() if state == "OK"}
        self.cloud.pending.settle(0.2)  # for the functions that the schedules start
        return states

    def call_all_functions(self) -> None:
        """Gives every function an event that none can read."""
        for output in self.resources.values():
            if str(output.get("handler", "")).startswith("workloads.functions."):
                self.cloud.client("lambda").invoke(
                    FunctionName=output["name"],
                    InvocationType="Event",
                    Payload=json.dumps(UNREADABLE),
                )

    def wait(self, state: str, *labels: str) -> None:
        states: dict[str, str] = {}

        def reached() -> bool:
            states.update(self.beat())
            return all(states[label] == state for label in labels)

        until(
            reached,
            what=lambda: f"{state} of {[label for label in labels if states[label] != state]}",
        )

    def told(self, part: str) -> str:
        """The Slack messages with this part in them, once there is one."""

        def found() -> str:
            texts = [
                json.dumps(message, ensure_ascii=False)
                for message in list(self.cloud.slack.messages)
            ]
            return "\n".join(text for text in texts if part in text)

        return str(until(found, what=f"no message with {part}"))

    def physical(self, label: str) -> str:
        return next(name for name, found in self.labels.items() if found == label)

    def submit(self, stage: str, command: list[str], **more: Any) -> str:
        overrides: dict[str, Any] = {"command": command, **more}
        how: dict[str, Any] = {"containerOverrides": overrides}
        if stage == "analysis":
            how = {
                "nodeOverrides": {
                    "nodePropertyOverrides": [
                        {"targetNodes": "0:", "containerOverrides": overrides}
                    ]
                }
            }
        definition, queue = (
            self.outputs["stage_job_definitions"][stage],
            self.outputs["stage_queues"][stage],
        )
        batch = self.cloud.client("batch")
        job = batch.submit_job(
            jobName=f"{RUN}-{stage}",
            jobQueue=queue,
            jobDefinition=definition,
            tags={"pipeline-stage": stage},
            **how,
        )
        return str(job["jobId"])

    def let_wait(self, *jobs: str) -> None:
        """A minute passes, when each of these runs or has found no room, and nobody is looking at
        one: what is seen late would count in the next period, and what waits counts from then on.
        """
        batch = self.cloud.client("batch")

        def placed() -> bool:
            found = batch.describe_jobs(jobs=list(jobs))["jobs"]
            return {each["status"] for each in found} <= {"RUNNABLE", "RUNNING"}

        until(placed, what="jobs that run or wait")
        assert self.cloud.pending.settle(PATIENCE)
        self.cloud.batch.advance(61)

    def end_all(self) -> None:
        """Returns when no queue has a job any more, and nobody is looking at one (see let_wait)."""
        batch = self.cloud.client("batch")

        def left() -> list[str]:
            return [
                job["jobId"]
                for queue in self.outputs["queues"].values()
                for status in metrics.QUEUE_STATES
                for job in batch.list_jobs(jobQueue=queue, jobStatus=status)["jobSummaryList"]
            ]

        for job in left():
            batch.terminate_job(jobId=job, reason="the test goes on")
        until(lambda: not left(), what="jobs that end")
        assert self.cloud.pending.settle(PATIENCE)

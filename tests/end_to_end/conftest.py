"""One deployed `local` stack for all files that take it as it is, and what the tests of any
deployed stack do again and again.

The in-memory AWS is one of a kind in its process. So the files that share the stack carry the mark
SHARES_THE_STACK, which keeps them in one worker and in a row, and the stack ends before the first
test that does not.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.follow import RunStatus, follow
from cli.rehearsal import Rehearsal, rehearsal
from tests.support.units import unit_of
from workloads.contract import Run, Stage, Upload

SHARES_THE_STACK = pytest.mark.xdist_group("local-stack")
LOOK_SECONDS = 0.5
"""Between two looks at a run: each takes hundredths of a second of a processor that its jobs need.
"""
_SHARED = pytest.StashKey["SharedStack"]()


@dataclass(frozen=True)
class Stack:
    """The deployed stack, with the few calls that the tests make again and again."""

    ready: Rehearsal

    def put(self, key: str, body: bytes) -> Upload:
        """Uploads bytes to the ingest bucket."""
        bucket = self.ready.outputs["ingest_bucket"]
        reply = self.ready.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
        return Upload(bucket=bucket, key=key, etag=reply["ETag"], version_id=reply["VersionId"])

    def finish(self, run: Run) -> RunStatus:
        """Waits for the end of a run."""
        return list(
            follow(
                self.ready.client("dynamodb"),
                self.ready.client("batch"),
                self.ready.outputs["table"],
                run,
                poll_seconds=LOOK_SECONDS,
            )
        )[-1]

    def settle(self) -> None:
        """Waits until every event has reached its function, and that has ended."""
        assert self.ready.cloud.pending.settle(60), "events or functions are still under way"

    def result(self, key: str) -> bytes:
        """An object of the results bucket."""
        body: bytes = (
            self.ready.client("s3")
            .get_object(Bucket=self.ready.outputs["results_bucket"], Key=key)["Body"]
            .read()
        )
        return body

    def summary(self, run: Run) -> dict[str, Any]:
        """summary.json of a run."""
        found: dict[str, Any] = json.loads(self.result(run.summary_key))
        return found

    def items(self, run: Run) -> dict[str, dict[str, Any]]:
        """The items of a run's data set, by sort key."""
        reply = self.ready.client("dynamodb").query(
            TableName=self.ready.outputs["table"],
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": run.partition_key}},
        )
        return {item["sk"]["S"]: item for item in reply["Items"]}

    def state_item(self, run: Run) -> dict[str, Any]:
        """The state item of a run; empty before it is claimed."""
        return self.items(run).get(f"{run.sort_key_prefix}STATE", {})

    def job_id(self, run: Run, stage: Stage) -> str | None:
        """The job of a stage as the state item names it; None before it is submitted."""
        found: str | None = self.state_item(run).get("jobs", {"M": {}})["M"].get(stage, {}).get("S")
        return found

    def jobs(self) -> list[str]:
        """Names of all jobs that were ever submitted."""
        batch = self.ready.client("batch")
        filters = [{"name": "JOB_NAME", "values": ["*"]}]
        queues = set(self.ready.outputs["stage_queues"].values())
        return [
            job["jobName"]
            for queue in queues
            for job in batch.list_jobs(jobQueue=queue, filters=filters)["jobSummaryList"]
        ]

    def told(self, run: Run) -> list[str]:
        """The Slack messages that name a run."""
        return [
            text
            for text in (json.dumps(message) for message in self.ready.cloud.slack.messages)
            if run.run_id in text
        ]


class SharedStack:
    """The `local` stack as its file says, deployed when it is first asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running = contextlib.ExitStack()
        self._stack: Stack | None = None

    def get(self) -> Stack:
        """The stack."""
        if self._stack is None:
            self._stack = Stack(
                self._running.enter_context(rehearsal("local", self._directory, say=lambda _: None))
            )
        return self._stack

    def end(self) -> None:
        """Makes room for another one; whoever asks again gets a new stack."""
        self._stack = None
        self._running.close()


@pytest.fixture(scope="session")
def shared_stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> SharedStack:
    """The stack of all files of SHARES_THE_STACK."""
    shared = request.config.stash[_SHARED] = SharedStack(tmp_path_factory.mktemp("stack"))
    return shared


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Ends the shared stack with the last file of its unit."""
    shared = item.config.stash.get(_SHARED, None)
    if shared is not None and (nextitem is None or unit_of(nextitem) != unit_of(item)):
        shared.end()


@pytest.fixture(scope="module")
def stack(shared_stack: SharedStack) -> Stack:
    """The stack, for tests that only use it."""
    return shared_stack.get()


@pytest.fixture(scope="session")
def new_key() -> Callable[[], str]:
    """Upload keys that no other test uses."""
    numbers = itertools.count(1)
    return lambda: f"data/20260101/table-{next(numbers)}.csv"

"""A deployed stack in which every stage does as it is told: the ground for planted failures."""

from __future__ import annotations

import json
import re
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final, Literal

import boto3

from cli.paths import ROOT
from cli.rehearsal import IMAGES, Rehearsal, rehearsal
from localcloud.deployment.stack_file import read_stack
from localcloud.http.front import Fault
from localcloud.iam.access import Principal
from localcloud.protocol.wire import Call, Reply, WireError
from tests.end_to_end.conftest import Stack
from tests.localcloud.conftest import until
from workloads.contract import STAGE_TAG, STAGES, Run, Stage
from workloads.functions import arrays
from workloads.functions.states import RunStates

Job = Literal["preprocess", "analysis", "fallback", "postprocess"]
Behaviour = Literal["succeed", "fail", "hang"]
EXIT_CODE: Final = 3
"""Of a stage that fails."""
SOON: Final = {"measure_minutes": 1, "stuck_minutes": 1, "failed_jobs": 1, "failed_analyses": 1}
"""Alarms that need no patience."""
SETTLED: Final = 2.0
"""Most seconds for the functions that a beat of the clock starts."""


@dataclass(frozen=True)
class Planted(Stack):
    """The stack, and what its stages do: they succeed unless told otherwise for a run."""

    behaviour: dict[tuple[str, Job], Behaviour] = field(default_factory=dict)
    needs_mib: dict[tuple[str, Job], int] = field(default_factory=dict)
    """What a stage needs of a run; with less it is killed for its memory."""
    hanging: set[tuple[str, Job]] = field(default_factory=set)
    """Run and job of the containers that have begun to hang; RUNNING comes a moment before."""
    _numbers: list[int] = field(default_factory=lambda: [0])

    def upload(self, needs_mib: dict[Job, int] | None = None, **behaviour: Behaviour) -> Run:
        """A new file, whose stages behave as told and need so much memory."""
        self._numbers[0] += 1
        key, body = f"data/20260101/planted-{self._numbers[0]}.csv", b"a\n%d\n" % self._numbers[0]
        # the run id follows from the bytes: what its stages do has to be known before the event is
        # out
        with self.ready.cloud.disorder(Random(0), most_copies=1):  # noqa: S311 - no secret
            run = Run(self.put(key, body).run_id)
            self.behaviour.update({(run.run_id, stage): what for stage, what in behaviour.items()})  # type: ignore[misc]
            self.needs_mib.update(
                {(run.run_id, job): mib for job, mib in (needs_mib or {}).items()}
            )
        return run

    def state(self, run: Run) -> str:
        """State of the run; empty before it is claimed."""
        return str(self.state_item(run).get("state", {}).get("S", ""))

    def job(self, run: Run, stage: Stage, *statuses: str) -> dict[str, Any]:
        """The job of a stage, once it is in one of these states."""

        def look() -> dict[str, Any] | None:
            job = self.job_id(run, stage)
            found = self.ready.client("batch").describe_jobs(jobs=[job])["jobs"] if job else []
            return dict(found[0]) if found and found[0]["status"] in statuses else None

        return dict(until(look, what=f"{stage} of {run.run_id} in {statuses}"))

    def jobs_of(self, run: Run) -> list[str]:
        """Names of the jobs of a run."""
        return [name for name in self.jobs() if name.startswith(run.run_id)]

    def hang(self, run: Run, stage: Stage) -> None:
        """Waits until the stage hangs, which it was told to do."""
        until(
            lambda: (run.run_id, stage) in self.hanging,
            what=f"{stage} of {run.run_id} does not hang",
        )

    def lose_host(self, run: Run, stage: Stage) -> None:
        """Takes the machine from under the running job of a stage, once."""
        attempts = len(self.job(run, stage, "RUNNING")["attempts"])
        job = self.job(run, stage, "RUNNING")["jobId"]
        self.ready.cloud.batch.lose_host(job)
        until(
            lambda: len(self.job(run, stage, *arrays.STATUSES)["attempts"]) > attempts,
            what="the lost attempt",
        )

    def ringing(self) -> set[str]:
        """The alarms in state ALARM after another beat of the clock and what it starts, by their
        labels in components/monitoring/alarms.py.
        """
        self.ready.cloud.tick()
        self.ready.cloud.pending.settle(SETTLED)
        found = self.ready.client("cloudwatch").describe_alarms(
            AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        alarms = (*found["MetricAlarms"], *found["CompositeAlarms"])
        names = [alarm["AlarmName"] for alarm in alarms if alarm["StateValue"] == "ALARM"]
        return {
            re.sub(r"-[0-9a-f]{7}$", "", name.partition("monitoring-alarms-")[2]) for name in names
        }

    def messages(self, *fragments: str) -> list[str]:
        """The Slack messages that hold all of these."""
        texts = [
            json.dumps(message, ensure_ascii=False)
            for message in list(self.ready.cloud.slack.messages)
        ]
        return [text for text in texts if all(fragment in text for fragment in fragments)]

    @contextmanager
    def refusing(
        self, service: str, role: str, error: str, *, times: int = 1_000_000
    ) -> Iterator[None]:
        """So many calls of a service by a role whose name holds `role` are refused with an
        error.
        """
        left = [times]

        def refuse(call: Call, principal: Principal | None) -> Reply | None:
            if (
                call.service == service
                and principal is not None
                and role in principal.role_arn
                and left[0] > 0
            ):
                left[0] -= 1
                raise WireError(error, "planted")
            return None

        fault: Fault = refuse
        self.ready.cloud.faults.append(fault)
        try:
            yield
        finally:
            self.ready.cloud.faults.remove(fault)


@contextmanager
def planted_stack(directory: Path, **sections: Mapping[str, Any]) -> Iterator[Planted]:
    """The local stack, its images replaced by a program that does as it is told; postprocess ends
    the run as the real one does.

    `sections` are members of sections of the stack file that replace those there are.
    """
    config = read_stack(ROOT, "local", {}, {}).config
    changes = {"monitoring": SOON, **sections}
    found = {
        name: json.loads(config.get(f"batch-reference:{name}", "{}")) | changes.get(name, {})
        for name in {"jobs", *changes}
    }
    for stage in STAGES:
        found["jobs"][stage]["attempts"] = 2
    changed = {f"batch-reference:{name}": json.dumps(section) for name, section in found.items()}
    behaviour: dict[tuple[str, Job], Behaviour] = {}
    needs_mib: dict[tuple[str, Job], int] = {}
    hanging: set[tuple[str, Job]] = set()
    stacks: list[Rehearsal] = []

    def run_stage(environment: Mapping[str, str], stopped: threading.Event) -> int:
        run = Run.from_env(environment)
        # nodes and shards as what was submitted: that has the tags
        job = environment["AWS_BATCH_JOB_ID"].partition("#")[0].partition(":")[0]
        described = stacks[0].client("batch").describe_jobs(jobs=[job])["jobs"][0]
        stage: Job = (
            "fallback"
            if described["jobName"].endswith("-fallback")
            else described["tags"][STAGE_TAG]
        )
        need = needs_mib.get((run.run_id, stage), 0)
        if need > _limit_mib(environment):
            raise MemoryError
        what = behaviour.get((run.run_id, stage), "succeed")
        if what == "hang":
            if (
                environment.get("AWS_BATCH_JOB_NODE_INDEX", "0") == "0"
            ):  # of several nodes the main one's container decides
                hanging.add((run.run_id, stage))
            stopped.wait()
            return 143
        if what == "fail":
            return EXIT_CODE
        if stage == "postprocess":
            RunStates(_table(stacks[0])).succeed(
                run, now_ms=int(stacks[0].cloud.now() * 1000), finished_at=""
            )
        return 0

    with rehearsal(
        "local",
        directory,
        config=changed,
        images=dict.fromkeys(IMAGES, run_stage),
        say=lambda _: None,
    ) as ready:
        stacks.append(ready)
        ready.cloud.polls.wait = False  # each beat of the clock looks into two empty queues
        yield Planted(ready, behaviour, needs_mib, hanging)


def _limit_mib(environment: Mapping[str, str]) -> int:
    """The limit of a container as ECS tells it."""
    with urllib.request.urlopen(environment["ECS_CONTAINER_METADATA_URI_V4"], timeout=30) as answer:  # noqa: S310 - of localcloud
        return int(json.load(answer)["Limits"]["Memory"])


def _table(ready: Rehearsal) -> Any:
    cloud = ready.cloud
    resource: Any = boto3.resource(  # type: ignore[call-overload]
        "dynamodb",
        endpoint_url=cloud.endpoint_url,
        region_name=cloud.region,
        **cloud.deployer.credentials,
    )
    return resource.Table(ready.outputs["table"])


@contextmanager
def answering(stack: Planted, answer: Callable[[Planted, Call], Reply | None]) -> Iterator[None]:
    """The state machine of a run is answered so; None is no answer of its own."""

    def fault(call: Call, principal: Principal | None) -> Reply | None:
        by_machine = principal is not None and "pipeline-run" in principal.role_arn
        return answer(stack, call) if by_machine else None

    stack.ready.cloud.faults.append(fault)
    try:
        yield
    finally:
        stack.ready.cloud.faults.remove(fault)

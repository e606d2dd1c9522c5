"""The stack that `bench.permissions` drills with, and what its walks do again and again."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Final

from cli.follow import RunStatus, look
from cli.rehearsal import Rehearsal
from config.stack import NAMESPACE
from localcloud.http.front import Fault
from localcloud.iam.access import Principal
from localcloud.protocol.wire import Call, Reply, WireError
from workloads.contract import Run, Upload

GOOD: Final = b"id,height,weight\n" + b"".join(
    b"r%d,%d.5,%d\n" % (i, 150 + i % 50, 50 + i % 37) for i in range(200)
)
BAD: Final = b"name,town\nann,rome\nbob,oslo\n"
FILE_BY: Final = 6
FINISHED_BY: Final = 7
"""Hours of the day, in UTC, of the config below."""
BUDGET_USD: Final = 100.0
_PATIENCE: Final = 60.0
_PREFIX: Final = f"{NAMESPACE}-local-"
_SHORT: Final = {"IntervalSeconds": 1, "MaxDelaySeconds": 1}


def config(orchestrator: str, sections: Mapping[str, Any]) -> dict[str, str]:
    """The sections of the local stack, with everything switched on that has a role of its own."""
    pipeline: dict[str, Any] = {
        "orchestrator": orchestrator,
        "daily": {
            "file_by": f"{FILE_BY:02}:00",
            "finished_by": f"{FINISHED_BY:02}:00",
            "time_zone": "UTC",
        },
    }
    if orchestrator == "step-functions":
        pipeline |= {"poll_seconds": 2, "deadline_hours": 1}
    changes: dict[str, dict[str, Any]] = {
        "pipeline": pipeline,
        "monitoring": {"measure_minutes": 1, "failed_jobs": 1},
        "budget": {
            "monthly_usd": BUDGET_USD,
            "stop_submissions_percent": 90,
            "guard": {"limit_usd": 1000},
        },
    }
    return {
        f"batch-reference:{name}": json.dumps({**sections.get(name, {}), **changed})
        for name, changed in changes.items()
    }


@dataclass
class Scene:
    """A deployed stack on which walks are gone."""

    ready: Rehearsal
    enough: Callable[[], bool] = lambda: False
    """Ends every wait: what was to be seen has been seen."""
    said: list[str] = field(default_factory=list)
    """What calls of the deployer were answered with that were refused."""
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def wait(self, condition: Callable[[], Any], *, seconds: float = _PATIENCE) -> bool:
        """Whether the condition came true; false where `enough` or the time came first."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.enough():
            if condition():
                return True
            time.sleep(0.05)
        return False

    def client(self, service: str) -> Any:
        """A client of the deployer."""
        return self.ready.client(service)

    def upload(self, body: bytes, day: str = "20260101") -> Run:
        """The run of a new file."""
        return self.uploaded(body, day)[0]

    def uploaded(self, body: bytes, day: str = "20260101") -> tuple[Run, Upload]:
        """A new file, and its run."""
        number = next(self.numbers)
        bucket, key = self.ready.outputs["ingest_bucket"], f"data/{day}/drill-{number}.csv"
        # no two files are alike, or they would be one run
        reply = self.client("s3").put_object(Bucket=bucket, Key=key, Body=body + b"# %d\n" % number)
        upload = Upload(bucket=bucket, key=key, etag=reply["ETag"], version_id=reply["VersionId"])
        return Run(upload.run_id), upload

    def submit(self, bucket: str, key: str, etag: str, version: str | None) -> None:
        """An event that the submit function gets by hand."""
        found = {"key": key, "etag": etag.strip('"'), "version-id": version}
        event = {"detail": {"bucket": {"name": bucket}, "object": found}}
        name = self.ready.outputs["submit_function"]
        self.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event).encode())

    def asked(self, action: str, *, since: int) -> bool:
        """Whether a permission was needed since so many were."""
        return any(each.action == action for each in self.ready.cloud.asked[since:])

    def look(self, run: Run) -> RunStatus:
        """How far a run has come."""
        return look(self.client("dynamodb"), self.client("batch"), self.ready.outputs["table"], run)

    def jobs(self, run: Run) -> dict[str, str]:
        """The jobs of a run by their stages."""
        return {each.stage: each.job_id for each in self.look(run).stages if each.job_id}

    def status(self, run: Run, stage: str) -> str:
        """Of the job of a stage; empty before it is submitted."""
        return next(each.status for each in self.look(run).stages if each.stage == stage)

    def state(self, run: Run) -> str:
        """Of a run; empty before it is claimed."""
        return self.look(run).state

    def ends(self, run: Run) -> bool:
        """Waits for the end of a run."""
        return self.wait(lambda: self.state(run) in {"SUCCEEDED", "FAILED"})

    def told(self, *fragments: str) -> bool:
        """Whether Slack has a message that holds all of these."""
        texts = map(json.dumps, list(self.ready.cloud.slack.messages))
        return any(all(each in text for each in fragments) for text in texts)

    def tell(self, call: Callable[..., Any], **params: Any) -> None:
        """A call of the deployer; its refusal is kept."""
        try:
            call(**params)
        except self.client("sts").exceptions.ClientError as error:
            self.said.append(str(error))

    @cached_property
    def functions(self) -> dict[str, dict[str, Any]]:
        """Functions of the stack by what the program calls them: name, role, log group, queue of
        dead letters.
        """
        found = {}
        for page in self.client("lambda").get_paginator("list_functions").paginate():
            for each in page["Functions"]:
                name = str(each["FunctionName"])
                found[logical(name)] = {
                    "name": name,
                    "role": each["Role"].rsplit("/", 1)[-1],
                    "group": each["LoggingConfig"]["LogGroup"],
                    "letters": each["DeadLetterConfig"]["TargetArn"].rsplit(":", 1)[-1],
                }
        return found

    def depth(self, function: str) -> int:
        """Dead letters of a function."""
        wanted, url = "ApproximateNumberOfMessages", self._letters_url(function)
        found = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[wanted])
        return int(found["Attributes"][wanted])

    def _letters_url(self, function: str) -> str:
        name = self.functions[function]["letters"]
        return str(self.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])

    def letters(self, function: str) -> list[str]:
        """The dead letters of a function with all that is attached to them."""
        found = self.client("sqs").receive_message(
            QueueUrl=self._letters_url(function),
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            VisibilityTimeout=0,
            WaitTimeSeconds=1,
        )
        return [json.dumps(each, default=str) for each in found.get("Messages", [])]

    def empty(self, function: str) -> None:
        """Deletes the dead letters of a function, unless what is in them has still to be told."""
        if self.enough():
            return
        sqs, url = self.client("sqs"), self._letters_url(function)
        asked = {"QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1}
        while found := sqs.receive_message(**asked).get("Messages"):
            for each in found:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])

    @contextmanager
    def failing(
        self,
        role: str,
        *operations: str,
        code: str = "InternalFailure",
        status: int = 400,
        spared: str = "",
        times: int = 10**6,
    ) -> Iterator[None]:
        """Calls by a role are answered with an error: so many, of these operations or of all, but
        for the spared one.
        """
        left = [times]

        def refuse(call: Call, principal: Principal | None) -> Reply | None:
            if (
                principal is not None
                and role in principal.role_arn
                and left[0] > 0
                and call.operation != spared
                and (not operations or call.operation in operations)
            ):
                left[0] -= 1
                raise WireError(code, "planted", status=status)
            return None

        fault: Fault = refuse
        self.ready.cloud.faults.append(fault)
        try:
            yield
        finally:
            self.ready.cloud.faults.remove(fault)

    def shorten(self) -> None:
        """Lets the state machines wait for a second where they wait for minutes; what they do stays
        as it is.
        """
        machines = self.client("stepfunctions")
        for each in machines.list_state_machines()["stateMachines"]:
            arn = each["stateMachineArn"]
            text = json.loads(
                machines.describe_state_machine(stateMachineArn=arn)["definition"],
                object_hook=_short,
            )
            machines.update_state_machine(stateMachineArn=arn, definition=json.dumps(text))


def logical(name: str) -> str:
    """What the program calls a resource: its name without project, stack and random digits."""
    return name.removeprefix(_PREFIX).rpartition("-")[0]


def _short(found: dict[str, Any]) -> dict[str, Any]:
    if "MaxDelaySeconds" in found:
        return {**found, **_SHORT}
    if found.get("Type") == "Wait" and "Seconds" in found:
        return {**found, "Seconds": 1}
    if "seconds.$" in found:
        return {"seconds": 1}
    return found


@contextmanager
def setting(scene: Scene, function: str, variable: str, value: str) -> Iterator[None]:
    """Another value of a variable of a function for the time of the block."""
    functions = scene.client("lambda")
    before = functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    change = partial(functions.update_function_configuration, FunctionName=function)
    change(Environment={"Variables": {**before, variable: value}})
    try:
        yield
    finally:
        change(Environment={"Variables": before})

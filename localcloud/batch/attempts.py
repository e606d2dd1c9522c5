"""One attempt of a job: its tasks on their instances, their order, their addresses, and how the
attempt ends.

Multi-node rules (User Guide, "Multi-node parallel jobs"): the main node starts first, the others
when it runs; the main node's exit ends the job and decides its status; the end of another node
changes nothing.
"""

from __future__ import annotations

import itertools
import random
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from localcloud.batch.container import ContainerFactory, TaskRequest, log_destination
from localcloud.batch.placement import Need
from localcloud.batch.records import Attempt, ComputeEnvironment, Instance, Job
from localcloud.batch.retries import AttemptEnd
from localcloud.batch.tasks import Container, Outcome, StartError, Task

_EXITED: Final = "Essential container in task exited"
_IN_STATUS_REASON: Final = ("CannotPullContainerError", "ResourceInitializationError")
"""What Fargate fails of before there is a container stands in the status reason, and the container
has none.
"""
_NODES_PER_BLOCK: Final = 240
_BLOCKS: Final = 200 * 256


class Addresses:
    """Loopback addresses for nodes: every attempt gets a block of its own, so that two jobs never
    meet on one port.

    Linux answers on all of 127.0.0.0/8.
    """

    def __init__(self) -> None:
        # begins anywhere, for other clouds on this machine (two test processes, `make up` beside
        # `make demo`) count as well
        self._blocks = itertools.count(random.randrange(_BLOCKS))  # noqa: S311 - not a secret

    def take(self, count: int) -> list[str]:
        """Addresses for `count` nodes."""
        found: list[str] = []
        while len(found) < count:
            block = next(self._blocks) % _BLOCKS
            found += [
                f"127.{16 + block // 256}.{block % 256}.{10 + node}"
                for node in range(min(_NODES_PER_BLOCK, count - len(found)))
            ]
        return found


@dataclass(frozen=True, kw_only=True)
class Owner:
    """What an attempt needs of the data plane. The callbacks take the lock themselves."""

    factory: ContainerFactory
    addresses: Addresses
    grace_seconds: float
    metadata_urls: Callable[[str], tuple[str, str]]
    """Addresses of the metadata endpoints of a task id: ECS's, and that of its instance."""
    instance_role: Callable[[ComputeEnvironment], str | None]
    running: Callable[[RunningAttempt], None]
    node_running: Callable[[RunningAttempt, int], None]
    node_ended: Callable[[RunningAttempt, int, Outcome], None]
    ended: Callable[[RunningAttempt, AttemptEnd], None]


class RunningAttempt:
    """The tasks of one attempt. Thread safe; `start` once."""

    def __init__(
        self,
        job: Job,
        record: Attempt,
        environment: ComputeEnvironment,
        instances: list[Instance],
        owner: Owner,
    ) -> None:
        self.job = job
        self.record = record
        self.environment = environment
        self.instances = instances
        self.needs = [Need.of(node) for node in job.nodes]
        self.addresses = owner.addresses.take(len(job.nodes))
        self.task_ids = [uuid.uuid4().hex for _ in job.nodes]
        self._owner = owner
        self._lock = threading.Lock()
        self._child_ended = threading.Condition(self._lock)
        self._tasks: dict[int, Task] = {}
        self._created: dict[int, str] = {}
        """When the container of a node was created, ISO 8601."""
        self._live_children = 0
        self._stop_reason: str | None = None
        self._lost_reason: str | None = None
        self._refused_reason = ""
        self._main_ended = False

    def start(self) -> None:
        """Starts the main node."""
        self._start_node(self.job.main_node)

    def stop(self, status_reason: str) -> None:
        """Ends the attempt with SIGTERM; the first reason stands."""
        with self._lock:
            self._stop_reason = self._stop_reason or status_reason
            main = self._tasks.get(self.job.main_node)
        if main is not None:
            main.stop()

    def lose_host(self, node: int, status_reason: str) -> None:
        """The instance of a node is gone: its process is killed without warning.

        Losing the main node's host ends the attempt.
        """
        with self._lock:
            if node == self.job.main_node:
                self._lost_reason = status_reason
            task = self._tasks.get(node)
        if task is not None:
            task.kill()

    def interrupt(self, status_reason: str) -> None:
        """Fargate takes its capacity back: SIGTERM, and SIGKILL after the grace period."""
        with self._lock:
            self._lost_reason = status_reason
            task = self._tasks.get(self.job.main_node)
        if task is not None:
            task.stop()

    def signal(self, node: int, number: int) -> None:
        """A signal for the first process of a node's container."""
        with self._lock:
            task = self._tasks.get(node)
        if task is not None:
            task.signal(number)

    def kill(self) -> None:
        """Kills everything at once; the cloud goes down."""
        with self._lock:
            tasks = list(self._tasks.values())
        for task in tasks:
            task.kill()

    def wait(self, seconds: float) -> None:
        """Until no task is left, or for so long."""
        for task in list(self._tasks.values()):
            task.join(seconds)

    def metadata(self, node: int) -> dict[str, Any]:
        """What the ECS container metadata endpoint (version 4) answers to the node's task."""
        spec = self.job.nodes[node]
        return {
            "DockerId": f"{self.task_ids[node]}-0",
            "Name": "default",
            "Image": spec["image"],
            "Limits": {"CPU": self.needs[node].vcpus * 1024, "Memory": self.needs[node].memory_mib},
            "DesiredStatus": "RUNNING",
            "KnownStatus": "RUNNING",
            "Type": "NORMAL",
            "LogDriver": "awslogs",
            "CreatedAt": self._created[node],
            "Networks": [{"NetworkMode": "awsvpc", "IPv4Addresses": [self.addresses[node]]}],
        }

    # ---- nodes -----------------------------------------------------------------------------------

    def _start_node(self, node: int) -> None:
        task = Task(
            name=f"{self.job.name}#{node}",
            prepare=lambda: self._prepare(node),
            grace_seconds=self._owner.grace_seconds,
            started=lambda _: self._node_started(node),
            ended=lambda _, outcome: self._node_ended(node, outcome),
        )
        with self._lock:
            if self._main_ended:
                return
            self._tasks[node] = task
            if node != self.job.main_node:
                self._live_children += 1
            stopped = self._stop_reason is not None or self._lost_reason is not None
        if stopped:
            task.stop()
        task.start()

    def _prepare(self, node: int) -> Container:
        self._created[node] = datetime.now(UTC).isoformat()
        request = TaskRequest(
            task_id=self.task_ids[node],
            spec=self.job.nodes[node],
            job_definition=self.job.definition.name,
            job_name=self.job.name,
            variables=self._variables(node),
            instance_role=(
                None if self.environment.is_fargate else self._owner.instance_role(self.environment)
            ),
            environment=self.environment,
            instance_type=self.instances[node].type,
        )
        try:
            return self._owner.factory.make(request)
        except StartError:
            raise
        except Exception as error:
            raise StartError(
                f"CannotStartContainerError: {type(error).__name__}: {error}"
            ) from error

    def _variables(self, node: int) -> dict[str, str]:
        job = self.job
        ecs, instance = self._owner.metadata_urls(self.task_ids[node])
        variables = {
            "AWS_BATCH_JOB_ID": f"{job.id}#{node}" if job.multinode else job.id,
            "AWS_BATCH_JOB_ATTEMPT": str(self.record.number),
            "AWS_BATCH_JQ_NAME": job.queue.name,
            "AWS_BATCH_CE_NAME": self.environment.name,
            "ECS_CONTAINER_METADATA_URI_V4": ecs,
        }
        if (
            not self.environment.is_fargate
        ):  # it stands for http://169.254.169.254, which SDKs know by themselves
            variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = instance
        if job.parent is not None:
            variables["AWS_BATCH_JOB_ARRAY_INDEX"] = str(job.array_index)
            variables["AWS_BATCH_JOB_ARRAY_SIZE"] = str(job.parent.array_size)
        if job.multinode:
            variables["AWS_BATCH_JOB_NODE_INDEX"] = str(node)
            variables["AWS_BATCH_JOB_MAIN_NODE_INDEX"] = str(job.main_node)
            variables["AWS_BATCH_JOB_NUM_NODES"] = str(len(job.nodes))
            if node != job.main_node:
                variables["AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS"] = self.addresses[
                    job.main_node
                ]
        return variables

    def _node_started(self, node: int) -> None:
        self._owner.node_running(self, node)
        if node == self.job.main_node:
            self._owner.running(self)
            for child in range(len(self.job.nodes)):
                if child != node:
                    self._start_node(child)

    def _node_ended(self, node: int, outcome: Outcome) -> None:
        with self._lock:
            if node != self.job.main_node:
                self._live_children -= 1
                self._child_ended.notify_all()
            else:
                self._main_ended = True
            children = [task for child, task in self._tasks.items() if child != self.job.main_node]
        if node == self.job.main_node and self._lost_reason is not None:
            outcome = Outcome(exit_code=None)
        if (
            self.environment.is_fargate
            and outcome.exit_code is None
            and outcome.reason.startswith(_IN_STATUS_REASON)
        ):
            self._refused_reason, outcome = outcome.reason, Outcome(exit_code=None)
        self._owner.node_ended(self, node, outcome)
        if node != self.job.main_node:
            return
        for task in children:
            task.stop()
        with self._lock:
            self._child_ended.wait_for(lambda: self._live_children == 0)
        self._owner.ended(self, self._end(outcome))

    def _end(self, outcome: Outcome) -> AttemptEnd:
        if self._lost_reason is not None:
            return AttemptEnd(exit_code=None, reason="", status_reason=self._lost_reason)
        if self._stop_reason is not None:
            return AttemptEnd(
                exit_code=outcome.exit_code, reason=outcome.reason, status_reason=self._stop_reason
            )
        if self._refused_reason:
            return AttemptEnd(exit_code=None, reason="", status_reason=self._refused_reason)
        return AttemptEnd(
            exit_code=outcome.exit_code,
            reason=outcome.reason,
            status_reason=_EXITED if outcome.ran else "Task failed to start",
        )

    def describe_node(self, node: int) -> dict[str, Any]:
        """The attempt's part of a container's description."""
        job = self.job
        spec = job.nodes[node]
        _, stream = log_destination(spec, job.definition.name, self.task_ids[node])
        arn = job.queue.arn.replace(":batch:", ":ecs:").rsplit(":", 1)[0]
        cluster = f"AWSBatch-{self.environment.name}-{self.environment.uuid}"
        detail: dict[str, Any] = {
            "taskArn": f"{arn}:task/{cluster}/{self.task_ids[node]}",
            "logStreamName": stream,
        }
        if not self.environment.is_fargate:
            detail["containerInstanceArn"] = (
                f"{arn}:container-instance/{cluster}/{self.instances[node].id.removeprefix('i-')}"
            )
        if job.multinode:
            detail["networkInterfaces"] = [{"privateIpv4Address": self.addresses[node]}]
        return detail

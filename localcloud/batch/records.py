"""What Batch keeps: compute environments, queues, definitions and jobs.

Plain records; the rules are elsewhere.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from localcloud.moto.state import AwsState
from localcloud.protocol.wire import WireError

Status = Literal["SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED"]
ENDED: Final = ("SUCCEEDED", "FAILED")


def client_error(message: str) -> WireError:
    """The error by which Batch refuses a request."""
    return WireError("ClientException", message)


def long_id() -> str:
    """A new id of a job."""
    return str(uuid.uuid4())


@dataclass(kw_only=True)
class Instance:
    """A container instance of an environment, or the slice of Fargate that one task has."""

    id: str
    type: str
    vcpus: float
    free_vcpus: float
    free_memory_mib: int
    free_gpus: int
    tasks: int = 0
    taken_at: float | None = None
    """When EC2 takes it back, as it has said; seconds since 1970."""
    draining: bool = False
    """Whether the container agent takes no new tasks."""


@dataclass(kw_only=True)
class ComputeEnvironment:
    """A compute environment and the instances that it has now."""

    name: str
    arn: str
    type: str
    state: str
    resources: dict[str, Any]
    service_role: str
    tags: dict[str, str]
    update_policy: dict[str, Any] | None = None
    status: str = "VALID"
    status_reason: str = "ComputeEnvironment Healthy"
    related_until: float = 0.0
    """Moment until which (`time.monotonic`) AWS still sees a queue that has let go of it."""
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    instances: dict[str, Instance] = field(default_factory=dict)
    instance_left: float = float("-inf")
    """When the last instance was terminated, by the monotonic clock."""
    outdated: dict[str, int] = field(default_factory=dict)
    """Job id -> attempt that runs on an instance from before the update that goes on."""
    outdated_until: float = 0.0
    """Until when such jobs may run, by the monotonic clock."""

    @property
    def market(self) -> str:
        """EC2, SPOT, FARGATE or FARGATE_SPOT; empty for unmanaged environments."""
        return str(self.resources.get("type", ""))

    @property
    def is_fargate(self) -> bool:
        """Whether tasks run without instances."""
        return self.market.startswith("FARGATE")

    @property
    def is_spot(self) -> bool:
        """Whether capacity may be taken back."""
        return self.market in ("SPOT", "FARGATE_SPOT")

    @property
    def own_image(self) -> str | None:
        """AMI that its instances boot in place of AWS Batch's own."""
        (configuration, *_) = self.resources.get("ec2Configuration") or [{}]
        return configuration.get("imageIdOverride") or None

    @property
    def vcpus(self) -> float:
        """VCPUs of all instances, busy or not."""
        return sum(instance.vcpus for instance in self.instances.values())


@dataclass(kw_only=True)
class SchedulingPolicy:
    """A fair-share policy."""

    name: str
    arn: str
    fairshare: dict[str, Any]
    tags: dict[str, str]


@dataclass(kw_only=True)
class JobQueue:
    """A job queue, and why its first job cannot be placed."""

    name: str
    arn: str
    state: str
    priority: int
    environments: list[str]
    """ARNs, in their order."""
    order: list[dict[str, Any]]
    policy: str | None
    time_limits: list[dict[str, Any]]
    tags: dict[str, str]
    blocked_job: str | None = None
    blocked_reason: str | None = None
    blocked_since: float = 0.0


@dataclass(kw_only=True)
class JobDefinition:
    """One revision of a job definition; `spec` is the registration request."""

    name: str
    revision: int
    arn: str
    spec: dict[str, Any]
    status: str = "ACTIVE"

    @property
    def kind(self) -> str:
        """`container` or `multinode`."""
        return str(self.spec["type"])

    @property
    def on_fargate(self) -> bool:
        """Whether it was registered for Fargate."""
        return "FARGATE" in self.spec.get("platformCapabilities", [])


@dataclass(kw_only=True)
class Attempt:
    """One attempt of a job as DescribeJobs shows it.

    `nodes` has one entry per node, one for a plain job.
    """

    number: int
    nodes: list[dict[str, Any]]
    environment: str
    started_at: float | None = None
    stopped_at: float | None = None
    status_reason: str = ""


@dataclass(kw_only=True, eq=False)
class Job:
    """A job: a plain one, an array parent, an array child, or a multi-node job.

    A node is no job of its own.
    """

    id: str
    name: str
    queue: JobQueue
    definition: JobDefinition
    nodes: list[dict[str, Any]]
    """Container properties of each node after all overrides; one entry for a job that is not
    multi-node.
    """
    request: dict[str, Any]
    retry: dict[str, Any]
    timeout_seconds: int | None
    created_at: float
    parameters: dict[str, str]
    tags: dict[str, str]
    share: str | None = None
    priority: int = 0
    main_node: int = 0
    array_size: int | None = None
    array_index: int | None = None
    parent: Job | None = None
    children: list[Job] = field(default_factory=list)
    depends_on: list[dict[str, Any]] = field(default_factory=list)
    status: Status = "SUBMITTED"
    status_reason: str = ""
    started_at: float | None = None
    stopped_at: float | None = None
    attempts: list[Attempt] = field(default_factory=list)
    current: Attempt | None = None
    cancelled: bool = False
    terminated: bool = False
    stop_reason: str = ""
    runnable_since: float = 0.0

    @property
    def multinode(self) -> bool:
        """Whether it runs on several nodes."""
        return self.definition.kind == "multinode"

    @property
    def arn(self) -> str:
        """ARN of the job."""
        return f"{self.queue.arn.rsplit(':', 1)[0]}:job/{self.id}"

    @property
    def ended(self) -> bool:
        """Whether nothing changes any more."""
        return self.status in ENDED

    @property
    def latest(self) -> Attempt | None:
        """The attempt that runs, or the last one."""
        return self.current or (self.attempts[-1] if self.attempts else None)


class Store:
    """All records, under one lock. Whoever reads or writes more than one attribute holds it.

    Attributes:
        relation_seconds: How long after a queue has let go of a compute environment AWS still sees
            the relation. The real time is not documented; the reports (pulumi-aws #6233,
            terraform-provider-aws #46925) speak of moments. Here it is long enough that a
            deployment meets it every time.
        shutdown_seconds: How long instances that were terminated still count as members of their
            placement group. In truth minutes.
        placements_busy: Placement group -> until when (monotonic clock) instances of a deleted
            environment are in it.
    """

    def __init__(self, state: AwsState) -> None:
        self.state = state
        self.lock = threading.RLock()
        self.relation_seconds = 5.0
        self.shutdown_seconds = 2.0
        self.placements_busy: dict[str, float] = {}
        self.environments: dict[str, ComputeEnvironment] = {}
        self.queues: dict[str, JobQueue] = {}
        self.policies: dict[str, SchedulingPolicy] = {}
        self.definitions: dict[str, list[JobDefinition]] = {}
        self.jobs: dict[str, Job] = {}

    def environment(self, name_or_arn: str) -> ComputeEnvironment | None:
        """By name or ARN."""
        return self.environments.get(name_or_arn.rsplit("/", 1)[-1])

    def let_go(self, arns: Iterable[str]) -> None:
        """Notes that a queue names these environments no longer."""
        for arn in arns:
            environment = self.environment(arn)
            if environment is not None:
                environment.related_until = time.monotonic() + self.relation_seconds

    def running_in(self, environment: ComputeEnvironment) -> list[Job]:
        """The jobs that are STARTING or RUNNING in an environment."""
        return [
            job
            for job in self.jobs.values()
            if job.current is not None and job.current.environment == environment.arn
        ]

    def queue(self, name_or_arn: str) -> JobQueue | None:
        """By name or ARN."""
        return self.queues.get(name_or_arn.rsplit("/", 1)[-1])

    def definition(self, reference: str) -> JobDefinition | None:
        """By name, `name:revision`, ARN, or ARN without revision, which mean the newest active
        one.
        """
        name, _, revision = reference.rsplit("/", 1)[-1].partition(":")
        revisions = self.definitions.get(name, [])
        if revision:
            return next((each for each in revisions if str(each.revision) == revision), None)
        return next((each for each in reversed(revisions) if each.status == "ACTIVE"), None)

    def policy(self, arn: str) -> SchedulingPolicy | None:
        """By ARN."""
        return self.policies.get(arn)

    def tagged(self, arn: str) -> dict[str, str]:
        """The tags of any Batch resource.

        Raises ClientException where there is none of that ARN.
        """
        resource: Any = next((each for each in self.environments.values() if each.arn == arn), None)
        resource = resource or next(
            (each for each in self.queues.values() if each.arn == arn), None
        )
        resource = (
            resource
            or self.policies.get(arn)
            or next((job for job in self.jobs.values() if job.arn == arn), None)
        )
        if isinstance(resource, Job) and resource.parent is not None:
            raise client_error(f"{arn} is a child of an array job, which has no tags of its own")
        if resource is not None:
            tags: dict[str, str] = resource.tags
            return tags
        definition = self.definition(arn) if ":job-definition/" in arn else None
        if definition is None:
            raise client_error(f"Resource {arn} does not exist.")
        definition_tags: dict[str, str] = definition.spec.setdefault("tags", {})
        return definition_tags

"""An AWS on one machine: `LocalCloud` is the whole of it.

    with LocalCloud(directory, images={"*analysis*": root}) as cloud:
        cloud.client("s3").create_bucket(Bucket="ingest")

Any AWS SDK or the `aws` CLI works against `cloud.endpoint_url`. Batch jobs and functions run as
processes under the roles deployed for them.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Final, Self

from localcloud.batch.api import BatchApi
from localcloud.batch.container import ContainerFactory, Host
from localcloud.batch.container_engine import Engine
from localcloud.batch.disks import Disks
from localcloud.batch.plane import DataPlane
from localcloud.batch.reachability import Reachability
from localcloud.batch.records import Store
from localcloud.batch.tasks import Program
from localcloud.batch.volumes import Volumes
from localcloud.clients import Clients
from localcloud.http.amendments import Amendments
from localcloud.http.front import INSTANCE_PATH, METADATA_PATH, Fault, Front
from localcloud.http.keys import Deployer, Keys
from localcloud.http.refusals import Refusals
from localcloud.http.server import HOST, HttpServer
from localcloud.iam.access import Access, Asked, Denial
from localcloud.moto.state import ACCOUNT_ID, AwsState, prepare_moto, reset_moto
from localcloud.services.budgets import BudgetActions
from localcloud.services.cloudwatch_alarms import Alarms, Change
from localcloud.services.cloudwatch_metrics import Metrics
from localcloud.services.efs import EfsSettings
from localcloud.services.event_targets import Targets
from localcloud.services.eventbridge import EventBus, Undelivered
from localcloud.services.fsx import Fsx
from localcloud.services.functions import Functions
from localcloud.services.image_builder import ImageBuilder
from localcloud.services.image_builds import Builds, Cleaning
from localcloud.services.instance_metadata import InstanceMetadata
from localcloud.services.logs_insights.saved import Queries
from localcloud.services.metric_reads import MetricReads
from localcloud.services.moto_overrides import moto_overrides
from localcloud.services.placement_groups import PlacementGroups
from localcloud.services.s3.disk import contents_on_disk
from localcloud.services.s3_events import StorageEvents
from localcloud.services.scheduler import Schedules
from localcloud.services.slack import SlackSink
from localcloud.services.sqs_polling import Polls
from localcloud.services.step_functions import interpreter

_one_at_a_time = threading.Lock()  # moto's state belongs to the process


class LocalCloud:
    """A running AWS on a loopback port. One per process at a time; each starts empty.

    Args:
        directory: For working directories of jobs and the code of functions; made if need be.
        images: Pattern (fnmatch) of an image name -> directory that stands for the image's /app, is
            on PYTHONPATH, and whose `bin`, if it has one, comes first on PATH (a virtual
            environment is such a directory), or a `Program` that is called in place of any command.
            A job whose image no pattern matches fails with CannotPullContainerError.
        port: Of 127.0.0.1; 0 takes a free one.
        region: The only region.
        containers: `docker` or `podman`, to run the containers of images that `images` does not
            map; without it they are refused.

    Attributes:
        account_id: Of everything in it.
        engine: The container engine, where one was asked for.
        deployer: The key of the one who may do everything; new with each cloud.
        pending: Events and functions that are under way.
        slack: The incoming webhook (`url`, `messages`, `fail_next`).
        batch: The Batch data plane, with hooks for lost hosts, missing capacity and the clock.
        polls: How SQS is polled; a test need not wait for messages that do not come.
        transitions_throttled: While it is set, no execution of a state machine enters another
            state.
    """

    account_id: Final = ACCOUNT_ID

    def __init__(
        self,
        directory: Path,
        *,
        images: Mapping[str, Path | Program],
        port: int = 0,
        region: str = "us-east-1",
        containers: str | None = None,
    ) -> None:
        self.directory = directory
        self._containers = containers
        self.region = region
        self.slack = SlackSink()
        self.deployer = Deployer()
        self._images = dict(images)
        self._wanted_port = port
        self.transitions_throttled = threading.Event()
        self._running: contextlib.ExitStack | None = None

    # ---- life ------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Starts empty and answers from now on.

        Raises OSError where the port is taken, EngineError where the container engine does not
        answer, RuntimeError where a cloud runs in this process already.
        """
        if not _one_at_a_time.acquire(blocking=False):
            raise RuntimeError(
                "another LocalCloud runs in this process; stop it first, or use another process"
            )
        with contextlib.ExitStack() as stack:
            stack.callback(_one_at_a_time.release)
            self._build(stack)
            self._running = stack.pop_all()
        return self

    def stop(self) -> None:
        """Kills every job and function, closes the port. Does nothing where it does not run."""
        if self._running is not None:
            self._running.close()
            self._running = None

    def _build(self, stack: contextlib.ExitStack) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        stack.callback(shutil.rmtree, self.directory / "tasks", ignore_errors=True)
        objects = self.directory / "objects"
        stack.callback(shutil.rmtree, objects, ignore_errors=True)
        self.engine: Engine | None = None
        if self._containers is not None:
            self.engine = Engine.found(self._containers, self.directory)
            stack.callback(self.engine.remove_all)
        reset_moto()
        stack.callback(reset_moto)  # objects let go of their files
        stack.enter_context(contents_on_disk(objects))
        state = AwsState(self.region)
        access = Access(state)
        server = HttpServer(self._answer, self._wanted_port)
        self.port = server.port
        self._clients = Clients(access, self.endpoint_url, self.region)
        groups = PlacementGroups(state)
        metrics = Metrics(state, self.now)
        functions = Functions(
            directory=self.directory / "functions",
            images={
                pattern: image for pattern, image in self._images.items() if isinstance(image, Path)
            },
            state=state,
            access=access,
            role_client=self._clients.of_role,
            metrics=metrics,
        )
        targets = Targets(
            client=self.client,
            role_client=self._clients.of_role,
            invoke_function=functions.invoke_async,
        )
        self.pending, bus = functions.pending, EventBus(state, access, targets, functions.pending)
        self._schedules = Schedules(state, targets, bus.submit, self.now)
        prepare_moto(self.port)
        self.slack.url = f"{self.endpoint_url}{self.slack.path}"
        functions.endpoint_url = self.endpoint_url
        host = Host(
            directory=self.directory,
            images=self._images,
            endpoint_url=self.endpoint_url,
            client=self.client,
            engine=self.engine,
        )
        store, reachability = Store(state), Reachability(state, access)
        shared = self.directory / "shared"
        stack.callback(shutil.rmtree, shared, ignore_errors=True)
        fsx, efs = Fsx(state, self.client, shared), EfsSettings(state, shared)
        volumes = Volumes(state, access, fsx, shared)
        self.batch = DataPlane(
            store=store,
            factory=ContainerFactory(host, state, access, volumes, Disks(state), reachability),
            publish=functools.partial(_publish, bus, metrics),
            joinable=reachability.problem,
            metadata_urls=lambda task_id: (
                f"{self.endpoint_url}{METADATA_PATH}{task_id}",
                f"{self.endpoint_url}{INSTANCE_PATH}{task_id}",
            ),
        )
        self._access, self._bus, self._functions, self._metrics = access, bus, functions, metrics
        self._alarms = Alarms(state, access, self.client, self.now)
        self.image_builds = Builds(state, access, reachability.unreached_from, self.client)
        image_builder = ImageBuilder(
            state,
            self.image_builds,
            Cleaning(access, self.client, self.batch.launches.last_launched, self.now),
        )
        self._budget_actions = BudgetActions(state, self._clients.of_role)
        self.polls = Polls(state)
        self._front = Front(
            turns=state.turns,
            access=access,
            keys=Keys(state, self.deployer),
            batch=BatchApi(
                store,
                self.batch,
                groups.by_name,
                lambda: [
                    *fsx.tags(),
                    *image_builder.tags(),
                    *groups.tags(),
                    *state.tagged_beside(),
                ],
            ),
            plane=self.batch,
            bus=bus,
            functions=functions,
            storage_events=StorageEvents(state, access, bus, self.client, functions.invoke_async),
            placement_groups=groups,
            refusals=Refusals(state, store, access, efs.rules),
            instance_metadata=InstanceMetadata(state, access),
            budget_actions=self._budget_actions,
            alarms=self._alarms,
            metric_reads=MetricReads(state, self.now),
            queries=Queries(state),
            schedules=self._schedules,
            polls=self.polls,
            slack_sink=self.slack,
            objects=objects,
            amendments=Amendments(state),
            efs=efs,
            fsx=fsx,
            image_builder=image_builder,
        )
        stack.enter_context(moto_overrides(functions))
        stack.enter_context(
            interpreter(
                state,
                self._clients.of_role,
                lambda source, detail_type, resources, detail: bus.submit(
                    lambda: _ignore(bus.publish(source, detail_type, resources, detail))
                ),
                metrics.execution_counted,
                self.transitions_throttled,
                access.require,
            )
        )
        server.start()
        stack.callback(server.stop)
        stack.callback(self._clients.close)
        stack.callback(bus.close)
        stack.callback(self._schedules.close)
        stack.callback(functions.close)
        self.batch.start()
        stack.callback(self.batch.stop)

    def _answer(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        # the port has to be known before the front can be built
        return self._front(environ, start_response)

    # ---- use -------------------------------------------------------------------------------------

    @property
    def endpoint_url(self) -> str:
        """For AWS_ENDPOINT_URL and `--endpoint-url`."""
        return f"http://{HOST}:{self.port}"

    def client(self, service: str) -> Any:
        """A boto3 client with the deployer's credentials; one per service, safe to share between
        threads.
        """
        return self._clients.of(service, "", self.deployer.credentials)

    def role_client(
        self, service: str, role_arn: str, principal: str = "ecs-tasks.amazonaws.com"
    ) -> Any:
        """A boto3 client with a role's credentials, as a job (or another service principal) would
        have them. Raises AssumeRoleError.
        """
        return self._clients.of_role(service, role_arn, principal)

    @property
    def denials(self) -> list[Denial]:
        """Calls of jobs, functions and services that the deployed policies refused."""
        return self._access.denials

    @property
    def asked(self) -> list[Asked]:
        """The permissions that jobs, functions and services needed, in order; see
        `Access.asked`.
        """
        return self._access.asked()

    @property
    def undelivered(self) -> list[Undelivered]:
        """Events that EventBridge could not deliver."""
        return self._bus.undelivered

    @property
    def own_operations(self) -> Mapping[str, list[str]]:
        """By service, the operations that this program answers itself."""
        return self._front.own

    @property
    def faults(self) -> list[Fault]:
        """Hooks that every call passes before it is answered; see `Fault`."""
        return self._front.faults

    def disorder(self, random: Random, *, most_copies: int) -> AbstractContextManager[list[Any]]:
        """Events that are published in the block come after it, each 1 to `most_copies` times and
        in random order; see `EventBus`.
        """
        return self._bus.disorder(random, most_copies=most_copies)

    def spend(self, budget: str, usd: float) -> None:
        """Lets the month of a budget have cost so much, with what AWS Budgets does then; see
        `BudgetActions`.
        """
        self._budget_actions.spend(budget, usd)

    def now(self) -> float:
        """The clock of the cloud, seconds since 1970; `batch.advance` puts it forward."""
        return self.batch.now()

    def tick(self) -> list[Change]:
        """One beat of the clocks that AWS keeps by itself and this cloud does not; returns the
        alarms that changed.

        Samples the depth of SQS queues, evaluates all alarms, lets the time of every rule with a
        schedule come, and that of every schedule of EventBridge Scheduler as often as it has come
        since the last beat. What a scheduled function measures counts with the next beat.
        """
        self._metrics.sample_queues()
        changes = self._alarms.evaluate()
        self._bus.fire_schedules(self.now())
        self._schedules.fire()
        return changes


def _publish(
    bus: EventBus, metrics: Metrics, detail_type: str, resources: list[str], detail: dict[str, Any]
) -> None:
    """Sends an event of AWS Batch in the background; a change of state counts in its metrics at
    once.
    """
    if detail_type == "Batch Job State Change":
        metrics.job_moved(detail)

    bus.submit(lambda: _ignore(bus.publish("aws.batch", detail_type, resources, detail)))


def _ignore(_: object) -> None:
    """Drops a result."""

"""The data plane of Batch: places jobs, runs their attempts, and ends what is over time.

One thread decides, woken by every change; attempts run in threads of their own. All state is under
the store's lock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from localcloud.batch.attempts import Addresses, Owner, RunningAttempt
from localcloud.batch.container import ContainerFactory
from localcloud.batch.launches import NO_CAPACITY, Launches
from localcloud.batch.placement import (
    INVALID_ENVIRONMENTS,
    Capacity,
    Need,
    Refusal,
    most_telling,
    release,
)
from localcloud.batch.records import (
    Attempt,
    ComputeEnvironment,
    Instance,
    Job,
    JobQueue,
    Store,
)
from localcloud.batch.retries import AttemptEnd, retries
from localcloud.batch.spot_market import INTERRUPTED, NOTICE_SECONDS, SpotMarket
from localcloud.batch.states import JobStates, Publish

_log = logging.getLogger(__name__)


class DataPlane:
    """Schedules and runs the jobs of a store.

    Args:
        store: All records.
        factory: Makes containers.
        publish: Sends an event of source `aws.batch`; must not block.
        joinable: Why instances of an environment cannot join its cluster, or None.
        metadata_urls: Addresses of the metadata endpoints of a task id: ECS's, and that of its
            instance.
        grace_seconds: From SIGTERM to SIGKILL; 30 on ECS.
    """

    def __init__(
        self,
        *,
        store: Store,
        factory: ContainerFactory,
        publish: Publish,
        joinable: Callable[[ComputeEnvironment], str | None],
        metadata_urls: Callable[[str], tuple[str, str]],
        grace_seconds: float = 30.0,
    ) -> None:
        self.store = store
        self.launches = Launches(store, self.now)
        self.capacity = Capacity(shapes=store.state.instance_shapes(), launches=self.launches)
        self.states = JobStates(store=store, publish=publish, now=self.now, wake=self.wake)
        self._joinable = joinable
        self._changed = threading.Condition(store.lock)
        self._pending_change = False
        self._stopping = False
        self._offset = 0.0
        self._running: dict[str, RunningAttempt] = {}
        self.market = SpotMarket(store, self.now, self._running.values)
        self._timed_out: set[str] = set()
        self._owner = Owner(
            factory=factory,
            addresses=Addresses(),
            grace_seconds=grace_seconds,
            metadata_urls=metadata_urls,
            instance_role=lambda environment: store.state.instance_profile_role(
                environment.resources["instanceRole"]
            ),
            running=self.states.attempt_running,
            node_running=self.states.node_running,
            node_ended=self.states.node_ended,
            ended=self._on_ended,
        )
        self._thread = threading.Thread(target=self._loop, name="batch-scheduler", daemon=True)

    # ---- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the scheduler."""
        self._thread.start()

    def stop(self) -> None:
        """Kills every job and ends the scheduler; returns when no job process is left."""
        with self.store.lock:
            self._stopping = True
            running = list(self._running.values())
            self.wake()
        for attempt in running:
            attempt.kill()
        for attempt in running:
            attempt.wait(10.0)
        self._thread.join()

    def now(self) -> float:
        """The scheduler's clock, in seconds since 1970."""
        return time.time() + self._offset

    def wake(self) -> None:
        """Something changed that may let a job go on: a request, a permission, a network."""
        with self.store.lock:
            self._pending_change = True
            self._changed.notify_all()

    def _loop(self) -> None:
        with self.store.lock:
            while not self._stopping:
                self._pending_change = False
                try:
                    seconds = self._step()
                except Exception:  # noqa: BLE001 - logged below
                    # a scheduler that is gone would leave every job waiting without a word
                    _log.exception("the Batch scheduler failed; it goes on with the next change")
                    seconds = None
                if not self._pending_change:
                    self._changed.wait(seconds)

    def _step(self) -> float | None:
        self.states.resolve_dependencies()
        for environment in self.store.environments.values():
            self.capacity.keep_minimum(environment)
        self._place_all()
        for environment, instance in self.market.due():
            self._take(environment, instance)
        return self._run_timers()

    # ---- hooks for tests and rehearsals ----------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Puts the scheduler's clock forward: job timeouts and RUNNABLE time limits come that much
        sooner.
        """
        self._offset += seconds
        self.wake()

    def withhold_capacity(self, *instance_types: str) -> None:
        """EC2 has no such instances until called again; `*` stands for any type, no argument ends
        the shortage.
        """
        with self.store.lock:
            self.launches.withheld = set(instance_types)
            self.wake()

    def refuse_launches(self, said: str) -> None:
        """EC2 starts no instance and says so, in its own words, until called with none."""
        with self.store.lock:
            self.launches.refused = said
            self.wake()

    def limit_quota(self, code: str, vcpus: float) -> None:
        """The account may run so many vCPUs of a quota (config/quotas.py) at one time."""
        with self.store.lock:
            self.launches.quotas[code] = vcpus
            self.wake()

    def leave_on_disks(self, left: int | None) -> None:
        """Other jobs have filled the disks of all instances, and of Fargate, but for so many bytes;
        None: nobody else is there. Containers that start from now on find them so.
        """
        self._owner.factory.disks.left = left

    def lose_host(self, job_id: str, *, node: int | None = None) -> str:
        """Takes away the instance under a running job (Spot interruption, hardware failure) and
        returns its id.

        Args:
            job_id: A job that is STARTING or RUNNING.
            node: Which node of a multi-node job; the main node without it.

        Raises LookupError where the job does not run.
        """
        with self.store.lock:
            attempt = self._attempt_of(job_id)
            index = attempt.job.main_node if node is None else node
            instance = attempt.instances[index]
            self._take(attempt.environment, instance)
        return instance.id

    def reclaim(self, job_id: str, *, notice_seconds: float = NOTICE_SECONDS) -> str:
        """EC2 says that it takes the machine under a running job back, and does so in time;
        returns its id. Raises LookupError where the job does not run, or not on Spot.
        """
        with self.store.lock:
            attempt = self._attempt_of(job_id)
            if not attempt.environment.is_spot:
                raise LookupError(f"job {job_id} runs on no Spot machine")
            instance = attempt.instances[attempt.job.main_node]
            self.market.announce(attempt.environment, instance, notice_seconds)
            self.wake()
        return instance.id

    def reclaim_every(
        self, seconds: float | None, *, notice_seconds: float = NOTICE_SECONDS
    ) -> None:
        """A market that takes every Spot machine back so long after its start; None ends it."""
        with self.store.lock:
            self.market.set(seconds, notice_seconds)
            self.wake()

    def _take(self, environment: ComputeEnvironment, instance: Instance) -> None:
        environment.instances.pop(instance.id, None)
        gone = f"Host EC2 (instance {instance.id}) terminated."
        for attempt, node in self.market.on(instance):
            attempt.lose_host(node, INTERRUPTED if environment.is_fargate else gone)

    def _attempt_of(self, job_id: str) -> RunningAttempt:
        attempt = self._running.get(job_id)
        if attempt is None:
            raise LookupError(f"job {job_id} does not run")
        return attempt

    # ---- requests --------------------------------------------------------------------------------

    def terminate(self, job: Job, reason: str) -> None:
        """TerminateJob: ends the job in any state."""
        self.states.end_unstarted(job, reason, flag="terminated")
        for each in [job, *job.children]:
            attempt = self._running.get(each.id)
            if attempt is not None:
                each.terminated, each.stop_reason = True, reason
                attempt.stop(reason)

    def terminate_queue(self, queue: JobQueue) -> None:
        """Ends every job of a queue that is deleted."""
        for job in list(self.store.jobs.values()):
            if job.queue is queue and job.parent is None and not job.ended:
                self.terminate(job, "Job queue was deleted")

    def holding(self, queue: JobQueue) -> list[tuple[str, float]]:
        """Share (empty for none) and vCPUs of each job of the queue that holds resources."""
        return [
            (attempt.job.share or "", sum(need.vcpus for need in attempt.needs))
            for attempt in self._running.values()
            if attempt.job.queue is queue
        ]

    def task(self, task_id: str) -> tuple[RunningAttempt, int] | None:
        """The attempt that a running task belongs to, and its node there."""
        with self.store.lock:
            for attempt in self._running.values():
                if task_id in attempt.task_ids:
                    return attempt, attempt.task_ids.index(task_id)
        return None

    # ---- placement -------------------------------------------------------------------------------

    def _place_all(self) -> None:
        for queue in sorted(self.store.queues.values(), key=lambda each: -each.priority):
            while True:
                jobs = self.states.runnable(queue)
                if not jobs:
                    queue.blocked_job = queue.blocked_reason = None
                    break
                refusal = self._place(queue, jobs[0])
                if refusal is not None:
                    self.states.note_blocked(queue, jobs[0], refusal)
                    break

    def _place(self, queue: JobQueue, job: Job) -> Refusal | None:
        """Starts the job, or says why it has to wait.

        A job that cannot go on holds up those behind it.
        """
        needs = [Need.of(node) for node in job.nodes]
        policy = self.store.policy(queue.policy) if queue.policy else None
        fraction = (
            1.0
            if policy is None
            else self.states.ledger.fraction(policy.fairshare, queue.name, self.now())
        )
        refusals = []
        for arn in queue.environments:
            environment = self.store.environment(arn)
            if (
                environment is None
                or environment.state != "ENABLED"
                or environment.type != "MANAGED"
            ):
                continue
            if not self._is_healthy(environment):
                refusals.append(Refusal(reason=INVALID_ENVIRONMENTS))
                continue
            placed = self.capacity.place(
                environment, needs, multinode=job.multinode, fraction=fraction
            )
            if isinstance(placed, list):
                self._start(queue, job, environment, placed, needs)
                return None
            refusals.append(placed)
            if job.multinode and placed.reason == NO_CAPACITY:
                break  # a multi-node job does not fall through to the next environment
        return most_telling(refusals)

    def _is_healthy(self, environment: ComputeEnvironment) -> bool:
        problem = self._joinable(environment)
        environment.status = "VALID" if problem is None else "INVALID"
        environment.status_reason = problem or "ComputeEnvironment Healthy"
        return problem is None

    def _start(
        self,
        queue: JobQueue,
        job: Job,
        environment: ComputeEnvironment,
        instances: list[Instance],
        needs: list[Need],
    ) -> None:
        self.states.placed(queue, job)
        record = Attempt(number=len(job.attempts) + 1, nodes=[], environment=environment.arn)
        attempt = RunningAttempt(job, record, environment, instances, self._owner)
        record.nodes = [
            {**attempt.describe_node(node), "status": "STARTING"} for node in range(len(job.nodes))
        ]
        job.current = record
        self._running[job.id] = attempt
        self.states.ledger.open(job, sum(need.vcpus for need in needs), self.now())
        self.states.move(job, "STARTING")
        attempt.start()

    # ---- timers ----------------------------------------------------------------------------------

    def _run_timers(self) -> float | None:
        """Ends what is over time; returns the seconds until the next thing may be."""
        now, nearest = self.now(), self.now() + self.market.next()
        for attempt in list(self._running.values()):
            job = attempt.job
            if (
                job.timeout_seconds is None
                or attempt.record.started_at is None
                or job.id in self._timed_out
            ):
                continue
            deadline = attempt.record.started_at + job.timeout_seconds
            if deadline <= now:
                self._timed_out.add(job.id)
                attempt.stop("Job attempt duration exceeded timeout")
            nearest = min(nearest, deadline)
        for queue in self.store.queues.values():
            limit = next(
                (each for each in queue.time_limits if each["reason"] == queue.blocked_reason), None
            )
            if limit is None or queue.blocked_job is None:
                continue
            deadline = queue.blocked_since + limit["maxTimeSeconds"]
            if deadline <= now:
                job = self.store.jobs[queue.blocked_job]
                job.cancelled = True
                self.states.finish(
                    job,
                    "FAILED",
                    f"Canceled by JobStateTimeLimit action due to reason: {queue.blocked_reason}",
                )
            nearest = min(nearest, deadline)
        return None if nearest == float("inf") else max(0.0, nearest - now)

    # ---- what attempts report --------------------------------------------------------------------

    def _on_ended(self, attempt: RunningAttempt, end: AttemptEnd) -> None:
        job, record = attempt.job, attempt.record
        with self.store.lock:
            del self._running[job.id]
            for instance, need in zip(attempt.instances, attempt.needs, strict=True):
                release(instance, need, multinode=job.multinode)
                if attempt.environment.is_fargate:
                    attempt.environment.instances.pop(instance.id, None)
            self.states.ledger.close(job, self.now())
            record.stopped_at, record.status_reason = self.now(), end.status_reason
            job.attempts.append(record)
            job.current = None
            timed_out = job.id in self._timed_out
            self._timed_out.discard(job.id)
            if self._stopping:
                return
            if end.exit_code == 0 and not timed_out and not job.terminated:
                self.states.finish(job, "SUCCEEDED", end.status_reason)
            elif (
                not timed_out
                and not job.terminated
                and retries(job.retry, attempts=len(job.attempts), end=end)
            ):
                job.status_reason = end.status_reason
                self.states.make_runnable(job)
                self.wake()
            else:
                self.states.finish(
                    job, "FAILED", job.stop_reason if job.terminated else end.status_reason
                )

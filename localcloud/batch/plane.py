"""The data plane of Batch: moves jobs through their states, places them, runs their attempts, and
tells EventBridge.

One thread decides, woken by every change; attempts run in threads of their own. All state is under
the store's lock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from localcloud.batch import descriptions, fair_share
from localcloud.batch.attempts import Addresses, Owner, RunningAttempt
from localcloud.batch.container import ContainerFactory
from localcloud.batch.dependencies import Waiting
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
    Status,
    Store,
)
from localcloud.batch.retries import AttemptEnd, retries
from localcloud.batch.tasks import Outcome

_log = logging.getLogger(__name__)

Publish = Callable[[str, list[str], dict[str, Any]], None]
"""Takes detail type, resources and detail of an event."""


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
        self._publish = publish
        self._joinable = joinable
        self._changed = threading.Condition(store.lock)
        self._pending_change = False
        self._stopping = False
        self._offset = 0.0
        self._waiting = Waiting(store)
        self._runnable: dict[str, list[Job]] = {}
        self._running: dict[str, RunningAttempt] = {}
        self._timed_out: set[str] = set()
        self._ledger = fair_share.Ledger()
        self._owner = Owner(
            factory=factory,
            addresses=Addresses(),
            grace_seconds=grace_seconds,
            metadata_urls=metadata_urls,
            instance_role=lambda environment: store.state.instance_profile_role(
                environment.resources["instanceRole"]
            ),
            running=self._on_running,
            node_running=self._on_node_running,
            node_ended=self._on_node_ended,
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
        self._resolve_dependencies()
        for environment in self.store.environments.values():
            self.capacity.keep_minimum(environment)
        self._place_all()
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

    def limit_quota(self, code: str, vcpus: float) -> None:
        """The account may run so many vCPUs of a quota (config/quotas.py) at one time."""
        with self.store.lock:
            self.launches.quotas[code] = vcpus
            self.wake()

    def lose_host(self, job_id: str, *, node: int | None = None) -> str:
        """Takes away the instance under a running job (Spot interruption, hardware failure) and
        returns its id.

        Args:
            job_id: A job that is STARTING or RUNNING.
            node: Which node of a multi-node job; the main node without it.

        Raises LookupError where the job does not run.
        """
        with self.store.lock:
            attempt = self._running.get(job_id)
            if attempt is None:
                raise LookupError(f"job {job_id} does not run")
            index = attempt.job.main_node if node is None else node
            instance = attempt.instances[index]
            attempt.environment.instances.pop(instance.id, None)
            lost = [
                (each, i)
                for each in self._running.values()
                for i, other in enumerate(each.instances)
                if other is instance
            ]
            fargate = attempt.environment.is_fargate
        reason = (
            "Your Spot Task was interrupted."
            if fargate
            else f"Host EC2 (instance {instance.id}) terminated."
        )
        for each, i in lost:
            each.lose_host(i, reason)
        return instance.id

    # ---- requests --------------------------------------------------------------------------------

    def add(self, job: Job) -> None:
        """A job that SubmitJob has built. The caller holds the lock."""
        for each in (job, *job.children):
            self.store.jobs[each.id] = each
            self._waiting.add(each)
            self._ledger.enter(each)
        self.wake()

    def cancel(self, job: Job, reason: str) -> None:
        """CancelJob: ends what has not started yet; running jobs go on.

        What waits for other jobs ends when those have (API reference).
        """
        for each in (job, *job.children):
            if each.array_size is None and self._waiting.has(each):
                each.cancelled, each.stop_reason = True, reason
        self._end_unstarted(job, reason, flag="cancelled")

    def terminate(self, job: Job, reason: str) -> None:
        """TerminateJob: ends the job in any state."""
        self._end_unstarted(job, reason, flag="terminated")
        for each in [job, *job.children]:
            attempt = self._running.get(each.id)
            if attempt is not None:
                each.terminated, each.stop_reason = True, reason
                attempt.stop(reason)

    def terminate_queue(self, queue: JobQueue) -> None:
        """Ends every job of a queue that is deleted."""
        for job in [
            job
            for job in self.store.jobs.values()
            if job.queue is queue and not job.ended and job.parent is None
        ]:
            self.terminate(job, "Job queue was deleted")

    def _end_unstarted(self, job: Job, reason: str, *, flag: str) -> None:
        for each in [*job.children, job]:
            waits = flag == "cancelled" and self._waiting.has(each)
            if (
                each.status in ("SUBMITTED", "PENDING", "RUNNABLE")
                and each.array_size is None
                and not waits
            ):
                setattr(each, flag, True)
                self._finish(each, "FAILED", reason)
        if job.array_size is not None:
            setattr(job, flag, True)
        self.wake()

    def runnable(self, queue: JobQueue) -> list[Job]:
        """The queue's RUNNABLE jobs, in the order in which they will be placed."""
        jobs = self._runnable.get(queue.name, [])
        policy = self.store.policy(queue.policy) if queue.policy else None
        if policy is None or not jobs:
            return list(jobs)
        now, ledger = self.now(), self._ledger
        return fair_share.ordered(
            policy.fairshare,
            jobs,
            ledger.of(queue.name),
            ledger.active(policy.fairshare, queue.name, now),
            now,
        )

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

    # ---- states ----------------------------------------------------------------------------------

    def _move(self, job: Job, status: Status, reason: str = "") -> None:
        job.status, job.status_reason = status, reason
        self._publish("Batch Job State Change", [job.arn], descriptions.describe(job))

    def _finish(self, job: Job, status: Status, reason: str) -> None:
        self._waiting.ended(job)
        self._ledger.leave(job)
        queue = self._runnable.get(job.queue.name, [])
        if job in queue:
            queue.remove(job)
        job.stopped_at = self.now()
        self._move(job, status, reason)
        parent = job.parent
        if (
            parent is not None
            and not parent.ended
            and all(child.ended for child in parent.children)
        ):
            failed = any(child.status == "FAILED" for child in parent.children)
            self._finish(
                parent,
                "FAILED" if failed else "SUCCEEDED",
                "Array Child Job failed" if failed else "",
            )
        self.wake()

    def _resolve_dependencies(self) -> None:
        while (job := self._waiting.next()) is not None:
            if job.array_size is not None:
                if job.status == "SUBMITTED":
                    self._move(job, "PENDING")
                continue
            states = [other.status for other in self._waiting.prerequisites(job)]
            if "FAILED" in states:
                self._finish(
                    job, "FAILED", job.stop_reason if job.cancelled else "Dependent Job failed"
                )
            elif all(state == "SUCCEEDED" for state in states):
                if job.cancelled:
                    self._finish(job, "FAILED", job.stop_reason)
                    continue
                self._waiting.remove(job)
                self._make_runnable(job)
            elif job.status == "SUBMITTED":
                self._move(job, "PENDING")

    def _make_runnable(self, job: Job) -> None:
        job.runnable_since = self.now()
        self._runnable.setdefault(job.queue.name, []).append(job)
        self._move(job, "RUNNABLE", job.status_reason if job.attempts else "")

    # ---- placement -------------------------------------------------------------------------------

    def _place_all(self) -> None:
        for queue in sorted(self.store.queues.values(), key=lambda each: -each.priority):
            while True:
                jobs = self.runnable(queue)
                if not jobs:
                    queue.blocked_job = queue.blocked_reason = None
                    break
                refusal = self._place(queue, jobs[0])
                if refusal is not None:
                    self._note_blocked(queue, jobs[0], refusal)
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
            else self._ledger.fraction(policy.fairshare, queue.name, self.now())
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

    def _note_blocked(self, queue: JobQueue, job: Job, refusal: Refusal) -> None:
        if not refusal.reason:
            queue.blocked_job = queue.blocked_reason = None
            return
        if (queue.blocked_job, queue.blocked_reason) == (job.id, refusal.reason):
            return
        queue.blocked_job, queue.blocked_reason, queue.blocked_since = (
            job.id,
            refusal.reason,
            self.now(),
        )
        job.status_reason = refusal.text
        detail = descriptions.describe(job)
        self._publish("Batch Job Queue Blocked", [job.arn, queue.arn], detail)

    def _start(
        self,
        queue: JobQueue,
        job: Job,
        environment: ComputeEnvironment,
        instances: list[Instance],
        needs: list[Need],
    ) -> None:
        self._runnable[queue.name].remove(job)
        if queue.blocked_job == job.id:
            queue.blocked_job = queue.blocked_reason = None
        record = Attempt(number=len(job.attempts) + 1, nodes=[], environment=environment.arn)
        attempt = RunningAttempt(job, record, environment, instances, self._owner)
        record.nodes = [
            {**attempt.describe_node(node), "status": "STARTING"} for node in range(len(job.nodes))
        ]
        job.current = record
        self._running[job.id] = attempt
        self._ledger.open(job, sum(need.vcpus for need in needs), self.now())
        self._move(job, "STARTING")
        attempt.start()

    # ---- timers ----------------------------------------------------------------------------------

    def _run_timers(self) -> float | None:
        """Ends what is over time; returns the seconds until the next thing may be."""
        now, nearest = self.now(), float("inf")
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
                self._finish(
                    job,
                    "FAILED",
                    f"Canceled by JobStateTimeLimit action due to reason: {queue.blocked_reason}",
                )
            nearest = min(nearest, deadline)
        return None if nearest == float("inf") else max(0.0, nearest - now)

    # ---- what attempts report --------------------------------------------------------------------

    def _on_running(self, attempt: RunningAttempt) -> None:
        with self.store.lock:
            attempt.record.started_at = attempt.job.started_at = self.now()
            attempt.job.stopped_at = None
            self._move(attempt.job, "RUNNING")
            self.wake()

    def _on_node_running(self, attempt: RunningAttempt, node: int) -> None:
        with self.store.lock:
            attempt.record.nodes[node].update(status="RUNNING", started=self.now())

    def _on_node_ended(self, attempt: RunningAttempt, node: int, outcome: Outcome) -> None:
        with self.store.lock:
            state = attempt.record.nodes[node]
            state.update(
                status="SUCCEEDED" if outcome.exit_code == 0 else "FAILED", stopped=self.now()
            )
            if outcome.exit_code is not None:
                state["exitCode"] = outcome.exit_code
            if outcome.reason:
                state["reason"] = outcome.reason

    def _on_ended(self, attempt: RunningAttempt, end: AttemptEnd) -> None:
        job, record = attempt.job, attempt.record
        with self.store.lock:
            del self._running[job.id]
            for instance, need in zip(attempt.instances, attempt.needs, strict=True):
                release(instance, need, multinode=job.multinode)
                if attempt.environment.is_fargate:
                    attempt.environment.instances.pop(instance.id, None)
            self._ledger.close(job, self.now())
            record.stopped_at, record.status_reason = self.now(), end.status_reason
            job.attempts.append(record)
            job.current = None
            timed_out = job.id in self._timed_out
            self._timed_out.discard(job.id)
            if self._stopping:
                return
            if end.exit_code == 0 and not timed_out and not job.terminated:
                self._finish(job, "SUCCEEDED", end.status_reason)
            elif (
                not timed_out
                and not job.terminated
                and retries(job.retry, attempts=len(job.attempts), end=end)
            ):
                job.status_reason = end.status_reason
                self._make_runnable(job)
                self.wake()
            else:
                self._finish(
                    job, "FAILED", job.stop_reason if job.terminated else end.status_reason
                )

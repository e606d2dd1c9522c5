"""The states of jobs: what waits for other jobs, what is RUNNABLE in each queue, and every move
from one state to the next, of which EventBridge is told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.batch import descriptions, fair_share
from localcloud.batch.attempts import RunningAttempt
from localcloud.batch.dependencies import Waiting
from localcloud.batch.placement import Refusal
from localcloud.batch.records import Job, JobQueue, Status, Store
from localcloud.batch.tasks import Outcome

Publish = Callable[[str, list[str], dict[str, Any]], None]
"""Takes detail type, resources and detail of an event."""


class JobStates:
    """Moves the jobs of a store through their states.

    Callers hold the store's lock, but for what attempts report.

    Args:
        store: All records.
        publish: Sends an event of source `aws.batch`; must not block.
        now: The scheduler's clock, in seconds since 1970.
        wake: Has the scheduler look again.
    """

    def __init__(
        self,
        *,
        store: Store,
        publish: Publish,
        now: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        self.ledger = fair_share.Ledger()
        self._store = store
        self._publish = publish
        self._now = now
        self._wake = wake
        self._waiting = Waiting(store)
        self._runnable: dict[str, list[Job]] = {}

    def add(self, job: Job) -> None:
        """A job that SubmitJob has built."""
        for each in (job, *job.children):
            self._store.jobs[each.id] = each
            self._waiting.add(each)
            self.ledger.enter(each)
        self._wake()

    def cancel(self, job: Job, reason: str) -> None:
        """CancelJob: ends what has not started yet; running jobs go on.

        What waits for other jobs ends when those have (API reference).
        """
        for each in (job, *job.children):
            if each.array_size is None and self._waiting.has(each):
                each.cancelled, each.stop_reason = True, reason
        self.end_unstarted(job, reason, flag="cancelled")

    def end_unstarted(self, job: Job, reason: str, *, flag: str) -> None:
        """Ends a job and its children where they have not started; `flag` (cancelled, terminated)
        is set in them.
        """
        for each in [*job.children, job]:
            waits = flag == "cancelled" and self._waiting.has(each)
            if (
                each.status in ("SUBMITTED", "PENDING", "RUNNABLE")
                and each.array_size is None
                and not waits
            ):
                setattr(each, flag, True)
                self.finish(each, "FAILED", reason)
        if job.array_size is not None:
            setattr(job, flag, True)
        self._wake()

    def runnable(self, queue: JobQueue) -> list[Job]:
        """The queue's RUNNABLE jobs, in the order in which they will be placed."""
        jobs = self._runnable.get(queue.name, [])
        policy = self._store.policy(queue.policy) if queue.policy else None
        if policy is None or not jobs:
            return list(jobs)
        now, ledger = self._now(), self.ledger
        return fair_share.ordered(
            policy.fairshare,
            jobs,
            ledger.of(queue.name),
            ledger.active(policy.fairshare, queue.name, now),
            now,
        )

    def move(self, job: Job, status: Status, reason: str = "") -> None:
        """The job is in this state from now on; EventBridge is told."""
        job.status, job.status_reason = status, reason
        self._publish("Batch Job State Change", [job.arn], descriptions.describe(job))

    def finish(self, job: Job, status: Status, reason: str) -> None:
        """The job has ended, and with its last child the array."""
        self._waiting.ended(job)
        self.ledger.leave(job)
        queue = self._runnable.get(job.queue.name, [])
        if job in queue:
            queue.remove(job)
        job.stopped_at = self._now()
        self.move(job, status, reason)
        parent = job.parent
        if (
            parent is not None
            and not parent.ended
            and all(child.ended for child in parent.children)
        ):
            failed = any(child.status == "FAILED" for child in parent.children)
            self.finish(
                parent,
                "FAILED" if failed else "SUCCEEDED",
                "Array Child Job failed" if failed else "",
            )
        self._wake()

    def resolve_dependencies(self) -> None:
        """Looks at the jobs that may wait for nothing any more."""
        while (job := self._waiting.next()) is not None:
            if job.array_size is not None:
                if job.status == "SUBMITTED":
                    self.move(job, "PENDING")
                continue
            states = [other.status for other in self._waiting.prerequisites(job)]
            if "FAILED" in states:
                self.finish(
                    job, "FAILED", job.stop_reason if job.cancelled else "Dependent Job failed"
                )
            elif all(state == "SUCCEEDED" for state in states):
                if job.cancelled:
                    self.finish(job, "FAILED", job.stop_reason)
                    continue
                self._waiting.remove(job)
                self.make_runnable(job)
            elif job.status == "SUBMITTED":
                self.move(job, "PENDING")

    def make_runnable(self, job: Job) -> None:
        """The job waits for nothing but a place."""
        job.runnable_since = self._now()
        self._runnable.setdefault(job.queue.name, []).append(job)
        self.move(job, "RUNNABLE", job.status_reason if job.attempts else "")

    def placed(self, queue: JobQueue, job: Job) -> None:
        """The job has a place, and holds up the queue no more."""
        self._runnable[queue.name].remove(job)
        if queue.blocked_job == job.id:
            queue.blocked_job = queue.blocked_reason = None

    def note_blocked(self, queue: JobQueue, job: Job, refusal: Refusal) -> None:
        """The first job of the queue cannot be placed, and why."""
        if not refusal.reason:
            queue.blocked_job = queue.blocked_reason = None
            return
        if (queue.blocked_job, queue.blocked_reason) == (job.id, refusal.reason):
            return
        queue.blocked_job, queue.blocked_reason, queue.blocked_since = (
            job.id,
            refusal.reason,
            self._now(),
        )
        job.status_reason = refusal.text
        detail = descriptions.describe(job)
        self._publish("Batch Job Queue Blocked", [job.arn, queue.arn], detail)

    # ---- what attempts report --------------------------------------------------------------------

    def attempt_running(self, attempt: RunningAttempt) -> None:
        """The container of an attempt, or that of its main node, runs."""
        with self._store.lock:
            attempt.record.started_at = attempt.job.started_at = self._now()
            attempt.job.stopped_at = None
            self.move(attempt.job, "RUNNING")
            self._wake()

    def node_running(self, attempt: RunningAttempt, node: int) -> None:
        """A node of an attempt runs."""
        with self._store.lock:
            attempt.record.nodes[node].update(status="RUNNING", started=self._now())

    def node_ended(self, attempt: RunningAttempt, node: int, outcome: Outcome) -> None:
        """A node of an attempt has ended."""
        with self._store.lock:
            state = attempt.record.nodes[node]
            state.update(
                status="SUCCEEDED" if outcome.exit_code == 0 else "FAILED", stopped=self._now()
            )
            if outcome.exit_code is not None:
                state["exitCode"] = outcome.exit_code
            if outcome.reason:
                state["reason"] = outcome.reason

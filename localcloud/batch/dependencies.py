"""Jobs that wait for other jobs (User Guide, "Job dependencies"), and which of them are worth a
look.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from localcloud.batch.records import Job, Store


class Waiting:
    """Jobs that are not RUNNABLE yet; the new ones and those whose prerequisite has ended are to be
    looked at. Callers hold the lock.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._jobs: dict[str, Job] = {}
        self._dependents: dict[str, list[Job]] = {}
        self._to_look_at: deque[Job] = deque()

    def add(self, job: Job) -> None:
        """A new job; an array's children have to be there already."""
        self._jobs[job.id] = job
        self._to_look_at.append(job)
        for other in self.prerequisites(job):
            self._dependents.setdefault(other.id, []).append(job)

    def remove(self, job: Job) -> None:
        """A job that waits for nothing any more."""
        self._jobs.pop(job.id, None)

    def has(self, job: Job) -> bool:
        """Whether a job waits for one that has not ended."""
        return job.id in self._jobs and not all(other.ended for other in self.prerequisites(job))

    def ended(self, job: Job) -> None:
        """A job, waiting or not, that has ended: those that waited for it are to be looked at."""
        self.remove(job)
        self._to_look_at.extend(self._dependents.pop(job.id, ()))

    def next(self) -> Job | None:
        """The next waiting job to be looked at, if any."""
        while self._to_look_at:
            job = self._to_look_at.popleft()
            if job.id in self._jobs:
                return job
        return None

    def prerequisites(self, job: Job) -> Iterable[Job]:
        """The jobs that have to succeed before this one."""
        for dependency in job.depends_on:
            kind = dependency.get("type")
            if kind == "SEQUENTIAL":
                if job.parent is not None and job.array_index:
                    yield job.parent.children[job.array_index - 1]
            else:
                other = self._store.jobs[dependency["jobId"]]
                yield (
                    other.children[job.array_index]
                    if kind == "N_TO_N" and job.array_index is not None
                    else other
                )

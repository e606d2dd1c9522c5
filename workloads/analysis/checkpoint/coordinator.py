"""All ranks work, store and stop together."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from mpi4py import MPI

from workloads.analysis.checkpoint.schedule import CheckpointSchedule
from workloads.analysis.checkpoint.store import Arrays, CheckpointStore, DamagedError, Entry
from workloads.analysis.progress import Progress, Stop, StoppedError

log = logging.getLogger(__name__)

Task = Callable[[], None]
_LONGEST_SLICE_SECONDS: Final = 5.0
"""Work between two agreements of the ranks.

A SIGTERM ends a slice after the task at hand; a node has 30 s in all.
"""
_PUTS: Final = 8


@dataclass(kw_only=True)
class Saved:
    """What to store: objects by name, and the names of those that no longer count."""

    objects: Mapping[str, Arrays]
    gone: tuple[str, ...] = ()


@dataclass(kw_only=True)
class Cost:
    """Of the checkpoints of this attempt."""

    count: int = 0
    seconds: float = 0.0
    bytes: int = 0


@dataclass(kw_only=True)
class CheckpointCoordinator:
    """Every method is collective: all ranks call it, in the same order."""

    comm: MPI.Intracomm
    store: CheckpointStore
    schedule: CheckpointSchedule
    stop: Stop
    progress: Progress
    cost: Cost = field(default_factory=Cost)
    objects_resumed: int = 0
    """Objects taken over from an earlier attempt."""
    _found: dict[str, Entry] = field(default_factory=dict)

    def resume(self) -> None:
        """Take over what an earlier attempt has stored."""
        self._found = self.comm.bcast(self.store.claim() if self.comm.rank == 0 else None) or {}
        self.objects_resumed = len(self._found)

    @property
    def found(self) -> frozenset[str]:
        """Names of the objects of the earlier attempt."""
        return frozenset(self._found)

    def load(self, names: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The objects among `names` that an earlier attempt stored; each rank asks for its own.

        Where any of them is damaged for any rank, the whole checkpoint counts for nothing, and all
        ranks get nothing.
        """
        loaded, trouble = {}, ""
        try:
            for name in names:
                if name in self._found:
                    loaded[name] = self.store.get(self._found[name])
        except DamagedError as error:
            trouble = str(error)
        troubles = [text for text in self.comm.allgather(trouble) if text]
        if not troubles:
            return loaded
        if self.comm.rank == 0:
            log.warning("the checkpoint is damaged (%s); starting afresh", troubles[0])
            self.store.commit({}, tuple(self._found))
        self._found = {}
        return {}

    def save(self, saved: Saved) -> None:
        """Store a checkpoint. Raises StageError on rank 0 where a newer attempt is at work."""
        start = time.perf_counter()
        with (
            self.progress.timed("checkpoint"),
            ThreadPoolExecutor(_PUTS, thread_name_prefix="checkpoint") as pool,
        ):
            names = list(saved.objects)
            entries = dict(
                zip(
                    names,
                    pool.map(lambda name: self.store.put(name, saved.objects[name]), names),
                    strict=True,
                )
            )
            everybody = self.comm.gather((entries, saved.gone))
            if everybody is not None:
                changed = {name: entry for some, _ in everybody for name, entry in some.items()}
                self.store.commit(changed, tuple(name for _, gone in everybody for name in gone))
            self.comm.Barrier()
        self.progress.moved("checkpoint", sum(entry.bytes for entry in entries.values()))
        self.cost.count += 1
        self.cost.seconds += time.perf_counter() - start
        self.cost.bytes += sum(entry.bytes for entry in entries.values())
        self.schedule.stored(time.perf_counter() - start)

    def work(
        self, tasks: Iterable[Task], collect: Callable[[], Saved], *, between: Task | None = None
    ) -> None:
        """Do this rank's tasks, and store now and then until the tasks of all ranks are done.

        Args:
            tasks: Each leaves a state that may be stored.
            collect: What has changed since it was last called; collective.
            between: Called after every task.

        Raises:
            StoppedError: One of the ranks was asked to end; what is done is stored.
        """
        left = iter(tasks)
        while True:
            unfinished = self._slice(left, between)
            agreed = np.array(
                [unfinished, self.stop.requested, self.comm.rank == 0 and self.schedule.due()],
                np.uint8,
            )
            with self.progress.timed("wait"):
                self.comm.Allreduce(MPI.IN_PLACE, agreed, MPI.MAX)
            if agreed[1] or agreed[2]:
                self.save(collect())
            if agreed[1]:
                raise StoppedError
            if not agreed[0]:
                return

    def _slice(self, left: Any, between: Task | None) -> bool:
        deadline = time.monotonic() + min(_LONGEST_SLICE_SECONDS, self.schedule.interval_seconds)
        while not self.stop.requested:
            task = next(left, None)
            if task is None:
                return False
            task()
            if between is not None:
                between()
            if time.monotonic() >= deadline:
                return True
        return True

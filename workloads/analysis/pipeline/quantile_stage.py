"""Exact quantiles over all ranks: each counts the units of its share, some times over."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from mpi4py import MPI

from workloads.analysis.checkpoint.coordinator import CheckpointCoordinator, Saved, Task
from workloads.analysis.pipeline.partials import Profiled, encode_quantiles
from workloads.analysis.profile.exact import MOST_LOOKS, PROBABILITIES, ExactSearch
from workloads.analysis.profile.moments import Integers
from workloads.analysis.settings import Settings
from workloads.analysis.table import Table
from workloads.analysis.tree import share
from workloads.runtime import s3

_LOOK: Final = "quantiles-look-"
"""Name of the checkpoint's objects with the sum of a look's counts: `quantiles-look-N`."""


class QuantileStage:
    """One rank's part; on the host, whatever the backend.

    Args:
        coordinator: Of all ranks.
        settings: Of the job.
        table: The cleaned table.
    """

    def __init__(
        self, coordinator: CheckpointCoordinator, settings: Settings, table: Table
    ) -> None:
        self._cooperation, self._comm, self._progress = (
            coordinator,
            coordinator.comm,
            coordinator.progress,
        )
        self._settings, self._table = settings, table

    def run(self, profiled: Profiled | None) -> Profiled | None:
        """What was profiled, with exact quantiles that are stored; `profiled` is rank 0's, and so
        is what is returned. Collective.

        Raises StoppedError where a rank was asked to end: looks that are over are stored, the one
        under way is lost.
        """
        sketch, wide = self._comm.bcast(
            (profiled.profile.sketch, profiled.profile.wide(self._table.whole))
            if profiled is not None
            else None
        )
        search = ExactSearch(sketch, PROBABILITIES, self._settings.threads, wide)
        names = [f"{_LOOK}{look}" for look in range(MOST_LOOKS)]
        loaded = self._cooperation.load(names)
        for name in names:
            if search.finished:
                break
            counts: Integers = (
                loaded[name]["counts"] if name in loaded else self._look(search, name)
            )
            with self._progress.timed("quantiles"):
                search.narrow(counts)
        if profiled is None:
            return None
        exact = search.found()
        stored, data = encode_quantiles(exact)
        with self._progress.timed("store"):
            s3.put_bytes(
                self._settings.results_bucket,
                self._settings.run.partials_prefix + stored.name,
                data,
            )
        return replace(profiled, profile=replace(profiled.profile, exact=exact), quantiles=stored)

    def _look(self, search: ExactSearch, name: str) -> Integers:
        counts = search.zeros()
        self._cooperation.work(self._counting(search, counts), lambda: Saved(objects={}))
        self._progress.unit = None
        with self._progress.timed("wait"):
            self._comm.Allreduce(MPI.IN_PLACE, counts, MPI.SUM)
        self._cooperation.save(
            Saved(objects={name: {"counts": counts}} if self._comm.rank == 0 else {})
        )
        return counts

    def _counting(self, search: ExactSearch, counts: Integers) -> Iterator[Task]:
        own = share(self._comm.rank, self._comm.size, len(self._table.manifest.units))
        arriving = self._table.units(own)

        def count(unit: int) -> None:
            self._progress.unit = unit
            with self._progress.timed("read"):
                data = next(arriving)
            self._progress.moved("read", data.unit.byte_length)
            with self._progress.timed("quantiles"):
                search.count(data.values, counts, data.rests)

        with contextlib.closing(arriving):
            for unit in own:
                yield lambda unit=unit: count(unit)  # type: ignore[misc]

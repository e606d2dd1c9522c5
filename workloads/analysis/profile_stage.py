"""The profile over all ranks: each profiles a contiguous run of units and stores whole tree nodes, rank 0 merges all of them in order."""

from __future__ import annotations

import contextlib

from mpi4py import MPI

from workloads.analysis import backend as backends
from workloads.analysis.profile import node as nodes
from workloads.analysis.profile.moments import Moments
from workloads.analysis.profile.moments import merge as merge_moments
from workloads.analysis.profile.node import ProfileNode
from workloads.analysis.profile.partials import Partial, encode
from workloads.analysis.profile.result import Profile
from workloads.analysis.progress import Progress, Stop, StoppedError
from workloads.analysis.settings import Settings
from workloads.analysis.table import Table
from workloads.analysis.tree import Forest, NodeId, decompose, reduce_units, share
from workloads.runtime import s3


class ProfileStage:
    """One rank's part.

    Args:
        comm: All ranks.
        settings: Of the job.
        backend: What computes.
        table: The cleaned table.
        progress: Is told what is done.
        stop: Is asked between units.
    """

    def __init__(
        self, comm: MPI.Intracomm, settings: Settings, backend: backends.ProfileBackend, table: Table, progress: Progress, stop: Stop
    ) -> None:
        self._comm, self._settings, self._backend, self._table = comm, settings, backend, table
        self._progress, self._stop = progress, stop

    def run(self) -> tuple[Profile, tuple[Partial, ...]] | None:
        """The merged profile and the stored nodes that make it up, on rank 0; None elsewhere. Collective.

        Raises StoppedError where this rank was asked to end.
        """
        stored = [
            self._store(node, self._profile(node))
            for node in decompose(share(self._comm.rank, self._comm.size, len(self._table.manifest.units)))
        ]
        self._progress.unit = None
        with self._progress.timed("merge"):
            return self._merge(stored)

    def _profile(self, node: NodeId) -> ProfileNode:
        self._backend.begin_counting(len(self._table.columns))
        self._progress.unit = node.units.start
        arriving = self._table.units(node.units)

        def leaf(unit: int) -> Moments:
            self._progress.unit = unit
            if self._stop.requested:
                raise StoppedError
            with self._progress.timed("read"):
                data = next(arriving)
            self._progress.moved("read", data.unit.byte_length)
            with self._progress.timed("profile"):
                return self._backend.unit(data.values)

        with contextlib.closing(arriving):
            moments = reduce_units(node, leaf, merge_moments)
        return ProfileNode(moments=moments, sketch=self._backend.counted())

    def _store(self, node: NodeId, value: ProfileNode) -> tuple[Partial, ProfileNode]:
        with self._progress.timed("store"):
            partial, data = encode(node, value)
            s3.put_bytes(self._settings.results_bucket, self._settings.run.partials_prefix + partial.name, data)
        return partial, value

    def _merge(self, stored: list[tuple[Partial, ProfileNode]]) -> tuple[Profile, tuple[Partial, ...]] | None:
        """One node at a time and in order, so that few are in rank 0's memory."""
        comm = self._comm
        if comm.rank > 0:
            comm.send(len(stored), 0)
            for item in stored:
                comm.send(item, 0)
            return None
        units = len(self._table.manifest.units)
        forest: Forest[ProfileNode] = Forest(units, nodes.merge)
        partials: list[Partial] = []
        for rank in range(comm.size):
            arriving = iter(stored) if rank == 0 else (comm.recv(source=rank) for _ in range(comm.recv(source=rank)))
            for partial, value in arriving:
                forest.add(NodeId(partial.level, partial.index), value)
                partials.append(partial)
        root = forest.root() if units else ProfileNode.empty(len(self._table.columns))
        return Profile(columns=self._table.columns, moments=root.moments, sketch=root.sketch), tuple(partials)

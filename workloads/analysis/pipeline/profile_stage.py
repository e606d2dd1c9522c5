"""The profile over all ranks: each profiles some runs of units and stores whole tree nodes, rank 0
merges all of them in order.

Nodes that an earlier attempt has stored in the checkpoint, with whatever number of ranks, are taken
as they are; the ranks share the units that are below none of them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict
from typing import Final, TypeVar

from workloads.analysis import backend as backends
from workloads.analysis.checkpoint.coordinator import CheckpointCoordinator, Saved, Task
from workloads.analysis.checkpoint.store import Arrays, as_bytes, from_bytes
from workloads.analysis.outliers.record import Stored
from workloads.analysis.pipeline.partials import Profiled, encode
from workloads.analysis.pipeline.success import Partial
from workloads.analysis.profile import node as nodes
from workloads.analysis.profile.exact import ExactQuantiles
from workloads.analysis.profile.moments import Moments
from workloads.analysis.profile.moments import merge as merge_moments
from workloads.analysis.profile.node import ProfileNode
from workloads.analysis.profile.result import Profile
from workloads.analysis.settings import Settings
from workloads.analysis.table import Table, UnitData
from workloads.analysis.tree import Forest, NodeId, decompose, missing, reduce_units, runs, share
from workloads.runtime import s3

T = TypeVar("T")

_WHOLE: Final = "profile"
"""Name of the checkpoint's object with the merged profile."""
_NODE: Final = "profile-"
"""Name of the objects with tree nodes, while there is no merged profile:
`profile-BACKEND-LL-IIIIII`. Backends agree to rounding, not to the bit, so nodes of another one are
left alone.
"""
_CLOSING_SHARE: Final = 0.02
"""Share of a node's time that may go into turning counts into its sketch: where it is more, the
next node has twice as many units.
"""


class ProfileStage:
    """One rank's part.

    Args:
        coordinator: Of all ranks.
        settings: Of the job.
        backend: What computes.
        table: The cleaned table.
    """

    def __init__(
        self,
        coordinator: CheckpointCoordinator,
        settings: Settings,
        backend: backends.ProfileBackend,
        table: Table,
    ) -> None:
        self._cooperation, self._comm, self._progress = (
            coordinator,
            coordinator.comm,
            coordinator.progress,
        )
        self._settings, self._backend, self._table = settings, backend, table
        self._units = len(table.manifest.units)
        self._done: Forest[ProfileNode] = Forest(self._units, nodes.merge)
        self._saved: dict[NodeId, ProfileNode] = {}
        self._level = 0

    def run(self) -> Profiled | None:
        """The merged profile on rank 0; None elsewhere. Collective.

        Raises StoppedError where a rank was asked to end; what is done is stored.
        """
        if _WHOLE in self._cooperation.found:
            loaded = self._cooperation.load((_WHOLE,) if self._comm.rank == 0 else ())
            if self._cooperation.found:
                return unpacked(loaded[_WHOLE], self._table.columns) if loaded else None
        todo = missing(self._resume(), self._units)
        own = _part(todo, share(self._comm.rank, self._comm.size, len(todo)))
        arriving = self._table.units(own)
        with contextlib.closing(arriving):
            self._cooperation.work(self._profiling(own, arriving), self._collect)
        self._progress.unit = None
        self._backend.begin_counting(0)
        stored = [self._store(node, value) for node, value in self._done.nodes().items()]
        with self._progress.timed("merge"):
            profiled = self._merge(stored)
        objects = {} if profiled is None else {_WHOLE: packed(profiled)}
        superseded = {name for name in self._cooperation.found if name.startswith(_NODE)} | {
            self._name(node) for node in self._saved
        }
        self._cooperation.save(Saved(objects=objects, gone=tuple(superseded)))
        return profiled

    def _resume(self) -> list[NodeId]:
        """Nodes that an earlier attempt has left, the same on all ranks; this rank takes over its
        share of them.
        """
        own = f"{_NODE}{self._backend.name}-"
        found = sorted(
            (_node(name) for name in self._cooperation.found if name.startswith(own)),
            key=lambda node: node.units.start,
        )
        mine = _part(found, share(self._comm.rank, self._comm.size, len(found)))
        loaded = self._cooperation.load(self._name(node) for node in mine)
        for name, arrays in loaded.items():
            node, value = _node(name), ProfileNode.from_arrays(arrays)
            self._saved[node] = value
            self._done.add(node, value)
        return found if self._cooperation.found else []  # damaged for any rank: nothing counts

    def _profiling(self, own: list[int], arriving: Generator[UnitData]) -> Iterator[Task]:
        for run in runs(own):
            position = run.start
            while position < run.stop:
                node = next(
                    decompose(range(position, min(position + (1 << self._level), run.stop)))
                )
                yield lambda node=node: self._profile(node, arriving)  # type: ignore[misc]
                position = node.units.stop

    def _profile(self, node: NodeId, arriving: Generator[UnitData]) -> None:
        start = time.perf_counter()
        self._backend.begin_counting(len(self._table.columns))
        try:
            moments = reduce_units(node, lambda unit: self._leaf(unit, arriving), merge_moments)
        except _AskedToEndError:
            return  # what is done of the node is lost, the nodes before it are stored
        worked = time.perf_counter()
        with self._progress.timed("profile"):
            self._done.add(node, ProfileNode(moments=moments, sketch=self._backend.counted()))
        if (
            time.perf_counter() - worked > _CLOSING_SHARE * (worked - start)
            and len(node.units) == 1 << self._level
        ):
            self._level += 1

    def _leaf(self, unit: int, arriving: Generator[UnitData]) -> Moments:
        self._progress.unit = unit
        if self._cooperation.stop.requested:
            raise _AskedToEndError
        with self._progress.timed("read"):
            data = next(arriving)
        self._progress.moved("read", data.unit.byte_length)
        with self._progress.timed("profile"):
            return self._backend.unit(data.values, data.rests, self._table.compared)

    def _collect(self) -> Saved:
        """The nodes as they are now, instead of those that were merged into them."""
        now = self._done.nodes()
        changed = {
            self._name(node): value.arrays()
            for node, value in now.items()
            if node not in self._saved
        }
        gone = tuple(self._name(node) for node in self._saved if node not in now)
        self._saved = now
        return Saved(objects=changed, gone=gone)

    def _name(self, node: NodeId) -> str:
        return f"{_NODE}{self._backend.name}-{node.level:02}-{node.index:06}"

    def _store(self, node: NodeId, value: ProfileNode) -> tuple[Partial, ProfileNode]:
        with self._progress.timed("store"):
            partial, data = encode(node, value)
            s3.put_bytes(
                self._settings.results_bucket,
                self._settings.run.partials_prefix + partial.name,
                data,
            )
        return partial, value

    def _merge(self, stored: list[tuple[Partial, ProfileNode]]) -> Profiled | None:
        """One node at a time, so that few are in rank 0's memory."""
        comm = self._comm
        if comm.rank > 0:
            comm.send(len(stored), 0)
            for item in stored:
                comm.send(item, 0)
            return None
        forest: Forest[ProfileNode] = Forest(self._units, nodes.merge)
        partials: list[Partial] = []
        for rank in range(comm.size):
            arriving = (
                iter(stored)
                if rank == 0
                else (comm.recv(source=rank) for _ in range(comm.recv(source=rank)))
            )
            for partial, value in arriving:
                forest.add(NodeId(partial.level, partial.index), value)
                partials.append(partial)
        root = (
            forest.root()
            if self._units
            else ProfileNode.empty(len(self._table.columns), self._table.compared)
        )
        profile = Profile(columns=self._table.columns, moments=root.moments, sketch=root.sketch)
        return Profiled(profile=profile, partials=tuple(partials))


def packed(found: Profiled) -> Arrays:
    """Name -> array, for checkpoints and for other shards."""
    profile = found.profile
    facts = {
        "partials": [asdict(partial) for partial in found.partials],
        "quantiles": None if found.quantiles is None else asdict(found.quantiles),
    }
    exact = {} if profile.exact is None else profile.exact.arrays()
    return {
        **ProfileNode(moments=profile.moments, sketch=profile.sketch).arrays(),
        **exact,
        "facts": as_bytes(facts),
    }


def unpacked(arrays: Arrays, columns: tuple[str, ...]) -> Profiled:
    """What packed() was given."""
    node, facts = ProfileNode.from_arrays(arrays), from_bytes(arrays["facts"])
    stored = None if facts["quantiles"] is None else Stored(**facts["quantiles"])
    exact = None if stored is None else ExactQuantiles.from_arrays(arrays)
    profile = Profile(columns=columns, moments=node.moments, sketch=node.sketch, exact=exact)
    return Profiled(
        profile=profile,
        partials=tuple(Partial(**one) for one in facts["partials"]),
        quantiles=stored,
    )


class _AskedToEndError(Exception):
    """In the middle of a node."""


def _part(items: list[T], places: range) -> list[T]:
    return items[places.start : places.stop]


def _node(name: str) -> NodeId:
    _, level, index = name.rsplit("-", 2)
    return NodeId(int(level), int(index))

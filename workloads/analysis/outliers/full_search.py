"""Mode `full` over all ranks: each has query units of its own, and units travel on the ring to meet
those of other ranks.

A rank works on as many of its units at a time as fit into its memory, its group. Units that are in
the groups of two ranks at the same time meet once, at one of the two: the travelling one is
compared there for both of them, and what it finds is sent home while the next one is compared. All
other units, which are in nobody's group, come round once more as mere data.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from workloads.analysis.checkpoint.coordinator import CheckpointCoordinator, Saved, Task
from workloads.analysis.distributed import assignment
from workloads.analysis.distributed.blocks import BlockSource, block_bytes, state_bytes
from workloads.analysis.distributed.ring import Ring
from workloads.analysis.distributed.transport.exchange import Bytes, Exchange
from workloads.analysis.distributed.travelling_unit import (
    TravellingUnit,
    announce,
    found_bytes,
    pack_data,
    pack_found,
    read_data,
    read_found,
)
from workloads.analysis.knn import full
from workloads.analysis.knn.block import Block
from workloads.analysis.knn.pairs import PairBackend
from workloads.analysis.knn.state import QueryState
from workloads.analysis.profile.moments import Floats, Integers
from workloads.analysis.tree import share, share_of


@dataclass(frozen=True, kw_only=True, eq=False)
class UnitScores:
    """Finished scores of one unit's complete rows."""

    ids: Integers
    scores: Floats
    kth_ids: Integers
    nearest_ids: Integers
    fallback_rows: int

    @classmethod
    def of(cls, state: QueryState) -> UnitScores:
        """Of a finished state. Raises ValueError where it is not."""
        found = full.finish({state.unit: state})
        return cls(
            ids=found.ids,
            scores=found.scores,
            kth_ids=found.kth_ids,
            nearest_ids=found.nearest_ids,
            fallback_rows=found.fallback_rows,
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Name -> array."""
        fallback = np.asarray(self.fallback_rows, np.int64)
        return {
            "ids": self.ids,
            "scores": self.scores,
            "kth_ids": self.kth_ids,
            "nearest_ids": self.nearest_ids,
            "fallback_rows": fallback,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> UnitScores:
        """What arrays() gave."""
        return cls(
            ids=arrays["ids"],
            scores=arrays["scores"],
            kth_ids=arrays["kth_ids"],
            nearest_ids=arrays["nearest_ids"],
            fallback_rows=int(arrays["fallback_rows"]),
        )


@dataclass(frozen=True, kw_only=True)
class _InFlight:
    """Findings on their way between two ranks, in both directions."""

    coming: Callable[[], Bytes | None]
    unit: int | None
    """Unit of this rank, to which they come."""
    source: int
    """Rank from which they come."""
    sent: str | None
    """Name of the visit whose findings left."""


def _found_name(unit: int, rank: int) -> str:
    """What a unit found at a rank, in the checkpoint."""
    return f"found-{unit:06}-{rank:04}"


@dataclass(kw_only=True)
class FullSearch:
    """Scores of all complete rows. All methods without an underscore are collective."""

    comm: MPI.Intracomm
    coordinator: CheckpointCoordinator
    source: BlockSource
    pairs: PairBackend
    exchange: Exchange
    units: int
    queries: range
    """The query units of all ranks together: all units, or one shard's.

    The data is always all units.
    """
    k: int
    budget: int
    """Bytes for the query units that are worked on at a time."""
    finished: dict[int, UnitScores] = field(default_factory=dict)
    """This rank's units."""
    _states: dict[int, QueryState] = field(default_factory=dict)
    _blocks: dict[int, Block] = field(default_factory=dict)
    _visits: dict[str, TravellingUnit] = field(default_factory=dict)
    """Name for the checkpoint -> a unit of another rank that is here, or whose findings are on
    their way home.
    """
    _in_flight: _InFlight | None = None
    _stored: dict[object, object] = field(default_factory=dict)
    _gone: list[str] = field(default_factory=list)
    """Findings of an earlier checkpoint that are in a state of this rank since."""

    def run(self) -> None:
        """Fill `finished`. Raises StoppedError."""
        own = share_of(self.comm.rank, self.comm.size, self.queries)
        self._resume(own)
        cost = block_bytes(self.source.unit_rows, self.source.columns) + state_bytes(
            self.source.unit_rows, self.k
        )
        todo = [unit for unit in own if unit not in self.finished]
        mine = assignment.groups(todo, cost, self.budget)
        for place in range(self.comm.allreduce(len(mine), MPI.MAX)):
            self._search(mine[place] if place < len(mine) else [])
        self.coordinator.save(self._collect())

    def _resume(self, own: range) -> None:
        kinds: dict[str, list[str]] = {"scores": [], "query": [], "found": []}
        for name in sorted(self.coordinator.found):
            kind, *rest = name.split("-")
            if kind in kinds and int(rest[0]) in own:
                kinds[kind].append(name)
        for name, arrays in self.coordinator.load(
            [name for names in kinds.values() for name in names]
        ).items():
            kind, *rest = name.split("-")
            unit = int(rest[0])
            if kind == "scores":
                self.finished[unit] = self._stored[unit] = UnitScores.from_arrays(arrays)
            elif kind == "query":
                self._states[unit] = self._stored[unit] = QueryState.from_arrays(arrays)
            else:
                self._gone.append(name)
                if unit in self._states:
                    self._states[unit] = self._states[unit].joined(QueryState.from_arrays(arrays))

    def _search(self, group: Sequence[int]) -> None:
        self._blocks = dict(zip(group, self.source.blocks(group), strict=True))
        for unit, block in self._blocks.items():
            if unit not in self._states:
                self._states[unit] = QueryState.start(unit, block.ids, units=self.units, k=self.k)
        self.coordinator.work(self._own_pairs(group), self._collect)
        together: list[list[int]] = self.comm.allgather(list(group))
        self._meet(together)
        self._compare_with_data(group, {unit for some in together for unit in some})
        for unit in group:
            self.finished[unit] = UnitScores.of(self._states.pop(unit))
        self._blocks = {}

    # ---- units of one rank -----------------------------------------------------------------------

    def _own_pairs(self, group: Sequence[int]) -> Iterator[Task]:
        """Pairs of units in the group: each serves both.

        A unit with itself first, which gives all its rows a threshold.
        """
        for unit in group:
            yield lambda unit=unit: self._both(unit, unit)  # type: ignore[misc]
        for place, a in enumerate(group):
            for b in group[:place]:
                yield lambda a=a, b=b: self._both(a, b)  # type: ignore[misc]

    def _both(self, a: int, b: int) -> None:
        found = self._compared(self._states[a], self._blocks[a], self._states[b], self._blocks[b])
        self._states[a], self._states[b] = found

    def _compared(
        self, a: QueryState, a_block: Block, b: QueryState, b_block: Block
    ) -> tuple[QueryState, QueryState]:
        with self.coordinator.progress.timed("pairs"):
            if not (a.done[b.unit] and b.done[a.unit]):
                self.coordinator.progress.evaluations += (
                    a_block.ids.size * b_block.ids.size // (2 if a is b else 1)
                )
            return full.process_pair(self.pairs, a, a_block, b, b_block)

    # ---- units of two ranks, for both ------------------------------------------------------------

    def _meet(self, together: Sequence[Sequence[int]]) -> None:
        """Every pair of units in the groups of different ranks. Rank -> its group."""
        rank, ring = self.comm.rank, Ring(self.comm, self.exchange, self.coordinator.progress)
        going = self._going(together)
        rounds = assignment.rounds([[unit for unit in group if going[unit]] for group in together])
        offers = [partial(self._announce, travelling[rank]) for travelling in rounds]
        for stop in ring.tour(offers, assignment.half_way(self.comm.size)):
            visitor, mine = rounds[stop.round][stop.home], rounds[stop.round][rank]
            visit = None
            if visitor is not None and stop.message is not None:
                visit = TravellingUnit.read(
                    stop.message, visitor, columns=self.source.columns, units=self.units, k=self.k
                )
                self._visits[_found_name(visitor, rank)] = visit
            self.coordinator.work(
                self._receive(visit, together[rank], stop.step),
                self._collect,
                between=ring.progress_transfer,
            )
            self._merge_returned()
            expected = (
                None
                if mine is None
                else found_bytes(self._states[mine].ids.size, units=self.units, k=self.k)
            )
            coming = ring.back(
                None if visit is None else pack_found(visit.found), stop.step, expected
            )
            self._in_flight = _InFlight(
                coming=coming,
                unit=mine,
                source=(rank - stop.step) % self.comm.size,
                sent=None if visitor is None else _found_name(visitor, rank),
            )
        self._merge_returned()

    def _going(self, together: Sequence[Sequence[int]]) -> npt.NDArray[np.bool_]:
        """(units,) which have anything to do with a unit in the group of another rank: all of them,
        unless the run was resumed.
        """
        going = np.zeros(self.units, np.bool_)
        others = [
            unit for rank, group in enumerate(together) if rank != self.comm.rank for unit in group
        ]
        for unit in together[self.comm.rank]:
            missing = ~self._states[unit].done
            going |= missing
            going[unit] |= missing[others].any()
        self.comm.Allreduce(MPI.IN_PLACE, going, MPI.LOR)
        return going

    def _announce(self, unit: int | None) -> Bytes | None:
        return None if unit is None else announce(self._blocks[unit], self._states[unit])

    def _receive(
        self, visit: TravellingUnit | None, group: Sequence[int], step: int
    ) -> Iterator[Task]:
        if visit is not None:
            for unit in group:
                if assignment.meet(visit.state.unit, unit, step, self.comm.size):
                    yield lambda unit=unit: self._visited(visit, unit)  # type: ignore[misc]

    def _visited(self, visit: TravellingUnit, unit: int) -> None:
        visit.state, self._states[unit] = self._compared(
            visit.state, visit.block, self._states[unit], self._blocks[unit]
        )

    def _merge_returned(self) -> None:
        """Take in what this rank's travelling unit has found at the stop before."""
        in_flight, self._in_flight = self._in_flight, None
        if in_flight is None:
            return
        message = in_flight.coming()
        if in_flight.unit is not None and message is not None:
            with self.coordinator.progress.timed("pairs"):
                state = self._states[in_flight.unit]
                self._states[in_flight.unit] = state.joined(read_found(message, state))
            self._gone.append(_found_name(in_flight.unit, in_flight.source))
        if in_flight.sent is not None:
            self._stored.pop(in_flight.sent, None)
            del self._visits[in_flight.sent]

    # ---- units of the group with all others, for the group alone ---------------------------------

    def _compare_with_data(self, group: Sequence[int], met: Collection[int]) -> None:
        """Units that are in nobody's group come round, as far as a unit in a group lacks them."""
        wanted = np.zeros(self.units, np.bool_)
        for unit in group:
            wanted |= ~self._states[unit].done
        wanted[list(met)] = False
        self.comm.Allreduce(MPI.IN_PLACE, wanted, MPI.LOR)
        ring = Ring(self.comm, self.exchange, self.coordinator.progress)
        shares = [share(rank, self.comm.size, self.units) for rank in range(self.comm.size)]
        rounds = assignment.rounds([[unit for unit in some if wanted[unit]] for some in shares])
        offers = [partial(self._data, offered[self.comm.rank]) for offered in rounds]
        for stop in ring.tour(offers, range(self.comm.size)):
            data_unit = rounds[stop.round][stop.home]
            data = (
                None
                if data_unit is None or stop.message is None
                else read_data(stop.message, self.source.columns)
            )
            self.coordinator.work(
                self._towards_all(group, data_unit, data),
                self._collect,
                between=ring.progress_transfer,
            )

    def _data(self, unit: int | None) -> Bytes | None:
        return None if unit is None else pack_data(self.source.block(unit))

    def _towards_all(
        self, group: Sequence[int], data_unit: int | None, data: Block | None
    ) -> Iterator[Task]:
        if data is not None and data_unit is not None:
            for unit in group:
                yield lambda unit=unit: self._towards(unit, data_unit, data)  # type: ignore[misc]

    def _towards(self, unit: int, data_unit: int, data: Block) -> None:
        state, block = self._states[unit], self._blocks[unit]
        if state.done[data_unit]:
            return
        neighbours = state.neighbours
        with self.coordinator.progress.timed("pairs"):
            if block.ids.size and data.ids.size:
                self.coordinator.progress.evaluations += block.ids.size * data.ids.size
                neighbours = self.pairs.towards(block, data, neighbours)
        self._states[unit] = state.after(neighbours, (data_unit,))

    # ---- checkpoints -----------------------------------------------------------------------------

    def _collect(self) -> Saved:
        objects: dict[str, dict[str, Any]] = {}
        gone, self._gone = self._gone, []
        for name, visit in self._visits.items():
            if (
                visit.state.done is not visit.done_at_home
                and self._stored.get(name) is not visit.state
            ):
                objects[name] = visit.found.arrays()
                self._stored[name] = visit.state
        for unit, state in self._states.items():
            if self._stored.get(unit) is not state:
                objects[f"query-{unit:06}"] = state.arrays()
                self._stored[unit] = state
        for unit, scores in self.finished.items():
            if self._stored.get(unit) is not scores:
                objects[f"scores-{unit:06}"] = scores.arrays()
                gone.append(f"query-{unit:06}")
                self._stored[unit] = scores
        return Saved(objects=objects, gone=tuple(gone))

"""Mode `full` over all ranks: each has query units of its own, and the data comes round on the ring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from workloads.analysis.anomaly import full
from workloads.analysis.anomaly.block import Block
from workloads.analysis.anomaly.pairs import PairBackend
from workloads.analysis.anomaly.state import QueryState
from workloads.analysis.checkpoint.cooperation import Cooperation, Saved, Task
from workloads.analysis.distribution import assignment
from workloads.analysis.distribution.blocks import BlockSource, block_bytes, state_bytes
from workloads.analysis.distribution.ring import Ring
from workloads.analysis.profile.moments import Floats, Integers
from workloads.analysis.tree import share_of


@dataclass(frozen=True, kw_only=True, eq=False)
class UnitScores:
    """Finished scores of one unit's complete rows."""

    ids: Integers
    scores: Floats
    kth_ids: Integers
    fallback_rows: int

    @classmethod
    def of(cls, state: QueryState) -> UnitScores:
        """Of a finished state. Raises ValueError where it is not."""
        found = full.finish({state.unit: state})
        return cls(ids=found.ids, scores=found.scores, kth_ids=found.kth_ids, fallback_rows=found.fallback_rows)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Name -> array."""
        fallback = np.asarray(self.fallback_rows, np.int64)
        return {"ids": self.ids, "scores": self.scores, "kth_ids": self.kth_ids, "fallback_rows": fallback}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> UnitScores:
        """What arrays() gave."""
        return cls(ids=arrays["ids"], scores=arrays["scores"], kth_ids=arrays["kth_ids"], fallback_rows=int(arrays["fallback_rows"]))


@dataclass(kw_only=True)
class FullSearch:
    """Scores of all complete rows. All methods without an underscore are collective."""

    comm: MPI.Intracomm
    cooperation: Cooperation
    source: BlockSource
    pairs: PairBackend
    units: int
    queries: range
    """The query units of all ranks together: all units, or one shard's. The data is always all units."""
    k: int
    budget: int
    """Bytes for the query units that are worked on at a time."""
    finished: dict[int, UnitScores] = field(default_factory=dict)
    """This rank's units."""
    _states: dict[int, QueryState] = field(default_factory=dict)
    _blocks: dict[int, Block] = field(default_factory=dict)
    _stored: dict[int, object] = field(default_factory=dict)

    def run(self) -> None:
        """Fill `finished`. Raises StoppedError."""
        own = share_of(self.comm.rank, self.comm.size, self.queries)
        self._resume(own)
        cost = block_bytes(self.source.unit_rows, self.source.columns) + state_bytes(self.source.unit_rows, self.k)
        todo = [unit for unit in own if unit not in self.finished]
        mine = assignment.groups(todo, cost, self.budget)
        for place in range(self.comm.allreduce(len(mine), MPI.MAX)):
            self._search(mine[place] if place < len(mine) else [])
        self.cooperation.save(self._collect())

    def _resume(self, own: range) -> None:
        names = [f"{kind}-{unit:06}" for unit in own for kind in ("query", "scores")]
        for name, arrays in self.cooperation.load(names).items():
            kind, unit = name.split("-")
            if kind == "scores":
                self.finished[int(unit)] = UnitScores.from_arrays(arrays)
                self._stored[int(unit)] = self.finished[int(unit)]
            else:
                self._states[int(unit)] = self._stored[int(unit)] = QueryState.from_arrays(arrays)

    def _search(self, group: Sequence[int]) -> None:
        self._blocks = dict(zip(group, self.source.blocks(group), strict=True))
        for unit, block in self._blocks.items():
            if unit not in self._states:
                self._states[unit] = QueryState.start(unit, block.ids, units=self.units, k=self.k)
        self.cooperation.work(self._own_pairs(group), self._collect)
        self._foreign_pairs(group)
        for unit in group:
            self.finished[unit] = UnitScores.of(self._states.pop(unit))
        self._blocks = {}

    def _own_pairs(self, group: Sequence[int]) -> Iterator[Task]:
        """Pairs of units in the group: each serves both. A unit with itself first, which gives all its rows a threshold."""
        for unit in group:
            yield lambda unit=unit: self._both(unit, unit)  # type: ignore[misc]
        for place, a in enumerate(group):
            for b in group[:place]:
                yield lambda a=a, b=b: self._both(a, b)  # type: ignore[misc]

    def _both(self, a: int, b: int) -> None:
        with self.cooperation.progress.timed("pairs"):
            rows = self._blocks[a].ids.size, self._blocks[b].ids.size
            if not all(rows):
                self._towards(a, b, self._blocks[b])
                if a != b:
                    self._towards(b, a, self._blocks[a])
                return
            if not (self._states[a].done[b] and self._states[b].done[a]):
                self.cooperation.progress.evaluations += rows[0] * rows[1] // (2 if a == b else 1)
            self._states[a], self._states[b] = full.process_pair(
                self.pairs, self._states[a], self._blocks[a], self._states[b], self._blocks[b]
            )

    def _towards(self, unit: int, data_unit: int, data: Block) -> None:
        state, block = self._states[unit], self._blocks[unit]
        if state.done[data_unit]:
            return
        neighbours = state.neighbours
        if block.ids.size and data.ids.size:
            self.cooperation.progress.evaluations += block.ids.size * data.ids.size
            neighbours = self.pairs.towards(block, data, neighbours)
        self._states[unit] = state.after(neighbours, (data_unit,))

    def _foreign_pairs(self, group: Sequence[int]) -> None:
        wanted = np.zeros(self.units, np.uint8)
        for unit in group:
            wanted |= ~self._states[unit].done
        self.comm.Allreduce(MPI.IN_PLACE, wanted, MPI.MAX)
        ring = Ring(self.comm, self.cooperation.progress)
        for offered in assignment.rounds(self.comm.size, self.units):
            if not any(wanted[unit] for unit in offered if unit is not None):
                continue
            mine = offered[self.comm.rank]
            block = self.source.empty() if mine is None or not wanted[mine] else self._block(mine)
            for home, data in ring.circulate(block):
                arrived = offered[home]
                here = () if arrived is None or not wanted[arrived] else group
                self.cooperation.work(self._towards_all(here, arrived or 0, data), self._collect, between=ring.poke)

    def _block(self, unit: int) -> Block:
        return self._blocks[unit] if unit in self._blocks else self.source.block(unit)

    def _towards_all(self, group: Sequence[int], data_unit: int, data: Block) -> Iterator[Task]:
        for unit in group:
            yield lambda unit=unit: self._timed_towards(unit, data_unit, data)  # type: ignore[misc]

    def _timed_towards(self, unit: int, data_unit: int, data: Block) -> None:
        with self.cooperation.progress.timed("pairs"):
            self._towards(unit, data_unit, data)

    def _collect(self) -> Saved:
        objects: dict[str, dict[str, Any]] = {}
        gone: list[str] = []
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

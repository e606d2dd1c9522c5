"""Mode `top` over all ranks. The data stays where it is: the few rows that matter go to all ranks,
each compares them with its own units.

The steps are those of `anomaly.top`. Rows left after the panels are worked through in chunks that
fit into memory, so that a table without any clear outlier, of which many rows are left, takes long
and not more memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from workloads.analysis.checkpoint.coordinator import CheckpointCoordinator, Saved, Task
from workloads.analysis.distributed.blocks import (
    SMALLEST_CHUNK,
    BlockSource,
    block_bytes,
    largest_panel,
    state_bytes,
)
from workloads.analysis.knn import top
from workloads.analysis.knn.block import Block, concatenate
from workloads.analysis.knn.neighbours import Neighbours, merge
from workloads.analysis.knn.pairs import PairBackend
from workloads.analysis.knn.top import Cutoff, Screened
from workloads.analysis.profile.moments import Integers
from workloads.analysis.tree import share, share_of


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """Rows and their neighbours, among the units done."""

    block: Block
    neighbours: Neighbours
    done: npt.NDArray[np.bool_]
    """(units,)"""

    @classmethod
    def start(cls, block: Block, *, units: int, k: int) -> Candidates:
        """Compared with nobody yet."""
        return cls(
            block=block,
            neighbours=Neighbours.empty(block.ids.size, k),
            done=np.zeros(units, np.bool_),
        )

    def take(self, positions: npt.NDArray[np.intp]) -> Candidates:
        """Some of the rows."""
        return Candidates(
            block=self.block.take(positions),
            neighbours=self.neighbours.take(positions),
            done=self.done,
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Name -> array."""
        return {
            "row_ids": self.block.ids,
            "rows": self.block.rows,
            "done": self.done,
            **self.neighbours.arrays(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Candidates:
        """What arrays() gave."""
        block = Block(ids=arrays["row_ids"], rows=arrays["rows"])
        return cls(block=block, neighbours=Neighbours.from_arrays(arrays), done=arrays["done"])


def joined(parts: Iterable[Candidates]) -> Candidates:
    """What several ranks found for the same rows in different units; a row stays only where none of
    them has dropped it.
    """
    first, *others = parts
    for other in others:
        _, mine, theirs = np.intersect1d(
            first.block.ids, other.block.ids, assume_unique=True, return_indices=True
        )
        neighbours = merge(first.neighbours.take(mine), other.neighbours.take(theirs))
        first = Candidates(
            block=first.block.take(mine), neighbours=neighbours, done=first.done | other.done
        )
    return first


def concatenated(parts: Iterable[Candidates]) -> Candidates:
    """Different rows that were compared with the same units."""
    found = list(parts)
    arrays = [one.neighbours.arrays() for one in found]
    together = {name: np.concatenate([one[name] for one in arrays]) for name in arrays[0]}
    ids, rows = (
        np.concatenate([one.block.ids for one in found]),
        np.concatenate([one.block.rows for one in found]),
    )
    return Candidates(
        block=Block(ids=ids, rows=rows),
        neighbours=Neighbours.from_arrays(together),
        done=found[0].done,
    )


@dataclass(kw_only=True)
class TopSearch:
    """The first rows by score. `run` is collective, and all ranks come to the same result."""

    comm: MPI.Intracomm
    coordinator: CheckpointCoordinator
    source: BlockSource
    pairs: PairBackend
    units: int
    queries: range
    """The query units of all ranks together: all units, or one shard's.

    The data is always all units.
    """
    count: int
    k: int
    budget: int
    """Bytes for the rows that are compared with the whole table at a time."""
    rows: int = 0
    """Complete rows of the table."""
    query_rows: int = 0
    """Complete rows of the query units."""
    rows_left: int = 0
    """Rows of the query units that had to be compared with the whole table, besides the pilots."""
    _own: range = range(0)
    """Data units of this rank."""
    _asked: range = range(0)
    """Query units of this rank."""
    _phase: str = ""
    """Name of the object that holds what is being compared with the whole table: `pilots` or
    `chunk`.
    """
    _base: Candidates | None = None
    """What is being compared, as an earlier attempt left it; what the ranks find is added to it."""
    _size: int = 0
    """Rows that the chunk began with."""
    _mine: Candidates | None = None
    """The same rows, by this rank's units since."""

    def run(self) -> Candidates:
        """Finished rows of the query units, among which are those of the table's first `count`
        rows.

        Raises StoppedError.
        """
        self._own = share(self.comm.rank, self.comm.size, self.units)
        self._asked = share_of(self.comm.rank, self.comm.size, self.queries)
        stored = self.coordinator.load(("pilots", "left", "kept", "chunk"))
        pilots = self._compare("pilots", self._stored_pilots(stored) or self._find_pilots(), None)
        limit = top.cutoff(pilots.block.ids, pilots.neighbours, self.count)
        self._save({"pilots": self._arrays(pilots)})
        left = stored["left"]["ids"] if "left" in stored else self._screen(pilots.block.ids, limit)
        self.rows_left = left.size
        kept = (
            Candidates.from_arrays(stored["kept"])
            if "kept" in stored
            else pilots.take(np.zeros(0, np.intp))
        )
        position = int(stored["kept"]["position"]) if "kept" in stored else 0
        self._save({"left": {"ids": left}})
        while position < left.size:
            if "chunk" in stored:
                chunk, size = (
                    Candidates.from_arrays(stored["chunk"]),
                    int(stored.pop("chunk")["size"]),
                )
            else:
                ids = left[position : position + self._chunk_rows()]
                chunk, size = (
                    Candidates.start(self._rows_of(ids), units=self.units, k=self.k),
                    ids.size,
                )
            self._size = size
            found = self._compare("chunk", chunk, limit)
            kept = concatenated((kept, found))
            position += size
            self._save(
                {"kept": {**kept.arrays(), "position": np.asarray(position)}}, gone=("chunk",)
            )
        of_units = pilots.block.ids // self.source.unit_rows
        return concatenated(
            (
                pilots.take(
                    np.flatnonzero(
                        (of_units >= self.queries.start) & (of_units < self.queries.stop)
                    )
                ),
                kept,
            )
        )

    def _chunk_rows(self) -> int:
        columns = self.source.columns
        return max(
            self.budget // (2 * block_bytes(1, columns) + state_bytes(1, self.k)), SMALLEST_CHUNK
        )

    # ---- which rows matter -----------------------------------------------------------------------

    def _stored_pilots(
        self, stored: Mapping[str, Mapping[str, npt.NDArray[Any]]]
    ) -> Candidates | None:
        if "pilots" not in stored:
            return None
        self.rows, self.query_rows = (
            int(stored["pilots"]["table_rows"]),
            int(stored["pilots"]["query_rows"]),
        )
        return Candidates.from_arrays(stored["pilots"])

    def _find_pilots(self) -> Candidates:
        offered, rows, compared = self.source.empty(), {}, 0
        remoteness: top.Remoteness = top.from_centre
        if self.source.space.metric == "cosine":  # all rows are equally far from the centre
            sample = self._members(top.sample(self.units * self.source.unit_rows))
            remoteness, compared = top.from_sample(self.pairs, sample, self.k), sample.ids.size

        def offer(unit: int, block: Block) -> None:
            nonlocal offered
            rows[unit] = block.ids.size
            with self.coordinator.progress.timed("panels" if compared else "pilots"):
                self.coordinator.progress.evaluations += block.ids.size * compared
                offered = top.farthest(
                    [offered, top.farthest([block], self.count, remoteness)], self.count, remoteness
                )

        blocks = zip(self._own, self.source.blocks(self._own), strict=True)
        self.coordinator.work(
            (lambda unit=unit, block=block: offer(unit, block) for unit, block in blocks),  # type: ignore[misc]
            _nothing,
        )
        self.rows = int(self.comm.allreduce(sum(rows.values())))
        self.query_rows = int(
            self.comm.allreduce(sum(count for unit, count in rows.items() if unit in self.queries))
        )
        pilots = top.farthest(self.comm.allgather(offered), self.count, remoteness)
        return Candidates.start(pilots, units=self.units, k=self.k)

    def _screen(self, pilot_ids: Integers, limit: Cutoff) -> Integers:
        """Row numbers that the panels leave, of all ranks' query units; the panels are of all
        units.
        """
        blocks = zip(self._asked, self.source.blocks(self._asked), strict=True)
        left = {unit: top.unscreened(block, pilot_ids) for unit, block in blocks}
        for panel in top.panels(self.rows, largest_panel(self.budget, self.source.columns)):
            if self.comm.allreduce(sum(one.positions.size for one in left.values())) <= top.few(
                self.count
            ):
                break
            sample = self._members(panel)
            self.coordinator.work(self._screening(left, sample, limit), _nothing)
        ids = [
            block.ids[left[unit].positions]
            for unit, block in zip(self._asked, self.source.blocks(self._asked), strict=True)
        ]
        return np.sort(
            np.concatenate(self.comm.allgather(np.concatenate([np.zeros(0, np.int64), *ids])))
        )

    def _members(self, panel: tuple[int, int]) -> Block:
        """The rows of a panel, of all ranks."""
        with self.coordinator.progress.timed("panels"):
            members = [top.members(block, panel) for block in self.source.blocks(self._own)]
            return concatenate(self.comm.allgather(concatenate([self.source.empty(), *members])))

    def _screening(self, left: dict[int, Screened], sample: Block, limit: Cutoff) -> Iterator[Task]:
        def screen(unit: int, block: Block) -> None:
            with self.coordinator.progress.timed("panels"):
                self.coordinator.progress.evaluations += left[unit].positions.size * sample.ids.size
                left[unit] = top.screen(self.pairs, block, left[unit], sample, limit, self.k)

        for unit, block in zip(self._asked, self.source.blocks(self._asked), strict=True):
            yield lambda unit=unit, block=block: screen(unit, block)  # type: ignore[misc]

    def _rows_of(self, ids: Integers) -> Block:
        """The rows with these numbers, from whatever ranks have them."""
        first, last = (int(ids[end]) // self.source.unit_rows for end in (0, -1))
        blocks = self.source.blocks([unit for unit in self._asked if first <= unit <= last])
        parts = [
            block.take(np.flatnonzero(np.isin(block.ids, ids, assume_unique=True)))
            for block in blocks
        ]
        return concatenate(self.comm.allgather(concatenate([self.source.empty(), *parts])))

    # ---- rows against the whole table ------------------------------------------------------------

    def _compare(self, phase: str, candidates: Candidates, limit: Cutoff | None) -> Candidates:
        """Compare rows with the units that are not done; those that come after the cutoff are
        dropped.
        """
        self._phase, self._base = phase, candidates
        self._mine = Candidates.start(candidates.block, units=self.units, k=self.k)
        self.coordinator.work(self._comparing(candidates.done, limit), self._collect)
        found = joined([candidates, *self.comm.allgather(self._mine)])
        self._mine = self._base = None
        return (
            found
            if limit is None
            else found.take(top.surviving(found.block.ids, found.neighbours, limit))
        )

    def _comparing(self, done: npt.NDArray[np.bool_], limit: Cutoff | None) -> Iterator[Task]:
        todo = [unit for unit in self._own if not done[unit]]
        for unit, block in zip(todo, self.source.blocks(todo), strict=True):
            yield lambda unit=unit, block=block: self._compare_unit(unit, block, limit)  # type: ignore[misc]

    def _compare_unit(self, unit: int, data: Block, limit: Cutoff | None) -> None:
        mine = self._mine
        if mine is None:
            raise AssertionError("no comparison is under way")
        with self.coordinator.progress.timed("pairs"):
            neighbours, done = mine.neighbours, mine.done.copy()
            done[unit] = True
            if mine.block.ids.size and data.ids.size:
                self.coordinator.progress.evaluations += mine.block.ids.size * data.ids.size
                neighbours = self.pairs.towards(mine.block, data, neighbours)
            found = Candidates(block=mine.block, neighbours=neighbours, done=done)
            self._mine = (
                found
                if limit is None
                else found.take(top.surviving(found.block.ids, neighbours, limit))
            )

    # ---- checkpoints -----------------------------------------------------------------------------

    def _collect(self) -> Saved:
        parts = self.comm.gather(self._mine)
        if parts is None or self._base is None:
            return Saved(objects={})
        found = joined([self._base, *(part for part in parts if part is not None)])
        return Saved(objects={self._phase: self._arrays(found)})

    def _arrays(self, candidates: Candidates) -> dict[str, npt.NDArray[Any]]:
        counts = {"table_rows": self.rows, "query_rows": self.query_rows, "size": self._size}
        return {
            **candidates.arrays(),
            **{name: np.asarray(value) for name, value in counts.items()},
        }

    def _save(
        self, objects: Mapping[str, Mapping[str, npt.NDArray[Any]]], gone: tuple[str, ...] = ()
    ) -> None:
        """What all ranks have alike is stored by one of them."""
        self.coordinator.save(Saved(objects=objects if self.comm.rank == 0 else {}, gone=gone))


def _nothing() -> Saved:
    return Saved(objects={})

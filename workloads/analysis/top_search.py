"""Mode `top` over all ranks. The data stays where it is: the few rows that matter go to all ranks, each compares them with its own units.

The steps are those of `anomaly.top`. Rows left after the panels are worked through in chunks that fit into memory, so that a table without
any clear outlier, of which many rows are left, takes long and not more memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from workloads.analysis.anomaly import top
from workloads.analysis.anomaly.block import Block, concatenate
from workloads.analysis.anomaly.neighbours import Neighbours, merge
from workloads.analysis.anomaly.pairs import PairBackend
from workloads.analysis.anomaly.top import Cutoff, Screened
from workloads.analysis.checkpoint.cooperation import Cooperation, Saved, Task
from workloads.analysis.distribution.blocks import BlockSource
from workloads.analysis.profile.moments import Integers
from workloads.analysis.tree import share

_SMALLEST_CHUNK: Final = 4096


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
        return cls(block=block, neighbours=Neighbours.empty(block.ids.size, k), done=np.zeros(units, np.bool_))

    def take(self, positions: npt.NDArray[np.intp]) -> Candidates:
        """Some of the rows."""
        return Candidates(block=self.block.take(positions), neighbours=self.neighbours.take(positions), done=self.done)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Name -> array."""
        return {"row_ids": self.block.ids, "rows": self.block.rows, "done": self.done, **self.neighbours.arrays()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Candidates:
        """What arrays() gave."""
        block = Block(ids=arrays["row_ids"], rows=arrays["rows"])
        return cls(block=block, neighbours=Neighbours.from_arrays(arrays), done=arrays["done"])


def joined(parts: Iterable[Candidates]) -> Candidates:
    """What several ranks found for the same rows in different units; a row stays only where none of them has dropped it."""
    first, *others = parts
    for other in others:
        ids, mine, theirs = np.intersect1d(first.block.ids, other.block.ids, assume_unique=True, return_indices=True)
        del ids
        neighbours = merge(first.neighbours.take(mine), other.neighbours.take(theirs))
        first = Candidates(block=first.block.take(mine), neighbours=neighbours, done=first.done | other.done)
    return first


@dataclass(kw_only=True)
class TopSearch:
    """The first rows by score. All methods without an underscore are collective, and all ranks come to the same result."""

    comm: MPI.Intracomm
    cooperation: Cooperation
    source: BlockSource
    pairs: PairBackend
    units: int
    count: int
    k: int
    budget: int
    """Bytes for the rows that are compared with the whole table at a time."""
    rows: int = 0
    """Complete rows of the table."""
    rows_left: int = 0
    """Rows that had to be compared with the whole table, besides the pilots."""
    fallback_rows: int = 0
    _pilots: Candidates | None = None
    _left: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    """Row numbers that the panels have left, of all ranks."""
    _position: int = 0
    """How many of those are finished."""
    _kept: list[Candidates] = field(default_factory=list)
    """Finished rows that are not dropped."""
    _base: Candidates | None = None
    """The chunk at hand as the checkpoint has it; what the ranks find is added to it."""
    _mine: Candidates | None = None
    """The chunk at hand, by this rank's units since."""

    def run(self) -> Candidates:
        """The finished candidates, among which are the first `count` rows of the table. Raises StoppedError."""
        own = share(self.comm.rank, self.comm.size, self.units)
        pilots, screened = self._resume()
        if pilots is None:
            pilots = self._find_pilots(own)
        self._pilots = pilots
        limit = top.cutoff(pilots.block.ids, pilots.neighbours, self.count)
        if not screened:
            self._screen(own, limit)
            self._save({"pilots": pilots.arrays(), "left": {"ids": self._left, "rows": np.asarray(self.rows)}})
        self.rows_left = self._left.size
        row_bytes = 2 * (4 * self.source.columns + 2 * 16 * self.k + 8 * max(6 * self.k, 32))
        chunk = max(self.budget // row_bytes, _SMALLEST_CHUNK)
        while self._position < self._left.size:
            self._compare_chunk(own, self._left[self._position : self._position + chunk], limit)
        self._save({"kept": self._all_kept(), "chunk": {}})
        together = [pilots, *self._kept]
        parts = [one.neighbours for one in together]
        found = Candidates(
            block=Block(ids=np.concatenate([one.block.ids for one in together]), rows=np.concatenate([one.block.rows for one in together])),
            neighbours=Neighbours(
                squares=np.concatenate([part.squares for part in parts]),
                ids=np.concatenate([part.ids for part in parts]),
                recomputed=np.concatenate([part.recomputed for part in parts]),
            ),
            done=pilots.done,
        )
        self.fallback_rows = int(found.neighbours.recomputed.sum())
        return found

    def _find_pilots(self, own: range) -> Candidates:
        with self.cooperation.progress.timed("pilots"):
            offered, rows = [self.source.empty()], 0
            for block in self.source.blocks(own):
                rows += block.ids.size
                if block.ids.size:
                    offered = [top.remotest([*offered, top.pilots(block, self.count)], self.count)]
            self.rows = int(self.comm.allreduce(rows))
            pilots = top.remotest(self.comm.allgather(offered[0]), self.count)
        return self._compare(own, Candidates.start(pilots, units=self.units, k=self.k), None)

    def _screen(self, own: range, limit: Cutoff) -> None:
        assert self._pilots is not None  # noqa: S101 - run has set it
        with self.cooperation.progress.timed("panels"):
            left = {unit: top.unscreened(block, self._pilots.block.ids) for unit, block in zip(own, self.source.blocks(own), strict=True)}
            for panel in top.panels(self.rows):
                if self.comm.allreduce(sum(one.positions.size for one in left.values())) <= top.few(self.count):
                    break
                left = self._screen_by(own, panel, left, limit)
            ids = [np.zeros(0, np.int64)]
            for unit, block in zip(own, self.source.blocks(own), strict=True):
                ids.append(block.ids[left[unit].positions])
            self._left = np.sort(np.concatenate(self.comm.allgather(np.concatenate(ids))))

    def _screen_by(self, own: range, panel: tuple[int, int], left: dict[int, Screened], limit: Cutoff) -> dict[int, Screened]:
        members = [self.source.empty(), *(top.members(block, panel) for block in self.source.blocks(own))]
        sample = concatenate(self.comm.allgather(concatenate(members)))
        found = {}
        for unit, block in zip(own, self.source.blocks(own), strict=True):
            self.cooperation.progress.evaluations += left[unit].positions.size * sample.ids.size
            found[unit] = top.screen(self.pairs, block, left[unit], sample, limit, self.k)
            self._stop_early()
        return found

    def _stop_early(self) -> None:
        """Screening is short and its state is not stored; where it is not short, a SIGTERM must not wait for it."""

    def _compare_chunk(self, own: range, ids: Integers, limit: Cutoff) -> None:
        if self._base is None:
            self._base = Candidates.start(self._rows_of(own, ids), units=self.units, k=self.k)
        found = self._compare(own, self._base, limit)
        self._kept.append(found.take(top.still_in(found.block.ids, found.neighbours, limit)))
        self._position += ids.size
        self._base = None

    def _rows_of(self, own: range, ids: Integers) -> Block:
        """The blocks of rows with these numbers, from whatever rank has them."""
        parts = [self.source.empty()]
        for block in self.source.blocks(own):
            parts.append(block.take(np.flatnonzero(np.isin(block.ids, ids, assume_unique=True))))
        return concatenate(self.comm.allgather(concatenate(parts)))

    def _compare(self, own: range, candidates: Candidates, limit: Cutoff | None) -> Candidates:
        """Compare rows with all units that are not done."""
        self._base = candidates
        self._mine = Candidates.start(candidates.block, units=self.units, k=self.k)
        self.cooperation.work(self._tasks(own, limit), self._collect)
        found = joined([candidates, *self.comm.allgather(self._mine)])
        self._mine = self._base = None
        return found

    def _tasks(self, own: range, limit: Cutoff | None) -> Iterator[Task]:
        assert self._base is not None  # noqa: S101 - _compare has set it
        todo = [unit for unit in own if not self._base.done[unit]]
        for unit, block in zip(todo, self.source.blocks(todo), strict=True):
            yield lambda unit=unit, block=block: self._task(unit, block, limit)  # type: ignore[misc]

    def _task(self, unit: int, data: Block, limit: Cutoff | None) -> None:
        assert self._mine is not None  # noqa: S101 - _compare has set it
        mine = self._mine
        with self.cooperation.progress.timed("pairs"):
            neighbours = mine.neighbours
            if mine.block.ids.size and data.ids.size:
                self.cooperation.progress.evaluations += mine.block.ids.size * data.ids.size
                neighbours = self.pairs.towards(mine.block, data, neighbours)
            done = mine.done.copy()
            done[unit] = True
            found = Candidates(block=mine.block, neighbours=neighbours, done=done)
            self._mine = found if limit is None else found.take(top.still_in(found.block.ids, neighbours, limit))

    # ---- checkpoints -------------------------------------------------------------------------------------------------------------------

    def _resume(self) -> tuple[Candidates | None, bool]:
        loaded = self.cooperation.load(("pilots", "left", "kept", "chunk"))
        pilots = Candidates.from_arrays(loaded["pilots"]) if "pilots" in loaded else None
        if "left" not in loaded:
            return pilots if pilots is not None and pilots.done.all() else None, False
        self._left, self.rows = loaded["left"]["ids"], int(loaded["left"]["rows"])
        return pilots, True

    def _save(self, objects: Mapping[str, Mapping[str, npt.NDArray[Any]]]) -> None:
        mine = {name: arrays for name, arrays in objects.items() if arrays} if self.comm.rank == 0 else {}
        self.cooperation.save(Saved(objects=mine, gone=tuple(name for name, arrays in objects.items() if not arrays)))

    def _all_kept(self) -> dict[str, npt.NDArray[Any]]:
        return {}

    def _collect(self) -> Saved:
        return Saved(objects={})

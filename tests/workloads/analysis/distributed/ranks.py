"""What several ranks do for test_ring.py and test_exchange.py, started once under mpirun: rank 0
prints one JSON object.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from mpi4py import MPI

from tests.workloads.analysis.distributed import fakes
from workloads.analysis.checkpoint.coordinator import Saved
from workloads.analysis.distributed.blocks import block_bytes, state_bytes
from workloads.analysis.distributed.transport.choice import choose, mpi_takes_device_memory
from workloads.analysis.distributed.transport.exchange import Exchange, HostExchange
from workloads.analysis.knn import full
from workloads.analysis.knn.block import Block
from workloads.analysis.knn.pairs_numpy import NumpyPairs
from workloads.analysis.outliers.full_search import FullSearch, UnitScores
from workloads.analysis.progress import Progress, StoppedError
from workloads.analysis.waiting import PollingComm

K = 4
ROWS = 30
UNIT_BYTES = block_bytes(ROWS, 3) + state_bytes(ROWS, K)
COMM = PollingComm(MPI.COMM_WORLD)


@dataclass
class Memory:
    """Stands in for CheckpointCoordinator: keeps checkpoints in a dictionary that all ranks have,
    and stops after so many.
    """

    comm: MPI.Intracomm
    objects: dict[str, dict[str, Any]]
    stop_after: float = float("inf")
    progress: Progress = field(default_factory=Progress)
    saved: int = 0

    @property
    def found(self) -> frozenset[str]:
        return frozenset(self.objects)

    def load(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        return {name: self.objects[name] for name in names}

    def save(self, saved: Saved) -> None:
        everybody = self.comm.allgather((dict(saved.objects), saved.gone))
        gone = {name for _, some in everybody for name in some}
        changed = {name: arrays for some, _ in everybody for name, arrays in some.items()}
        self.objects = {
            name: arrays for name, arrays in self.objects.items() if name not in gone
        } | changed
        self.saved += bool(changed)

    def work(
        self,
        tasks: Iterator[Callable[[], None]],
        collect: Callable[[], Saved],
        *,
        between: Callable[[], None] | None = None,
    ) -> None:
        """A checkpoint after every task of any rank."""
        tasks = iter(tasks)
        while True:
            task = next(tasks, None)
            if task is not None:
                task()
            if between is not None:
                between()
            if not self.comm.allreduce(int(task is not None), MPI.MAX):
                return
            self.save(collect())
            if self.saved >= self.stop_after:
                raise StoppedError


@dataclass
class Source:
    """Stands in for BlockSource."""

    table: dict[int, Block]
    unit_rows: int
    columns: int

    def block(self, unit: int) -> Block:
        return self.table[unit]

    def blocks(self, units: Sequence[int]) -> Iterator[Block]:
        return (self.table[unit] for unit in units)


def table_of(rng: np.random.Generator, units: int, unit_rows: int) -> dict[int, Block]:
    """Few different values, so that there are ties and duplicates; some units are short, some
    without rows.
    """
    table, first = {}, 0
    for unit in range(units):
        rows = int(rng.choice([0, 1, K, unit_rows, unit_rows, unit_rows]))
        values = rng.standard_normal((rows, 3)).astype(np.float64)
        if unit % 2:
            values = np.round(values)
        table[unit] = Block(ids=np.arange(first, first + rows), rows=values)
        first += rows
    return table


def evaluations_of(table: dict[int, Block]) -> int:
    sizes = [block.ids.size for block in table.values()]
    return sum(a * b for a, b in itertools.combinations(sizes, 2)) + sum(
        size * size // 2 for size in sizes
    )


def search(
    memory: Memory, source: Any, units: int, budget: int, exchange: Exchange
) -> dict[int, UnitScores]:
    comm, coordinator = memory.comm, cast(Any, memory)
    one = FullSearch(
        comm=comm,
        coordinator=coordinator,
        source=source,
        pairs=NumpyPairs(1),
        exchange=exchange,
        units=units,
        queries=range(units),
        k=K,
        budget=budget,
    )
    one.run()
    return {unit: scores for some in comm.allgather(one.finished) for unit, scores in some.items()}


def equal(found: dict[int, UnitScores], expected: dict[int, UnitScores]) -> bool:
    names = ("ids", "scores", "kth_ids")
    return found.keys() == expected.keys() and all(
        getattr(found[unit], name).tobytes() == getattr(expected[unit], name).tobytes()
        for unit in found
        for name in names
    )


def expected_of(table: dict[int, Block]) -> dict[int, UnitScores]:
    return {
        unit: UnitScores.of(state)
        for unit, state in full.all_pairs(NumpyPairs(1), table, units=len(table), k=K).items()
    }


def shapes_of(ranks: int) -> list[tuple[int, int]]:
    """Units, and groups of a rank."""
    return [(3 * ranks + 1, 1), (2 * ranks + 1, 2), (1, 1), (2, 1), (ranks - 1, 1), (7, 99)]


def rings(seed: int) -> dict[str, Any]:
    """By number of ranks: searches over tables of many shapes, then those that are stopped."""
    said: dict[str, Any] = {}
    for ranks in range(2, COMM.size + 1):
        comm = PollingComm(COMM.Split(int(COMM.rank < ranks), COMM.rank))
        found = None
        if COMM.rank < ranks:
            rng = np.random.default_rng((seed, ranks))
            found = ring(rng, comm, HostExchange(comm), shapes_of(ranks))
        comm.Free()
        said[str(ranks)] = COMM.bcast(found)
    said["resumes"] = resumes(np.random.default_rng(seed))
    return said


def ring(
    rng: np.random.Generator,
    comm: MPI.Intracomm,
    exchange: Exchange,
    shapes: Sequence[tuple[int, int]],
) -> dict[str, Any]:
    """Searches over tables of many shapes: bits, pairs compared against pairs that there are, and
    each rank's part of even units.
    """
    wrong: list[Any] = []
    for units, groups in shapes:
        table = table_of(rng, units, ROWS)
        coordinator = Memory(comm, {})
        found = search(
            coordinator,
            Source(table, ROWS, 3),
            units,
            UNIT_BYTES * -(-units // comm.size // groups),
            exchange,
        )
        if not equal(found, expected_of(table)) or coordinator.found != {
            f"scores-{unit:06}" for unit in range(units)
        }:
            wrong.append([units, groups])
        evaluations = comm.allreduce(coordinator.progress.evaluations)
        if groups == 1 and evaluations != evaluations_of(table):
            wrong.append([units, evaluations, evaluations_of(table)])
    return {"wrong": wrong, "parts": parts_of_even_units(comm, exchange)}


def parts_of_even_units(comm: MPI.Intracomm, exchange: Exchange) -> list[float]:
    units = 4 * comm.size
    even = {
        unit: Block(
            ids=np.arange(unit * ROWS, (unit + 1) * ROWS), rows=np.zeros((ROWS, 3), np.float64)
        )
        for unit in range(units)
    }
    coordinator = Memory(comm, {})
    search(coordinator, Source(even, ROWS, 3), units, UNIT_BYTES * units, exchange)
    return [one / evaluations_of(even) for one in comm.allgather(coordinator.progress.evaluations)]


def resumes(rng: np.random.Generator) -> dict[str, Any]:
    """Stopped again and again, and gone on with by other numbers of ranks and other memory."""
    wrong: list[Any] = []
    attempts = 0
    for case in range(2):
        units = 2 * COMM.size + case
        table = table_of(rng, units, ROWS)
        objects: dict[str, Any] = {}
        total, found = 0, None
        while found is None:
            ranks = int(rng.integers(1, COMM.size + 1))
            budget = UNIT_BYTES * (units if case % 2 else int(rng.integers(1, 4)))
            stop_after = int(rng.integers(2, 9))
            comm = PollingComm(COMM.Split(int(COMM.rank < ranks), COMM.rank))
            done: tuple[Any, ...] = (None, {}, 0)
            if COMM.rank < ranks:
                coordinator = Memory(comm, objects, stop_after)
                result = None
                with contextlib.suppress(StoppedError):
                    result = search(
                        coordinator, Source(table, ROWS, 3), units, budget, HostExchange(comm)
                    )
                done = result, coordinator.objects, comm.allreduce(coordinator.progress.evaluations)
            comm.Free()
            found, objects, evaluations = COMM.bcast(done)
            total += evaluations
            attempts += 1
        if not equal(found, expected_of(table)):
            wrong.append([case, "bits"])
        if case % 2 and total != evaluations_of(
            table
        ):  # all units are in a group at once, and every task was stored
            wrong.append([case, total, evaluations_of(table)])
    return {"wrong": wrong, "attempts": attempts}


def choices(seed: int) -> dict[str, Any]:
    """Which exchange is chosen in the face of every fault, and a search by each that passes its
    test.
    """
    said: dict[str, Any] = {}
    rng, shapes = np.random.default_rng(seed), shapes_of(COMM.size)[:2]
    for name in ("cuda-aware", "nccl"):
        for fault in fakes.FAULTS if name == "nccl" else ("", "bit", "absent"):
            start = time.monotonic()
            seconds = 1.0 if fault in ("silent", "lost") else 30.0
            opener, device, library = fakes.opener(name, COMM, fault, seconds)
            chosen = choose(opener, COMM, seconds=seconds)
            records = COMM.allgather(chosen.record())
            assert all(record == records[0] for record in records), records
            aborted = COMM.allreduce(sum(one.aborted for one in library.communicators))
            said[f"{name} {fault}".strip()] = {
                **records[0],
                "seconds": time.monotonic() - start,
                "aborted": aborted,
            }
            if not chosen.refused:
                said[f"{name} search"] = ring(rng, COMM, chosen.exchange, shapes)
                device.uploads = 0
                parts_of_even_units(COMM, chosen.exchange)
                said[f"{name} uploads"] = device.uploads
            HELD.append(chosen)
    said["host"] = choose(None, COMM).record()
    said["this MPI"] = mpi_takes_device_memory()
    return said


HELD: list[Any] = []


def main() -> None:
    result = {"rings": rings(int(sys.argv[1])), "choices": choices(5)}
    if COMM.rank == 0:
        sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()

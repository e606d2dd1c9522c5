"""One rank of `full` over the ring, without S3: `mpirun -n 2 python -m mpi4py -m bench.ring
--backend numpy`.

Rank 0 prints one JSON object: the digest of all scores, the pairs of rows that all ranks compared,
the exchange that was used and why not the one that was asked for, seconds, and bytes that came from
other ranks.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from mpi4py import MPI

from workloads.analysis import backend as backends
from workloads.analysis.checkpoint.coordinator import Saved
from workloads.analysis.distributed.transport.choice import choose, opener_of
from workloads.analysis.distributed.transport.exchange import EXCHANGES
from workloads.analysis.knn.block import Block
from workloads.analysis.outliers.full_search import FullSearch
from workloads.analysis.progress import Progress


@dataclass
class NoCheckpoints:
    """A CheckpointCoordinator that stores nothing."""

    comm: MPI.Intracomm
    progress: Progress = field(default_factory=Progress)
    found: frozenset[str] = frozenset()

    def load(self, _names: Iterable[str]) -> dict[str, dict[str, Any]]:
        return {}

    def save(self, _saved: Saved) -> None:
        self.comm.Barrier()

    def work(
        self,
        tasks: Iterable[Callable[[], None]],
        _collect: Callable[[], Saved],
        *,
        between: Callable[[], None] | None = None,
    ) -> None:
        for task in tasks:
            task()
            if between is not None:
                between()
        self.comm.Barrier()


@dataclass
class Rows:
    """A BlockSource of a table in memory."""

    rows: np.ndarray[Any, np.dtype[np.float64]]
    unit_rows: int

    @property
    def columns(self) -> int:
        return int(self.rows.shape[1])

    @property
    def units(self) -> int:
        return -(-len(self.rows) // self.unit_rows)

    def block(self, unit: int) -> Block:
        start = unit * self.unit_rows
        rows = self.rows[start : start + self.unit_rows]
        return Block(ids=np.arange(start, start + len(rows)), rows=rows)

    def blocks(self, units: Sequence[int]) -> Iterator[Block]:
        return (self.block(unit) for unit in units)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=backends.BACKENDS, default="cupy")
    parser.add_argument("--exchange", choices=EXCHANGES, default="host")
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--columns", type=int, default=32)
    parser.add_argument("--unit-rows", type=int, default=1 << 13)
    arguments = parser.parse_args()
    comm = MPI.COMM_WORLD
    backends.choose(arguments.backend, comm.rank, threads=1)  # takes this rank's device
    pairs = backends.choose_pairs(arguments.backend, threads=1)
    rng = np.random.default_rng(arguments.columns)
    rows = rng.standard_normal((arguments.rows, arguments.columns))
    rows *= np.exp(0.3 * rng.standard_normal((arguments.rows, 1)))
    source, coordinator = Rows(rows, arguments.unit_rows), NoCheckpoints(comm)
    chosen = choose(opener_of(arguments.exchange), comm)
    comm.Barrier()
    start = time.perf_counter()
    search = FullSearch(
        comm=comm,
        coordinator=cast(Any, coordinator),
        source=cast(Any, source),
        pairs=pairs,
        exchange=chosen.exchange,
        units=source.units,
        queries=range(source.units),
        k=10,
        budget=1 << 36,
    )
    search.run()
    seconds = time.perf_counter() - start
    progress = coordinator.progress
    gathered = comm.gather(
        (search.finished, progress.evaluations, progress.bytes.get("exchange", 0), progress.seconds)
    )
    if gathered is None:
        return
    finished = {unit: scores for some, *_ in gathered for unit, scores in some.items()}
    total = hashlib.sha256()
    for unit in sorted(finished):
        total.update(
            finished[unit].ids.tobytes()
            + finished[unit].scores.tobytes()
            + finished[unit].kth_ids.tobytes()
        )
    result = {
        "digest": total.hexdigest(),
        "ranks": comm.size,
        "evaluations": sum(evaluations for _, evaluations, *_ in gathered),
        "evaluations_by_rank": [evaluations for _, evaluations, *_ in gathered],
        "seconds": round(seconds, 3),
        "seconds_waiting_for_messages": round(
            max(one.get("exchange", 0.0) for *_, one in gathered), 3
        ),
        "exchanged_bytes": sum(count for _, _, count, _ in gathered),
        "exchange": chosen.record(),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()

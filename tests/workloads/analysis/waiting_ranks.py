"""Two ranks, started by test_waiting.py under mpirun: one of them comes late to every call. Rank 0
prints one JSON object: by call what came of it, and seconds of a processor that waiting took.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from mpi4py import MPI

from workloads.analysis.distributed.transport.exchange import HostExchange, Message
from workloads.analysis.waiting import PollingComm

LATE_SECONDS = 0.2
LARGE = 3 << 20
"""Bytes of a message that MPI does not keep for its receiver."""


def calls(comm: MPI.Intracomm) -> dict[str, Callable[[], Any]]:
    rank, other = comm.rank, 1 - comm.rank

    def passed_on(source: int) -> Any:
        if rank != source:
            return comm.recv(source=source) == bytes(LARGE)
        comm.send(bytes(LARGE), other)
        return True

    def reduced() -> Any:
        counts = np.array([rank, 5], np.int64)
        comm.Allreduce(MPI.IN_PLACE, counts, MPI.SUM)
        return counts.tolist()

    def exchanged() -> Any:
        leaving = Message(np.full(LARGE, rank, np.uint8))
        found = HostExchange(comm).start(leaving, other, LARGE, other).wait()
        return found is not None and set(found.host.tolist()) == {other}

    return {
        "bcast": lambda: comm.bcast({"of": rank}, 1),
        "gather": lambda: comm.gather(rank),
        "allgather": lambda: comm.allgather("x" * (rank + 1)),
        "allreduce": lambda: comm.allreduce(rank + 1),
        "allreduce by maximum": lambda: comm.allreduce(rank, MPI.MAX),
        "Allreduce": reduced,
        "Barrier": comm.Barrier,
        "a large message to the late one": lambda: passed_on(0),
        "a large message from the late one": lambda: passed_on(1),
        "an exchange": exchanged,
    }


def main() -> None:
    found = {}
    comm = PollingComm(MPI.COMM_WORLD)
    for name, call in calls(comm).items():
        MPI.COMM_WORLD.Barrier()
        if comm.rank == 1:
            time.sleep(LATE_SECONDS)
        start, clock = time.process_time(), time.monotonic()
        result = call()
        found[name] = {
            "result": result,
            "seconds": time.monotonic() - clock,
            "of a processor": time.process_time() - start,
        }
    if comm.rank == 0:
        sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()

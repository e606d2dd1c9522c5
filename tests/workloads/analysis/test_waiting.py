"""A rank that waits for another one leaves its processor to it, and what is exchanged is the same."""

from __future__ import annotations

import json
import sys

from tests.workloads.analysis import mpirun_program
from tests.workloads.analysis.waiting_ranks import LATE_SECONDS

RESULTS = {
    "bcast": {"of": 1},
    "gather": [0, 1],
    "allgather": ["x", "xx"],
    "allreduce": 3,
    "allreduce by maximum": 1,
    "Allreduce": [1, 10],
    "Barrier": None,
    "a large message to the late one": True,
    "a large message from the late one": True,
    "an exchange": True,
}


def test_a_rank_that_waits_takes_little_of_a_processor():
    program = (sys.executable, "-m", "mpi4py", "-m", "tests.workloads.analysis.waiting_ranks")
    found = json.loads(mpirun_program.run(2, program, environ={}, timeout_seconds=120))
    assert {name: call["result"] for name, call in found.items()} == RESULTS
    for name, call in found.items():
        assert call["seconds"] > LATE_SECONDS / 2, f"{name} did not wait"
        assert call["of a processor"] < LATE_SECONDS / 3, f"{name}: {call}"

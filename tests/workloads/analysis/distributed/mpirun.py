"""Runs ranks.py."""

from __future__ import annotations

import json
from typing import Any

from tests.workloads.analysis import mpirun_program
from workloads.analysis.launch import mpirun


def run_ranks(ranks: int, *arguments: str) -> dict[str, Any]:
    """What rank 0 printed."""
    program = [*mpirun.PROGRAM[:3], "-m", "tests.workloads.analysis.distributed.ranks", *arguments]
    printed = mpirun_program.run(ranks, program, environ={}, timeout_seconds=90)
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found

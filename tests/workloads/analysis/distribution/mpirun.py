"""Runs ranks.py."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from workloads.analysis.launch import mpirun


def run_ranks(ranks: int, *arguments: str) -> dict[str, Any]:
    """What rank 0 printed."""
    program = [*mpirun.PROGRAM[:3], "-m", "tests.workloads.analysis.distribution.ranks", *arguments]
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHONPATH": str(mpirun.ROOT)}
    environ["OMPI_MCA_mpi_yield_when_idle"] = "1"  # there are more ranks than processors
    ended = subprocess.run(
        mpirun.on_one_node(ranks, program),
        env=mpirun.environment(environ),
        cwd=mpirun.ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found

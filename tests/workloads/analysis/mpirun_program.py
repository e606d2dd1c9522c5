"""Programs of the tests under mpirun, on this machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from localcloud.batch.container import HIDDEN
from workloads.analysis.launch import mpirun


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """What every rank is told, besides `more`; nothing of the test's own environment but where
    programs are.
    """
    return mpirun.environment(
        {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "PYTHONPATH": f"{HIDDEN}:{mpirun.ROOT}",
            "OMPI_MCA_mpi_yield_when_idle": "1",  # there may be more ranks than processors
            **more,
        }
    )


def run(
    ranks: int, program: Sequence[str], *, environ: Mapping[str, str], timeout_seconds: float
) -> str:
    """Runs a program to its end, which has to be a good one, and returns what it printed."""
    ended = subprocess.run(
        mpirun.on_one_node(ranks, program),
        env=environment(environ),
        cwd=mpirun.ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout

"""Programs of the tests under mpirun, on this machine, each start in a temporary directory of its
own, as those of the launcher (scratch.py).

PRRTE names the folder of a session by its process id, and a mpirun that was killed leaves it. One
that gets the same id later finds its files there, and ends with "The PMIx server's listener thread
failed to start".
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from localcloud.batch.container import HIDDEN
from workloads.analysis.launch import mpirun


def environment(folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    """What every rank is told, besides `more`; nothing of the test's own environment but where
    programs are. `folder` is the temporary directory of this start alone.
    """
    return mpirun.environment(
        {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "TMPDIR": str(folder),
            "PYTHONPATH": f"{HIDDEN}:{mpirun.ROOT}",
            "OMPI_MCA_mpi_yield_when_idle": "1",  # there may be more ranks than processors
            **more,
        }
    )


def run(
    ranks: int, program: Sequence[str], *, environ: Mapping[str, str], timeout_seconds: float
) -> str:
    """Runs a program to its end, which has to be a good one, and returns what it printed."""
    with tempfile.TemporaryDirectory(prefix="mpirun-", ignore_cleanup_errors=True) as folder:
        ended = subprocess.run(
            mpirun.on_one_node(ranks, program),
            env=environment(Path(folder), environ),
            cwd=mpirun.ROOT,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout

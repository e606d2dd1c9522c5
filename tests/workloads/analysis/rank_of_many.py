"""One rank of `many`: all jobs one after the other. Loads what a rank of the program loads, and
nothing of the tests.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from pathlib import Path

from workloads.runtime.loading import loading

with loading():
    from mpi4py import MPI

    from workloads.analysis.pipeline import plan
    from workloads.analysis.pipeline.shard_run import OneShard
    from workloads.analysis.pipeline.table_run import WholeTable
    from workloads.analysis.progress import Progress, Stop
    from workloads.analysis.settings import Settings
    from workloads.analysis.waiting import PollingComm
    from workloads.runtime import logs
    from workloads.variables import ENV_RANKS_PER_NODE


def main(wanted: Path, done: Path) -> None:
    """Runs each job of `wanted`, and leaves what all of them have come to in `done`."""
    # one machine for all jobs; its copies of 16 MiB take as long as the comparing of a small table
    plan._copy_rate = functools.cache(plan._copy_rate)
    found: list[str | None] = []
    given = dict(os.environ)
    for environ in json.loads(wanted.read_text()):
        os.environ.clear()
        os.environ.update(given | environ)
        has_part = MPI.COMM_WORLD.rank < int(environ[ENV_RANKS_PER_NODE])
        comm = PollingComm(MPI.COMM_WORLD.Split(int(has_part), MPI.COMM_WORLD.rank))
        if has_part:
            settings = Settings.read()
            logs.configure(stage="analysis", run_id=settings.run.run_id, batch=settings.batch)
            stage = OneShard if settings.shard.count > 1 else WholeTable
            success = stage(comm, settings, Progress(), Stop()).run()
            found.append(None if success is None else success.to_json().decode())
        comm.Free()
        all_done = MPI.COMM_WORLD.Ibarrier()
        while (
            not all_done.Test()
        ):  # a rank that waits inside of MPI would take the processor from those at work
            time.sleep(0.01)
    if MPI.COMM_WORLD.rank == 0:
        done.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

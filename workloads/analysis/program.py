"""One MPI rank of the analysis: `mpirun ... python -m mpi4py -m workloads.analysis.program`.

A rank that fails says so in one log line, which the launcher on the main node reads, and ends all
others. Asked to end (SIGTERM), the ranks store what they have and end together.
"""

from __future__ import annotations

import logging
import sys
from typing import NoReturn

from workloads.runtime.loading import loading

with loading():
    from mpi4py import MPI

    from workloads.analysis.pipeline.shard_run import OneShard
    from workloads.analysis.pipeline.table_run import WholeTable
    from workloads.analysis.progress import Progress, Stop, StoppedError
    from workloads.analysis.rank_failure import RankFailure
    from workloads.analysis.settings import Settings
    from workloads.analysis.waiting import PollingComm
    from workloads.contract import ContractError
    from workloads.runtime import logs
    from workloads.runtime.batch_env import BatchEnv
    from workloads.runtime.errors import (
        EXIT_INTERNAL,
        EXIT_REFUSED,
        EXIT_TERMINATED,
        StageError,
        exhausted,
    )

log = logging.getLogger(__name__)


def main() -> None:
    """Run this rank; on failure end all ranks with the failure's exit code."""
    comm = PollingComm(MPI.COMM_WORLD)
    progress, stop = Progress(), Stop()
    stop.listen()
    try:
        settings = Settings.read()
        logs.configure(stage="analysis", run_id=settings.run.run_id, batch=settings.batch)
        stage = OneShard if settings.shard.count > 1 else WholeTable
        success = stage(comm, settings, progress, stop).run()
        if success is not None:
            log.info(
                "analysis stored",
                extra={
                    "fields": {
                        "digest": success.digest,
                        "rows": success.rows,
                        "seconds": success.seconds,
                    }
                },
            )
    except StoppedError:
        _stopped(comm, progress)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other ranks wait for this one
        _fail(comm, error, progress)


def _stopped(comm: MPI.Intracomm, progress: Progress) -> NoReturn:
    """Asked to end, as all other ranks are; one line for the launcher, from whichever rank is
    first.
    """
    stored = (
        "what it has is stored, and the next attempt goes on from there"
        if progress.seconds.get("checkpoint")
        else "nothing is stored yet"
    )
    sentence = f"asked to stop; {stored}"
    sys.stdout.write(RankFailure(sentence=sentence, hint="", exit_code=EXIT_TERMINATED).to_line())
    sys.stdout.flush()
    comm.Abort(EXIT_TERMINATED)
    raise SystemExit(EXIT_TERMINATED)


def _fail(comm: MPI.Intracomm, error: Exception, progress: Progress) -> None:
    place = f"rank {comm.rank} of {comm.size} on node {BatchEnv.read().node_index}"
    if progress.unit is not None:
        place += f", unit {progress.unit}"
    hint = ""
    exit_code = EXIT_REFUSED
    sentence = str(error)
    error = exhausted(error) or error
    if isinstance(error, StageError):
        hint, exit_code = error.hint, error.exit_code
    elif not isinstance(error, ContractError):
        log.error("internal error", exc_info=error)
        sentence = f"internal error: {type(error).__name__}: {error}"
        hint, exit_code = "this is a bug of the stage; its log holds the traceback", EXIT_INTERNAL
    failure = RankFailure(sentence=f"{place}: {sentence}", hint=hint, exit_code=exit_code)
    sys.stdout.write(failure.to_line())
    sys.stdout.flush()
    comm.Abort(exit_code)


if __name__ == "__main__":
    main()

"""How a stage begins and ends: logs, stage record, error record, exit code."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from types import FrameType
from typing import Any, Final, NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from workloads import contract
from workloads.contract import ContractError, Run, Stage
from workloads.formats import now
from workloads.records import StageRecord
from workloads.runtime import disk, env, logs, s3, usage
from workloads.runtime.batch_env import BatchEnv
from workloads.runtime.beginning import beginning
from workloads.runtime.errors import (
    EXIT_ENVIRONMENT,
    EXIT_INTERNAL,
    EXIT_OK,
    EXIT_TERMINATED,
    StageError,
    exhausted,
)
from workloads.runtime.quoting import escaped
from workloads.variables import ENV_RECLAIM_SIGNAL, ENV_RESULTS_BUCKET, ENV_RUN_ID

log = logging.getLogger(__name__)

_GRACE_SECONDS: Final = 25.0
"""Batch sends SIGKILL 30 s after SIGTERM (the container agent's default); clean-up that takes
longer than this is cut short.
"""
_RECLAIM_SECONDS: Final = 100.0
"""The same where EC2 takes the machine back, which it says two minutes before."""


def run_stage(
    stage: Stage,
    main: Callable[[Run], dict[str, Any] | None],
    *,
    then: Callable[[Run], dict[str, Any]] | None = None,
) -> int:
    """Runs a stage to its end and returns the process's exit code (see errors.py); never raises but
    for SIGTERM's SystemExit.

    `main` gets the run and returns the figures for StageRecord.details (JSON values), or None where
    another job writes the record, as for most children of an array job. On success the record is
    written to the results bucket; on failure one sentence goes to standard error and an error
    record to the results bucket. In a multi-node or MPI job only the main node's first process
    writes records; the others only log. `then` is what may be done only after the record stands,
    such as to end the run; it returns more figures for the log.
    """
    clock = time.monotonic()
    started_at = now()
    signal.signal(signal.SIGTERM, _terminate)
    leaves_at = os.environ.get(ENV_RECLAIM_SIGNAL, "")
    if leaves_at in signal.Signals.__members__:
        signal.signal(signal.Signals[leaves_at], _leave)
    try:
        batch = BatchEnv.read()
        run = Run(env.text(ENV_RUN_ID))
        results_bucket = env.text(ENV_RESULTS_BUCKET)
    except (StageError, ContractError) as error:
        print(f"{stage}: {error}", file=sys.stderr)  # noqa: T201 - there is no run yet to log under
        return EXIT_ENVIRONMENT
    logs.configure(stage=stage, run_id=run.run_id, batch=batch)
    is_first_rank = logs.mpi_rank() in {None, 0}
    writes_records = batch.is_main_node and is_first_rank
    began = beginning(datetime.fromisoformat(started_at)) if is_first_rank else None

    try:
        log.info(
            "stage started",
            extra={
                "fields": {
                    "job_id": batch.job_id,
                    "queue": batch.queue,
                    "environment": batch.compute_environment,
                    **({} if began is None else asdict(began)),
                }
            },
        )
        with disk.own_directory(), usage.Meter() as meter:
            details = main(run)
            used = meter.used
        seconds = time.monotonic() - clock
        if writes_records and details is not None:
            record = StageRecord(
                stage=stage,
                run_id=run.run_id,
                started_at=started_at,
                seconds=round(seconds, 3),
                attempt=batch.attempt,
                job_id=batch.job_id,
                details=details,
                used=used,
                beginning=began,
            )
            s3.put_bytes(
                results_bucket,
                run.stage_record_key(stage),
                record.to_json(),
                content_type="application/json",
            )
        more = then(run) if then is not None else {}
        log.info(
            "stage succeeded",
            extra={"fields": {"seconds": round(seconds, 3), **(details or {}), **more}},
        )
    except Exception as error:  # noqa: BLE001 - the last line of defence: every failure has to end in a sentence and an exit code
        failure = _printable(_as_stage_error(error))
    else:
        return EXIT_OK

    log.error(
        failure.sentence, extra={"fields": {"hint": failure.hint, "exit_code": failure.exit_code}}
    )
    print(  # noqa: T201 - for people
        f"{stage}: {failure.sentence}" + (f" ({failure.hint})" if failure.hint else ""),
        file=sys.stderr,
    )
    if writes_records:
        _write_error(stage, run, results_bucket, failure)
    return failure.exit_code


def _as_stage_error(error: Exception) -> StageError:
    """The error as a sentence for people; logs the traceback of what nobody foresaw."""
    if isinstance(error, StageError):
        return error
    if isinstance(error, ContractError):
        return StageError(str(error))
    if isinstance(error, (ClientError, BotoCoreError)):
        return s3.aws_error(error)
    used_up = exhausted(error)
    if used_up is not None:
        log.error("out of memory or disk", exc_info=error)
        return used_up
    log.error("internal error", exc_info=error)
    return StageError(
        f"internal error: {type(error).__name__}: {error}",
        hint="this is a bug of the stage; its log holds the traceback",
        exit_code=EXIT_INTERNAL,
    )


def _printable(error: StageError) -> StageError:
    """The same error; what stood in a file and in its name steers no terminal, log or chat."""
    return StageError(escaped(error.sentence), hint=escaped(error.hint), exit_code=error.exit_code)


def _write_error(stage: Stage, run: Run, results_bucket: str, failure: StageError) -> None:
    record = {"stage": stage, "error": failure.sentence, "hint": failure.hint, "at": now()}
    try:
        s3.put_bytes(
            results_bucket,
            run.error_key(stage),
            json.dumps(record, indent=1).encode(),
            content_type="application/json",
        )
    except StageError as error:
        # the exit code already tells Batch; where S3 itself is the trouble there is nowhere else to
        # write to
        log.warning("error record not written: %s", error)


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    log.warning("SIGTERM received: stopping", extra={"fields": {"exit_code": EXIT_TERMINATED}})
    _unwind(EXIT_TERMINATED, _GRACE_SECONDS)


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    log.warning(
        "AWS takes this machine back: storing what is there and leaving; the next attempt goes on",
        extra={"fields": {"exit_code": contract.RECLAIMED_EXIT}},
    )
    # a Fargate container has no longer after its SIGTERM than after any other
    fargate = number == signal.SIGTERM
    _unwind(contract.RECLAIMED_EXIT, _GRACE_SECONDS if fargate else _RECLAIM_SECONDS)


def _unwind(exit_code: int, seconds: float) -> NoReturn:
    """Ends the stage; worker threads may sit in a network call, and unwinding waits for them, but
    not for longer than this.
    """
    watchdog = threading.Timer(seconds, os._exit, (exit_code,))
    watchdog.daemon = True
    watchdog.start()
    raise SystemExit(exit_code)

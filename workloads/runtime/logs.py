"""Logs as JSON lines on standard output, one object per record, so that CloudWatch Logs Insights
can query the fields.

logging.getLogger(__name__).info("unit written", extra={"fields": {"unit": 3, "rows": 65536}})
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any, Final

from workloads.runtime.batch_env import BatchEnv

RANK_VARIABLES: Final = ("OMPI_COMM_WORLD_RANK", "PMIX_RANK")


def mpi_rank() -> int | None:
    """Rank that the MPI launcher gave to this process; None outside MPI.

    Reads variables only: MPI need not be initialised.
    """
    ranks = (os.environ.get(name, "") for name in RANK_VARIABLES)
    return next((int(rank) for rank in ranks if rank.isdecimal()), None)


class JsonLines(logging.Formatter):
    """One line of JSON per record: time, level, message, logger, then what all records of the
    process share, then its own fields.
    """

    def __init__(self, shared: dict[str, Any]) -> None:
        super().__init__()
        self._shared = shared

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line; `fields` of the record and its exception are included."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            **self._shared,
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def configure(*, stage: str, run_id: str, batch: BatchEnv) -> None:
    """Sends the logs of the whole process to standard output as JSON lines; a second call replaces
    the first.
    """
    shared: dict[str, Any] = {"run_id": run_id, "stage": stage, "attempt": batch.attempt}
    if batch.num_nodes > 1:
        shared["node"] = batch.node_index
    if batch.array_index is not None:
        shared["shard"] = batch.array_index
    rank = mpi_rank()
    if rank is not None:
        shared["rank"] = rank
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines(shared))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # botocore tells at INFO where it found credentials, once per client: noise, and nobody's
    # business in a shared log group
    logging.getLogger("botocore").setLevel(logging.WARNING)

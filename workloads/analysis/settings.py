"""What the job's environment asks of a rank."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workloads.analysis.backend import BACKENDS
from workloads.analysis.checkpoint.schedule import NODE_MTBF_HOURS
from workloads.analysis.distributed.transport.exchange import EXCHANGES
from workloads.analysis.shard import Shard
from workloads.contract import ContractError, Run
from workloads.parameters import AnalysisParameters
from workloads.runtime import env
from workloads.runtime.batch_env import BatchEnv
from workloads.runtime.errors import EXIT_ENVIRONMENT, StageError
from workloads.runtime.prices import prices
from workloads.variables import (
    ENV_ANOMALY_MODE,
    ENV_ARRAY_BACKEND,
    ENV_BLOCK_MEMORY_MIB,
    ENV_CHECKPOINT_FLOOR_SECONDS,
    ENV_CHECKPOINTS_PATH,
    ENV_EXCHANGE,
    ENV_INTERMEDIATE_BUCKET,
    ENV_MAX_DOLLARS,
    ENV_NODE_MTBF_HOURS,
    ENV_RANKS_PER_NODE,
    ENV_RESULTS_BUCKET,
    ENV_SCRATCH_PATH,
    ENV_SHARDS,
    ENV_TABLES_PATH,
)

_BLOCK_MEMORY_MIB: Final = 2048
_CHECKPOINT_FLOOR_SECONDS: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class SearchMeans:
    """The memory, time and money that the search for remote rows may take.

    No result depends on them.
    """

    max_dollars: float | None
    usd_per_hour: float | None
    """Price of all machines of the stage; None where it is not known."""
    block_memory_bytes: int
    """Memory of one rank for blocks."""
    checkpoint_floor_seconds: float
    node_mtbf_hours: float

    @classmethod
    def read(cls) -> SearchMeans:
        """Raises StageError."""
        ranks = env.whole(ENV_RANKS_PER_NODE, default=1, low=1, high=256)
        limited = os.environ.get(ENV_MAX_DOLLARS, "").strip() != ""
        memory_mib = env.number(
            ENV_BLOCK_MEMORY_MIB, default=_BLOCK_MEMORY_MIB, low=0.001, high=1 << 24
        )
        return cls(
            max_dollars=(
                env.number(ENV_MAX_DOLLARS, default=0.0, low=0.0, high=1e9) if limited else None
            ),
            usd_per_hour=prices().get("analysis"),
            block_memory_bytes=int(memory_mib * (1 << 20) / ranks),
            checkpoint_floor_seconds=env.number(
                ENV_CHECKPOINT_FLOOR_SECONDS,
                default=_CHECKPOINT_FLOOR_SECONDS,
                low=0.0,
                high=86_400.0,
            ),
            node_mtbf_hours=env.number(
                ENV_NODE_MTBF_HOURS, default=NODE_MTBF_HOURS, low=1e-6, high=1e6
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All of it."""

    run: Run
    batch: BatchEnv
    intermediate_bucket: str
    results_bucket: str
    backend: str
    exchange: str
    """That is asked for."""
    threads: int
    """Threads of one rank, on the host."""
    parameters: AnalysisParameters
    means: SearchMeans
    shard: Shard
    tables_path: Path | None = None
    """Directory with copies of cleaned tables."""
    checkpoints_path: Path | None = None
    """Directory for checkpoints, in place of the results bucket."""
    scratch: bool = False
    """Whether temporary files lie on a disk that is meant for data."""

    @classmethod
    def read(cls) -> Settings:
        """Raises StageError, ContractError."""
        batch = BatchEnv.read()
        shard, parameters = Shard.read(batch), _parameters()
        if shard.count > 1 and parameters.anomaly_mode == "off":
            raise StageError(
                f"environment variable {ENV_SHARDS} says {shard.count}, but"
                f" {ENV_ANOMALY_MODE} is 'off', and only the search for remote rows is"
                " shared out",
                hint="use mode 'top' or 'full', or submit the analysis without an array size",
                exit_code=EXIT_ENVIRONMENT,
            )
        backend = env.choice(ENV_ARRAY_BACKEND, allowed=BACKENDS, default="numpy")
        exchange = env.choice(ENV_EXCHANGE, allowed=EXCHANGES, default="host")
        if exchange != "host" and backend != "cupy":
            raise StageError(
                f"{ENV_EXCHANGE} is {exchange!r}, which moves rows between GPUs, but"
                f" {ENV_ARRAY_BACKEND} is {backend!r}",
                hint=(f"set {ENV_EXCHANGE} to 'host', or {ENV_ARRAY_BACKEND} to 'cupy'"),
            )
        return cls(
            run=Run.from_env(),
            batch=batch,
            shard=shard,
            intermediate_bucket=env.text(ENV_INTERMEDIATE_BUCKET),
            results_bucket=env.text(ENV_RESULTS_BUCKET),
            backend=backend,
            exchange=exchange,
            threads=env.whole("OMP_NUM_THREADS", default=1, low=1, high=1024),
            parameters=parameters,
            means=SearchMeans.read(),
            tables_path=env.directory(ENV_TABLES_PATH),
            checkpoints_path=env.directory(ENV_CHECKPOINTS_PATH),
            scratch=env.directory(ENV_SCRATCH_PATH) is not None,
        )


def _parameters() -> AnalysisParameters:
    try:
        return AnalysisParameters.from_env()
    except ContractError as error:
        raise StageError(str(error), exit_code=EXIT_ENVIRONMENT) from error

"""What a node is told about the job."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from workloads.analysis.launch.mpirun import PROGRAM
from workloads.runtime import env
from workloads.runtime.batch_env import BatchEnv
from workloads.runtime.errors import EXIT_ENVIRONMENT, StageError
from workloads.variables import ENV_JOIN_DEADLINE_SECONDS, ENV_LAUNCH_TOKEN, ENV_RANKS_PER_NODE

PORT: Final = 7077
"""Port on which the main node listens.

The nodes' security group lets its members reach each other on every port, as MPI needs it.
"""
_JOIN_DEADLINE_SECONDS: Final = 600


@dataclass(frozen=True, kw_only=True)
class LaunchSettings:
    """Read once per node."""

    batch: BatchEnv
    ranks_per_node: int
    join_deadline_seconds: float
    token: str = field(repr=False)
    """Shared secret of the nodes, empty where there is one node."""
    program: tuple[str, ...] = PROGRAM
    """Command of one rank."""

    @property
    def job(self) -> str:
        """What all nodes of one attempt have in common."""
        return f"{self.batch.job_id}:{self.batch.attempt}"

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """From the environment. Raises StageError."""
        batch = BatchEnv.read(environ)
        several = batch.num_nodes > 1
        if not batch.is_main_node and batch.main_node_address is None:
            raise StageError(
                f"node {batch.node_index} of {batch.num_nodes} was not told where the main node is"
                " (AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS is not set); AWS Batch sets it on"
                " the child nodes of a multi-node job",
                exit_code=EXIT_ENVIRONMENT,
            )
        return cls(
            batch=batch,
            ranks_per_node=env.whole(
                ENV_RANKS_PER_NODE, default=1, low=1, high=256, environ=environ
            ),
            join_deadline_seconds=env.number(
                ENV_JOIN_DEADLINE_SECONDS,
                default=_JOIN_DEADLINE_SECONDS,
                low=1,
                high=86400,
                environ=environ,
            ),
            token=env.text(ENV_LAUNCH_TOKEN, environ) if several else "",
        )

"""The variables that AWS Batch sets in a job's container; read here and nowhere else.

Names and meaning: AWS Batch user guide, "AWS Batch job environment variables". A process that Batch
did not start (a developer's shell, a test) gets the values of a first attempt on a single node.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from workloads.runtime.errors import EXIT_ENVIRONMENT, StageError

_ARRAY_INDEX: Final = "AWS_BATCH_JOB_ARRAY_INDEX"
_ARRAY_SIZE: Final = "AWS_BATCH_JOB_ARRAY_SIZE"


@dataclass(frozen=True, kw_only=True)
class BatchEnv:
    """Where and as what this process runs."""

    job_id: str
    """Job id as DescribeJobs knows it: without the `#<node>` that a node of a multi-node job has at
    its end, with the `:<index>` of a child of an array job.
    """
    attempt: int
    """Attempt, counted from 1."""
    queue: str
    compute_environment: str
    node_index: int
    main_node_index: int
    num_nodes: int
    main_node_address: str | None
    """Private IPv4 address of the main node; Batch tells it to the child nodes only."""
    array_index: int | None = None
    """Index of a child of an array job, from 0; None elsewhere."""
    array_size: int | None = None
    """Children of the array; None elsewhere, or where Batch does not say."""

    @property
    def launch(self) -> str:
        """What was submitted: the array job for all of its children, otherwise the job itself."""
        return self.job_id if self.array_index is None else self.job_id.partition(":")[0]

    @property
    def is_main_node(self) -> bool:
        """Whether this node's exit code is the job's."""
        return self.node_index == self.main_node_index

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """The variables of this process. Raises StageError where one is not what Batch writes."""
        main_node_index = _count(environ, "AWS_BATCH_JOB_MAIN_NODE_INDEX", default=0, low=0)
        return cls(
            job_id=environ.get("AWS_BATCH_JOB_ID", "local").partition("#")[0],
            attempt=_count(environ, "AWS_BATCH_JOB_ATTEMPT", default=1, low=1),
            queue=environ.get("AWS_BATCH_JQ_NAME", ""),
            compute_environment=environ.get("AWS_BATCH_CE_NAME", ""),
            node_index=_count(environ, "AWS_BATCH_JOB_NODE_INDEX", default=main_node_index, low=0),
            main_node_index=main_node_index,
            num_nodes=_count(environ, "AWS_BATCH_JOB_NUM_NODES", default=1, low=1),
            main_node_address=environ.get("AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS") or None,
            array_index=(
                _count(environ, _ARRAY_INDEX, default=0, low=0)
                if environ.get(_ARRAY_INDEX)
                else None
            ),
            array_size=(
                _count(environ, _ARRAY_SIZE, default=0, low=2) if environ.get(_ARRAY_SIZE) else None
            ),
        )


def _count(environ: Mapping[str, str], name: str, *, default: int, low: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdecimal()) or int(text) < low:
        raise StageError(
            f"environment variable {name} is {text!r}; AWS Batch writes a whole number from {low}"
            " there",
            exit_code=EXIT_ENVIRONMENT,
        )
    return int(text)

"""Many tables through the whole analysis by one start of mpirun: starting it costs more than
analysing a small table.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.workloads.analysis import mpirun_program
from tests.workloads.analysis.conftest import RESULTS, Store
from workloads.analysis.outliers.result import Anomalies, decode_scores, load_anomalies
from workloads.analysis.pipeline.success import Success
from workloads.analysis.profile.result import Profile
from workloads.contract import Run
from workloads.variables import (
    ENV_ANOMALY_METRIC,
    ENV_ANOMALY_MODE,
    ENV_ANOMALY_NEIGHBOURS,
    ENV_ANOMALY_SCALING,
    ENV_ANOMALY_TOP,
    ENV_BLOCK_MEMORY_MIB,
    ENV_RANKS_PER_NODE,
    ENV_RUN_ID,
)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One analysis."""

    run: Run
    mode: str
    ranks: int = 1
    threads: int = 1
    metric: str = "euclidean"
    scaling: str = "robust"
    neighbours: int | str = 10
    top: int = 20
    block_memory_mib: float = 2048
    more: Mapping[str, str] = field(default_factory=dict)
    """Environment variables besides."""

    @property
    def environ(self) -> dict[str, str]:
        return {
            ENV_RUN_ID: self.run.run_id,
            ENV_RANKS_PER_NODE: str(self.ranks),
            "OMP_NUM_THREADS": str(self.threads),
            ENV_ANOMALY_MODE: self.mode,
            ENV_ANOMALY_METRIC: self.metric,
            ENV_ANOMALY_SCALING: self.scaling,
            ENV_ANOMALY_NEIGHBOURS: str(self.neighbours),
            ENV_ANOMALY_TOP: str(self.top),
            ENV_BLOCK_MEMORY_MIB: f"{self.block_memory_mib:.4f}",
            **self.more,
        }


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a run left."""

    success: Success
    profile: Profile
    anomalies: Anomalies
    ids: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    """Of all rows; empty with mode `top`."""


def analyse(store: Store, jobs: list[Job], *, folder: Path) -> list[Success]:
    """Run the jobs one after the other, each on the first of the same ranks; what each has left as
    `_SUCCESS.json`.
    """
    found: list[Success] = analyse_shards(store, jobs, folder=folder)[0]
    assert None not in found
    return found


def analyse_shards(store: Store, jobs: list[Job], *, folder: Path) -> tuple[list[Any], str]:
    """The same for jobs that may be shards: a Success of each, or None where it concluded nothing;
    and what all of them printed.
    """
    wanted, done = folder / "jobs.json", folder / "done.json"
    wanted.write_text(json.dumps([job.environ for job in jobs]))
    program = (
        sys.executable,
        *("-m", "mpi4py"),
        *("-m", "tests.workloads.analysis.rank_of_many"),
        *(str(wanted), str(done)),
    )
    printed = mpirun_program.run(
        max(job.ranks for job in jobs), program, environ=store.environ, timeout_seconds=280
    )
    found = json.loads(done.read_text())
    return [None if text is None else Success.from_json(text.encode()) for text in found], printed


def load(store: Store, job: Job) -> Found:
    """What postprocess would read of the last job of this run, checked as postprocess checks it."""
    success = store.success(job.run)
    assert success.anomaly is not None
    profile = store.profile(job.run)
    anomalies = load_anomalies(
        lambda key: store.get(RESULTS, key), job.run, success.anomaly, profile
    )
    parts = [
        decode_scores(store.get(RESULTS, job.run.scores_prefix + stored.name))
        for stored in success.anomaly.scores
    ]
    return Found(
        success=success,
        profile=profile,
        anomalies=anomalies,
        ids=np.concatenate([np.zeros(0, np.int64), *(ids for ids, _, _ in parts)]),
        scores=np.concatenate([np.zeros(0), *(scores for _, scores, _ in parts)]),
    )

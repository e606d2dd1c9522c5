"""The whole analysis of one table under every kernel, number of threads and ranks, and split into
shards: one digest.

`python -m bench.portability [--rows 20000 --columns 8 --unit-rows 9000 --metrics
euclidean,mahalanobis,cosine]` prints one digest a line for each mode and metric, and ends with 1
where two differ. Kernels that this processor does not have are left out and named. With `--mixed N`
an array job of two to four shards on as many kinds of kernel runs N times, and none may fail;
`--python PATH`, which may be given again, names interpreters of other environments (with NumPy,
pyarrow, boto3, mpi4py and openmpi) that the shards take in turn.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.workloads.analysis.conftest import Store, serve
from tests.workloads.analysis.kernels import NEEDS, environments, processor_flags
from tests.workloads.analysis.many import Job, analyse
from tests.workloads.analysis.portable import table
from tests.workloads.analysis.test_program import run_stage
from workloads.contract import Run
from workloads.variables import (
    ENV_ANOMALY_METRIC,
    ENV_ANOMALY_MODE,
    ENV_ANOMALY_NEIGHBOURS,
    ENV_ANOMALY_TOP,
    ENV_SHARDS,
)

TOP = 50


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("rows", 20_000), ("columns", 8), ("unit-rows", 9_000), ("mixed", 4)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--metrics", default="euclidean,mahalanobis,cosine")
    parser.add_argument("--python", action="append", default=[])
    parser.add_argument(
        "--only-mixed", action="store_true", help="leave out all but the array jobs"
    )
    options = parser.parse_args()
    pythons = [sys.executable, *options.python]
    values = table(options.rows, options.columns)
    metrics = options.metrics.split(",")
    left_out = sorted(name for name, flag in NEEDS.items() if flag not in processor_flags())
    print(
        f"NumPy {np.__version__}, {os.cpu_count()} processors; {options.rows:,} x"
        f" {options.columns}, units of {options.unit_rows:,} rows"
    )
    print(f"kernels that this processor lacks: {', '.join(left_out) or 'none'}")
    versions = [version_of(python) for python in pythons]
    print(f"interpreters of the mixed runs: {'; '.join(versions)}")
    found: dict[tuple[str, str], set[str]] = {}
    with serve() as store, tempfile.TemporaryDirectory() as folder:
        for name, environ, ranks, threads in [] if options.only_mixed else variants():
            jobs = [
                Job(
                    run=store.put_table(f"p-{mode}-{metric}", values, options.unit_rows),
                    mode=mode,
                    ranks=ranks,
                    threads=threads,
                    metric=metric,
                    top=TOP,
                )
                for mode in ("top", "full")
                for metric in metrics
            ]
            here = replace(store, environ={**store.environ, **environ})
            for job, success in zip(jobs, analyse(here, jobs, folder=Path(folder)), strict=True):
                told(
                    found,
                    f"{name}, {ranks} ranks, {threads} threads",
                    job.mode,
                    job.metric,
                    success.digest,
                )
        for number in range(options.mixed):
            shards = 2 + number % 3
            run = store.put_table(f"p-shards-{number}", values, options.unit_rows)
            told(
                found,
                f"{shards} shards on as many kernels, run {number + 1}",
                "full",
                metrics[0],
                mixed(store, run, metrics[0], number, shards, pythons),
            )
    differing = [case for case, digests in found.items() if len(digests) > 1]
    print(
        f"{len(found)} analyses,"
        f" {'one digest each' if not differing else f'more than one digest: {differing}'}"
    )
    return 1 if differing else 0


def variants() -> list[tuple[str, dict[str, str], int, int]]:
    """Name, environment, ranks and threads."""
    kernels = [
        (name, environ, 1, 1 + index % 2)
        for index, (name, environ) in enumerate(environments().items())
    ]
    return kernels + [
        ("as found", {}, ranks, threads) for ranks, threads in ((1, 2), (2, 1), (3, 1), (4, 1))
    ]


def version_of(python: str) -> str:
    """Of Python and NumPy."""
    code = (
        "import platform, numpy; print('Python', platform.python_version(), 'NumPy',"
        " numpy.__version__)"
    )
    ended = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return ended.stdout.strip()


def mixed(store: Store, run: Run, metric: str, number: int, shards: int, pythons: list[str]) -> str:
    """Shards that each have a kernel and an interpreter of their own, in another order each time;
    the digest that they come to.
    """
    kernels = list(environments().values())
    for place in range(shards):
        shard = (place + number) % shards
        done: subprocess.CompletedProcess[str] = run_stage(
            store,
            run,
            1,
            python=pythons[(number + place) % len(pythons)],
            **kernels[(number // len(pythons) + place) % len(kernels)],
            **{
                ENV_ANOMALY_MODE: "full",
                ENV_ANOMALY_METRIC: metric,
                ENV_ANOMALY_NEIGHBOURS: str(Job.neighbours),
                ENV_ANOMALY_TOP: str(TOP),
                ENV_SHARDS: str(shards),
                "AWS_BATCH_JOB_ID": f"mixed-{number}:{shard}",
                "AWS_BATCH_JOB_ARRAY_INDEX": str(shard),
                "AWS_BATCH_JOB_ATTEMPT": "1",
            },
        )
        if done.returncode:
            return f"failed: {done.stdout[-500:]} {done.stderr[-500:]}"
    store.profile(run)  # as postprocess reads and checks it
    return store.success(run).digest


def told(
    found: dict[tuple[str, str], set[str]], variant: str, mode: str, metric: str, digest: str
) -> None:
    found.setdefault((mode, metric), set()).add(digest)
    print(f"{digest[:32]}  {mode:4} {metric:11} {variant}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

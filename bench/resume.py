"""kill -9 of random ranks at random moments, resume on another number of ranks, one digest: any
number of times.

python -m bench.resume --kills 200 --rows 60000 --columns 48 --unit-rows 2000
"""

from __future__ import annotations

import argparse
import random
import secrets
import statistics
import time

import numpy as np

from tests.workloads.analysis.conftest import Store, serve
from tests.workloads.analysis.killing import Attempts, kill_and_resume
from workloads.variables import ENV_ANOMALY_MODE, ENV_ANOMALY_TOP


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (
        ("kills", 100),
        ("rows", 30_000),
        ("columns", 24),
        ("unit-rows", 1_000),
        ("kills-per-run", 8),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    options = parser.parse_args()
    with serve() as store:
        run_all(store, options)


def run_all(store: Store, options: argparse.Namespace) -> None:
    rng = random.Random(options.seed)  # noqa: S311 - no secret
    values = (
        np.random.default_rng(options.seed)
        .standard_t(4, size=(options.columns, options.rows))
        .astype(np.float64)
    )
    print(
        f"seed {options.seed}: {options.rows:,} x {options.columns}, units of {options.unit_rows:,}"
        " rows"
    )
    print(
        f"{'mode':>5} {'kills':>5} {'total':>5} {'seconds':>8} {'resumed':>8} {'stored s':>8} "
        " digest"
    )
    expected: dict[str, str] = {}
    killed, runs = 0, 0
    stored: list[float] = []
    while killed < options.kills:
        mode = "top" if runs % 3 == 2 else "full"
        attempts = Attempts(
            store,
            store.put_table(f"bench-{runs}", values, options.unit_rows),
            {ENV_ANOMALY_MODE: mode, ENV_ANOMALY_TOP: "50"},
        )
        start = time.perf_counter()
        kills = kill_and_resume(
            attempts,
            rng,
            min(options.kills_per_run, options.kills - killed) if mode in expected else 0,
        )
        success = store.success(attempts.run)
        assert expected.setdefault(mode, success.digest) == success.digest, (
            f"{mode}: another digest after {kills} kills"
        )
        killed, runs = killed + kills, runs + (mode in expected)
        stored.append(success.checkpoint["seconds"] / max(success.checkpoint["count"], 1))
        seconds = time.perf_counter() - start
        resumed = int(success.checkpoint["objects_resumed"])
        print(
            f"{mode:>5} {kills:>5} {killed:>5} {seconds:>8.1f} {resumed:>8} {stored[-1]:>8.3f} "
            f" {success.digest[:16]}",
            flush=True,
        )
    print(
        f"{killed} kills over {runs} runs: one digest per mode; a checkpoint took"
        f" {statistics.median(stored):.3f} s (median)"
    )


if __name__ == "__main__":
    main()

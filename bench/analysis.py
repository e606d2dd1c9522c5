"""The analysis on this machine's processor, beside its peers: medians of interleaved runs, every
ratio from one process.

`python -m bench.analysis [--quick]` prints one Markdown table. Peers get two BLAS threads; search
and profile run two threads of their own. The profile stands there a second time, with one thread on
both sides.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import scipy.stats
import sklearn
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler
from threadpoolctl import ThreadpoolController, threadpool_limits  # type: ignore[import-untyped]

from workloads.analysis.knn.block import Block
from workloads.analysis.knn.full import all_pairs, finish
from workloads.analysis.knn.pairs_numpy import NumpyPairs
from workloads.analysis.knn.top import top_rows
from workloads.analysis.profile import compiled
from workloads.analysis.profile import node as nodes
from workloads.analysis.profile.leaf_numpy import NumpyProfile
from workloads.analysis.profile.node import ProfileNode
from workloads.analysis.profile.result import Profile
from workloads.analysis.profile.sketch import PrefixCounts, Sketch
from workloads.analysis.tree import NodeId, reduce_units
from workloads.parameters import AnalysisParameters

UNIT_ROWS = 1 << 16
THREADS = 2
K = 10
TOP = 100
PROBABILITIES = (0.01, 0.25, 0.5, 0.75, 0.99)

Rows = npt.NDArray[np.float64]


def clustered(n: int, d: int) -> Rows:
    """Twenty clusters of rows with log-normal spread."""
    rng = np.random.default_rng(d)
    centres = rng.standard_normal((20, d)) * 3
    rows = centres[rng.integers(20, size=n)] + rng.standard_normal((n, d)) * np.exp(
        0.3 * rng.standard_normal((n, 1))
    )
    return rows.astype(np.float64)


def in_units(rows: Rows) -> dict[int, Block]:
    starts = range(0, len(rows), UNIT_ROWS)
    return {
        unit: Block(
            ids=np.arange(start, min(start + UNIT_ROWS, len(rows))),
            rows=rows[start : start + UNIT_ROWS],
        )
        for unit, start in enumerate(starts)
    }


def medians(repeats: int, **runs: Callable[[], object]) -> dict[str, float]:
    """Seconds of each, taking turns, and each turn beginning with another one: what runs after a
    long run of one thread finds a processor asleep and its caches cold.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    names = [*runs]
    for turn in range(repeats):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            start = time.perf_counter()
            runs[name]()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def neighbours(n: int, d: int, k: int, repeats: int) -> list[str]:
    rows = clustered(n, d)
    kept: dict[str, Any] = {}

    def full() -> None:
        with threadpool_limits(1, "blas"):
            table = in_units(rows)
            kept["full"] = finish(all_pairs(NumpyPairs(THREADS), table, units=len(table), k=k))

    def top() -> None:
        with threadpool_limits(1, "blas"):
            kept["top"], _ = top_rows(NumpyPairs(THREADS), in_units(rows), count=TOP, k=k)

    def peer() -> None:
        kept["peer"], _ = (
            NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(rows).kneighbors(rows)
        )

    seconds = medians(repeats, full=full, top=top, peer=peer)
    scores = kept["full"]
    worst = float(np.max(np.abs(kept["peer"][:, k] - scores.scores) / scores.scores))
    assert worst < 1e-6
    assert kept["top"].ids.tolist() == scores.ids[scores.top(TOP)].tolist()
    assert scores.certified_fraction == 1.0
    peer_name = "scikit-learn brute `kneighbors`"
    return [
        line(
            f"kNN distance of all rows, k = {k}, n = {n:,}, d = {d}",
            seconds["full"],
            peer_name,
            seconds["peer"],
            f"largest difference {worst:.0e}",
        ),
        line(
            f"exact top {TOP}, same table",
            seconds["top"],
            peer_name,
            seconds["peer"],
            "same rows as `full`",
        ),
    ]


def profile(n: int, d: int, repeats: int, threads: int) -> list[str]:
    rows = clustered(n, d)
    values = np.ascontiguousarray(rows.T)
    # everybody gets the table in the layout that they work on: units come from the file as arrays
    # of their own
    units = [
        np.ascontiguousarray(values[:, start : start + UNIT_ROWS])
        for start in range(0, n, UNIT_ROWS)
    ]
    level = len(units).bit_length() - 1
    libraries = ThreadpoolController()
    assert len(units) == 1 << level, "a power of two of units"
    backend = NumpyProfile(threads)

    def ours() -> Profile:
        backend.begin_counting(d)

        def leaf(unit: int) -> ProfileNode:
            return ProfileNode(moments=backend.unit(units[unit]), sketch=Sketch.empty(d))

        with libraries.limit(limits=1, user_api="blas"):
            whole = reduce_units(NodeId(level, 0), leaf, nodes.merge)
        return Profile(
            columns=tuple(f"c{i}" for i in range(d)),
            moments=whole.moments,
            sketch=backend.counted(),
        )

    def expressions() -> None:
        with mock.patch.object(compiled, "passes", return_value=None):
            ours()

    def moments() -> None:
        with mock.patch.object(PrefixCounts, "add"):
            ours()

    with threadpool_limits(threads, "blas"):
        seconds = medians(
            repeats,
            ours=ours,
            expressions=expressions,
            moments=moments,
            quantiles=lambda: ours().quantiles(PROBABILITIES),
            scaler=lambda: StandardScaler().fit(rows),
            covariance=lambda: np.cov(values),
            skewness=lambda: scipy.stats.skew(values, axis=1),
            kurtosis=lambda: scipy.stats.kurtosis(values, axis=1),
            numpy_quantiles=lambda: np.quantile(values, PROBABILITIES, axis=1),
        )
    pieces = sum(seconds[name] for name in ("scaler", "covariance", "skewness", "kurtosis"))
    size = f"{n:,} x {d}, {threads} thread{'s' if threads > 1 else ''} each"
    return [
        line(
            f"profile (moments and sketch), {size}",
            seconds["ours"],
            "StandardScaler + np.cov + scipy skew, kurtosis",
            pieces,
            "which count no quantiles",
        ),
        line(
            f"the same without compiled passes, {size}",
            seconds["expressions"],
            "the same",
            pieces,
            "NumPy's operations alone",
        ),
        line(f"its moments alone, {size}", seconds["moments"], "the same", pieces, ""),
        line(
            f"profile and 5 quantiles, {size}",
            seconds["quantiles"],
            "the same + np.quantile",
            pieces + seconds["numpy_quantiles"],
            "",
        ),
        line(
            f"profile and 5 quantiles, {size}, beside quantiles alone",
            seconds["quantiles"],
            "np.quantile",
            seconds["numpy_quantiles"],
            "",
        ),
    ]


def evaluations(sizes: tuple[int, ...], d: int) -> list[str]:
    found = []
    for n in sizes:
        start = time.perf_counter()
        with threadpool_limits(1, "blas"):
            _, work = top_rows(NumpyPairs(THREADS), in_units(clustered(n, d)), count=TOP, k=K)
        per_row = work.evaluations / n
        left = f"{work.rows_left} rows left"
        found.append(
            f"| evaluations per row, top {TOP}, n = {n:,}, d = {d} |"
            f" {time.perf_counter() - start:.2f} s | | | {per_row:,.0f} | {left} |"
        )
    return found


def line(what: str, ours: float, peer: str, theirs: float, note: str) -> str:
    return f"| {what} | {ours:.2f} s | {peer} | {theirs:.2f} s | {theirs / ours:.2f} x | {note} |"


def machine() -> str:
    names = [
        text.split(":", 1)[1].strip()
        for text in Path("/proc/cpuinfo").read_text().splitlines()
        if text.startswith("model name")
    ]
    return (
        f"{os.cpu_count()} x {names[0] if names else platform.machine()}, load"
        f" {os.getloadavg()[0]:.1f}; Python {platform.python_version()}, NumPy {np.__version__},"
        f" scikit-learn {sklearn.__version__}, SciPy {scipy.__version__}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="smaller tables, one repeat: shows that it runs, not how fast",
    )
    quick = parser.parse_args().quick
    if compiled.passes() is None:
        print("The profile's passes are not compiled: `make setup` does it where cc is.\n")
    repeats, of_short = (1, 1) if quick else (3, 9)
    print(machine())
    print("\n| what | ours | peer | theirs | ratio | |\n|---|---|---|---|---|---|")
    n = 10_000 if quick else 40_000
    for d in (32,) if quick else (32, 64, 128):
        print(*neighbours(n, d, K, repeats), sep="\n", flush=True)
    print(*neighbours(n, 32, AnalysisParameters().neighbours(n), repeats), sep="\n", flush=True)
    for threads in (THREADS, 1):
        rows = UNIT_ROWS * (2 if quick else 8)
        print(*profile(rows, 64, of_short, threads), sep="\n", flush=True)
    print(
        *evaluations((10_000, 40_000) if quick else (40_000, 160_000, 640_000), 32),
        sep="\n",
        flush=True,
    )


if __name__ == "__main__":
    main()

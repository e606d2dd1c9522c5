"""Peers of the search on the same machine: PyTorch, CuPy, scikit-learn; see analysis_gpu.py."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from bench.gpu_bench import Bench, K, clustered


def peer_torch(bench: Bench) -> Iterator[str]:
    """A float16 product and topk per block of queries, the best of three block sizes; neither exact
    nor checked.
    """
    torch = importlib.import_module("torch")
    yield from peer_header()
    n = 1 << 17
    for d in (64, 128):
        data = torch.as_tensor(clustered(n, d), device="cuda").half()
        norms = data.float().square().sum(dim=1).half() / 2
        queries = data[: 1 << 14]

        def run(step: int, data: Any = data, norms: Any = norms, queries: Any = queries) -> None:
            for start in range(0, len(queries), step):
                torch.topk(queries[start : start + step] @ data.T - norms, K + 1, dim=1)
            torch.cuda.synchronize()

        rate = max(len(queries) * n / wall(run, step) for step in (1024, 4096, 16384))
        yield peer_line(bench, f"torch float16 matmul + topk, d = {d}", d, rate)


def peer_cupy(bench: Bench) -> Iterator[str]:
    """CuPy without a kernel of its own: float16 product, norms, argpartition."""
    cupy = bench.cupy
    yield from peer_header()
    n, d = 1 << 17, 64
    data = cupy.asarray(clustered(n, d)).astype(cupy.float16)
    norms = cupy.square(data.astype(cupy.float32)).sum(axis=1) / 2

    def run(step: int) -> None:
        for start in range(0, 1 << 13, step):
            cupy.argpartition(norms - data[start : start + step] @ data.T, K + 1, axis=1)[
                :, : K + 1
            ]
        cupy.cuda.Device().synchronize()

    rate = max((1 << 13) * n / wall(run, step) for step in (512, 2048, 8192))
    yield peer_line(bench, f"CuPy float16 matmul + argpartition, d = {d}", d, rate)


def peer_sklearn(bench: Bench) -> Iterator[str]:
    """scikit-learn's brute force on all processors of this machine."""
    neighbors = importlib.import_module("sklearn.neighbors")
    yield from peer_header()
    n, d = 1 << 15, 64
    rows = clustered(n, d)

    def run(_step: int) -> None:
        neighbors.NearestNeighbors(n_neighbors=K + 1, algorithm="brute", n_jobs=-1).fit(
            rows
        ).kneighbors(rows)

    rate = n * float(n) / wall(run, 0)
    yield peer_line(
        bench, f"scikit-learn brute force, {os.cpu_count()} processors, d = {d}", d, rate
    )


def peer_header() -> Iterator[str]:
    yield "\n| peer | 1e9 pairs/s | `full` of this run is faster by |\n|---|---|---|"


def peer_line(bench: Bench, name: str, d: int, rate: float) -> str:
    ours = bench.full_rate.get(d)
    return f"| {name} | {rate / 1e9:.1f} | {f'{ours / rate:.1f} x' if ours else 'not measured'} |"


def wall(run: Callable[[int], object], step: int) -> float:
    """Best of two after one that is not counted."""
    run(step)
    found = []
    for _ in range(2):
        start = time.perf_counter()
        run(step)
        found.append(time.perf_counter() - start)
    return min(found)

"""The analysis on one GPU beside the limits of the machine and its peers, all measured in one run
of less than ten minutes.

`python -m bench.analysis_gpu [--quick]` prints Markdown. Ceilings come first: every figure after
them is a share of one of these. A peer that is not installed is named and left out; a part that
fails says so and the others go on.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.gpu_bench import BUDGET_SECONDS, UNIT_ROWS, Bench, K, Rows, clustered, share
from bench.gpu_peers import peer_cupy, peer_sklearn, peer_torch
from workloads.analysis.knn.block import Block
from workloads.analysis.knn.exact import squares
from workloads.analysis.knn.full import Scores, finish, process_pair
from workloads.analysis.knn.state import QueryState

NO_GPU = "this benchmark needs an NVIDIA GPU with CuPy, and this machine has none"

Part = Callable[["Bench"], Iterator[str]]


def in_units(rows: Rows, unit_rows: int = UNIT_ROWS) -> dict[int, Block]:
    starts = range(0, len(rows), unit_rows)
    return {
        unit: Block(
            ids=np.arange(start, min(start + unit_rows, len(rows))),
            rows=rows[start : start + unit_rows],
        )
        for unit, start in enumerate(starts)
    }


def ceilings(bench: Bench) -> Iterator[str]:
    cupy = bench.cupy
    yield "\n| limit of this machine | measured |\n|---|---|"
    size = 1 << 31
    a, b = cupy.zeros(size // 4, cupy.float32), cupy.zeros(size // 4, cupy.float32)
    bench.ceilings["copy"] = 2 * size / bench.seconds(lambda a=a, b=b: cupy.copyto(b, a))  # type: ignore[misc]
    yield f"| device copy, read and written | {bench.ceilings['copy'] / 1e12:.2f} TB/s |"
    a = b = None
    cupy.get_default_memory_pool().free_all_blocks()
    for name, dtype, n in (("fp16", cupy.float16, 8192), ("fp64", cupy.float64, 4096)):
        left = cupy.random.standard_normal((n, n), dtype=cupy.float32).astype(dtype)
        out = cupy.empty_like(left)
        bench.ceilings[name] = (
            2 * n**3 / bench.seconds(lambda left=left, out=out: cupy.matmul(left, left, out=out))  # type: ignore[misc]
        )
        yield (
            f"| {name} matrix product, {n} x {n} x {n}, cuBLAS | {bench.ceilings[name] / 1e12:.0f}"
            " TFLOP/s |"
        )
    pinned = importlib.import_module("cupyx").empty_pinned((1 << 28,), np.uint8)
    device = cupy.empty(pinned.shape, cupy.uint8)
    bench.ceilings["pinned"] = pinned.nbytes / bench.seconds(
        lambda: device.set(pinned, stream=cupy.cuda.get_current_stream())
    )
    yield f"| pinned host memory to device | {bench.ceilings['pinned'] / 1e9:.1f} GB/s |"


def profile(bench: Bench) -> Iterator[str]:
    """Units through moments, counts and the co-moment products; the aim is copy bandwidth (d <= 32)
    or the FP64 rate (d >= 256).
    """
    from workloads.analysis.profile.leaf_cupy import CupyProfile

    cupy = bench.cupy
    yield (
        "\n| profile, units on the device | s | TB/s of values | share of copy bandwidth | share of"
        " FP64 product |"
    )
    yield "|---|---|---|---|---|"
    n = 1 << 20 if bench.quick else 20_000_000
    for d in (16, 64, 256):
        # different units of 1 GiB in all, so that none is found in L2
        pool = [
            cupy.random.standard_normal((d, UNIT_ROWS), dtype=cupy.float64)
            for _ in range(2**30 // (8 * d * UNIT_ROWS))
        ]
        backend = CupyProfile()
        backend.begin_counting(d)
        units = -(-n // UNIT_ROWS)

        def run(backend: CupyProfile = backend, pool: list[Any] = pool, units: int = units) -> None:
            for unit in range(units):
                backend.unit(pool[unit % len(pool)])

        seconds = bench.seconds(run, 1)
        read = 8.0 * d * units * UNIT_ROWS
        flops = 2.0 * d * d * units * UNIT_ROWS
        yield (
            f"| n = {units * UNIT_ROWS:,}, d = {d} | {seconds:.3f} | {read / seconds / 1e12:.2f} |"
            f" {share(read / seconds, bench.ceilings['copy'])} |"
            f" {share(flops / seconds, bench.ceilings['fp64'])} |"
        )


def search_filter(bench: Bench) -> Iterator[str]:
    """knn_filter.cu alone with limits that let about K pairs per row pass, against the matrix
    product of the same run.
    """
    from workloads.analysis.knn.half_block import prepare
    from workloads.analysis.knn.pairs_cupy import CupyKernels

    kernels = CupyKernels()
    yield (
        "\n| filter kernel alone | s | 1e12 pairs/s | TFLOP/s | share of fp16 product"
        " |\n|---|---|---|---|---|"
    )
    n = 1 << 17 if bench.quick else 1_000_000
    for d in (32, 64, 128):
        rows = clustered(n, d)
        half = prepare(
            Block(ids=np.arange(n), rows=rows),
            kernels.upload,
            lambda array, kernels=kernels: kernels.download(array)()[0],  # type: ignore[misc]
        )
        # the K-th neighbour's distance of some rows, taken for all: squared and scaled as the
        # kernel's products are
        nearest = nearest_squares(
            bench, rows, np.random.default_rng(0).choice(n, 64, replace=False)
        )
        limits = bench.cupy.full(n, -0.5 * float(np.median(nearest)) * 2.0**-12, bench.cupy.float32)
        seconds = bench.seconds(
            lambda half=half, limits=limits: kernels.tally(half, half, limits),  # type: ignore[misc]
            3,
        )
        rate = n * float(n) / seconds
        flops = 2 * d * rate
        yield (
            f"| n = {n:,}, d = {d} | {seconds:.3f} | {rate / 1e12:.2f} | {flops / 1e12:.0f} |"
            f" {share(flops, bench.ceilings['fp16'])} |"
        )


def full_on_device(
    rows: Rows, unit_rows: int, deadline: float = np.inf
) -> tuple[Scores | None, int]:
    """All pairs of units, and how many pairs of rows these are; no scores where the clock passes
    the deadline before the end.
    """
    from workloads.analysis.knn.pairs_cupy import CupyPairs

    table, pairs = in_units(rows, unit_rows), CupyPairs()
    states = {
        unit: QueryState.start(unit, block.ids, units=len(table), k=K)
        for unit, block in table.items()
    }
    compared = 0
    for a, b in sorted(
        ((a, b) for a in table for b in table if b <= a), key=lambda pair: pair[0] != pair[1]
    ):
        if time.perf_counter() > deadline:
            return None, compared
        states[a], states[b] = process_pair(pairs, states[a], table[a], states[b], table[b])
        compared += table[a].ids.size * table[b].ids.size * (1 if a == b else 2)
    return finish(states), compared


def full(bench: Bench) -> Iterator[str]:
    """`full` from host rows to scores on the host: everything but reading the table."""
    yield (
        "\n| `full`, rows on the host to scores | s | 1e12 pairs/s | share of fp16 product |"
        " certified | 1,000 rows in float64 |"
    )
    yield "|---|---|---|---|---|---|"
    n = 1 << 17 if bench.quick else 1_000_000
    for d in (32, 64, 128):
        rows = clustered(n, d)
        full_on_device(rows[: 2 * UNIT_ROWS], UNIT_ROWS)  # compile
        start = time.perf_counter()
        scores, compared = full_on_device(rows, UNIT_ROWS, start + min(90.0, bench.left / 3))
        seconds = time.perf_counter() - start
        rate = bench.full_rate[d] = compared / seconds
        certified = (
            "stopped at its time limit" if scores is None else f"{scores.certified_fraction:.6f}"
        )
        yield (
            f"| n = {n:,}, d = {d} | {seconds:.2f} | {rate / 1e12:.3f} |"
            f" {share(2 * d * rate, bench.ceilings['fp16'])} | {certified} |"
            f" {'-' if scores is None else checked(bench, rows, scores)} |"
        )


def nearest_squares(
    bench: Bench, rows: Rows, some: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Squared distance of the K-th neighbour of some rows by the definition, with the bits of
    exact.py.

    Differences on the device narrow the table to some tens of rows with a margin far wider than
    their rounding.
    """
    device = bench.cupy.asarray(rows)
    found = np.empty(some.size)
    for place, at in enumerate(some):
        rough = bench.cupy.square(device - device[at]).sum(axis=1)
        limit = bench.cupy.partition(rough, K)[K] * 1.001
        near = bench.cupy.asnumpy(bench.cupy.flatnonzero(rough <= limit))
        exact = squares(rows, np.full(near.size, at), rows, near)
        exact[near == at] = np.inf
        found[place] = np.partition(exact, K - 1)[K - 1]
    return found


def checked(bench: Bench, rows: Rows, scores: Scores) -> str:
    """Random rows against the definition: the bits have to be equal."""
    some = np.random.default_rng(1).choice(len(rows), 1000, replace=False)
    equal = np.sqrt(nearest_squares(bench, rows, some)) == scores.scores[some]
    return f"{int(equal.sum())} of {some.size} equal"


def digests(bench: Bench) -> Iterator[str]:
    """Two processes that share the GPU and hand rows to one another over the ring, against one;
    each exchange in turn.

    NCCL takes no two ranks on one device, and an MPI without CUDA no device memory: then the line
    says so, and the host's exchange is used.
    """
    yield (
        "\n| `full` over the ring, n = 40,000, d = 32 | digest of the scores | pairs compared | s |"
        " exchange |\n|---|---|---|---|---|"
    )
    mpirun = shutil.which(
        "mpirun", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    )
    if mpirun is None or importlib.util.find_spec("mpi4py") is None:
        yield "| mpirun -n 2 | left out: Open MPI with mpi4py is not installed | | | |"
        return
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    found = set()
    for ranks, exchange in ((1, "host"), (2, "host"), (2, "cuda-aware"), (2, "nccl")):
        command = [
            mpirun,
            "--allow-run-as-root",
            "--oversubscribe",
            "-n",
            str(ranks),
            sys.executable,
            "-m",
            "mpi4py",
            "-m",
            "bench.ring",
        ]
        ended = subprocess.run(
            [*command, "--backend", "cupy", "--exchange", exchange],
            capture_output=True,
            text=True,
            check=False,
            timeout=max(bench.left, 1),
            env=environment,
            cwd=Path(__file__).parents[1],
        )
        if ended.returncode:
            raise RuntimeError(
                f"mpirun -n {ranks} with exchange {exchange} ended with {ended.returncode}:"
                f" {ended.stderr[-2000:]}"
            )
        result = json.loads(ended.stdout.strip().splitlines()[-1])
        found.add(result["digest"])
        used = result["exchange"]["used"] + (
            f" ({result['exchange']['refused']})" if result["exchange"]["refused"] else ""
        )
        yield (
            f"| mpirun -n {ranks}, {exchange} | {result['digest']} | {result['evaluations']:,} |"
            f" {result['seconds']:.2f} | {used} |"
        )
    yield f"| equal | {'yes' if len(found) == 1 else 'NO'} | | | |"
    if len(found) > 1:
        raise RuntimeError("the digests differ")


PARTS: tuple[Part, ...] = (
    ceilings,
    profile,
    search_filter,
    full,
    peer_torch,
    peer_cupy,
    peer_sklearn,
    digests,
)


def gpu() -> Any:
    """CuPy. Raises SystemExit with one sentence where there is none or no GPU."""
    try:
        import cupy
    except ImportError as error:
        raise SystemExit(f"{NO_GPU} ({error})") from None
    if not cupy.is_available():
        raise SystemExit(f"{NO_GPU} (CuPy finds no CUDA device or no driver)")
    return cupy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="smaller tables: shows that it runs, not how fast"
    )
    arguments = parser.parse_args()
    cupy = gpu()
    bench = Bench(cupy=cupy, quick=arguments.quick)
    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    print(
        f"{name}, {os.cpu_count()} processors, Python {platform.python_version()}, CuPy"
        f" {cupy.__version__}, NumPy {np.__version__}"
    )
    failed = []
    for part in PARTS:
        if bench.left < 20:
            print(f"\n{part.__name__}: left out, {BUDGET_SECONDS:.0f} seconds are used up")
            continue
        try:
            for line in part(bench):
                print(line, flush=True)
        except ModuleNotFoundError as error:
            print(f"\n{part.__name__}: left out, {error}")
        except Exception as error:  # noqa: BLE001 - a part that fails must not take the others' figures with it
            failed.append(part.__name__)
            print(f"\n{part.__name__}: failed, {type(error).__name__}: {error}")
            traceback.print_exc()
        cupy.get_default_memory_pool().free_all_blocks()
    print(f"\n{time.perf_counter() - bench.started:.0f} s in all")
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()

"""What pairs_cupy.py passes to the kernels, held against their parameters, with NumPy in CuPy's
place.

Shows that no argument is missing, swapped or of another type; that a GPU computes what it should is
not shown here.
"""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.workloads.analysis.knn.tables import generated
from workloads.analysis.knn.block import Block
from workloads.analysis.knn.half_block import prepare
from workloads.analysis.knn.half_search import CAPACITY, Rows

DTYPES = {
    "Half": "float16",
    "float": "float32",
    "double": "float64",
    "int": "int32",
    "long long": "int64",
    "unsigned char": "uint8",
}
PRODUCTS: list[tuple[int, ...]] = []
CALLS: list[tuple[str, tuple[int, ...], tuple[int, ...], int]] = []


def parameters(source: str) -> list[tuple[str, bool]]:
    """(dtype, whether it is an array) of each parameter of the kernel."""
    signature = re.search(
        r'extern "C".*?\b\w+\(((?:const|double|int|float)[^{]*)\)\s*\{', source, re.DOTALL
    )
    assert signature is not None
    found = []
    for parameter in signature[1].split(","):
        words = (
            parameter.replace("__restrict__", "").replace("const", "").strip().rsplit(maxsplit=1)[0]
        )
        found.append((DTYPES[words.rstrip("* ")], "*" in words))
    return found


class Kernel:
    """Checks a call in place of making it."""

    max_dynamic_shared_size_bytes = 48 * 1024

    def __init__(self, source: str, name: str, options: tuple[str, ...], backend: str) -> None:
        assert options[0] == "-std=c++17"
        self.name, self.parameters = name, parameters(source)
        assert f"{name}(" in source
        assert backend == "nvrtc"

    def __call__(
        self,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        arguments: tuple[Any, ...],
        shared_mem: int = 0,
    ) -> None:
        assert len(arguments) == len(self.parameters)
        for argument, (dtype, is_array) in zip(arguments, self.parameters, strict=True):
            assert isinstance(argument, np.ndarray) == is_array
            assert argument.dtype == dtype
            assert not is_array or argument.flags.c_contiguous
        assert shared_mem <= self.max_dynamic_shared_size_bytes
        CALLS.append((self.name, grid, block, shared_mem))


class Stream:
    def __init__(self, **_: object) -> None:
        self.ptr = 0

    def record(self) -> Stream:
        return self

    def wait_event(self, event: object) -> None: ...

    def synchronize(self) -> None: ...

    def launch_host_func(self, function: Any, argument: object) -> None:
        function(argument)


class Event:
    """Milliseconds: products before it count 1, 5, 4, ..."""

    CLOCK = 0.0

    def record(self) -> None:
        self.at = Event.CLOCK

    def synchronize(self) -> None: ...


def multiply(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
    assert left.dtype == right.dtype == out.dtype == np.float16
    assert left.shape == right.shape == out.shape == (4096, 4096)
    assert np.isfinite(left[::512]).all()
    assert left[::512].std() > 0.5
    Event.CLOCK += (1.0, 5.0, 4.0)[len(PRODUCTS)]
    PRODUCTS.append(left.shape)


class DeviceArray(np.ndarray):
    def set(self, host, stream):  # noqa: ARG002
        self[...] = host

    def get(self, out, stream, blocking):  # noqa: ARG002
        out[...] = self


@pytest.fixture
def pairs_cupy(monkeypatch):
    attributes = {"MultiProcessorCount": 132, "MaxSharedMemoryPerBlockOptin": 232448}
    device = SimpleNamespace(compute_capability="90", attributes=attributes)
    cupy, cupyx = ModuleType("cupy"), ModuleType("cupyx")
    cupy.__dict__.update(
        {
            name: getattr(np, name)
            for name in ("arange", "zeros", "float16", "float32", "int32", "uint8")
        }
    )
    cupy.__dict__.update(
        empty=lambda shape, dtype: np.zeros(shape, dtype).view(DeviceArray),
        RawKernel=Kernel,
        matmul=multiply,
        cuda=SimpleNamespace(
            Device=lambda: device,
            Stream=Stream,
            get_current_stream=Stream,
            Event=Event,
            get_elapsed_time=lambda begin, end: end.at - begin.at,
            runtime=SimpleNamespace(memGetInfo=lambda: (1 << 30, 1 << 30)),
        ),
    )
    cupyx.__dict__.update(empty_pinned=np.empty)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "cupyx", cupyx)
    name = "workloads.analysis.knn.pairs_cupy"
    sys.modules.pop(name, None)
    yield importlib.import_module(name)
    sys.modules.pop(name, None)


@pytest.mark.parametrize("columns", [3, 64, 300, 512])
def test_every_argument_has_its_parameters_type(pairs_cupy, columns):
    CALLS.clear()
    kernels = pairs_cupy.CupyKernels()
    half = prepare(
        Block(ids=np.arange(300), rows=generated("uniform", 300, columns, 0)),
        kernels.upload,
        lambda array: kernels.download(array)()[0],
    )
    rows = Rows(
        limits=kernels.empty((300,), np.float32),
        count=kernels.empty((300,), np.int32),
        committed=kernels.empty((300,), np.int32),
        values=kernels.empty((300, CAPACITY), np.float32),
        beside=kernels.empty((300, CAPACITY), np.int32),
        exact=kernels.empty((300, CAPACITY), np.float64),
        squares=kernels.empty((300, 10), np.float64),
        ids=kernels.empty((300, 10), np.int64),
        unverified=kernels.empty((300,), np.uint8),
    )
    some = np.arange(0, 300, 2, dtype=np.int32)
    kernels.append(half, half, some, 128, 384, rows)
    assert kernels.tally(half, half, rows.limits).shape == (300,)
    assert kernels.select(half, some, rows).dtype == np.bool_
    kernels.rerank(half, half, some, rows)
    kernels.merge(half, half, some, rows)
    names = [name for name, *_ in CALLS]
    assert names == ["knn_filter", "knn_filter", "knn_select", "rerank", "knn_merge"]
    assert [grid for _, grid, *_ in CALLS] == [(2, 2), (3, 3), (19,), (19,), (19,)]
    assert all(block == (256,) for _, _, block, _ in CALLS)


def test_the_limit_is_the_faster_of_two_float16_products(pairs_cupy):
    PRODUCTS.clear()
    assert pairs_cupy.CupyKernels().product_rate() == 4096**3 / 4e-3


def test_a_gpu_that_cannot_run_it_is_refused_in_one_sentence(pairs_cupy):
    kernels = pairs_cupy.CupyKernels()
    kernels._shared_limit = 99 * 1024
    assert kernels._compile_filter(128)[1] == pairs_cupy.filter_shared_bytes(128)
    with pytest.raises(
        Exception,
        match=(
            r"rows with 512 columns need 160 KiB of shared memory, and this GPU's blocks have"
            r" 99 KiB"
        ),
    ):
        kernels._compile_filter(512)
    pairs_cupy.cupy.cuda.Device().compute_capability = "75"
    with pytest.raises(Exception, match="compute capability 75"):
        pairs_cupy.CupyKernels()


def test_the_benchmark_ends_in_one_sentence_without_a_gpu():
    script = (
        "import sys; sys.modules['cupy'] = None; sys.argv = ['bench']\nfrom bench.analysis_gpu"
        " import main\nmain()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[4],
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith(
        "this benchmark needs an NVIDIA GPU with CuPy, and this machine has none"
    )

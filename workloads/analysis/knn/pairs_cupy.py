"""The GPU's comparison of two blocks: float16 tensor-core products as a filter, float64 distances
for what passes it.

The twin of pairs_numpy.py with the same bits: distances are those of exact.py, and what the filters
leave out is proved to be no neighbour.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workloads.analysis import kernels
from workloads.analysis.knn import bounds_fp16
from workloads.analysis.knn.half_block import TILE, Array, HalfBlock
from workloads.analysis.knn.half_search import CAPACITY, Rows
from workloads.analysis.knn.pairs_half import HalfPairs
from workloads.runtime.errors import EXIT_ENVIRONMENT, StageError

try:
    import cupy
    import cupyx
except ImportError as error:
    raise StageError(
        f"the float16 search needs CuPy, which is not installed ({error})",
        hint="use the CUDA image, or compare on the host with the numpy backend",
        exit_code=EXIT_ENVIRONMENT,
    ) from error

MAX_COLUMNS: Final = 512
"""Columns for which a tile of the query fits into shared memory."""
_THREADS: Final = 256  # of every kernel of the search
_WARPS: Final = _THREADS // 32  # rows per block of knn_select.cu, rerank.cu and knn_merge.cu
_STAGES: Final = 3  # knn_filter.cu
_LIMIT_ROWS: Final = 4096  # a fifth of a millisecond on an H100
_BLOCKS_PER_SM: Final = 8  # four waves of two resident blocks even out the tail
_CACHE_SHARE: Final = 0.4  # of the memory free at the start; two ranks may share a device


class CupyPairs(HalfPairs):
    """The GPU's `PairBackend`, on the device that is current when it is made."""

    def __init__(self) -> None:
        free, _ = cupy.cuda.runtime.memGetInfo()
        super().__init__("cupy", CupyKernels(), int(free * _CACHE_SHARE))


class CupyKernels:
    """The `HalfKernels` of a CUDA device of compute capability 8.0 or newer.

    Everything is computed on CuPy's current stream.
    """

    def __init__(self) -> None:
        device = cupy.cuda.Device()
        if int(device.compute_capability) < 80:
            raise StageError(
                f"the GPU has compute capability {device.compute_capability}, and the float16"
                " search needs 80 or more",
                hint="use an A10G, A100, L4, H100 or newer GPU, or the numpy backend",
                exit_code=EXIT_ENVIRONMENT,
            )
        self._multiprocessors = int(device.attributes["MultiProcessorCount"])
        self._shared_limit = int(device.attributes["MaxSharedMemoryPerBlockOptin"])
        self._copies = cupy.cuda.Stream(non_blocking=True)
        self._filter = cache(self._compile_filter)
        self._select, self._rerank, self._merge = (
            _kernel(name) for name in ("knn_select", "rerank", "knn_merge")
        )
        self._no_values = cupy.empty(0, cupy.float32)
        self._no_places = cupy.empty(0, cupy.int32)

    def empty(self, shape: tuple[int, ...], dtype: type[np.generic]) -> Array:
        """Not initialised."""
        return cupy.empty(shape, dtype)

    def upload(self, array: npt.NDArray[Any]) -> Array:
        """Through pinned memory, on the stream for copies; the current stream waits for it, the
        host does not.
        """
        found = cupy.empty(array.shape, array.dtype)
        if not array.size:
            return found
        staged = cupyx.empty_pinned(array.shape, array.dtype)
        staged[...] = array
        # the pool may hand out memory that earlier work on the current stream still uses
        self._copies.wait_event(cupy.cuda.get_current_stream().record())
        found.set(staged, stream=self._copies)
        done = self._copies.record()
        cupy.cuda.get_current_stream().wait_event(done)
        self._copies.launch_host_func(_keep, staged)  # until the copy has read it
        return found

    def download(self, *arrays: Array) -> Callable[[], list[npt.NDArray[Any]]]:
        """Start copying into pinned memory after what the current stream has to do; the call
        returned waits for the end.
        """
        self._copies.wait_event(cupy.cuda.get_current_stream().record())
        found = [cupyx.empty_pinned(array.shape, array.dtype) for array in arrays]
        for array, to in zip(arrays, found, strict=True):
            array.get(out=to, stream=self._copies, blocking=False)
        done = self._copies.record()
        held = (arrays, found)  # until the copies have been made

        def wait() -> list[npt.NDArray[Any]]:
            done.synchronize()
            return [to.copy() for to in held[1]]  # pinned memory goes back to its pool

        return wait

    def product_rate(self) -> float:
        """cuBLAS, the faster of two runs after one that is not counted."""
        values = (
            np.random.default_rng(0).standard_normal(_LIMIT_ROWS).astype(np.float16)
        )  # zeros would cost less power, and clock higher
        square = self.upload(
            np.resize(values, (_LIMIT_ROWS, _LIMIT_ROWS + 1))[:, :_LIMIT_ROWS].copy()
        )
        product = cupy.empty(square.shape, cupy.float16)
        fastest = np.inf
        for counted in (False, True, True):
            begin, end = cupy.cuda.Event(), cupy.cuda.Event()
            begin.record()
            cupy.matmul(square, square, out=product)
            end.record()
            end.synchronize()
            if counted:
                fastest = min(fastest, cupy.cuda.get_elapsed_time(begin, end) / 1e3)
        return float(_LIMIT_ROWS) ** 3 / fastest

    def append(
        self, query: HalfBlock, data: HalfBlock, some: Array, first: int, last: int, rows: Rows
    ) -> None:
        """knn_filter.cu."""
        self._products(
            query,
            data,
            some,
            first,
            last,
            rows.limits,
            CAPACITY,
            rows.count,
            rows.values,
            rows.beside,
        )

    def tally(self, query: HalfBlock, data: HalfBlock, limits: Array) -> Array:
        """knn_filter.cu without buffers."""
        everybody = cupy.arange(query.order.size, dtype=cupy.int32)
        count = cupy.zeros(query.order.size, cupy.int32)
        self._products(
            query,
            data,
            everybody,
            0,
            data.padded,
            limits,
            0,
            count,
            self._no_values,
            self._no_places,
        )
        return count

    def select(self, query: HalfBlock, some: Array, rows: Rows) -> Array:
        """knn_select.cu."""
        overflowed = cupy.empty(some.size, cupy.uint8)
        factor = np.float64(bounds_fp16.omega(query.columns))
        arguments = (
            some,
            np.int32(some.size),
            np.int32(rows.ids.shape[1]),
            factor,
            query.half_squares,
            query.kappas,
        )
        changed = (rows.limits, rows.count, rows.committed, rows.values, rows.beside, overflowed)
        self._select((-(-some.size // _WARPS),), (_THREADS,), arguments + changed)
        return overflowed != 0

    def rerank(self, query: HalfBlock, data: HalfBlock, some: Array, rows: Rows) -> None:
        """rerank.cu."""
        factor = np.float64(bounds_fp16.omega(query.columns))
        given = (
            query.rows,
            data.rows,
            np.int32(query.columns),
            some,
            np.int32(some.size),
            factor,
            query.half_squares,
            query.kappas,
        )
        changed = (rows.count, rows.values, rows.beside, rows.exact, rows.unverified)
        self._rerank(
            (-(-some.size // _WARPS),),
            (_THREADS,),
            given + changed,
            shared_mem=_WARPS * query.columns * 8,
        )

    def merge(self, query: HalfBlock, data: HalfBlock, some: Array, rows: Rows) -> None:
        """knn_merge.cu."""
        k = rows.ids.shape[1]
        given = (
            some,
            np.int32(some.size),
            np.int32(k),
            rows.exact,
            rows.beside,
            query.ids,
            data.ids,
            query.kappas,
        )
        changed = (rows.squares, rows.ids, rows.limits, rows.count, rows.committed)
        self._merge(
            (-(-some.size // _WARPS),), (_THREADS,), given + changed, shared_mem=_WARPS * k * 16
        )

    def _products(
        self,
        query: HalfBlock,
        data: HalfBlock,
        some: Array,
        first: int,
        last: int,
        limits: Array,
        capacity: int,
        count: Array,
        values: Array,
        beside: Array,
    ) -> None:
        kernel, shared = self._filter(bounds_fp16.depth(query.columns))
        down, tiles = -(-some.size // TILE), (last - first) // TILE
        across = max(min(tiles, -(-_BLOCKS_PER_SM * self._multiprocessors // down)), 1)
        given = (
            query.halves,
            query.norms,
            query.ids,
            some,
            np.int32(some.size),
            data.halves,
            data.norms,
            data.ids,
        )
        wanted = (np.int32(first), np.int32(last), limits, np.int32(capacity))
        kernel(
            (across, down), (_THREADS,), (*given, *wanted, count, values, beside), shared_mem=shared
        )

    def _compile_filter(self, depth: int) -> tuple[Any, int]:
        """The kernel for an inner length, and the dynamic shared memory that it takes."""
        shared = filter_shared_bytes(depth)
        if depth > MAX_COLUMNS or shared + 2 * TILE * 4 > self._shared_limit:
            raise StageError(
                f"rows with {depth} columns need {shared // 1024} KiB of shared memory, and this"
                f" GPU's blocks have {self._shared_limit // 1024} KiB (columns allowed anywhere:"
                f" {MAX_COLUMNS})",
                hint=(
                    "analyse fewer columns, take an A100, H100 or newer GPU, or set the numpy"
                    " backend"
                ),
                exit_code=EXIT_ENVIRONMENT,
            )
        kernel = _kernel("knn_filter", f"-DDEPTH={depth}")
        kernel.max_dynamic_shared_size_bytes = shared
        return kernel, shared


def filter_shared_bytes(depth: int) -> int:
    """Dynamic shared memory of knn_filter.cu."""
    chunk = (
        64
        if depth % 64 == 0 and depth <= 384
        else 48
        if depth == 48
        else 32
        if depth % 32 == 0
        else 16
    )
    return (TILE * (depth + 8) + _STAGES * TILE * (chunk + 8)) * 2


def _kernel(name: str, *options: str) -> Any:
    return cupy.RawKernel(
        kernels.source(name), name, options=(*kernels.OPTIONS, *options), backend="nvrtc"
    )


def _keep(_staged: npt.NDArray[Any]) -> None:
    """Holds pinned memory until the stream has come this far."""

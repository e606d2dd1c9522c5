"""Where the arithmetic runs: NumPy on the host or CuPy on a GPU, chosen once when a rank starts.

Both have the same signatures, are held to the same tests, and give the same bits, for any number of
ranks; the name of the backend stands in `_SUCCESS.json`.
"""

from __future__ import annotations

import logging
from typing import Any, Final, Protocol

from workloads.analysis.knn.pairs import PairBackend
from workloads.analysis.profile.leaf_numpy import NO_RESTS, Rests
from workloads.analysis.profile.moments import Floats, Integers, Moments
from workloads.analysis.profile.sketch import Sketch
from workloads.runtime.errors import EXIT_ENVIRONMENT, StageError
from workloads.variables import ENV_ARRAY_BACKEND

log = logging.getLogger(__name__)

BACKENDS: Final = ("numpy", "cupy")


class ProfileBackend(Protocol):
    """One unit in, statistics out, with the same bits on every machine and for every backend."""

    @property
    def name(self) -> str:
        """`numpy` or `cupy`."""

    @property
    def precision(self) -> str:
        """In what moments are summed."""

    def begin_counting(self, columns: int) -> None:
        """Set all counts to zero; of no columns: give their memory back."""

    def unit(
        self, values: Floats, rests: Rests = NO_RESTS, compared: Integers | None = None
    ) -> Moments:
        """The unit's moments; adds its values to the counts.

        Args:
            values: (columns, rows) on the host, NaN where a value is missing.
            rests: What float64 takes from whole numbers beyond 2^53.
            compared: Places of the columns that count for complete rows and co-moments; None for
                all.
        """

    def counted(self) -> Sketch:
        """The counts since begin_counting."""

    def peak_device_bytes(self) -> int:
        """Most device memory held so far; 0 on the host."""


def choose(name: str, local_rank: int, threads: int) -> ProfileBackend:
    """The backend that the job asks for.

    Args:
        name: `numpy` or `cupy`.
        local_rank: Place of this rank among those of its node, which is also the number of its GPU
            (modulo the number of GPUs).
        threads: Of this rank, on the host.

    Raises:
        StageError: `cupy` is asked for and there is no CuPy or no GPU. Computing on the host
            instead would let expensive machines idle.
    """
    if name == "numpy":
        from workloads.analysis.profile.compiled import passes
        from workloads.analysis.profile.leaf_numpy import NumpyProfile

        if local_rank == 0 and passes() is None:
            log.info(
                "the profile's passes are not compiled here, so it takes nearly twice as long:"
                " `python -m workloads.analysis.profile.passes_library` compiles them"
            )
        return NumpyProfile(threads)
    cupy = _require_cupy()
    devices = int(cupy.cuda.runtime.getDeviceCount())
    cupy.cuda.Device(local_rank % devices).use()
    from workloads.analysis.profile.leaf_cupy import CupyProfile

    return CupyProfile()


def choose_pairs(name: str, threads: int) -> PairBackend:
    """What compares rows; on the device that `choose` took for this rank.

    Args:
        name: `numpy` or `cupy`.
        threads: Of this rank, on the host.

    Raises:
        StageError: `cupy` is asked for and there is no CuPy, no GPU or one that is too old.
    """
    if name == "cupy":
        _require_cupy()
        from workloads.analysis.knn.pairs_cupy import CupyPairs

        return CupyPairs()
    from workloads.analysis.knn.pairs_numpy import NumpyPairs

    return NumpyPairs(threads)


def _require_cupy() -> Any:
    try:
        import cupy
    except ImportError as error:
        raise _absent(f"CuPy is not installed ({error})") from error
    if not cupy.is_available():
        raise _absent("this machine has no CUDA device or no driver")
    return cupy


def _absent(reason: str) -> StageError:
    return StageError(
        f"{ENV_ARRAY_BACKEND} is 'cupy', but {reason}",
        hint=f"give the job a GPU and the CUDA image, or set {ENV_ARRAY_BACKEND} to 'numpy'",
        exit_code=EXIT_ENVIRONMENT,
    )

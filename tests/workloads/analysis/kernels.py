"""Arithmetic that this processor can be told to use: compiled passes or none, kernels of OpenBLAS
and of NumPy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from localcloud.batch.container import HIDDEN

_UNCOMPILED: Final = Path(__file__).with_name("uncompiled")
_ROOT: Final = Path(__file__).parents[3]

NEEDS: Final = {
    "SkylakeX": "avx512f",
    "Haswell": "avx2",
    "Zen": "avx2",
    "Sandybridge": "avx",
    "Nehalem": "sse4_2",
}
"""OPENBLAS_CORETYPE -> what the processor must have for it."""
_NUMPY: Final = (
    "AVX512_SPR",
    "AVX512_ICL",
    "AVX512_SKX",
    "AVX512_CLX",
    "AVX512_CNL",
    "AVX2",
    "FMA3",
    "X86_V4",
    "X86_V3",
)
"""Names of processor features in NumPy's builds of different ages; unknown ones are passed over
with a warning.
"""


def environments() -> dict[str, dict[str, str]]:
    """Name -> environment variables. The first is the machine's own choice. OpenBLAS multiplies
    slices only where passes are not compiled.
    """
    flags = processor_flags()
    uncompiled = {"PYTHONPATH": f"{_UNCOMPILED}:{HIDDEN}:{_ROOT}"}
    found: dict[str, dict[str, str]] = {"as found": {}}
    found |= {
        f"OpenBLAS {name}, no compiled passes": {"OPENBLAS_CORETYPE": name, **uncompiled}
        for name, flag in NEEDS.items()
        if flag in flags
    }
    if "avx2" in flags:
        found["NumPy without AVX2 and AVX512"] = {
            "NPY_DISABLE_CPU_FEATURES": " ".join(_NUMPY),
            "PYTHONWARNINGS": "ignore",
        }
    return found


def processor_flags() -> set[str]:
    """As /proc/cpuinfo names them; none on other processors than x86."""
    lines = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")
    ]
    return set(lines[0].split(":", 1)[1].split()) if lines else set()

"""CUDA kernels, one per file; each compiles alone with NVRTC and needs no header.

The comment at the head of a kernel says which limit of the device it aims at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

OPTIONS: Final = ("-std=c++17",)
"""NVRTC options. No fast mathematics: minus zero, NaN and infinities have to keep their meaning."""
_HERE: Final = Path(__file__).parent


def names() -> list[str]:
    """All kernels; the function in the file has the file's name."""
    return sorted(path.stem for path in _HERE.glob("*.cu"))


def source(name: str) -> str:
    """Text of a kernel."""
    return (_HERE / f"{name}.cu").read_text()

"""On PYTHONPATH, this makes a machine that has no library of compiled passes, so that the profile's
products are those of NumPy's BLAS.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any


class CDLL(ctypes.CDLL):
    """Refuses that library."""

    def __init__(self, name: str | None, *arguments: Any, **more: Any) -> None:
        if name is not None and Path(name).name.startswith("passes-"):
            raise OSError(f"{name} is left out")
        super().__init__(name, *arguments, **more)


ctypes.CDLL = CDLL  # type: ignore[misc]

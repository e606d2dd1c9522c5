"""What the parts of the benchmark on one GPU share: the clock, device times, and a table; see
analysis_gpu.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

K = 10
UNIT_ROWS = 1 << 16
BUDGET_SECONDS = 560.0

Rows = npt.NDArray[np.float64]


@dataclass
class Bench:
    """What the parts share."""

    cupy: Any
    quick: bool
    started: float = field(default_factory=time.perf_counter)
    ceilings: dict[str, float] = field(default_factory=dict)
    """Bytes or operations per second by name."""
    full_rate: dict[int, float] = field(default_factory=dict)
    """Pairs per second of the whole search by number of columns."""

    @property
    def left(self) -> float:
        """Seconds left of the budget."""
        return BUDGET_SECONDS - (time.perf_counter() - self.started)

    def seconds(self, work: Callable[[], object], repeats: int = 5) -> float:
        """Median device time of some runs after one that is not counted."""
        work()
        found = []
        for _ in range(repeats):
            begin, end = self.cupy.cuda.Event(), self.cupy.cuda.Event()
            begin.record()
            work()
            end.record()
            end.synchronize()
            found.append(self.cupy.cuda.get_elapsed_time(begin, end) / 1e3)
        return float(np.median(found))


def clustered(n: int, d: int) -> Rows:
    """Twenty clusters of rows with log-normal spread, centred and scaled as the analysis scales."""
    rng = np.random.default_rng(d)
    rows = rng.standard_normal((n, d))
    rows *= np.exp(0.3 * rng.standard_normal((n, 1)))
    rows += rng.standard_normal((20, d))[rng.integers(20, size=n)] * 3
    rows -= rows.mean(axis=0)
    rows /= rows.std(axis=0)
    return rows


def share(rate: float, ceiling: float) -> str:
    return f"{100 * rate / ceiling:.0f} %"

"""What the search will take, before it is begun: seconds, memory and dollars of both modes."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Final

import numpy as np

from workloads.analysis.anomaly.block import Block
from workloads.analysis.anomaly.neighbours import Neighbours
from workloads.analysis.anomaly.pairs import PairBackend
from workloads.analysis.distribution.blocks import block_bytes, state_bytes
from workloads.analysis.profile.sketch import BINS
from workloads.analysis.settings import AnomalySettings
from workloads.contract import ENV_MAX_DOLLARS, ENV_STAGE_PRICES
from workloads.runtime.errors import StageError

_TOP_EVALUATIONS_PER_ROW: Final = 4_600
"""Besides pilots; measured on clustered and heavy-tailed tables of 40,000 to 640,000 rows, where it does not grow with the table. A table
without outliers needs more, up to as many as `full`."""
_READ_BYTES_PER_SECOND: Final = 150e6
"""Of one rank with three S3 connections of 50 MB/s."""
_PASSES: Final = {"full": 1, "top": 5}
"""Over the table, where it does not stay in memory, for each group of query units."""
_UNITS_READ_AHEAD: Final = 4
_FILLED_BINS: Final = 4096
"""Of a column's sketch: what values over sixty powers of two fill."""
_SKETCHES: Final = 3
"""At a time: two that are merged, and what they become."""
_SAMPLE_ROWS: Final = (2048, 8192, 32_768)
_LONG_ENOUGH_SECONDS: Final = 0.002
"""Below this a device has spent its time on being called."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What one rank was measured to do."""

    pairs_per_second: float
    """Rows of one block with rows of another, for the first alone, thresholds being known."""
    shared_pairs_per_second: float
    """The same for both of them, each pair counted once."""
    products_per_second: float
    """Multiplications of a float32 matrix product of the same shape on the host: its limit."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the search is about."""

    rows: int
    columns: int
    unit_rows: int
    ranks: int


@dataclass(frozen=True, kw_only=True)
class ModePlan:
    """Prediction for one mode."""

    evaluations: float
    seconds: float
    memory_bytes: int
    """Of one rank, the interpreter included."""
    usd: float | None
    """None where the price of the machines is not known."""


def calibrate(pairs: PairBackend, columns: int) -> Machine:
    """Measure this rank in some hundredths of a second. Ranks that share a machine do it at the same time."""
    for rows in _SAMPLE_ROWS:
        machine, seconds = _measure(pairs, columns, rows)
        if seconds >= _LONG_ENOUGH_SECONDS:
            break
    return machine


def _measure(pairs: PairBackend, columns: int, rows: int) -> tuple[Machine, float]:
    values = np.random.default_rng(0).standard_normal((3 * rows, max(columns, 1)), np.float32)
    starts = range(0, 3 * rows, rows)
    query, first, second = (Block(ids=np.arange(start, start + rows), rows=values[start : start + rows]) for start in starts)
    known, _ = pairs.between(query, first, Neighbours.empty(rows, 10), Neighbours.empty(rows, 10))
    known_second = pairs.towards(second, first, Neighbours.empty(rows, 10))
    start = time.perf_counter()
    pairs.towards(query, second, known)
    middle = time.perf_counter()
    pairs.between(query, second, known, known_second)
    end = time.perf_counter()
    some = slice(0, _SAMPLE_ROWS[0])
    product = np.matmul(first.augmented[some], second.augmented[some].T)
    warm = time.perf_counter()
    np.matmul(query.augmented[some], second.augmented[some].T, out=product)
    products = product.size * (columns + 2) / (time.perf_counter() - warm)
    machine = Machine(
        pairs_per_second=float(rows) ** 2 / (middle - start),
        shared_pairs_per_second=float(rows) ** 2 / (end - middle),
        products_per_second=products,
    )
    return machine, middle - start


def predict(mode: str, shape: Shape, settings: AnomalySettings, machine: Machine, resident_bytes: int) -> ModePlan:
    """Seconds, memory and dollars of a mode.

    Args:
        mode: `top` or `full`.
        shape: Of the table; all rows are taken for complete.
        settings: Of the job.
        machine: The slowest rank.
        resident_bytes: Memory of a rank before it begins.
    """
    rows, own = float(shape.rows), float(shape.rows) / shape.ranks
    unit = block_bytes(shape.unit_rows, shape.columns) + state_bytes(shape.unit_rows, settings.neighbours)
    table = int(own * (unit / max(shape.unit_rows, 1)))
    if mode == "full":
        own_units = math.ceil(own / max(shape.unit_rows, 1))
        groups = max(math.ceil(own_units / max(settings.block_memory_bytes // 2 // max(unit, 1), 1)), 1)
        # units that are in memory at the same time, of whatever ranks, are compared for both; all others for each of the two
        shared, single = own * rows / 2 / groups, own * rows * (1 - 1 / groups)
    else:
        groups, shared, single = 1, 0.0, own * min(rows, _TOP_EVALUATIONS_PER_ROW + 4.0 * settings.top)
    stays = table <= settings.block_memory_bytes / 2
    read = 0.0 if stays else _PASSES[mode] * groups * own * shape.columns * 4 / _READ_BYTES_PER_SECOND
    seconds = shared / machine.shared_pairs_per_second + single / machine.pairs_per_second + read
    search = min(table, settings.block_memory_bytes) + (_UNITS_READ_AHEAD + 2) * unit
    memory = resident_bytes + max(search, profile_bytes(shape))
    usd = None if settings.usd_per_hour is None else seconds / 3600 * settings.usd_per_hour
    return ModePlan(evaluations=(shared + single) * shape.ranks, seconds=seconds, memory_bytes=int(memory), usd=usd)


def profile_bytes(shape: Shape) -> int:
    """Memory of the profile on one rank, given back before the search: counts, sketches, and units that are read ahead."""
    counts = shape.columns * BINS * 8
    sketch = shape.columns * min(shape.rows, _FILLED_BINS) * 16
    return counts + _SKETCHES * sketch + (_UNITS_READ_AHEAD + 2) * 2 * 4 * shape.unit_rows * shape.columns


def admit(settings: AnomalySettings, shape: Shape, plan: ModePlan) -> None:
    """Raises StageError where the mode is `full` and dearer than the config allows."""
    if settings.mode != "full" or settings.max_dollars is None:
        return
    if plan.usd is None:
        raise StageError(
            f"mode 'full' has a limit of ${settings.max_dollars:,.2f}, but the price of the analysis's machines is not known",
            hint=f"give {ENV_STAGE_PRICES} a price for the analysis, unset {ENV_MAX_DOLLARS}, or use mode 'top'",
        )
    if plan.usd > settings.max_dollars:
        raise StageError(
            f"mode 'full' would compare {plan.evaluations:,.0f} pairs of {shape.rows:,} rows in about {plan.seconds:,.0f} s on"
            f" {shape.ranks} ranks, which costs about ${plan.usd:,.2f}, and the limit is ${settings.max_dollars:,.2f}",
            hint=f"use mode 'top', which finds the same most remote rows, or raise {ENV_MAX_DOLLARS}",
        )

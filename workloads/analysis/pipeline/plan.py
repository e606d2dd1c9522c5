"""What the search will take, before it is begun: seconds, memory and dollars of both modes."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from workloads.analysis.distributed.blocks import (
    SMALLEST_CHUNK,
    block_bytes,
    largest_panel,
    state_bytes,
)
from workloads.analysis.knn.block import Block
from workloads.analysis.knn.neighbours import Neighbours
from workloads.analysis.knn.pairs import PairBackend
from workloads.analysis.settings import SearchMeans
from workloads.runtime.errors import StageError
from workloads.variables import ENV_MAX_DOLLARS, ENV_STAGE_PRICES

_FEW_NEIGHBOURS: Final = 10
"""The number k up to which taking in neighbours has no cost of its own: comparing has it all."""
_TOP_EVALUATIONS_PER_ROW: Final = 4_600
"""Besides pilots, with few neighbours; measured on clustered and heavy-tailed tables of 40,000 to
640,000 rows, where it does not grow with the table. A table without outliers needs more, up to as
many as `full`.
"""
_TOP_EVALUATIONS_PER_NEIGHBOUR: Final = 25
"""For each row and neighbour beyond these: a row is dropped when k rows are proved to be nearer
than the cutoff (the same tables).
"""
_TOP_SEARCHED: Final = 8
"""Rows that are compared with the whole table, for each of the rows wanted: pilots, and about as
many that are left.
"""
_READ_BYTES_PER_SECOND: Final = 150e6
"""Reading speed of one rank with three S3 connections of 50 MB/s."""
_PASSES: Final = {"full": 1, "top": 5}
"""Over the table, where it does not stay in memory, for each group of query units."""
_UNITS_READ: Final = 4
"""Three fetched ahead and the one at hand, each as bytes of the file, decoded columns, and the
array made from them.
"""
_FIXED_BYTES: Final = 24 << 20
"""Threads, connections and libraries that come in only when work begins; measured."""
_COUNTS_BYTES: Final = 1 << 20
"""Memory of a column while it is counted: bins of both signs from 0 to values of ordinary size."""
_FILLED_BINS: Final = 4096
"""Bins of a column's sketch that values over sixty powers of two fill."""
_SKETCHES: Final = 3
"""Sketches at a time: two that are merged, and what they become."""
_STRIP_BYTES: Final = 12 << 20
"""Tiles of the comparison, of one thread."""
_SAMPLE_ROWS: Final = (2048, 8192, 32_768)
_SMALLEST_SAMPLE: Final = 256
_COPY_BYTES: Final = 16 << 20
_LONG_ENOUGH_SECONDS: Final = 0.002
"""Run time below which a device has spent its time on being called."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What one rank was measured to do."""

    pairs_per_second: float
    """Rows of one block with rows of another, for the first alone, thresholds being known."""
    shared_pairs_per_second: float
    """The same for both of them, each pair counted once."""
    neighbours_per_second: float
    """Neighbours that rows take in, besides the comparing that few neighbours cost; infinite where
    few are asked for.
    """
    products_per_second: float
    """Multiplications of the machine's own matrix product, in the filter's precision: its limit."""
    copy_bytes_per_second: float
    """Read and written by a copy in the host's memory: the limit of what goes through the values
    once.
    """

    def possible(self, seconds: Mapping[str, float]) -> dict[str, float]:
        """What a rank's limits would allow: multiplications of `pairs`, bytes that `profile` goes
        through.

        Stages that only wait, for storage or for others, have no limit.

        Args:
            seconds: Stage -> seconds of all ranks added up.
        """
        comparing = seconds.get("pairs", 0.0) + seconds.get("panels", 0.0)
        return {
            "pairs": comparing * self.products_per_second,
            "profile": seconds.get("profile", 0.0) * self.copy_bytes_per_second,
        }


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the search is about."""

    rows: int
    columns: int
    unit_rows: int
    ranks: int
    """That share the table, each of them the whole of it where there are shards."""
    shards: int
    """That share the query rows; 1 where the job is no array job."""
    unit_bytes: int
    """Size of the largest unit in the file, text columns included."""
    neighbours: int
    """k."""
    top: int
    """N."""


@dataclass(frozen=True, kw_only=True)
class ModePlan:
    """Prediction for one mode."""

    evaluations: float
    seconds: float
    memory_bytes: int
    """Memory of one rank, the interpreter included."""
    usd: float | None
    """Price in US dollars, None where the price of the machines is not known."""


def calibrate(pairs: PairBackend, columns: int, unit_rows: int, neighbours: int) -> Machine:
    """Measure this rank in some hundredths of a second. Ranks that share a machine do it at the
    same time.

    Args:
        pairs: What compares.
        columns: Of the table.
        unit_rows: Of its largest unit. Units are compared with units, and small ones slower than
            large ones for each pair, so no more rows are tried; and a small table is not kept
            waiting for what only a large one makes good.
        neighbours: k.
    """
    most = max(unit_rows, _SMALLEST_SAMPLE)
    for size in _SAMPLE_ROWS:
        rows = min(size, most)
        single, shared, seconds = _measure(pairs, columns, rows)
        if seconds >= _LONG_ENOUGH_SECONDS or rows == most:
            break
    taken_in = math.inf
    if neighbours > _FEW_NEIGHBOURS:
        longer = _seconds_to_take_in(pairs, _blocks(columns, rows), neighbours)
        # of two halves of a table the second replaces half of the neighbours that the first has
        # brought
        more = rows * (neighbours - _FEW_NEIGHBOURS) / 2
        taken_in = more / max(longer - seconds, 1e-9)
    return Machine(
        pairs_per_second=single,
        shared_pairs_per_second=shared,
        neighbours_per_second=taken_in,
        products_per_second=pairs.products_per_second(rows, columns),
        copy_bytes_per_second=_copy_rate(),
    )


def _copy_rate() -> float:
    """Bytes per second, the best of three copies of 16 MiB: large caches may hold these, and larger
    ones would add to the rank's peak.
    """
    source = np.zeros(_COPY_BYTES, np.uint8)
    target = np.ones_like(source)
    fastest = np.inf
    for _ in range(3):
        start = time.perf_counter()
        np.copyto(target, source)
        fastest = min(fastest, time.perf_counter() - start)
    return 2.0 * _COPY_BYTES / fastest


def _measure(pairs: PairBackend, columns: int, rows: int) -> tuple[float, float, float]:
    """Pairs per second for one side and for both, and the seconds of the former."""
    query, first, second = _blocks(columns, rows)
    nothing = Neighbours.empty(rows, _FEW_NEIGHBOURS)
    known, _ = pairs.between(query, first, nothing, nothing)
    known_second = pairs.towards(second, first, nothing)
    start = time.perf_counter()
    pairs.towards(query, second, known)
    middle = time.perf_counter()
    pairs.between(query, second, known, known_second)
    end = time.perf_counter()
    return float(rows) ** 2 / (middle - start), float(rows) ** 2 / (end - middle), middle - start


def _blocks(columns: int, rows: int) -> tuple[Block, Block, Block]:
    values = np.random.default_rng(0).standard_normal((3 * rows, max(columns, 1)))
    one, two, three = (
        Block(ids=np.arange(start, start + rows), rows=values[start : start + rows])
        for start in range(0, 3 * rows, rows)
    )
    return one, two, three


def _seconds_to_take_in(pairs: PairBackend, blocks: tuple[Block, Block, Block], k: int) -> float:
    """Of the first block's rows, which know k neighbours of the second, for those of the third."""
    query, first, second = blocks
    known = pairs.towards(query, first, Neighbours.empty(query.ids.size, k))
    start = time.perf_counter()
    pairs.towards(query, second, known)
    return time.perf_counter() - start


def slowest(machines: Sequence[Machine]) -> Machine:
    """What every rank reaches."""
    return Machine(
        **{
            field.name: min(getattr(one, field.name) for one in machines)
            for field in fields(Machine)
        }
    )


def predict(
    mode: str, shape: Shape, means: SearchMeans, machine: Machine, resident_bytes: int
) -> ModePlan:
    """Seconds, memory and dollars of a mode.

    Args:
        mode: `top` or `full`.
        shape: Of the table; all rows are taken for complete.
        means: Of the job.
        machine: The slowest rank.
        resident_bytes: Memory of a rank before it begins.
    """
    rows = float(shape.rows)
    queries, own = rows / shape.ranks / shape.shards, rows / shape.ranks
    if mode == "full":
        groups = max(math.ceil(queries / _group_rows(shape, means)), 1)
        # units that are in memory at the same time, of whatever ranks, are compared for both; all
        # others for each of the two
        together = queries * shape.ranks / groups
        shared, single = queries * together / 2, queries * (rows - together)
        searched = queries
    else:
        groups, shared = 1, 0.0
        single = queries * min(rows, _top_evaluations(shape.neighbours)) + own * 4.0 * shape.top
        searched = min(_TOP_SEARCHED * shape.top, rows)
    stays = own * block_bytes(1, shape.columns) <= means.block_memory_bytes / 2
    read = (
        0.0 if stays else _PASSES[mode] * groups * own * shape.columns * 8 / _READ_BYTES_PER_SECOND
    )
    taken_in = searched * _taken_in(shape)
    seconds = (
        shared / machine.shared_pairs_per_second
        + single / machine.pairs_per_second
        + taken_in / machine.neighbours_per_second
        + read
    )
    memory = (
        resident_bytes
        + _FIXED_BYTES
        + max(_profile_bytes(shape), _search_bytes(mode, shape, means))
    )
    usd = None if means.usd_per_hour is None else seconds / 3600 * means.usd_per_hour
    return ModePlan(
        evaluations=(shared + single) * shape.ranks * shape.shards,
        seconds=seconds,
        memory_bytes=int(memory),
        usd=usd,
    )


def _top_evaluations(neighbours: int) -> float:
    """Rows that each row is compared with in mode `top`, besides pilots."""
    more = max(neighbours - _FEW_NEIGHBOURS, 0)
    return _TOP_EVALUATIONS_PER_ROW + _TOP_EVALUATIONS_PER_NEIGHBOUR * more


def _taken_in(shape: Shape) -> float:
    """Neighbours beyond few that a row takes in from all units: the j-th of them replaces a j-th
    part of those that it has.
    """
    more = max(min(shape.neighbours, shape.rows) - _FEW_NEIGHBOURS, 0)
    return more * (1.0 + math.log(max(shape.rows / shape.unit_rows, 1.0)))


def _group_rows(shape: Shape, means: SearchMeans) -> int:
    """Query rows that a rank works on at a time: whole units, at least one."""
    unit = block_bytes(shape.unit_rows, shape.columns) + state_bytes(
        shape.unit_rows, shape.neighbours
    )
    units = max(means.block_memory_bytes // 2 // max(unit, 1), 1)
    return max(min(units * shape.unit_rows, -(-shape.rows // (shape.ranks * shape.shards))), 1)


def _reading_bytes(shape: Shape) -> int:
    return _UNITS_READ * (shape.unit_bytes + 2 * 8 * _unit_rows(shape) * shape.columns)


def _profile_bytes(shape: Shape) -> int:
    """Given back before the search: counts, sketches, sums of products, and units that are read."""
    sketch = shape.columns * min(shape.rows, _FILLED_BINS) * 16
    return (
        _reading_bytes(shape)
        + _COUNTS_BYTES * shape.columns
        + 3 * 8 * (2 * shape.columns) ** 2
        + _SKETCHES * sketch
    )


def _search_bytes(mode: str, shape: Shape, means: SearchMeans) -> int:
    """What the rows take that are kept, read and compared at a time."""
    own, k, half = (
        -(-shape.rows // shape.ranks),
        shape.neighbours,
        means.block_memory_bytes // 2,
    )
    queries = -(-own // shape.shards)
    row, unit = block_bytes(1, shape.columns), _unit_rows(shape)
    common = min(own * row, half) + _reading_bytes(shape) + 2 * unit * row + _STRIP_BYTES
    if mode == "full":
        group = _group_rows(shape, means)
        # scores of finished rows; neighbours of the group; candidates of the two units at work
        return (
            common
            + queries * 32
            + group * (row + state_bytes(1, k))
            + 2 * min(group, unit) * state_bytes(1, k)
        )
    panel = min(shape.rows // 8, largest_panel(half, shape.columns))
    compared = min(SMALLEST_CHUNK, queries) + 4 * min(shape.top, shape.rows)
    return common + queries * 16 + 3 * panel * row + compared * (2 * row + state_bytes(1, k))


def _unit_rows(shape: Shape) -> int:
    return min(shape.unit_rows, shape.rows)


def admit(means: SearchMeans, shape: Shape, plan: ModePlan) -> None:
    """Raises StageError where mode `full`, of which this is the plan, is dearer than the config
    allows.
    """
    if means.max_dollars is None:
        return
    if plan.usd is None:
        raise StageError(
            f"mode 'full' has a limit of ${means.max_dollars:,.2f}, but the price of the analysis's"
            " machines is not known",
            hint=(
                f"give {ENV_STAGE_PRICES} a price for the analysis, unset {ENV_MAX_DOLLARS}, or use"
                " mode 'top'"
            ),
        )
    if plan.usd > means.max_dollars:
        raise StageError(
            f"mode 'full' would compare {plan.evaluations:,.0f} pairs of {shape.rows:,} rows in"
            f" about {plan.seconds:,.0f} s on {shape.ranks} ranks, which costs about"
            f" ${plan.usd:,.2f}, and the limit is ${means.max_dollars:,.2f}",
            hint=(
                f"use mode 'top', which finds the same most remote rows, or raise {ENV_MAX_DOLLARS}"
            ),
        )

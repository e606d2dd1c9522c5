"""Statistics of one unit on the host: columns first, each by one thread, then the columns together
in tiles that stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile import columns as column_moments
from workloads.analysis.profile.columns import PowerSums
from workloads.analysis.profile.double import Double
from workloads.analysis.profile.frame import Extremes, Frame, as_it_is, extremes, frame_of
from workloads.analysis.profile.joint import (
    MOST_ROWS,
    JointSums,
    adds,
    complete_frame,
    heavy,
    joint,
    squares_of,
    tile_rows,
)
from workloads.analysis.profile.moments import (
    ColumnMoments,
    Floats,
    Integers,
    JointMoments,
    Moments,
    merge,
    no_rows,
)
from workloads.analysis.profile.powers import FEW, scratch
from workloads.analysis.profile.sketch import PrefixCounts, Sketch
from workloads.analysis.threads import parallel_map
from workloads.analysis.tree import Forest, NodeId

Rests = Mapping[int, Floats]
"""Column -> (rows,) what float64 took from whole numbers beyond 2^53."""
NO_RESTS: Final[Rests] = {}

_TOGETHER: Final = 1 << 13
"""Values of columns that are worked on at a time where units have few rows, since calls would cost
more than the arithmetic.
"""
_MOST_TOGETHER: Final = 8
"""Columns at a time where they have many rows."""
_TURNS: Final = 4
"""Of each thread at least, where there are columns enough, so that all end at about the same
time.
"""

_SHORTER: Final = 4
"""By this the last tiles are shorter, for the same reason; products are exact in tiles of any
length.
"""

_Task = Callable[["_Worker"], None]
_Seen = tuple[Extremes, Frame]


class NumpyProfile:
    """The host's `ProfileBackend`. Scratch memory is kept between units, since fresh pages cost
    more than the arithmetic.

    Args:
        threads: Threads that share columns and tiles. Their matrix products run at the same time,
            so BLAS should use one.
    """

    name = "numpy"
    precision = "exact sums of products, fp64 powers"

    def __init__(self, threads: int = 1) -> None:
        self._counts: list[PrefixCounts] = []
        self._workers = [_Worker() for _ in range(threads)]
        self._careful = False

    def begin_counting(self, columns: int) -> None:
        """Set all counts to zero."""
        self._counts = [PrefixCounts() for _ in range(columns)]

    def unit(
        self, values: Floats, rests: Rests = NO_RESTS, compared: Integers | None = None
    ) -> Moments:
        """The unit's moments; adds its values to the counts."""
        columns, rows = values.shape
        places = np.arange(columns, dtype=np.int64) if compared is None else compared
        starts = range(0, rows, MOST_ROWS)
        if not (starts and columns):
            return Moments.of(ColumnMoments.empty(columns), no_rows(places), rows)
        forest = Forest(len(starts), merge)
        for index, start in enumerate(starts):
            block = values[:, start : start + MOST_ROWS]
            beside = {column: rest[start : start + MOST_ROWS] for column, rest in rests.items()}
            forest.add(NodeId(0, index), self._block(block, beside, places))
        return forest.root()

    def counted(self) -> Sketch:
        """The counts since begin_counting."""
        return Sketch.of_columns([counts.found() for counts in self._counts])

    def peak_device_bytes(self) -> int:
        """Always 0."""
        return 0

    def _block(self, values: Floats, rests: Rests, places: Integers) -> Moments:
        columns, rows = values.shape
        turns = _TURNS * len(self._workers)
        together = max(_TOGETHER // rows, min(_MOST_TOGETHER, columns // turns), 1)
        groups = [
            range(start, min(start + together, columns)) for start in range(0, columns, together)
        ]
        frames: dict[int, _Seen | None] = {}
        found: dict[int, list[_Columns]] = {}

        def look(index: int, _: _Worker) -> None:
            frames[index] = _seen(values, rests, groups[index])

        def group(index: int, worker: _Worker) -> None:
            found[index] = _group(
                values,
                rests,
                groups[index],
                frames[index],
                self._counts,
                worker.room,
                lower=not added_by_tiles,
            )

        self._share([partial(look, index) for index in range(len(groups))])
        seen = [one for index in range(len(groups)) if (one := frames[index]) is not None]
        tiles = None
        if len(seen) == len(groups):
            frame = Frame.joined([one[1] for one in seen]).take(places)
            tiles = _Tiles(values=_some(values, places), rests=NO_RESTS, frame=frame)
        added_by_tiles = tiles is not None and adds(rows, columns, places)
        # Columns hold the interpreter more often than tiles do: side by side they rarely wait. What
        # care tiles need is known after the columns; most often it is what the last unit needed.
        tried = rows <= FEW or self._careful
        self._share(
            [partial(group, index) for index in range(len(groups))],
            [] if tiles is None else self._tasks(tiles, careful=tried),
        )
        done = [one for index in range(len(groups)) for one in found[index]]
        sums = PowerSums.joined([one.sums for one in done])
        missing, infinite = (
            np.concatenate([getattr(one, name) for one in done]) for name in ("missing", "infinite")
        )
        frame = sums.frame.take(places)
        squares = sums.sums[1].high[places]
        if added_by_tiles:
            squares = squares_of([worker.sums for worker in self._workers], frame)
        careful = rows <= FEW or heavy(frame, squares)
        if tiles is None:
            tiles, careful = self._complete(values, rests, places, done, frame, careful=careful)
            self._share(self._tasks(tiles, careful=careful))
        elif careful and not tried:
            self._share(self._tasks(tiles, careful=True))
        self._careful = careful
        together, *lower = self._joint(tiles, places, careful=careful)
        if added_by_tiles:
            sums = sums.with_lower(*lower)
        return Moments.of(column_moments.moments(sums, missing, infinite), together, rows)

    def _complete(
        self,
        values: Floats,
        rests: Rests,
        places: Integers,
        done: Sequence[_Columns],
        frame: Frame,
        *,
        careful: bool,
    ) -> tuple[_Tiles, bool]:
        """The rows without a gap, and whether they need care; `frame` is of all that are finite."""
        finite = {
            place: one.finite for one in done if one.finite is not None for place in one.places
        }
        gaps = [finite[place] for place in places.tolist() if place in finite]
        beside = {at: rests[place] for at, place in enumerate(places.tolist()) if place in rests}
        values = _some(values, places)
        if not gaps:
            return _Tiles(values=values, rests=beside, frame=frame), careful
        complete = np.logical_and.reduce(gaps)
        # contiguous columns, as a mask on the last axis would not leave them
        values = np.compress(complete, values, axis=1)
        beside = {at: rest[complete] for at, rest in beside.items()}
        frame = complete_frame(values, beside) if values.size else Frame.empty(places.size)
        return _Tiles(values=values, rests=beside, frame=frame), True

    def _tasks(self, tiles: _Tiles, *, careful: bool) -> list[_Task]:
        columns, rows = tiles.values.shape
        size = tile_rows(columns)
        for worker in self._workers:
            worker.begin(columns)

        def tile(start: int, stop: int, worker: _Worker) -> None:
            here = {at: rest[start:stop] for at, rest in tiles.rests.items()}
            worker.sums.add(tiles.values[:, start:stop], here, tiles.frame, careful=careful)

        if not tiles.values.size:
            return []
        long = max(rows // size - len(self._workers), 0) * size
        bounds = [*range(0, long, size), *range(long, rows, -(-size // _SHORTER)), rows]
        return [partial(tile, start, stop) for start, stop in pairwise(bounds)]

    def _joint(
        self, tiles: _Tiles, places: Integers, *, careful: bool
    ) -> tuple[JointMoments, Double, Double]:
        if not tiles.values.size:
            nothing = Double.of(np.zeros(places.size))
            return no_rows(places), nothing, nothing
        parts = [worker.sums for worker in self._workers]
        return joint(parts, places, tiles.values.shape[1], tiles.frame, careful=careful)

    def _share(self, *kinds: Iterable[_Task]) -> None:
        parallel_map([worker.run for worker in self._workers], *kinds)


class _Worker:
    """One thread's scratch memory."""

    def __init__(self) -> None:
        self.room = scratch(np.empty(0), MOST_ROWS)
        self.sums = JointSums(0)
        self._columns = 0

    def begin(self, columns: int) -> None:
        """Sums of nothing yet."""
        if columns == self._columns:
            self.sums.reset()
        else:
            self.sums, self._columns = JointSums(columns), columns

    def run(self, tasks: Iterable[_Task]) -> None:
        """Do tasks."""
        for task in tasks:
            task(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Columns:
    places: range
    sums: PowerSums
    missing: Integers
    infinite: Integers
    finite: npt.NDArray[np.bool_] | None
    """(rows,) of a column by itself; None where all values are."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Tiles:
    """Complete rows of the compared columns, which are cut into tiles."""

    values: Floats
    """(d', rows)"""
    rests: Rests
    frame: Frame


def _some(values: Floats, places: Integers) -> Floats:
    return values if places.size == values.shape[0] else values[places]


def _seen(values: Floats, rests: Rests, places: range) -> _Seen | None:
    """Of some columns of a unit; None where one has a gap, or values that float64 does not hold."""
    block = values[places.start : places.stop]
    ends = extremes(block)
    whole = np.isfinite(ends[0]) & np.isfinite(ends[1])
    if not whole.all() or any(place in rests for place in places):
        return None
    return ends, frame_of(block, ends, np.zeros(len(places)), as_it_is, as_it_is)


def _group(
    values: Floats,
    rests: Rests,
    places: range,
    seen: _Seen | None,
    counts: Sequence[PrefixCounts],
    room: Floats,
    *,
    lower: bool,
) -> list[_Columns]:
    """Some columns of a unit, together if none has a gap; adds their values to their counts.
    `lower` as for `powers.sums`.
    """
    if seen is None:
        return [
            _column(values[place], rests.get(place), place, counts[place], room) for place in places
        ]
    block = values[places.start : places.stop]
    for column, place in zip(block, places, strict=True):
        counts[place].add(column, room[0])
    none = np.zeros(len(places), np.int64)
    sums = column_moments.power_sums(block, room=room, seen=seen, lower=lower)
    return [_Columns(places=places, sums=sums, missing=none, infinite=none, finite=None)]


def _column(
    values: Floats, rest: Floats | None, place: int, counts: PrefixCounts, room: Floats
) -> _Columns:
    """One column of a unit; adds its values to its counts."""
    finite = np.isfinite(values)
    whole = values[finite]
    missing = int(np.isnan(values).sum())
    sums = column_moments.nothing(1)
    if whole.size:
        counts.add(whole, room[0])
        sums = column_moments.power_sums(
            whole[None, :], None if rest is None else rest[finite][None, :], room=room
        )
    return _Columns(
        places=range(place, place + 1),
        sums=sums,
        missing=np.array([missing]),
        infinite=np.array([values.size - whole.size - missing]),
        finite=None if whole.size == values.size else finite,
    )

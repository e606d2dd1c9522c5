"""One side of a comparison of two blocks: thresholds, candidates and exact neighbours of its rows.

A row's candidates are pairs (value of the filter's product, position in the other block). When they
no longer fit, the best k of them lower the row's threshold, and what it now excludes is dropped;
where that does not help, as with many ties, they are settled: exact distances take the place of
filtered ones.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from workloads.analysis.knn import bounds
from workloads.analysis.knn.block import Block
from workloads.analysis.knn.exact import squares as exact_squares
from workloads.analysis.knn.neighbours import NO_NEIGHBOUR, Neighbours, nearest
from workloads.analysis.profile.moments import Integers

Positions = npt.NDArray[np.intp]
Values = npt.NDArray[np.float32]


class Search:
    """Neighbours of the rows of `query` among those of `data`, besides those known before.

    Rows are worked on in runs; calls for different runs may come from different threads, calls for
    one run hold its lock.

    Args:
        query: Whose neighbours are looked for.
        data: Among whom; may be `query`, then nobody is their own neighbour.
        known: What is known of the query's rows; not changed.
        run: Rows per lock.
    """

    def __init__(self, query: Block, data: Block, known: Neighbours, run: int) -> None:
        self.query, self.data = query, data
        rows = query.ids.size
        self.locks = [threading.Lock() for _ in range(0, rows, run)]
        self.k = known.k
        self._squares, self._ids = known.squares.copy(), known.ids.copy()
        self.recomputed = known.recomputed.copy()
        self._known = known
        self._doubted = np.zeros(rows, np.bool_)
        self.thresholds = bounds.threshold(
            self._squares[:, -1] * 0.5, query.half_squares, query.columns
        )
        self.thresholds[query.out_of_range] = (
            0  # their products are minus infinity and pass nothing
        )
        capacity = max(3 * self.k, 32)
        self._values = np.full((rows, capacity), -np.inf, np.float32)
        self._beside = np.zeros((rows, capacity), np.int32)
        self._count = np.zeros(rows, np.int64)

    def found(self) -> Neighbours:
        """The result, once everything is settled."""
        return Neighbours(squares=self._squares, ids=self._ids, recomputed=self.recomputed)

    def limits(self, start: int, stop: int, first_id: int) -> Values:
        """(stop - start,) products below which a pair is of no interest, for data whose ids are at
        least `first_id`.
        """
        limits = -self.thresholds[start:stop]
        done = (self._squares[start:stop, -1] == 0) & (
            self._ids[start:stop, -1] < first_id
        )  # k duplicates that come first
        limits[done] = np.inf
        return limits

    def without_threshold(self, start: int, stop: int) -> bool:
        """Whether some of these rows have no threshold yet."""
        return bool((self.thresholds[start:stop] == bounds.UNBOUNDED).any())

    def learn(self, start: int, best: Values) -> None:
        """Lower thresholds from products of rows [start, start + m) with k or more different rows:
        `best` is the k-th largest, (m,).
        """
        stop = start + best.size
        self._lower(np.arange(start, stop), best)

    def offer(self, rows: Positions, beside: Positions, values: Values) -> None:
        """Take in candidates; `rows` ascending, `beside` ascending within a row."""
        while rows.size:
            first = np.flatnonzero(np.diff(rows, prepend=-1))
            counts = np.diff(first, append=rows.size)
            place = self._count[rows] + np.arange(rows.size) - np.repeat(first, counts)
            fits = place < self._values.shape[1]
            if fits.all():
                self._store(rows, place, beside, values)
                self._count[rows[first]] += counts
                return
            at = rows[fits]
            self._store(at, place[fits], beside[fits], values[fits])
            self._count[rows[first]] = np.minimum(
                self._count[rows[first]] + counts, self._values.shape[1]
            )
            rows, beside, values = rows[~fits], beside[~fits], values[~fits]
            self._make_room(np.unique(rows))
            wanted = values >= -self.thresholds[rows]
            wanted &= (self._squares[rows, -1] > 0) | (self.data.ids[beside] < self._ids[rows, -1])
            rows, beside, values = rows[wanted], beside[wanted], values[wanted]

    def settle(self, rows: Positions) -> None:
        """Replace the candidates of these rows by exact distances."""
        rows = rows[self._count[rows] > 0]
        if not rows.size:
            return
        self._shrink(rows)
        counts = self._count[rows]
        width = int(counts.max())
        valid = np.arange(width) < counts[:, None]
        at, place = np.nonzero(valid)
        beside = self._beside[rows[at], place]
        found = exact_squares(self.query.rows, rows[at], self.data.rows, beside)
        self._flag_violations(rows[at], self._values[rows[at], place], found)
        squares = np.full((rows.size, self.k + width), np.inf)
        ids = np.full((rows.size, self.k + width), NO_NEIGHBOUR)
        squares[:, : self.k], ids[:, : self.k] = self._squares[rows], self._ids[rows]
        squares[at, self.k + place], ids[at, self.k + place] = found, self.data.ids[beside]
        self._replace(rows, squares, ids)
        self._count[rows] = 0
        self._values[rows] = -np.inf

    def compare_in_float64(self) -> None:
        """What is left when all candidates are settled: rows outside the filter's range, and rows
        whose products broke their bounds.
        """
        out_of_range = np.zeros(self.query.ids.size, np.bool_)
        out_of_range[self.query.out_of_range] = True
        again = np.flatnonzero(self._doubted & ~out_of_range)
        self._squares[again], self._ids[again] = self._known.squares[again], self._known.ids[again]
        others = np.arange(self.data.ids.size)
        self._brute(np.flatnonzero(~out_of_range & ~self._doubted), self.data.out_of_range)
        self._brute(np.flatnonzero(out_of_range | self._doubted), others)
        self.recomputed |= out_of_range | self._doubted

    def _brute(self, rows: Positions, beside: Positions) -> None:
        step = max((1 << 18) // max(beside.size, 1), 1)
        for start in range(0, rows.size if beside.size else 0, step):
            some = rows[start : start + step]
            at, other = np.repeat(some, beside.size), np.tile(beside, some.size)
            found = exact_squares(self.query.rows, at, self.data.rows, other)
            found_ids = self.data.ids[other].copy()
            itself = found_ids == self.query.ids[at]
            found[itself], found_ids[itself] = np.inf, NO_NEIGHBOUR
            shape = (some.size, beside.size)
            self._replace(
                some,
                np.concatenate((self._squares[some], found.reshape(shape)), axis=1),
                np.concatenate((self._ids[some], found_ids.reshape(shape)), axis=1),
            )

    def _store(
        self, rows: Positions, place: Integers, beside: npt.NDArray[np.integer[Any]], values: Values
    ) -> None:
        self._values[rows, place] = values
        self._beside[rows, place] = beside

    def _make_room(self, rows: Positions) -> None:
        self._shrink(rows)
        self.settle(rows[self._count[rows] > self._values.shape[1] // 2])

    def _shrink(self, rows: Positions) -> None:
        """Lower the thresholds by the candidates at hand and drop those that it excludes."""
        held = self._values[rows]
        k = self.k
        self._lower(rows, np.partition(held, held.shape[1] - k, axis=1)[:, held.shape[1] - k])
        keep = held >= -self.thresholds[rows][:, None]
        keep &= np.arange(held.shape[1]) < self._count[rows][:, None]
        at, place = np.nonzero(keep)
        counts = keep.sum(axis=1)
        beside = self._beside[rows[at], place]
        new = np.arange(at.size) - np.repeat(np.cumsum(counts) - counts, counts)
        values = held[at, place]
        self._values[rows] = -np.inf
        self._store(rows[at], new, beside, values)
        self._count[rows] = counts

    def _lower(self, rows: Positions, best: Values) -> None:
        known = np.isfinite(best)
        rows, best = rows[known], best[known]
        half_squares = self.query.half_squares[rows]
        ceilings = bounds.ceiling(best.astype(np.float64), half_squares, self.query.columns)
        self.thresholds[rows] = np.minimum(
            self.thresholds[rows], bounds.threshold(ceilings, half_squares, self.query.columns)
        )

    def _replace(self, rows: Positions, squares: npt.NDArray[np.float64], ids: Integers) -> None:
        self._squares[rows], self._ids[rows] = nearest(squares, ids, self.k)
        exact = bounds.threshold(
            self._squares[rows, -1] * 0.5, self.query.half_squares[rows], self.query.columns
        )
        self.thresholds[rows] = np.minimum(self.thresholds[rows], exact)

    def _flag_violations(
        self, rows: Positions, values: Values, found: npt.NDArray[np.float64]
    ) -> None:
        """Mark rows where the filter's product broke its bounds, which correct float32 arithmetic
        cannot do.
        """
        half, product = found * 0.5, values.astype(np.float64)
        half_squares, columns = self.query.half_squares[rows], self.query.columns
        broken = (-product > bounds.reach(half, half_squares, columns)) | (
            half > bounds.ceiling(product, half_squares, columns)
        )
        self._doubted[rows[broken]] = True

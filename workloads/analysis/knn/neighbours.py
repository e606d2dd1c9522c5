"""The nearest neighbours found so far: a value that merges in any order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.moments import Floats, Integers

NO_NEIGHBOUR: Final = np.iinfo(np.int64).max
"""Row id of a place that is still empty; sorts after all rows."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Neighbours:
    """For each of m rows the k nearest among the rows it was compared with: by squared distance,
    then by row id.

    It is a function of the *set* of rows compared with, whatever the order and grouping of the
    comparisons.
    """

    squares: Floats
    """(m, k) exact squared distances, ascending; infinity in empty places."""
    ids: Integers
    """(m, k) row ids; NO_NEIGHBOUR in empty places."""
    recomputed: npt.NDArray[np.bool_]
    """(m,) rows that the filter could not certify and that were compared in float64 throughout."""

    @classmethod
    def empty(cls, rows: int, k: int) -> Neighbours:
        """Compared with nobody yet: merging it changes nothing."""
        return cls(
            squares=np.full((rows, k), np.inf),
            ids=np.full((rows, k), NO_NEIGHBOUR),
            recomputed=np.zeros(rows, np.bool_),
        )

    @property
    def k(self) -> int:
        """Places per row."""
        return int(self.ids.shape[1])

    @property
    def scores(self) -> Floats:
        """(m,) distance to the k-th neighbour; infinity where there are fewer than k other rows."""
        return np.sqrt(self.squares[:, -1])

    @property
    def nearest_ids(self) -> Integers:
        """(m,) row id of the nearest neighbour."""
        return self.ids[:, 0]

    @property
    def kth_ids(self) -> Integers:
        """(m,) row id of the k-th neighbour, whose distance is the score."""
        return self.ids[:, -1]

    def take(self, positions: npt.NDArray[np.integer]) -> Neighbours:
        """Some of the rows."""
        return Neighbours(
            squares=self.squares[positions],
            ids=self.ids[positions],
            recomputed=self.recomputed[positions],
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Name -> array, for storage, transport and digest."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Neighbours:
        """What arrays() gave. Raises ValueError where something is missing."""
        try:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})
        except KeyError as error:
            raise ValueError(f"array {error} is missing") from error


def merge(a: Neighbours, b: Neighbours) -> Neighbours:
    """Neighbours of the same rows among the data of both, which must not overlap."""
    squares, ids = nearest(
        np.concatenate((a.squares, b.squares), axis=1), np.concatenate((a.ids, b.ids), axis=1), a.k
    )
    return Neighbours(squares=squares, ids=ids, recomputed=a.recomputed | b.recomputed)


def nearest(squares: Floats, ids: Integers, k: int) -> tuple[Floats, Integers]:
    """The k first of every row by (square, id), sorted: (m, c) -> (m, k), c >= k."""
    order = np.argsort(squares, axis=1)
    sorted_squares = np.take_along_axis(squares, order, axis=1)
    sorted_ids = np.take_along_axis(ids, order, axis=1)
    ties = (sorted_squares[:, 1:] == sorted_squares[:, :-1]) & np.isfinite(
        sorted_squares[:, 1:]
    )  # empty places need no order
    tied = np.flatnonzero(ties.any(axis=1))
    if tied.size:
        order = np.lexsort((sorted_ids[tied], sorted_squares[tied]), axis=1)
        sorted_ids[tied] = np.take_along_axis(
            sorted_ids[tied], order, axis=1
        )  # the squares are in order already
    return np.ascontiguousarray(sorted_squares[:, :k]), np.ascontiguousarray(sorted_ids[:, :k])

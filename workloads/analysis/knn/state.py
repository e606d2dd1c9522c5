"""How far the search for one unit's neighbours has come: what checkpoints hold and ranks hand
over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workloads.analysis.knn.neighbours import Neighbours, merge
from workloads.analysis.profile.moments import Integers


@dataclass(frozen=True, kw_only=True, eq=False)
class QueryState:
    """Neighbours of one unit's complete rows among the units done: a function of the table and of
    the set of units done.
    """

    unit: int
    ids: Integers
    """(m,) row numbers in the whole table."""
    neighbours: Neighbours
    """Neighbours of the m rows."""
    done: npt.NDArray[np.bool_]
    """(units,) data units that the rows were compared with."""

    @classmethod
    def start(cls, unit: int, ids: Integers, *, units: int, k: int) -> QueryState:
        """Nothing done yet."""
        return cls(
            unit=unit,
            ids=ids,
            neighbours=Neighbours.empty(ids.size, k),
            done=np.zeros(units, np.bool_),
        )

    @property
    def finished(self) -> bool:
        """Whether every unit is done."""
        return bool(self.done.all())

    def after(self, neighbours: Neighbours, units: Iterable[int]) -> QueryState:
        """The state after more units.

        Raises ValueError where one of them was done before, which would count its rows twice.
        """
        done = self.done.copy()
        for unit in units:
            if done[unit]:
                raise ValueError(f"unit {unit} was compared with unit {self.unit} before")
            done[unit] = True
        return QueryState(unit=self.unit, ids=self.ids, neighbours=neighbours, done=done)

    def joined(self, found: QueryState) -> QueryState:
        """With what was found for the same unit elsewhere.

        Raises ValueError where both were compared with the same unit.
        """
        twice = np.flatnonzero(self.done & found.done)
        if found.unit != self.unit or twice.size:
            raise ValueError(
                f"unit {self.unit} cannot take in what unit {found.unit} found in units"
                f" {twice.tolist()}"
            )
        neighbours = merge(self.neighbours, found.neighbours)
        return QueryState(
            unit=self.unit, ids=self.ids, neighbours=neighbours, done=self.done | found.done
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Name -> array, for storage and digest."""
        return {
            "unit": np.asarray(self.unit, np.int64),
            "row_ids": self.ids,
            "done": self.done,
            **self.neighbours.arrays(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> QueryState:
        """What arrays() gave. Raises ValueError where something is missing."""
        try:
            unit, ids, done = int(arrays["unit"]), arrays["row_ids"], arrays["done"]
        except KeyError as error:
            raise ValueError(f"array {error} is missing") from error
        return cls(unit=unit, ids=ids, neighbours=Neighbours.from_arrays(arrays), done=done)

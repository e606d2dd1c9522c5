"""Which columns make a row remote."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from workloads.analysis.profile.moments import Floats
from workloads.analysis.space.space import Space


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """A column's part in a distance."""

    column: str
    share: float
    """Share of the squared distance from the k-th neighbour, which the score is; all columns
    together make 1. May be negative with the metric `mahalanobis`.
    """
    value: float | int
    """The row's own value, as it stands in the table: whole numbers beyond 2^53 to the last
    digit.
    """
    neighbour_value: float | int
    """The nearest neighbour's: what a person compares with."""
    kth_value: float | int
    """The k-th neighbour's: another one than the nearest's where rows are odd in the same way, and
    near to one another.
    """


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """The values of one row."""

    values: Floats
    """(columns,)"""
    rests: Floats
    """(columns,) what float64 takes from whole numbers beyond 2^53."""

    def value(self, place: int) -> float | int:
        """Of one column."""
        value, rest = float(self.values[place]), float(self.rests[place])
        return int(value) + int(rest) if rest else value


def contributions(
    space: Space, columns: tuple[str, ...], row: Cells, nearest: Cells, kth: Cells, count: int = 3
) -> tuple[Contribution, ...]:
    """The columns with the largest part in a row's score, the distance from its k-th neighbour,
    largest first.

    They say why the row is remote. Its distance from the nearest row would not: two copies of one
    odd row have none.

    With difference z of the scaled rows the squared distance is z P z'; column j has z_j (P z')_j
    of it. P is the identity with the metric `euclidean`, and with `cosine`, whose z is the
    difference of scaled rows of length 1. With `mahalanobis` P is the mapping times its transpose:
    a column that moves as others let expect has little of the distance, or less than nothing,
    however far it moved.

    Args:
        space: Where rows are compared.
        columns: Names of the table's number columns.
        row: A complete row.
        nearest: Its nearest neighbour, for its values alone.
        kth: Its k-th neighbour.
        count: How many columns.

    Returns:
        Fewer than `count` where fewer columns are compared; none where the rows are equal.
    """
    both = np.stack((row.values, kth.values), axis=1)
    rests = {place: np.array([row.rests[place], kth.rests[place]]) for place in range(len(columns))}
    ends = (
        space.scaled(both, rests)
        if space.metric == "mahalanobis"
        else space.coordinates(both, rests)
    )
    z = ends[:, 0] - ends[:, 1]
    parts = z * _twice_mapped(space, z) if space.metric == "mahalanobis" else z * z
    total = math.fsum(parts)
    if not total > 0:
        return ()
    order = np.argsort(-parts, kind="stable")[:count]
    return tuple(
        Contribution(
            column=columns[space.places[place]],
            share=float(parts[place]) / total,
            value=row.value(space.places[place]),
            neighbour_value=nearest.value(space.places[place]),
            kth_value=kth.value(space.places[place]),
        )
        for place in order
    )


def _twice_mapped(space: Space, z: Floats) -> Floats:
    """P z', added up in the order of the columns."""
    found = np.zeros_like(z)
    for weights, factor in zip(space.mapping.T, space.mapped(z[:, None])[:, 0], strict=True):
        found += weights * factor
    return found

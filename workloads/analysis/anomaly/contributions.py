"""Which columns make a row remote."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workloads.analysis.rotate.space import Space


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """A column's part in a distance."""

    column: str
    share: float
    """Of the squared distance of the coordinates; all columns together make 1. May be negative with the metric `mahalanobis`."""
    value: float
    """The row's own value, as it stands in the table."""
    neighbour_value: float
    """The k-th neighbour's."""


def contributions(
    space: Space, columns: tuple[str, ...], row: npt.NDArray[np.float32], neighbour: npt.NDArray[np.float32], count: int = 3
) -> tuple[Contribution, ...]:
    """The columns with the largest part in the squared distance of a row from its k-th neighbour, largest first.

    With difference z of the scaled rows the squared distance is z P z'; column j has z_j (P z')_j of it. P is the identity with the metric
    `euclidean`, and with `cosine`, whose z is the difference of scaled rows of length 1. With `mahalanobis` P is the mapping times its
    transpose: a column that moves as others let expect has little of the distance, or less than nothing, however far it moved.

    Args:
        space: Where rows are compared.
        columns: Names of the table's number columns.
        row: (columns,) values of a complete row.
        neighbour: (columns,) of its neighbour.
        count: How many columns.

    Returns:
        Fewer than `count` where fewer columns are compared; none where the rows are equal.
    """
    both = np.stack((row, neighbour), axis=1)
    ends = space.scaled(both) if space.metric == "mahalanobis" else space.coordinates(both)
    z = ends[:, 0] - ends[:, 1]
    parts = z * (space.mapping @ (z @ space.mapping)) if space.metric == "mahalanobis" else z * z
    total = float(parts.sum())
    if not total > 0:
        return ()
    order = np.argsort(-parts, kind="stable")[:count]
    return tuple(
        Contribution(
            column=columns[space.places[place]],
            share=float(parts[place]) / total,
            value=float(row[space.places[place]]),
            neighbour_value=float(neighbour[space.places[place]]),
        )
        for place in order
    )

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
    """Of the squared distance; all columns together make 1. May be negative with the Mahalanobis metric."""
    value: float
    """The row's own value, as it stands in the table."""
    neighbour_value: float
    """The k-th neighbour's."""


def contributions(
    space: Space, columns: tuple[str, ...], row: npt.NDArray[np.float32], neighbour: npt.NDArray[np.float32], count: int = 3
) -> tuple[Contribution, ...]:
    """The columns with the largest part in the squared distance of a row from its k-th neighbour, largest first.

    With difference z of the scaled rows the squared distance is z P z, P the identity or mapping times its transpose; column j has
    z_j (P z)_j of it.

    Args:
        space: Where rows are compared.
        columns: Names of the table's number columns.
        row: (columns,) values of a complete row.
        neighbour: (columns,) of its neighbour.
        count: How many columns.

    Returns:
        Fewer than `count` where fewer columns are compared; none where the rows are equal.
    """
    scaled = space.scaled(np.stack((row, neighbour), axis=1))
    z = scaled[:, 0] - scaled[:, 1]
    parts = z * (z if not space.mapping.size else space.mapping @ (z @ space.mapping))
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

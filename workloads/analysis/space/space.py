"""The space in which rows are compared: raw values in, coordinates out, the same bits wherever a
row is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, get_args

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.leaf_numpy import NO_RESTS, Rests
from workloads.analysis.profile.moments import Floats, Integers
from workloads.analysis.profile.result import Profile
from workloads.analysis.space.scaling import Scaling
from workloads.analysis.space.whitening import whitening
from workloads.parameters import Metric

METRICS: Final[tuple[Metric, ...]] = get_args(Metric)

_LARGEST: Final = 2.0**500
"""Largest size of a coordinate: squared distances stay finite."""
_BLOCK_VALUES: Final = 1 << 17
_NO_LENGTH: Final = 1e-8
"""Length below which a row stands at the centre: where a column's mean is 1e7 units from 0, its
rounding is 1e-9 units.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Space:
    """d' coordinates of a row, such that the metric is a function of the Euclidean distance of
    coordinates. Rank 0 sends its own to all.
    """

    metric: Metric
    places: Integers
    """(d',) the compared columns among the table's number columns."""
    centre: Floats
    """(d',)"""
    centre_rest: Floats
    """(d',) see `Scaling`."""
    unit: Floats
    """(d',)"""
    mapping: Floats
    """Metric `mahalanobis`: (d', d') by which scaled rows are multiplied from the right, upper
    triangular; else (0, 0).
    """

    @classmethod
    def of(cls, profile: Profile, scaling: Scaling, metric: Metric) -> Space:
        """The space of a metric, a function of the profile's bits alone.

        - `euclidean`: scaled columns.
        - `mahalanobis`: scaled columns times the factor of `whitening`. The distances are those of
          rows turned to the principal axes and divided by the root of each axis' eigenvalue plus a
          floor; columns and their units then no longer matter, correlations count once.
        - `cosine`: scaled columns divided by the row's length, so that only the direction from the
          centre of the table counts.
        """
        mapping = np.zeros((0, 0))
        if metric == "mahalanobis":
            white = whitening(profile, scaling.places)
            mapping = (scaling.unit / white.sd)[:, None] * white.factor
        return cls(
            metric=metric,
            places=scaling.places,
            centre=scaling.centre,
            centre_rest=scaling.centre_rest,
            unit=scaling.unit,
            mapping=mapping,
        )

    def complete(self, values: Floats) -> npt.NDArray[np.bool_]:
        """(rows,) whether a row of `values` (columns, rows) has a finite value in every compared
        column. Without such columns none has.
        """
        if not self.places.size:
            return np.zeros(values.shape[1], np.bool_)
        found: npt.NDArray[np.bool_] = np.logical_and.reduce(
            np.isfinite(values[self.places]), axis=0
        )
        return found

    def rows(self, values: Floats, rests: Rests = NO_RESTS) -> Floats:
        """Coordinates (m, d'), row-major, of complete rows (columns, m).

        Those beyond 2^500 are held there. With the metric `cosine` a row at the centre, which has
        no direction, is all zeros, and no other is.
        """
        m, d = values.shape[1], self.places.size
        found = np.empty((m, d))
        step = max(_BLOCK_VALUES // max(d, 1), 1)
        for start in range(0, m, step):
            beside = {column: rest[start : start + step] for column, rest in rests.items()}
            block = self.coordinates(values[:, start : start + step], beside)
            found[start : start + step] = np.clip(block, -_LARGEST, _LARGEST).T
        return found

    def coordinates(self, values: Floats, rests: Rests = NO_RESTS) -> Floats:
        """(d', m) in float64 of rows (columns, m); the same bits whatever rows stand beside them.

        Each is within 2^-51 of its size of what the values in the file give, and with `mahalanobis`
        within d' times that of the sum of the sizes of its terms.
        """
        block = self.scaled(values, rests)
        if self.metric == "mahalanobis":
            return self.mapped(block)
        if self.metric == "cosine":
            lengths = _lengths(block)
            block /= np.where(lengths > _NO_LENGTH, lengths, np.inf)
        return block

    def scaled(self, values: Floats, rests: Rests = NO_RESTS) -> Floats:
        """(d', m) (value - centre) / unit of the compared columns, in float64."""
        block = values[self.places] - self.centre[:, None]
        for at, place in enumerate(self.places.tolist()):
            if place in rests or self.centre_rest[at]:
                block[at] += rests.get(place, 0.0) - self.centre_rest[at]
        block /= self.unit[:, None]
        return block

    def score(self, distances: Floats) -> Floats:
        """What is reported for Euclidean distances of coordinates.

        The distance itself; with the metric `cosine` the cosine distance 1 - u.v = |u - v|^2 / 2 of
        unit rows, from 0 to 2. Grows with the distance, and keeps different ones apart: squaring
        moves neighbouring float64 numbers away from each other.
        """
        return 0.5 * distances * distances if self.metric == "cosine" else distances

    def mapped(self, block: Floats) -> Floats:
        """(d', m) scaled rows times the mapping."""
        # One product after the other in the order of the columns: a BLAS product's bits would
        # depend on threads and on the row's place.
        found = np.zeros_like(block)
        term = np.empty_like(block)
        for place, (column, weights) in enumerate(zip(block, self.mapping, strict=True)):
            np.multiply(weights[place:, None], column, out=term[place:])
            found[place:] += term[place:]
        return found


def _lengths(block: Floats) -> Floats:
    """(m,) of the columns of a (d, m) block, added up in the order of its rows."""
    found = np.zeros(block.shape[1])
    for coordinate in block:
        found += coordinate * coordinate
    return np.sqrt(found)

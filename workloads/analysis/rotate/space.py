"""The space in which rows are compared: raw values in, coordinates out, the same bits wherever a row is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.moments import Floats, Integers
from workloads.analysis.profile.result import Profile
from workloads.analysis.rotate.scaling import Scaling
from workloads.analysis.rotate.whitening import whitening

Metric = Literal["euclidean", "mahalanobis", "cosine"]
METRICS: Final[tuple[Metric, ...]] = ("euclidean", "mahalanobis", "cosine")

_LARGEST: Final = float(np.finfo(np.float32).max)
_BLOCK_VALUES: Final = 1 << 17
_NO_LENGTH: Final = 1e-8
"""Below this a row stands at the centre: of 1e7 units, the farthest that a column's mean can be, float64 loses 1e-9 units."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Space:
    """d' coordinates of a row, such that the metric is a function of the Euclidean distance of coordinates. Rank 0 sends its own to all."""

    metric: Metric
    places: Integers
    """(d',) the compared columns among the table's number columns."""
    centre: Floats
    """(d',)"""
    unit: Floats
    """(d',)"""
    mapping: Floats
    """Metric `mahalanobis`: (d', d') by which scaled rows are multiplied from the right, upper triangular; else (0, 0)."""

    @classmethod
    def of(cls, profile: Profile, scaling: Scaling, metric: Metric) -> Space:
        """The space of a metric, a function of the profile's bits alone.

        - `euclidean`: scaled columns.
        - `mahalanobis`: scaled columns times the factor of `whitening`. The distances are those of rows turned to the principal axes and
          divided by the root of each axis' eigenvalue plus a floor; columns and their units then no longer matter, correlations count once.
        - `cosine`: scaled columns divided by the row's length, so that only the direction from the centre of the table counts.
        """
        mapping = np.zeros((0, 0))
        if metric == "mahalanobis":
            white = whitening(profile, scaling.places)
            mapping = (scaling.unit / white.sd)[:, None] * white.factor
        return cls(metric=metric, places=scaling.places, centre=scaling.centre, unit=scaling.unit, mapping=mapping)

    def complete(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """(rows,) whether a row of `values` (columns, rows) has a finite value in every compared column. Without such columns none has."""
        if not self.places.size:
            return np.zeros(values.shape[1], np.bool_)
        found: npt.NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(values[self.places]), axis=0)
        return found

    def rows(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Coordinates (m, d'), row-major, of complete rows (columns, m).

        Values beyond float32 are held at its largest. With the metric `cosine` a row at the centre, which has no direction, is all zeros,
        and no other is.
        """
        m, d = values.shape[1], self.places.size
        found = np.empty((m, d), np.float32)
        step = max(_BLOCK_VALUES // max(d, 1), 1)
        for start in range(0, m, step):
            block = self.coordinates(values[:, start : start + step])
            found[start : start + step] = np.clip(block, -_LARGEST, _LARGEST).T
        return found

    def coordinates(self, values: npt.NDArray[np.float32]) -> Floats:
        """(d', m) in float64 of rows (columns, m); the same bits whatever rows stand beside them."""
        block = self.scaled(values)
        if self.metric == "mahalanobis":
            return self._mapped(block)
        if self.metric == "cosine":
            lengths = _lengths(block)
            block /= np.where(lengths > _NO_LENGTH, lengths, np.inf)
        return block

    def scaled(self, values: npt.NDArray[np.float32]) -> Floats:
        """(d', m) (value - centre) / unit of the compared columns, in float64."""
        block = values[self.places].astype(np.float64)
        block -= self.centre[:, None]
        block /= self.unit[:, None]
        return block

    def score(self, distances: Floats) -> Floats:
        """What is reported for Euclidean distances of coordinates.

        The distance itself; with the metric `cosine` the cosine distance 1 - u.v = |u - v|^2 / 2 of unit rows, from 0 to 2. Grows with the
        distance, and keeps different ones apart: squaring moves neighbouring float64 numbers away from each other.
        """
        return 0.5 * distances * distances if self.metric == "cosine" else distances

    def _mapped(self, block: Floats) -> Floats:
        # One product after the other in the order of the columns: a BLAS product's bits would depend on threads and on the row's place.
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

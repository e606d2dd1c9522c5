"""The space in which rows are compared: raw values in, coordinates out, the same bits wherever a row is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.moments import Floats, Integers
from workloads.analysis.rotate.scaling import Scaling
from workloads.analysis.rotate.spectrum import Spectrum

Metric = Literal["euclidean", "mahalanobis"]

_LARGEST: Final = float(np.finfo(np.float32).max)
_BLOCK_VALUES: Final = 1 << 17


@dataclass(frozen=True, kw_only=True, eq=False)
class Space:
    """d' coordinates of a row. Small: rank 0 sends its own to all, so that every rank maps alike."""

    places: Integers
    """(d',) the compared columns among the table's number columns."""
    centre: Floats
    """(d',)"""
    unit: Floats
    """(d',)"""
    mapping: Floats
    """(d', d') by which scaled rows are multiplied from the right; (0, 0) where they stay as they are."""

    @classmethod
    def euclidean(cls, scaling: Scaling) -> Space:
        """Scaled columns."""
        return cls(places=scaling.places, centre=scaling.centre, unit=scaling.unit, mapping=np.zeros((0, 0)))

    @classmethod
    def mahalanobis(cls, scaling: Scaling, spectrum: Spectrum) -> Space:
        """Scaled columns, turned to the principal axes and divided by the standard deviation along each."""
        mapping = (scaling.unit / spectrum.sd)[:, None] * spectrum.axes / np.sqrt(spectrum.shrunk_values)
        return cls(places=scaling.places, centre=scaling.centre, unit=scaling.unit, mapping=mapping)

    @property
    def metric(self) -> Metric:
        """What distances in this space are."""
        return "mahalanobis" if self.mapping.size else "euclidean"

    def complete(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """(rows,) whether a row of `values` (columns, rows) has a finite value in every compared column. Without such columns none has."""
        if not self.places.size:
            return np.zeros(values.shape[1], np.bool_)
        found: npt.NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(values[self.places]), axis=0)
        return found

    def rows(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Coordinates (m, d'), row-major, of complete rows (columns, m). Values beyond float32 are held at its largest."""
        m, d = values.shape[1], self.places.size
        found = np.empty((m, d), np.float32)
        step = max(_BLOCK_VALUES // max(d, 1), 1)
        for start in range(0, m, step):
            block = self.scaled(values[:, start : start + step])
            found[start : start + step] = np.clip(self._mapped(block), -_LARGEST, _LARGEST).T
        return found

    def scaled(self, values: npt.NDArray[np.float32]) -> Floats:
        """(d', m) (value - centre) / unit of the compared columns, in float64."""
        block = values[self.places].astype(np.float64)
        block -= self.centre[:, None]
        block /= self.unit[:, None]
        return block

    def _mapped(self, block: Floats) -> Floats:
        if not self.mapping.size:
            return block
        # One product after the other in the order of the columns: a BLAS product's bits would depend on threads and on the row's place.
        found = np.zeros_like(block)
        term = np.empty_like(block)
        for column, weights in zip(block, self.mapping, strict=True):
            np.multiply(weights[:, None], column, out=term)
            found += term
        return found

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Name -> array, for transport, checkpoints and digest."""
        return {"places": self.places, "centre": self.centre, "unit": self.unit, "mapping": self.mapping}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Space:
        """What arrays() gave. Raises ValueError where something is missing."""
        try:
            return cls(**{name: arrays[name] for name in ("places", "centre", "unit", "mapping")})
        except KeyError as error:
            raise ValueError(f"array {error} is missing") from error

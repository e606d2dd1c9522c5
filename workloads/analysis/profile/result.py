"""The finished profile: what the merged moments and counts say about the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workloads.analysis.arrays import digest
from workloads.analysis.profile import sketch as sketches
from workloads.analysis.profile.exact import ExactQuantiles
from workloads.analysis.profile.moments import Floats, Moments
from workloads.analysis.profile.node import ProfileNode
from workloads.analysis.profile.sketch import Quantiles, Sketch


@dataclass(frozen=True, kw_only=True, eq=False)
class Profile:
    """Statistics of a table's d number columns. Arrays are (d,) in the order of `columns`; NaN says that there is no such number."""

    columns: tuple[str, ...]
    moments: Moments
    """Counts, missing, infinite, minimum, maximum, mean as they are; centred sums for what is derived below."""
    sketch: Sketch
    exact: ExactQuantiles | None = None
    """Where they were asked for."""

    @property
    def rows(self) -> int:
        """All rows."""
        return int(self.moments.rows)

    @property
    def complete_rows(self) -> int:
        """Rows with a finite value in every number column."""
        return int(self.moments.complete_rows)

    @property
    def minimum(self) -> Floats:
        """Smallest finite value."""
        return np.where(self.moments.count > 0, self.moments.minimum, np.nan)

    @property
    def maximum(self) -> Floats:
        """Largest finite value."""
        return np.where(self.moments.count > 0, self.moments.maximum, np.nan)

    @property
    def mean(self) -> Floats:
        """Mean of the finite values."""
        return np.where(self.moments.count > 0, self.moments.mean + self.moments.mean_rest, np.nan)

    @property
    def sd(self) -> Floats:
        """Standard deviation with n - 1 (as pandas); NaN below two values."""
        m = self.moments
        return np.sqrt(_divide(m.m2, m.count.astype(np.float64) - 1.0, m.count > 1))

    @property
    def skewness(self) -> Floats:
        """Population skewness `sqrt(n) m3 / m2^1.5` (as scipy.stats.skew); NaN for a constant column."""
        m = self.moments
        return _divide(np.sqrt(m.count.astype(np.float64)) * m.m3, m.m2 * np.sqrt(m.m2), m.m2 > 0)

    @property
    def kurtosis(self) -> Floats:
        """Population excess kurtosis `n m4 / m2^2 - 3` (as scipy.stats.kurtosis); NaN for a constant column."""
        m = self.moments
        return _divide(m.count * m.m4, m.m2 * m.m2, m.m2 > 0) - 3.0

    @property
    def correlation(self) -> Floats:
        """(d, d) Pearson correlation over the complete rows; NaN in rows and columns of constant columns."""
        scale = np.sqrt(np.maximum(np.diagonal(self.moments.comoment), 0.0))
        known = scale > 0
        matrix: Floats = _divide(self.moments.comoment, np.multiply.outer(scale, scale), np.logical_and.outer(known, known))
        np.clip(matrix, -1.0, 1.0, out=matrix)
        np.fill_diagonal(matrix, np.where(known, 1.0, np.nan))
        return matrix

    def quantiles(self, probabilities: Sequence[float]) -> Quantiles:
        """Quantiles of every column, linear between order statistics (as numpy.quantile): values and error bounds, (q, d) each.

        A bound is 0 where the quantile is among the exact ones.
        """
        wanted = np.asarray(probabilities, np.float64)
        found = [
            sketches.quantiles(self.sketch, index, wanted, float(self.moments.minimum[index]), float(self.moments.maximum[index]))
            for index in range(len(self.columns))
        ]
        shape = (len(found), wanted.size)
        values = np.array([q.values for q in found]).reshape(shape).T
        bounds = np.array([q.bounds for q in found]).reshape(shape).T
        if self.exact is not None:
            _, here, there = np.intersect1d(wanted, self.exact.probabilities, return_indices=True)
            values[here] = self.exact.values[there]
            bounds[here] = np.where(np.isnan(values[here]), np.nan, 0.0)
        return Quantiles(values=values, bounds=bounds)

    @property
    def digest(self) -> str:
        """Sha256 over column names and every merged array: equal for any number of ranks."""
        names = np.frombuffer("\0".join(self.columns).encode(), np.uint8)
        exact = {} if self.exact is None else self.exact.arrays()
        return digest({"columns": names, **ProfileNode(moments=self.moments, sketch=self.sketch).arrays(), **exact})


def _divide(numerator: Floats, denominator: Floats, where: npt.NDArray[np.bool_]) -> Floats:
    quotient: Floats = np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=where)
    return quotient

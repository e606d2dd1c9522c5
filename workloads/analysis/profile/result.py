"""The finished profile: what the merged moments and counts say about the table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workloads.analysis.arrays import digest
from workloads.analysis.profile import sketch as sketches
from workloads.analysis.profile.double import Double, outer
from workloads.analysis.profile.exact import ExactQuantiles
from workloads.analysis.profile.moments import NOTHING, Floats, Integers, Moments
from workloads.analysis.profile.node import ProfileNode
from workloads.analysis.profile.sketch import Quantiles, Sketch


@dataclass(frozen=True, kw_only=True, eq=False)
class Profile:
    """Statistics of a table's d number columns.

    Arrays are (d,) in the order of `columns`; NaN says that there is no such number.
    """

    columns: tuple[str, ...]
    moments: Moments
    """Counts, missing, infinite, minimum, maximum as they are; mean and centred sums for what is
    derived below.
    """
    sketch: Sketch
    exact: ExactQuantiles | None = None
    """Where they were asked for."""

    @property
    def rows(self) -> int:
        """All rows."""
        return int(self.moments.rows)

    @property
    def complete_rows(self) -> int:
        """Rows with a finite value in every column that rows are compared by."""
        return int(self.moments.complete_rows)

    @property
    def compared(self) -> tuple[str, ...]:
        """Names of those columns."""
        return tuple(self.columns[place] for place in self.moments.places)

    @property
    def minimum(self) -> Floats:
        """Smallest finite value."""
        return np.where(self.moments.count > 0, self.moments.minimum, np.nan)

    @property
    def maximum(self) -> Floats:
        """Largest finite value."""
        return np.where(self.moments.count > 0, self.moments.maximum, np.nan)

    @property
    def constant(self) -> npt.NDArray[np.bool_]:
        """Whether a column has one value only."""
        m = self.moments
        found: npt.NDArray[np.bool_] = (
            (m.count > 0) & (m.minimum == m.maximum) & (m.minimum_rest == m.maximum_rest)
        )
        return found

    def wide(self, whole: Iterable[int]) -> list[int]:
        """Those of some columns of whole numbers from which float64 takes something."""
        m = self.moments
        return [
            place
            for place in whole
            if max(abs(m.minimum[place]), abs(m.maximum[place])) > 2.0**53 and m.count[place] > 0
        ]

    @property
    def mean(self) -> Floats:
        """Mean of the finite values."""
        m = self.moments
        return np.where(m.count > 0, np.ldexp(m.double("mean").value, _shift(m.exponent)), np.nan)

    @property
    def sd(self) -> Floats:
        """Standard deviation with n - 1 (as pandas); NaN below two values."""
        m = self.moments
        variance = m.double("m2") / Double.of(np.maximum(m.count - 1.0, 1.0))
        return np.where(m.count > 1, np.ldexp(variance.root().value, _shift(m.exponent)), np.nan)

    @property
    def skewness(self) -> Floats:
        """Population skewness `sqrt(n) m3 / m2^1.5` (as scipy.stats.skew); NaN for a constant
        column.
        """
        m = self.moments
        varies = m.m2 > 0
        m2 = m.double("m2").where(varies) + Double.of(np.where(varies, 0.0, 1.0))
        found = Double.of(m.count.astype(np.float64)).root() * m.double("m3") / (m2 * m2.root())
        return np.where(varies, found.value, np.nan)

    @property
    def kurtosis(self) -> Floats:
        """Population excess kurtosis `n m4 / m2^2 - 3` (as scipy.stats.kurtosis); NaN for a
        constant column.
        """
        m = self.moments
        varies = m.m2 > 0
        m2 = m.double("m2").where(varies) + Double.of(np.where(varies, 0.0, 1.0))
        found = Double.of(m.count.astype(np.float64)) * m.double("m4") / (m2 * m2) - Double.of(
            np.full(m.m2.shape, 3.0)
        )
        return np.where(varies, found.value, np.nan)

    @property
    def autocorrelation(self) -> Floats:
        """Of each row with the next one (lag 1): `sum (x_i - mean)(x_i+1 - mean) / sum (x_i -
        mean)^2`, as NIST's StRD defines it.

        NaN where a value is missing or infinite, since then rows follow one another that are not
        neighbours, and for a constant column.
        """
        m = self.moments
        known = (m.m2 > 0) & (m.count == m.rows)
        m2 = m.double("m2").where(known) + Double.of(np.where(known, 0.0, 1.0))
        found = m.double("lag").where(known) / m2
        return np.where(known, found.value, np.nan)

    @property
    def correlation(self) -> Floats:
        """(d', d') Pearson correlation of the columns that rows are compared by, over the complete
        rows; NaN for constant ones.
        """
        comoments = self.moments.comoments
        squares = Double(np.diagonal(comoments.high), np.diagonal(comoments.low))
        known = squares.high > 0
        scale = (squares.where(known) + Double.of(np.where(known, 0.0, 1.0))).root()
        matrix: Floats = (comoments / outer(scale, scale)).value
        np.clip(matrix, -1.0, 1.0, out=matrix)
        matrix[~np.logical_and.outer(known, known)] = np.nan
        np.fill_diagonal(matrix, np.where(known, 1.0, np.nan))
        return matrix

    @property
    def complete_sd(self) -> Floats:
        """(d',) standard deviations of those columns over the complete rows; 0 below two rows."""
        m = self.moments
        squares = Double(np.diagonal(m.comoment), np.diagonal(m.comoment_rest))
        variance = squares / Double.of(np.full(m.places.shape, max(self.complete_rows - 1.0, 1.0)))
        found: Floats = np.ldexp(variance.root().value, _shift(m.complete_exponent))
        return found

    def quantiles(self, probabilities: Sequence[float]) -> Quantiles:
        """Quantiles of every column, linear between order statistics (as numpy.quantile): values
        and error bounds, (q, d) each.

        A bound is 0 where the quantile is among the exact ones.
        """
        wanted = np.asarray(probabilities, np.float64)
        found = [
            sketches.quantiles(
                self.sketch,
                index,
                wanted,
                float(self.moments.minimum[index]),
                float(self.moments.maximum[index]),
            )
            for index in range(len(self.columns))
        ]
        shape = (len(found), wanted.size)
        values = np.array([q.values for q in found]).reshape(shape).T
        bounds = np.array([q.bounds for q in found]).reshape(shape).T
        rests = np.zeros(values.shape)
        if self.exact is not None:
            _, here, there = np.intersect1d(wanted, self.exact.probabilities, return_indices=True)
            values[here], rests[here] = self.exact.values[there], self.exact.rests[there]
            bounds[here] = np.where(np.isnan(values[here]), np.nan, 0.0)
        return Quantiles(values=values, bounds=bounds, rests=rests)

    @property
    def digest(self) -> str:
        """Sha256 over column names and every merged array: equal for any number of ranks."""
        names = np.frombuffer("\0".join(self.columns).encode(), np.uint8)
        exact = {} if self.exact is None else self.exact.arrays()
        return digest(
            {
                "columns": names,
                **ProfileNode(moments=self.moments, sketch=self.sketch).arrays(),
                **exact,
            }
        )


def _shift(exponents: Integers) -> Integers:
    return np.where(exponents == NOTHING, 0, exponents)

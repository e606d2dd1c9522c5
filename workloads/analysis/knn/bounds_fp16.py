"""How far a float16 tensor-core product can be from the true distance: `bounds` for the GPU's
filter.

Rows are scaled by a power of two, y = SCALE x, and rounded to float32 and then to float16: z = y +
r. Two steps lie between the product and the true distance D_ij = |y_i - y_j|.

1. From the product to E_ij = |z_i - z_j|. With h = |z|^2 / 2 the kernel computes v_ij = z_i.z_j -
   g_i - g_j, which would be -E^2 / 2 with g = h. Products of two float16 are exact in float32. Sums
   are not rounded to nearest there: a tensor core aligns some products and the accumulator to the
   largest of them and truncates (Fasi, Higham, Mikaitis, Pranesh, PeerJ Computer Science 7:e330,
   2021). Every addend then loses less than 2^-23 of the largest magnitude, and so does every
   normalisation. With the accumulator joined in after as few as four products there are at most
   depth + 2 depth / 4 + 8 such losses:

       |error| <= gamma (|z_i| |z_j| + g_i + g_j) <= 2 gamma (h_i + h_j),    gamma = (1.5 depth + 8)
       2^-23.

   As in `bounds`, g a little below h (1 - 2 gamma) makes -v_ij <= E^2 / 2 hold always, and with
   omega = 4 gamma + 2^-21

       E^2 / 2 <= (-v_ij + 3 omega h_i + TINY) / (1 - 2 omega).

2. From E to D. |D - E| <= |r_i| + |r_j|. Rounding to nearest gives |r_j| <= LAMBDA |z_j| + sigma,
   where sigma covers what float16 holds with fewer bits or as zero, and |z_j| <= |z_i| + E. So with
   the computed |r_i| and kappa_i = |r_i| + LAMBDA |z_i| + sigma

       E (1 - LAMBDA) - kappa_i  <=  D  <=  E (1 + LAMBDA) + kappa_i,

   in which nothing of row j appears: far rows make nobody's bound worse but their own.

That hardware accumulates no worse than the model of step 1 is published for devices up to sm_80,
not proved for later ones. Every candidate's product is therefore held against its exact distance,
and a row of which one breaks its bounds is compared in float64 throughout.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile.moments import Floats

SCALE: Final = 2.0**-6
"""Rows have a spread near 1, so that values up to 2^21 spreads fit into float16 while 2^-8 of a
spread keeps all its 11 bits.
"""
LARGEST: Final = 2.0**15
"""Rows with a larger scaled value are outside the filter's range."""
LAMBDA: Final = 2.0**-11 + 2.0**-23
"""Rounded twice, to float32 and to float16."""
TINY: Final = 2.0**-100
"""Covers underflow; also below any product of two float16 that is not zero."""
UNBOUNDED: Final = float(np.finfo(np.float32).max)
GUARD: Final = 2.0**-40
"""More than float64's own rounding in these formulas, in whatever order and fused or not."""

Singles = npt.NDArray[np.float32]


def depth(columns: int) -> int:
    """Columns after filling up with zeros: the product's inner length, a multiple of the 16 that
    one instruction takes.
    """
    step = 16 if columns <= 64 else 32 if columns <= 256 else 64
    return max(-(-columns // step) * step, 16)


def gamma(columns: int) -> float:
    """Relative error of a product with its start value."""
    return (1.5 * depth(columns) + 8.0) * 2.0**-23


def omega(columns: int) -> float:
    """Coefficient of h in the upper bound."""
    return 4.0 * gamma(columns) + 2.0**-21


def sigma(columns: int) -> float:
    """Largest norm that float16 cannot resolve: half of its smallest step in every column."""
    return 2.0**-25 * float(np.sqrt(columns)) * (1.0 + 2.0**-12)


def lowered(half_squares: Any, columns: int) -> Any:
    """(m,) float32 g for float64 h of the rounded rows; a NumPy or a CuPy array, like its
    argument.
    """
    wanted = half_squares * (1.0 - 2.0 * gamma(columns) - GUARD)
    found = wanted.astype(np.float32)
    return np.where(found.astype(np.float64) > wanted, np.nextafter(found, np.float32(0)), found)


def kappa(residuals: Any, half_squares: Any, columns: int) -> Any:
    """(m,) what the distance of two rows may differ from that of the rounded rows, besides a share
    LAMBDA of it.

    Args:
        residuals: (m,) |r|, in float64.
        half_squares: (m,) h of the rounded rows, in float64.
        columns: d.
    """
    return (residuals + LAMBDA * np.sqrt(2.0 * half_squares) + sigma(columns)) * (1.0 + GUARD)


def farthest(values: Floats, half_squares: Floats, kappas: Floats, columns: int) -> Floats:
    """Upper bound of the scaled distance D of pairs with these products, for rows with these h and
    kappa.
    """
    factor = omega(columns)
    square = np.maximum((3.0 * factor * half_squares - values + TINY) / (1.0 - 2.0 * factor), 0.0)
    bound: Floats = (np.sqrt(2.0 * square) * (1.0 + LAMBDA) + kappas) * (1.0 + GUARD)
    return bound


def nearest(values: Floats, kappas: Floats) -> Floats:
    """Lower bound of the scaled distance D of pairs with these products."""
    bound: Floats = (
        np.sqrt(2.0 * np.maximum(-values - TINY, 0.0)) * (1.0 - LAMBDA) * (1.0 - GUARD) - kappas
    ) * (1.0 - GUARD)
    return bound


def limit(distances: Any, kappas: Any) -> Any:
    """(m,) float32 product below which a pair is proved to be farther apart than `distances`; for
    NumPy or CuPy arrays.

    Args:
        distances: (m,) scaled distances; infinity where nothing is known, which gives -UNBOUNDED.
        kappas: (m,) of the rows.
    """
    reach = (distances + kappas) / (1.0 - LAMBDA)
    wanted = np.minimum(0.5 * reach * reach * (1.0 + 4.0 * GUARD) + TINY, UNBOUNDED)
    found = wanted.astype(np.float32)
    return -np.where(
        found.astype(np.float64) < wanted, np.nextafter(found, np.float32(UNBOUNDED)), found
    )


def proof(square: float, half_squares: Any, kappas: Any, columns: int) -> Any:
    """(m,) float32 p such that v >= p proves an (unscaled) squared distance below `square`;
    infinity where nothing can be proved.
    """
    if not 0.0 < square < np.inf:
        return np.full_like(half_squares, np.inf, dtype=np.float32)
    factor = omega(columns)
    inner = (float(np.sqrt(square)) * SCALE * (1.0 - 4.0 * GUARD) - kappas) / (1.0 + LAMBDA)
    start = 3.0 * factor * half_squares + TINY
    half = 0.5 * inner * inner * (1.0 - 2.0 * factor)
    wanted = start - half + 4.0 * GUARD * (start + half)
    wanted = np.where(inner > 0.0, np.maximum(np.minimum(wanted, UNBOUNDED), -UNBOUNDED), np.inf)
    found = wanted.astype(np.float32)
    return np.where(
        found.astype(np.float64) < wanted, np.nextafter(found, np.float32(np.inf)), found
    )

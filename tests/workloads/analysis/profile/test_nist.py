"""NIST's Statistical Reference Datasets, univariate: from the file through both stages to the
digits that NIST certifies.
"""

from __future__ import annotations

import functools
import io
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from tests.workloads.analysis.profile.serial import profile_of
from tests.workloads.preprocess.cleaning import run
from tests.workloads.preprocess.test_known_tables import digits_of_pi

DATA = Path(__file__).parents[3] / "data" / "nist"


def alternating(first: str, second: str, third: str) -> str:
    return "\n".join(["y", first, *([second, third] * 500), ""])


@functools.cache
def nist_pi() -> str:
    """The first 5,000 digits as NIST has them: the 957th is 3 there and 8 in pi, and what is
    certified is of NIST's.
    """
    digits = digits_of_pi(5_000)
    assert digits[956] == "8"
    return digits[:956] + "3" + digits[957:]


FILES = {
    "NumAcc1": "y\n10000001\n10000003\n10000002\n",
    "NumAcc2": alternating("1.2", "1.1", "1.3"),
    "NumAcc3": alternating("1000000.2", "1000000.1", "1000000.3"),
    "NumAcc4": alternating("10000000.2", "10000000.1", "10000000.3"),
} | {path.stem: path.read_text() for path in DATA.glob("*.csv")}

CERTIFIED = {
    "PiDigits": (4.53480000000000, 2.86733906028871, -0.00355099287237972),
    "Lottery": (518.958715596330, 291.699727470969, -0.120948622967393),
    "Lew": (-177.435000000000, 277.332168044316, -0.307304800605679),
    "Mavro": (2.00185600000000, 0.000429123454003053, 0.937989183438248),
    "Michelso": (299.852400000000, 0.0790105478190518, 0.535199668621283),
    "NumAcc1": (10000002, 1, -0.5),
    "NumAcc2": (1.2, 0.1, -0.999),
    "NumAcc3": (1000000.2, 0.1, -0.999),
    "NumAcc4": (10000000.2, 0.1, -0.999),
}
"""Mean, standard deviation, lag-1 autocorrelation, to 15 digits."""


def file_of(name: str) -> str:
    return "\n".join(["y", *nist_pi(), ""]) if name == "PiDigits" else FILES[name]


def digits(found: float, certified: float) -> float:
    """Logarithm of the relative error: the number of right digits, at most 15."""
    return (
        15.0
        if found == certified
        else min(15.0, -math.log10(abs(found - certified) / abs(certified)))
    )


def peers(values: np.ndarray) -> tuple[float, float]:
    """Standard deviation and autocorrelation by NumPy, in two passes as R's `sd` and `acf`."""
    y = values - values.mean()
    return float(values.std(ddof=1)), float((y[:-1] * y[1:]).sum() / (y * y).sum())


@pytest.mark.parametrize("unit_rows", [65_536, 97])
@pytest.mark.parametrize("name", CERTIFIED)
def test_certified_digits(name, unit_rows):
    outcome = run(file_of(name).encode(), unit_rows=unit_rows)
    values = outcome.table["y"].to_numpy().astype(np.float64)
    assert parquet.ParquetFile(io.BytesIO(outcome.parquet)).num_row_groups == -(
        -len(values) // unit_rows
    )
    profile = profile_of(values[None, :], unit_rows)
    mean, sd, lag = CERTIFIED[name]
    assert f"{profile.mean[0]:.15g}" == f"{mean:.15g}"
    their_sd, their_lag = peers(values)
    for ours, theirs, certified in (
        (profile.sd[0], their_sd, sd),
        (profile.autocorrelation[0], their_lag, lag),
    ):
        assert digits(ours, certified) >= min(digits(theirs, certified), 14.0) - 0.1

    exact = [Fraction(value) for value in values.tolist()]
    centre = sum(exact) / len(exact)
    squares = sum((value - centre) ** 2 for value in exact)
    assert profile.sd[0] == pytest.approx(math.sqrt(squares / (len(exact) - 1)), rel=4e-16), (
        "of the doubles, all digits"
    )

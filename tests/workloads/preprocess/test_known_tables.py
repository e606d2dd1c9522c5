"""Tables that people know from courses, as packages ship them: none is refused, and columns are
what a person would say.
"""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
import statsmodels
import vega_datasets

from tests.workloads.preprocess.cleaning import Outcome, run

STATSMODELS, VEGA, SKLEARN = (
    Path(str(package.__file__)).parent / folder
    for package, folder in (
        (statsmodels, "datasets"),
        (vega_datasets, "_data"),
        (sklearn, "datasets/data"),
    )
)
LETTERS = {
    ("number", "compare"): "n",
    ("number", "describe"): "g",
    ("number", "keep"): "i",
    ("text", "keep"): "t",
    ("date", "keep"): "d",
    ("timestamp", "keep"): "s",
    ("boolean", "keep"): "b",
}
# n numbers, g numbers with many gaps, i numbers that are no quantities, t text, d dates, s
# timestamps, b truth values
KNOWN = {
    VEGA / "airports.csv": ("tttttnn", {}),
    VEGA / "iowa-electricity.csv": ("dtn", {}),
    VEGA / "la-riots.csv": ("ttnttdtttnn", {"incomplete": 1}),
    VEGA / "seattle-temps.csv": ("sn", {}),
    VEGA / "seattle-weather.csv": ("dnnnnt", {}),
    VEGA / "sf-temps.csv": ("ns", {}),
    VEGA / "stocks.csv": ("tdn", {}),
    VEGA / "us-employment.csv": ("d" + "n" * 23, {}),
    STATSMODELS / "anes96/anes96.csv": ("n" * 10, {}),
    STATSMODELS / "cancer/cancer.csv": ("nn", {}),
    STATSMODELS / "ccard/ccard.csv": ("n" * 5, {}),
    STATSMODELS / "china_smoking/china_smoking.csv": ("tnnnn", {}),
    STATSMODELS / "co2/co2.csv": ("in", {"incomplete": 59}),
    STATSMODELS / "committee/committee.csv": ("tnnnnnn", {}),
    STATSMODELS / "copper/copper.csv": ("n" * 7, {}),
    STATSMODELS / "cpunish/cpunish.csv": ("tnnnnnnn", {}),
    STATSMODELS / "elec_equip/elec_equip.csv": ("tn", {}),
    STATSMODELS / "elnino/elnino.csv": ("n" * 13, {}),
    STATSMODELS / "engel/engel.csv": ("nn", {}),
    STATSMODELS / "fair/fair.csv": ("n" * 9, {}),
    STATSMODELS / "grunfeld/grunfeld.csv": ("nnntn", {}),
    STATSMODELS / "heart/heart.csv": ("nnn", {}),
    STATSMODELS / "interest_inflation/E6.csv": ("nnnn", {}),
    STATSMODELS / "longley/longley.csv": ("n" * 8, {}),
    STATSMODELS / "macrodata/macrodata.csv": ("n" * 14, {}),
    STATSMODELS / "modechoice/modechoice.csv": ("n" * 9, {}),
    STATSMODELS / "nile/nile.csv": ("nn", {}),
    STATSMODELS / "randhie/randhie.csv": ("n" * 10, {}),
    STATSMODELS / "scotland/scotvote.csv": ("t" + "n" * 8, {}),
    STATSMODELS / "stackloss/stackloss.csv": ("nnnn", {}),
    STATSMODELS / "statecrime/statecrime.csv": ("t" + "n" * 7, {}),
    STATSMODELS / "strikes/strikes.csv": ("nn", {}),
    STATSMODELS / "sunspots/sunspots.csv": ("nn", {}),
    SKLEARN / "breast_cancer.csv": ("n" * 31, {}),
    SKLEARN / "diabetes_data_raw.csv.gz": ("n" * 10, {}),
    SKLEARN / "digits.csv.gz": ("n" * 65, {}),
    SKLEARN / "wine_data.csv": ("n" * 14, {}),
    SKLEARN / "linnerud_exercise.csv": ("nnn", {}),
}


def letters(outcome: Outcome) -> str:
    return "".join(LETTERS[column.kind, column.use] for column in outcome.cleaned.columns)


@pytest.mark.parametrize("path", KNOWN, ids=lambda path: path.name)
def test_known_tables(path):
    expected, rejected = KNOWN[path]
    outcome = run(path.read_bytes())
    assert letters(outcome) == expected
    assert outcome.cleaned.rejected == rejected
    delimiter = (
        " " if outcome.cleaned.dialect.delimiter == "blanks" else outcome.cleaned.dialect.delimiter
    )
    if not outcome.cleaned.dialect.header or outcome.cleaned.dialect.quote == "'":
        return  # pandas would have to be told what these files are like
    theirs = pd.read_csv(path, sep=delimiter, skipinitialspace=True, keep_default_na=True)
    lines = np.asarray(outcome.lines) - 2
    for place, letter in enumerate(expected):
        if letter == "n":
            ours = outcome.table.column(place).to_numpy()
            np.testing.assert_array_equal(ours, theirs.iloc[lines, place].to_numpy(ours.dtype))


def gappy(rows: int, shares: dict[str, float]) -> bytes:
    """A table of numbers of which some lack values, beside a word."""
    rng = np.random.default_rng(7)
    frame: Any = {"name": [f"row {row}" for row in range(rows)]}
    for name, share in shares.items():
        frame[name] = np.where(
            rng.random(rows) < share, np.nan, np.round(rng.normal(50, 9, rows), 2)
        )
    return str(pd.DataFrame(frame).to_csv(index=False)).encode()


@pytest.mark.parametrize(
    ("shares", "expected", "lost"),
    [
        ({"age": 0.15, "cabin": 0.77, "fare": 0.0}, "tngn", 0.2),
        ({"pm10": 0.01, "pm25": 0.02, "o3": 0.95, "so2": 0.6}, "tnngg", 0.03),
        ({f"x{i}": 0.1 for i in range(10)}, None, 0.2),
        ({"only": 0.57}, "tg", 0.0),
        ({"full": 0.0, "none": 1.0}, "tnt", 0.0),
    ],
)
def test_sparse_columns_are_described_and_do_not_empty_the_table(shares, expected, lost):
    outcome = run(gappy(1000, shares))
    found = letters(outcome)
    assert expected is None or found == expected
    assert outcome.cleaned.rows >= 1000 * (1 - lost) - 40
    assert sum(remark.code == "many-gaps" for remark in outcome.cleaned.remarks) == found.count("g")


def digits_of_pi(count: int) -> str:
    """By Gibbons' unbounded spigot (2006)."""
    q, r, t, k, n, x = 1, 0, 1, 1, 3, 3
    digits: list[str] = []
    while len(digits) < count:
        if 4 * q + r - t < n * t:
            digits.append(str(n))
            q, r, n = 10 * q, 10 * (r - n * t), (10 * (3 * q + r)) // t - 10 * n
        else:
            q, r, t, k, n, x = (
                q * k,
                (2 * q + r) * x,
                t * x,
                k + 1,
                (q * (7 * k + 2) + r * x) // (t * x),
                x + 2,
            )
    return "".join(digits)


def _alternating(first: str, second: str, third: str) -> list[str]:
    return [first, *([second, third] * 500)]


NIST = {
    "PiDigits": list(digits_of_pi(500)),
    "Lottery": ["162", "671", "933", "414", "788", "730", "817", "33", "536", "875", "670", "236"],
    "Lew": [
        "-213",
        "-564",
        "-35",
        "-15",
        "141",
        "115",
        "-420",
        "-360",
        "203",
        "-338",
        "-431",
        "194",
    ],
    "Mavro": [
        "2.00180",
        "2.00170",
        "2.00180",
        "2.00190",
        "2.00180",
        "2.00170",
        "2.00150",
        "2.00140",
    ],
    "Michelso": ["299.85", "299.74", "299.90", "300.07", "299.93", "299.85", "299.95", "299.98"],
    "NumAcc1": ["10000001", "10000003", "10000002"],
    "NumAcc2": _alternating("1.2", "1.1", "1.3"),
    "NumAcc3": _alternating("1000000.2", "1000000.1", "1000000.3"),
    "NumAcc4": _alternating("10000000.2", "10000000.1", "10000000.3"),
}
"""As in the univariate sets of NIST's Statistical Reference Datasets: constructed ones whole, of
measured ones the beginning.
"""


@pytest.mark.parametrize("name", NIST)
@pytest.mark.parametrize("beside", [True, False])
def test_every_value_of_reference_data_is_kept(name, beside):
    cells = NIST[name]
    lines = [f"row {row},{cell}" if beside else cell for row, cell in enumerate(cells)]
    outcome = run("\n".join(["name,y" if beside else "y", *lines]).encode())
    found = outcome.table.column("y").to_pylist()
    assert found == [float(cell) for cell in cells]
    assert letters(outcome)[-1] == "n"


def test_gzip_is_read_like_the_file_inside():
    data = (STATSMODELS / "longley/longley.csv").read_bytes()
    assert run(gzip.compress(data)).rows == run(data).rows
    assert len(pd.read_csv(io.BytesIO(data))) == run(data).cleaned.rows

"""What the sample did not show: the plan is widened and the file read again, or single cells have
no value; no row is lost for it.
"""

from __future__ import annotations

import datetime as dt
import math

import pytest

from tests.workloads.preprocess.cleaning import Outcome, run
from workloads.preprocess import clean, source
from workloads.preprocess.plan import Wishes

EARLY = 32_000
"""Rows that fill more than the sample, which is an eighth of its size here, as are the pieces."""
LATE = 1_000
SMALLER = 8
MIDNIGHT, TEN = (dt.datetime.fromisoformat(f"2024-01-01T{hour}:00") for hour in ("00", "10"))


@pytest.fixture(autouse=True)
def smaller(monkeypatch):
    monkeypatch.setattr(source, "SAMPLE_BYTES", source.SAMPLE_BYTES // SMALLER)
    monkeypatch.setattr(clean, "PIECE_BYTES", source.PIECE_BYTES // SMALLER)


def late(early: str, *rows: str, count: int = LATE, wishes: Wishes | None = None) -> Outcome:
    """A file whose first rows hold one kind of cell (with `{}` for the row's number) and whose last
    ones another.
    """
    lines = [f"{i},{early.format(i, i % 10, 10 + i % 90)},x" for i in range(EARLY)]
    lines += [f"{EARLY + i},{rows[i % len(rows)].format(i)},x" for i in range(count)]
    return run(("step,v,label\n" + "\n".join(lines) + "\n").encode(), wishes=wishes)


@pytest.mark.parametrize(
    ("early", "row", "kind", "first", "last"),
    [
        pytest.param(
            "{}", "3.25", ("double", "compare"), 0.0, 3.25, id="fractions among whole numbers"
        ),
        pytest.param(
            "{1}",
            "9223372036854775807",
            ("int64", "compare"),
            0,
            2**63 - 1,
            id="wider whole numbers",
        ),
        pytest.param("{}", "00501", ("string", "keep"), "0", "00501", id="leading zeros"),
        pytest.param(
            "{}",
            "10000000000000000000",
            ("double", "compare"),
            0.0,
            1e19,
            id="whole numbers beyond int64",
        ),
        pytest.param(
            "{2}", '"1,234"', ("int64", "compare"), 10, 1234, id="a sign between thousands"
        ),
        pytest.param("", "7", ("int64", "describe"), None, 7, id="numbers that begin late"),
        pytest.param("", "word", ("string", "keep"), None, "word", id="text that begins late"),
        pytest.param(
            "2024-01-01",
            "2024-01-01T10:00",
            ("timestamp[us]", "keep"),
            MIDNIGHT,
            TEN,
            id="times among dates",
        ),
        pytest.param(
            "yes", "no", ("string", "keep"), "yes", "no", id="the other word, after a text of one"
        ),
    ],
)
def test_widened(early, row, kind, first, last):
    outcome = late(early, row, count=EARLY // 3)
    column = outcome.cleaned.columns[1]
    values = outcome.table["v"].to_pylist()
    assert (column.type, column.use) == kind
    assert (values[0], values[-1]) == (first, last)
    assert outcome.cleaned.rows == outcome.cleaned.rows_read == EARLY + EARLY // 3
    assert outcome.table["step"].to_pylist() == list(range(EARLY + EARLY // 3))


@pytest.mark.parametrize("early", ["2024-01-01", "2024-01-01T00:00", "02.01.2024"])
def test_a_few_wrong_cells_in_a_column_nobody_compares_have_no_value_and_cost_no_row(early):
    outcome = late(early, "soon", count=3)
    assert outcome.cleaned.rows == outcome.cleaned.rows_read
    assert outcome.cleaned.columns[1].missing == 3
    [remark] = [
        remark for remark in outcome.cleaned.remarks if remark.code == "cells-without-value"
    ]
    assert "3 cells with another content, such as 'soon'" in remark.sentence


def test_one_bad_cell_in_a_compared_column_costs_its_row_alone():
    outcome = late("{}.5", "oops", count=1)
    assert outcome.cleaned.passes == 1
    assert outcome.cleaned.rejected == {"not a number": 1}
    [reject] = outcome.rejects
    assert reject["detail"] == "column 'v': 'oops' is not a number"
    assert (reject["line"], reject["row"]) == (str(EARLY + 2), f"{EARLY},oops,x")


def test_a_column_that_turns_to_words():
    outcome = late("{}.25", "alpha", "beta", "gamma", count=EARLY // 2)
    assert (outcome.cleaned.columns[1].kind, outcome.cleaned.passes) == ("text", 2)
    assert outcome.table["v"][0].as_py() == "0.25"
    assert outcome.table["v"][-1].as_py() in {"alpha", "beta", "gamma"}
    assert outcome.cleaned.rows == EARLY + EARLY // 2
    assert outcome.lines == list(range(2, EARLY + EARLY // 2 + 2))


def test_gaps_that_begin_late():
    outcome = late("{}.5", "", count=EARLY)
    column = outcome.cleaned.columns[1]
    assert (column.use, column.missing, outcome.cleaned.passes) == ("describe", EARLY, 2)
    assert outcome.cleaned.rows == 2 * EARLY
    few = late("{}.5", "", count=EARLY // 10)
    assert few.cleaned.columns[1].use == "compare"
    assert few.cleaned.rejected == {"incomplete": EARLY // 10}


def test_numbers_beyond_range_are_found_late():
    outcome = late("{}.5", "1e-434", "1e400", "2e-323", count=3)
    assert outcome.cleaned.rejected == {"beyond the range of float64": 2}
    assert math.isclose(outcome.table["v"][-1].as_py(), 2e-323)


def test_declared_columns_go_before_what_cells_say():
    from workloads.preprocess.declared import Declaration

    columns = {
        "zip": Declaration(type="number", use="compare"),
        "sex": Declaration(type="boolean"),
        "age": Declaration(use="compare"),
        "when": Declaration(required=True),
        "n": Declaration(type="text"),
    }
    body = "".join(
        f"0{i},F,{'' if i % 2 else 30},{'' if i == 8 else '2024-01-01'},{i},0.5\n"
        for i in range(10, 30)
    )
    data = "zip,sex,age,when,n,x\n" + body + "008,F,30,,1,0.5\n"
    outcome = run(data.encode(), wishes=Wishes(columns=columns))
    kinds = {column.name: (column.kind, column.use) for column in outcome.cleaned.columns}
    assert kinds["zip"] == ("number", "compare")
    assert kinds["sex"] == ("boolean", "keep")
    assert kinds["age"] == ("number", "compare")
    assert kinds["n"] == ("text", "keep")
    assert outcome.table["zip"].to_pylist()[:2] == [10, 12]
    assert outcome.cleaned.rejected == {"incomplete": 11}, "ten without age, one without when"

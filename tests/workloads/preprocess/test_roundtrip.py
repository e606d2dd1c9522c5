"""Tables written by Python's csv module, pandas, polars and DuckDB read back with every value
equal.
"""

from __future__ import annotations

import csv
import io
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.workloads.preprocess.cleaning import run
from workloads.preprocess.plan import Wishes

ROWS = 30
Table = dict[str, list[Any]]
_word = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters='"'),
    min_size=1,
    max_size=6,
)
text = _word.map(lambda word: f"t{word}x")
"""Words that no other kind of column could hold."""
whole = st.integers(-(2**63), 2**63 - 1)
number = st.floats(allow_nan=False, allow_infinity=False)


def _column(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.one_of(st.none(), values, values, values), min_size=ROWS, max_size=ROWS)


tables = st.fixed_dictionaries(
    {
        "w": _column(whole),
        "x": _column(number),
        "t": _column(text),
        "n": st.just([f"row {row}" for row in range(ROWS)]),
    }
)
"""The last column has a value in every row: a row without any is a blank one."""
_TYPES = {"w": pa.int64(), "x": pa.float64(), "t": pa.string(), "n": pa.string()}


def by_csv(table: Table, delimiter: str, quoting: int, line_end: str) -> bytes:
    target = io.StringIO(newline="")
    ways: Any = {"delimiter": delimiter, "quoting": quoting, "lineterminator": line_end}
    writer = csv.writer(target, **ways)
    writer.writerow(table)
    writer.writerows(
        ["" if value is None else value for value in row]
        for row in zip(*table.values(), strict=True)
    )
    return target.getvalue().encode()


def _arrow(table: Table) -> pa.Table:
    return pa.table({name: pa.array(table[name], kind) for name, kind in _TYPES.items()})


def by_pandas(table: Table, delimiter: str, quoting: int, line_end: str) -> bytes:
    frame = pd.DataFrame(
        {
            "w": pd.array(table["w"], "Int64"),
            "x": pd.array(table["x"], "Float64"),
            "t": table["t"],
            "n": table["n"],
        }
    )
    text_of: Any = frame.to_csv
    return bytes(
        text_of(index=False, sep=delimiter, quoting=quoting, lineterminator=line_end).encode()
    )


def by_polars(table: Table, delimiter: str, quoting: int, line_end: str) -> bytes:
    frame: Any = pl.from_arrow(_arrow(table))
    style = {csv.QUOTE_ALL: "always", csv.QUOTE_NONNUMERIC: "non_numeric"}.get(quoting, "necessary")
    return bytes(
        frame.write_csv(separator=delimiter, quote_style=style, line_terminator=line_end).encode()
    )


def by_duckdb(table: Table, delimiter: str, quoting: int, line_end: str) -> bytes:
    connection = duckdb.connect()
    connection.register("given", _arrow(table))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        quote = ", FORCE_QUOTE *" if quoting == csv.QUOTE_ALL else ""
        connection.execute(f"COPY given TO '{path}' (HEADER, DELIMITER '{delimiter}'{quote})")
        return path.read_bytes()


WRITERS: dict[str, Callable[[Table, str, int, str], bytes]] = {
    "csv": by_csv,
    "pandas": by_pandas,
    "polars": by_polars,
    "duckdb": by_duckdb,
}


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


@pytest.mark.parametrize("writer", WRITERS)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    table=tables,
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_every_value_reads_back(writer, table, delimiter, quoting, line_end):
    assume(all(any(value is not None for value in column) for column in table.values()))
    data = WRITERS[writer](table, delimiter, quoting, line_end)
    outcome = run(data, incomplete_rows="keep", wishes=Wishes(incomplete_percent=100))
    found = outcome.table
    assert outcome.cleaned.rejected == {}
    assert found["w"].to_pylist() == table["w"]
    assert found["t"].to_pylist() == table["t"]
    assert [value if value is None else bits(value) for value in found["x"].to_pylist()] == [
        value if value is None else bits(value) for value in table["x"]
    ]

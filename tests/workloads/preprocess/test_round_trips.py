"""Tables that Python's csv, pandas, polars and DuckDB write, in the dialects that they can write,
read back cell for cell.
"""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.workloads.preprocess.reading import read

Table = tuple[list[str], list[list[str]]]
NAMES = ["id", "Name", "unit price", "Ort", "länge", "check_2", "remark"]
WORDS = ["north", "South", "Zürich", "a-b", "x", "Ann Lee", "p.q", "MG-12", "7b"]
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def free_text() -> st.SearchStrategy[str]:
    """Texts with all that a writer has to quote; at least one word, so that no cell is a sign
    alone.
    """
    between = st.sampled_from(
        [" ", ", ", "; ", "\t", "|", '"', "'", " '", '" ', "\n", " - ", "", ": ", "é"]
    )
    return st.builds("{}{}{}".format, st.sampled_from(WORDS), between, st.sampled_from(WORDS))


COLUMNS = {
    "whole": st.integers(-(10**6), 10**9).map(str),
    "number": st.floats(-1e6, 1e6, allow_nan=False).map(repr),
    "word": st.sampled_from(WORDS),
    "text": free_text(),
    "date": st.dates().filter(lambda day: day.year > 1900).map(str),
    "gaps": st.one_of(st.just(""), st.integers(0, 99).map(str)),
}


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """A column of row numbers, one of decimal fractions, and up to four others; 8 to 24 rows."""
    count = draw(st.integers(8, 24))
    kinds = draw(st.lists(st.sampled_from(sorted(COLUMNS)), max_size=4))
    columns = [
        [str(number) for number in range(1, count + 1)],
        [f"{number / 4}" for number in range(count)],
    ]
    columns += [draw(st.lists(COLUMNS[kind], min_size=count, max_size=count)) for kind in kinds]
    return NAMES[: len(columns)], [list(row) for row in zip(*columns, strict=True)]


@quick
@given(
    table=tables(),
    delimiter=st.sampled_from([",", ";", "\t", "|", ":", " ", "^"]),
    quote=st.sampled_from(['"', "'"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    doubled=st.booleans(),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    header=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_csv(table, delimiter, quote, quoting, doubled, end, header, encoding):
    names, rows = table
    if end == "\r":
        rows = [[cell.replace("\n", " ") for cell in row] for row in rows]
    target = io.StringIO(newline="")
    writer = csv.writer(
        target,
        delimiter=delimiter,
        quotechar=quote,
        quoting=quoting,
        doublequote=doubled,
        escapechar=None if doubled else "\\",
        lineterminator=end,
    )
    writer.writerows([names, *rows] if header else rows)
    assume(
        quote == '"' or target.getvalue().count(quote) not in range(1, 5)
    )  # one apostrophe here or there is none that quotes
    assume(
        delimiter != " " or header or all(map(any, zip(*rows, strict=True)))
    )  # else the same as two blanks between columns
    reading = read(target.getvalue(), encoding=encoding)
    assert reading.rows == rows
    assert reading.names == (names if header else [""] * len(names))
    assert not reading.rejects


def frame(table: Table) -> pd.DataFrame:
    names, rows = table
    return pd.DataFrame(rows, columns=names)


@quick
@given(
    table=tables(),
    sep=st.sampled_from([",", ";", "\t", "|"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
    index=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
)
def test_pandas(table, sep, quoting, end, index, encoding):
    target = io.BytesIO()
    frame(table).to_csv(
        target, sep=sep, quoting=quoting, lineterminator=end, index=index, encoding=encoding
    )
    reading = read(target.getvalue())
    names, rows = table
    assert reading.names == (["", *names] if index else names)
    assert reading.rows == (
        [[str(number), *row] for number, row in enumerate(rows)] if index else rows
    )


@quick
@given(
    table=tables(),
    separator=st.sampled_from([",", ";", "\t", "|"]),
    quote=st.sampled_from(['"', "'"]),
    style=st.sampled_from(["necessary", "always", "non_numeric"]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_polars(table, separator, quote, style, end):
    names, rows = table
    table_frame = pl.DataFrame(rows, schema=names, orient="row")
    text = table_frame.write_csv(
        separator=separator, quote_char=quote, quote_style=style, line_terminator=end
    )
    reading = read(text)
    assert (reading.names, reading.rows) == (names, rows)


@settings(parent=quick, max_examples=25)
@given(
    table=tables(),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    forced=st.booleans(),
    escape=st.sampled_from(['"', "\\"]),
    header=st.booleans(),
)
def test_duckdb(table, delimiter, forced, escape, header):
    names, rows = table
    duck_frame = frame(table)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "table.csv"
        quoted_names = ", ".join(f'"{name}"' for name in names)
        force = f", FORCE_QUOTE ({quoted_names})" if forced else ""
        options = f"FORMAT csv, DELIMITER '{delimiter}', ESCAPE '{escape}', HEADER {header}{force}"
        with duckdb.connect() as connection:
            connection.register("duck_frame", duck_frame)
            connection.execute(f"COPY duck_frame TO '{target}' ({options})")
        reading = read(target.read_bytes())
    assert reading.rows == rows
    assert reading.names == (names if header else [""] * len(names))

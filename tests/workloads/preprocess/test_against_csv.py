"""Whatever the text, the accepted rows are those that Python's csv module reads, and nothing is
lost; however the bytes arrive.
"""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import pyarrow as pa
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from workloads.preprocess import missing
from workloads.preprocess.columns import NUMBER as FLOAT
from workloads.preprocess.columns import TEXT, ColumnPlan, Decision
from workloads.preprocess.parse import BlockParser
from workloads.preprocess.plan import Plan
from workloads.preprocess.records import Block, Reject, blocks

COLUMNS = (
    ColumnPlan(name="n", source_name="n", decision=Decision(kind=FLOAT, use="compare", reason="")),
    ColumnPlan(name="t", source_name="t", decision=Decision(kind=TEXT, reason="")),
)
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
MISSING = {spelling.lower() for spelling in missing.SPELLINGS}
MISSING_IN_TEXT = set(missing.IN_TEXT.to_pylist())

number = st.sampled_from(
    [
        "0",
        "1",
        "-2.5",
        "+3",
        " 4 ",
        ".5",
        "6.",
        "1e5",
        "1e39",
        "1e400",
        "inf",
        "nan",
        "NA",
        " NA ",
        "",
        "-",
        "x",
        "1_0",
        "0x1",
        "1,5",
        "é",
    ]
)
word = st.text(alphabet='a1,;"\n\r -é\ufeff', max_size=6)
junk = st.text(alphabet='a1,"\n\r é', max_size=12)


@st.composite
def texts(draw):
    """Well-formed rows, rows of another width, and any other characters between them."""
    parts = []
    for kind in draw(
        st.lists(st.sampled_from(["row", "row", "row", "short", "junk", "blank"]), max_size=12)
    ):
        if kind == "junk":
            parts.append(draw(junk))
            continue
        cells = {"row": [draw(number), draw(word)], "short": [draw(word)], "blank": []}[kind]
        target = io.StringIO(newline="")
        quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
        csv.writer(
            target, quoting=quoting, lineterminator=draw(st.sampled_from(["\n", "\r\n", "\r"]))
        ).writerow(cells)
        parts.append(target.getvalue())
    return "".join(parts)


def csv_rows(text: str) -> list[tuple[int, list[str]]] | None:
    """(line, cells) of the rows that are not blank; None where a quote stays open at the end."""
    end = "the end"
    reader = csv.reader(io.StringIO(f"{text}\n{end}\n", newline=""))
    rows, line = [], 1
    for row in reader:
        rows.append((line, row))
        line = reader.line_num + 1
    if rows[-1][1] != [end]:
        return None
    return [(line, row) for line, row in rows[:-1] if row]


def expected(
    rows: list[tuple[int, list[str]]],
) -> tuple[list[tuple[float, str | None]], dict[int, str]]:
    kept, rejected = [], {}
    for line, row in rows:
        if len(row) != len(COLUMNS):
            rejected[line] = "wrong number of fields"
            continue
        cell = row[0].strip()
        value = float(cell) if NUMBER.fullmatch(cell) else None
        if cell.lower() in MISSING:
            rejected[line] = "incomplete"
        elif value is None:
            rejected[line] = "not finite" if cell == "inf" else "not a number"
        elif not np.isfinite(value):
            rejected[line] = "beyond the range of float64"
        else:
            kept.append((value, None if row[1] in MISSING_IN_TEXT else row[1]))
    return kept, rejected


def parsed(text: str, piece: int) -> tuple[list[tuple[float, str | None]], dict[int, str]]:
    data = text.encode()
    plan = Plan(columns=COLUMNS, remarks=(), texts=())
    parser = BlockParser(plan=plan, delimiter=",", incomplete_rows="reject", show_values=True)
    tables, rejected = [parser.schema.empty_table()], {}
    whole = b""
    for part in blocks(
        (data[start : start + piece] for start in range(0, len(data), piece)), ord(",")
    ):
        assert isinstance(part, Block), part
        whole += part.data
        found = parser.parse(part)
        tables.append(found.table)
        for reject in found.rejects:
            assert reject.line not in rejected
            rejected[reject.line] = reject.reason
    assert whole == data
    return [(row["n"], row["t"]) for row in pa.concat_tables(tables).to_pylist()], rejected


@settings(max_examples=300, deadline=None)
@given(text=texts(), piece=st.integers(1, 40))
@example(text='1,"a""b"c"\n2,5" pipe\n3,""",\n"\n', piece=3)
@example(text='1,a\r\n"2","b\r\n\r\nc"\r\n\r\n3,d\rx', piece=1)
@example(text='1,a""b\n2,"x"y"z"\n"3"4,""\n', piece=7)
@example(text="\ufeff5,a\n6,b\n", piece=4)
def test_same_rows_as_the_csv_module(text, piece):
    rows = csv_rows(text)
    assume(rows is not None)
    assert rows is not None
    want = expected(rows)
    assert len(want[0]) + len(want[1]) == len(rows)
    assert parsed(text, piece) == want
    assert parsed(text, 1 << 20) == want


@settings(max_examples=300, deadline=None)
@given(text=texts(), piece=st.integers(1, 40), limit=st.integers(4, 40))
def test_quotes_left_open_and_long_rows_do_not_depend_on_how_the_bytes_arrive(text, piece, limit):
    def cut(size: int) -> tuple[bytes, list[Reject], int]:
        data = text.encode()
        rejects: list[Reject] = []
        good, line = b"", 1
        for part in blocks(
            (data[start : start + size] for start in range(0, len(data), size)),
            ord(","),
            max_record_bytes=limit,
        ):
            if isinstance(part, Block):
                assert part.first_line >= line
                line = part.first_line
                good += part.data
            else:
                rejects.append(part)
        return good, rejects, len(good)

    assert cut(piece) == cut(1 << 20)

"""Rows of another width, blank rows, notes and totals, and second tables: what is a row of the
table, and what is told about the rest.
"""

from __future__ import annotations

import pytest

from tests.workloads.preprocess.reading import lines, read

TABLE = "a,b,c\n" + lines(lambda i: f"{i},{2 * i},x{i}")
LAST = ["39", "78", "x39"]
CASES = {
    # id: (text, last row, rows, codes of remarks, reasons of rejected lines)
    "delimiter after every row": (
        "a;b;c\n" + lines(lambda i: f'"{i}";"{2 * i}";"x{i}";'),
        LAST,
        40,
        {"spare-fields"},
        {},
    ),
    "delimiter after some rows": (
        "a,b,c\n" + lines(lambda i: f"{i},{2 * i},x{i}" + ("," if i % 3 else "")),
        ["39", "78", "x39"],
        40,
        {"spare-fields"},
        {},
    ),
    "delimiter after few rows": (
        "a,b,c\n" + lines(lambda i: f"{i},{2 * i},x{i}" + ("," if i % 9 == 0 else "")),
        LAST,
        40,
        {"rows-cut"},
        {},
    ),
    "three delimiters after rows": (
        "run, a, b\n" + lines(lambda i: f"{i},{2 * i},{3 * i},,,"),
        ["39", "78", "117"],
        40,
        {"spare-fields"},
        {},
    ),
    "delimiter after header and rows": (
        "a;b;\n" + lines(lambda i: f"{i};{2 * i};"),
        ["39", "78"],
        40,
        {"spare-fields"},
        {},
    ),
    "delimiter after rows, one row": (
        "Instance;Best;Time\nOR5;12;0.5;\n",
        ["OR5", "12", "0.5"],
        1,
        {"spare-fields"},
        {},
    ),
    "delimiter after rows with line breaks": (
        "a,b\n" + lines(lambda i: f'{i},"x,\n{i}",'),
        ["39", "x,\n39"],
        40,
        {"spare-fields"},
        {},
    ),
    "delimiter after rows of one column": (
        "value\n" + lines(lambda i: f"{i / 2},"),
        ["19.5"],
        40,
        {"spare-fields"},
        {},
    ),
    "an empty last column that has a name": (
        "a,b,c\n" + lines(lambda i: f"{i},{2 * i},"),
        ["39", "78", ""],
        40,
        set(),
        {},
    ),
    "values after the last column": (
        TABLE + "1,2,x3,9\n",
        LAST,
        40,
        set(),
        {42: "wrong number of fields"},
    ),
    "empty rows of delimiters": (TABLE + ",,\n" * 30, LAST, 40, {"blank-rows"}, {}),
    "empty rows in between": (
        "a,b,c\n" + lines(lambda i: f"{i},{2 * i},x{i}\n,,"),
        LAST,
        40,
        {"blank-rows"},
        {},
    ),
    "empty rows with quotes and blanks": (TABLE + '"","",""\n , ,\n', LAST, 40, {"blank-rows"}, {}),
    "blank lines in between": (
        "a,b,c\n" + lines(lambda i: f"{i},{2 * i},x{i}\n"),
        LAST,
        40,
        set(),
        {},
    ),
    "short rows": (
        "id,a,b\n" + lines(lambda i: f"{i},{2 * i}" + (f",{i}" if i % 4 else "")),
        ["39", "78", "39"],
        40,
        {"rows-padded"},
        {},
    ),
    "mostly short rows": (
        "id,a,b,c\n" + lines(lambda i: f"{i},{2 * i}" + ("" if i % 4 else f",{i},{i}")),
        ["39", "78", "", ""],
        40,
        {"rows-padded"},
        {},
    ),
    "a short row that does not fit": (
        TABLE + "x1,3\n",
        LAST,
        40,
        set(),
        {42: "wrong number of fields"},
    ),
    "one field": (
        TABLE + "7\n" + "8,16,x8\n",
        ["8", "16", "x8"],
        41,
        set(),
        {42: "wrong number of fields"},
    ),
    "an empty field too many": (
        "day,n,price,code\n"
        + lines(lambda i: f"{i % 28 + 1:02}/01/2020,{i},{i}.5,K-{i}")
        + "03/02/2020,,7,1.5,K-7\n",
        ["03/02/2020", "7", "1.5", "K-7"],
        41,
        {"rows-cut"},
        {},
    ),
    "two fields that ran together": (
        "day,n,price,code\n"
        + lines(lambda i: f"{i % 28 + 1:02}/01/2020,{i},{i}.5,K-{i}")
        + "03/02/20207,1.5,K-7\n",
        ["12/01/2020", "39", "39.5", "K-39"],
        40,
        set(),
        {42: "wrong number of fields"},
    ),
    "a row with semicolons": (
        "day,n,price\n"
        + lines(lambda i: f"{i % 28 + 1:02}/01/2020,{i},{i}.5")
        + "03/02/2020;7;1.5\n",
        ["03/02/2020", "7", "1.5"],
        41,
        {"other-delimiter"},
        {},
    ),
    "a quote that is never closed": (
        TABLE + '1,2,"x3\n' + "4,8,x4\n",
        ["4", "8", "x4"],
        41,
        set(),
        {42: "quote never closed"},
    ),
    "a quote that swallows the next row": (
        "n,text\n"
        + lines(lambda i: f'{i},"a, {i}"')
        + '40,"a, 40\n'
        + lines(lambda i: f'{i + 41},"a, {i}"'),
        ["80", "a, 39"],
        80,
        set(),
        {42: "wrong number of fields"},
    ),
    "a quote too many in front": (
        "n,text,m\n" + lines(lambda i: f'{i},"a, {i}",{i}') + '40,""a, 40",40\n',
        ["40", '"a, 40', "40"],
        41,
        {"odd-quotes"},
        {},
    ),
    "a note": (TABLE + "\nSource: office of things\n", LAST, 40, set(), {43: "note"}),
    "a note in fields": (TABLE + "Note: made up,,\n", LAST, 40, set(), {42: "note"}),
    "several notes": (
        TABLE + "\nNotes:\n1. Rounded, sometimes\n",
        LAST,
        40,
        set(),
        {43: "wrong number of fields", 44: "wrong number of fields"},
    ),
    "a total": (
        "item,n,v\n" + lines(lambda i: f"i{i},{2 * i},{i}") + "Total,1560,780\n",
        ["i39", "78", "39"],
        40,
        set(),
        {42: "total row"},
    ),
    "total as a value": (
        "sex,n\n" + lines(lambda i: f"{['M', 'F', 'Total'][i % 3]},{i}", count=42),
        ["Total", "41"],
        42,
        set(),
        {},
    ),
    "comments between rows": (
        "# made by x\na,b\n"
        + lines(lambda i: f"{i},{i}")
        + "# second part\n"
        + lines(lambda i: f"{i},{i}"),
        ["39", "39"],
        80,
        {"preamble"},
        {43: "comment"},
    ),
    "the same table again": (TABLE + TABLE, LAST, 80, set(), {42: "repeated header"}),
    "another table after a gap": (
        TABLE + "\nx,y,z\n" + lines(lambda i: f"{i},k{i},{3 * i}"),
        LAST,
        40,
        {"second-table"},
        {},
    ),
    "another table, narrower": (
        TABLE + "\nu,v\n" + lines(lambda i: f"{i},{i}"),
        LAST,
        40,
        {"second-table"},
        {},
    ),
    "another table, wider": (
        TABLE + "\nu,v,w,x\n" + lines(lambda i: f"{i},{i},{i},{i}"),
        LAST,
        40,
        {"second-table"},
        {},
    ),
    "another table, no gap": (
        TABLE + "u,v\n" + lines(lambda i: f"{i},{i}"),
        LAST,
        40,
        {"second-table"},
        {},
    ),
    "another table, no gap, as wide": (
        "a,b,c\n"
        + lines(lambda i: f"{i},{2 * i},2020-01-{i % 28 + 1:02}")
        + "x,y,z\n"
        + lines(lambda i: f"{i},{i},{i}"),
        ["39", "78", "2020-01-12"],
        40,
        {"second-table"},
        {},
    ),
    "another table, longer": (
        TABLE + "\nu,v\n" + lines(lambda i: f"{i},{i}", count=120),
        LAST,
        40,
        {"second-table"},
        {},
    ),
    "another table with a title": (
        TABLE + "\nSecond\nx,y,z\n" + lines(lambda i: f"{i},k{i},{i}"),
        LAST,
        40,
        {"second-table"},
        {},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_every_row_is_right_or_told(case):
    text, last, count, codes, reasons = CASES[case]
    reading = read(text)
    assert reading.rows[-1] == last
    assert len(reading.rows) == count
    assert reading.codes == codes
    assert reading.reasons == reasons


FAR = 60_000
"""Rows enough to end far behind the sample."""


@pytest.mark.parametrize(
    ("late", "rows", "codes", "reasons"),
    [
        ("7,8,x9,\n", 1, {"rows-cut"}, {}),
        ("7,8\n", 1, {"rows-padded"}, {}),
        ("7,8,x9,1\n", 0, set(), {FAR + 2: "wrong number of fields"}),
        ('7,8,"x9\n', 0, set(), {FAR + 2: "quote never closed"}),
        (",,\n\n", 0, {"blank-rows"}, {}),
        ("a,b,c\n", 0, set(), {FAR + 2: "repeated header"}),
        ("\nu,v,w\n5,k5,5\n6,k6,6\n", 0, {"second-table"}, {}),
    ],
)
def test_surprises_far_behind_the_sample_are_handled_by_the_same_rules(late, rows, codes, reasons):
    text = "a,b,c\n" + lines(lambda i: f"{i},{2 * i},{'x' * 40}{i}", count=FAR) + late
    tail = "" if "second-table" in codes else "1,2,x3\n"
    reading = read(text + tail, piece_bytes=1 << 18)
    assert len(reading.rows) == FAR + rows + bool(tail)
    assert reading.codes == codes
    assert reading.reasons == reasons
    if tail:
        assert reading.rows[-1] == ["1", "2", "x3"]
        assert reading.lines[-1] == text.count("\n") + 1

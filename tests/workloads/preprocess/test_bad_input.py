"""Files as people really upload them: each ends in a clean table with the rejects listed, or in one
clear sentence.
"""

from __future__ import annotations

import gzip
import math
import zlib

import pytest

from tests.workloads.preprocess.cleaning import run
from workloads.preprocess.plan import Wishes
from workloads.runtime.errors import StageError

NO_COLUMN_LEFT_OUT = Wishes(incomplete_percent=100)
GOOD = b"id,price\n" + b"".join(b"%d,%d.5\n" % (i, i) for i in range(20))


def bomb() -> bytes:
    """One member, of which a hundredth is packed once: nobody comes to its end."""
    packer = zlib.compressobj(wbits=31)
    header = packer.compress(b"a,b\n") + packer.flush(zlib.Z_FULL_FLUSH)
    rows = packer.compress((b"1," + b"x" * 1000 + b"\n") * 3_000) + packer.flush(zlib.Z_FULL_FLUSH)
    return header + 100 * rows


# the bytes are made in the test: each worker has the names of all tests
@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        pytest.param(lambda: b"", "the file is empty", id="empty"),
        pytest.param(lambda: b"\n\r\n\n", "blank lines only", id="blank lines"),
        pytest.param(lambda: gzip.compress(b""), "gzip-compressed and empty inside", id="gzip"),
        pytest.param(lambda: b"id,price\n", "a header and no data", id="header"),
        pytest.param(lambda: b"id,price", "a header and no data", id="header without its end"),
        pytest.param(lambda: b"x" * (9 << 20), "the first row is longer than", id="one row"),
        pytest.param(
            lambda: b"PK\x03\x04" + bytes(100),
            "a ZIP archive or an Excel workbook, not CSV",
            id="ZIP",
        ),
        pytest.param(lambda: b"PAR1" + bytes(100), "a Parquet file, not CSV", id="Parquet"),
        pytest.param(
            lambda: b"\n<!doctype html><html></html>", "a web page, not CSV", id="web page"
        ),
        pytest.param(lambda: b"\x00\x01\x02" * 4000, "binary data", id="three bytes"),
        pytest.param(lambda: bytes(range(256)) * 64, "binary data", id="all bytes"),
        pytest.param(
            lambda: b"a,b\n1,2\n" * 20_000 + bytes(range(32)),
            "binary data .27 kinds of control characters",
            id="control characters at the end",
        ),
        pytest.param(
            lambda: gzip.compress(GOOD, mtime=0)[:-12], "gzip file is cut off", id="cut off"
        ),
        pytest.param(
            lambda: gzip.compress(GOOD, mtime=0)[:20] + b"\xff" * 40,
            "gzip-compressed and damaged",
            id="damaged",
        ),
        pytest.param(bomb, "unpacks to more than 300 times its size", id="bomb"),
        pytest.param(
            lambda: b",".join(b"c%d" % i for i in range(5000)) + b"\n",
            "5,000 fields; at most 4,096 columns",
            id="columns",
        ),
    ],
)
def test_refused_with_one_sentence(made, sentence):
    data = made()
    with pytest.raises(StageError, match=sentence) as refused:
        run(data)
    assert "\n" not in refused.value.sentence
    assert refused.value.hint
    assert refused.value.exit_code == 1


@pytest.mark.parametrize(
    ("data", "rows", "reasons"),
    [
        pytest.param(
            b"a,b\n1,2\n3\n4,5,6\n7,8\n9,1",
            [(1, 2), (7, 8), (9, 1)],
            {3: "wrong number of fields", 4: "wrong number of fields"},
            id="ragged",
        ),
        pytest.param(
            b"a,b\n1,2\n3,4\n5;6\n7,8\n", [(1, 2), (3, 4), (5, 6), (7, 8)], {}, id="two delimiters"
        ),
        pytest.param(
            b"\xef\xbb\xbfa,b\r\n1,2\r\n\r\n3,4\r\n5\r\n",
            [(1, 2), (3, 4)],
            {5: "wrong number of fields"},
            id="BOM, CRLF, blank line",
        ),
        pytest.param("a\tb\n1\té\n".encode("utf-16"), [(1, "é")], {}, id="UTF-16 with BOM"),
        pytest.param(
            "ort,m\nKöln,1\nZürich,2\n100 €,3\n".encode("cp1252"),
            [("Köln", 1), ("Zürich", 2), ("100 €", 3)],
            {},
            id="Windows-1252",
        ),
        pytest.param(
            b"ort,m\nK\xc3\xb6ln,1\nZ\xfcrich,2\nM\xc3\xbcnchen,3\n",
            [("Köln", 1), ("München", 3)],
            {3: "not valid text"},
            id="one Latin-1 row",
        ),
        pytest.param(
            b'n,t\n1,"two\nlines"\n2,"say ""hi"""\nx,y,z\n',
            [(1, "two\nlines"), (2, 'say "hi"')],
            {5: "wrong number of fields"},
            id="line break in quotes",
        ),
        pytest.param(
            b"a\r1\r2\rx\r4\r5\r",
            [(1,), (2,), (4,), (5,)],
            {4: "not a number"},
            id="old Mac line ends",
        ),
        pytest.param(
            b"a;b\n1,5;x\n2;y\n-0,25;z\n1.5;q\n" + b"".join(b"%d,75;r\n" % n for n in range(60)),
            [(1.5, "x"), (2, "y"), (-0.25, "z"), *((n + 0.75, "r") for n in range(60))],
            {5: "not a number"},
            id="decimal comma",
        ),
        pytest.param(
            b"a,b\n1,2\n3\n4\n5\n6,7\n",
            [(1, 2), (6, 7)],
            dict.fromkeys((3, 4, 5), "wrong number of fields"),
            id="more ragged rows than others",
        ),
        pytest.param(b"1,2\n3,4\n5,6\n", [(1, 2), (3, 4), (5, 6)], {}, id="no header"),
        pytest.param(
            b"a,b\n1,2\nNA,3\n4, n/a \n5,#DIV/0!\n-,-\nnan,1\n6,7",
            [(1, 2), (6, 7)],
            dict.fromkeys(range(3, 8), "incomplete"),
            id="missing",
        ),
        pytest.param(
            b"a,b\n1,1\n2,inf\n3,1e400\n4,-1e39\n5,1e-400\n6, +3 \n7,.5\n",
            [(1, 1), (4, -1e39), (6, 3), (7, 0.5)],
            {3: "not finite", 4: "beyond the range of float64", 6: "beyond the range of float64"},
            id="non-finite",
        ),
        pytest.param(
            b"t,a\n2024-01-01,1\n2024-02-30,2\n2024-02-29,3\n2024-03-01,4\nsoon,5\n2024-03-02,6\n2024-03-03"
            b" 10:11,7\n2024-03-04,8\n",
            None,
            {},
            id="a quarter of the timestamps is none: text",
        ),
        pytest.param(
            b"ok,a\nyes,1\nNo,2\nmaybe,3\ntRUE,4\n,5\n",
            [("yes", 1), ("No", 2), ("maybe", 3), ("tRUE", 4), (None, 5)],
            {},
            id="a third word",
        ),
    ],
)
def test_cleaned_with_the_rejects_listed(data, rows, reasons):
    outcome = run(data, wishes=NO_COLUMN_LEFT_OUT)
    assert outcome.reasons == reasons
    assert outcome.cleaned.rows_read == outcome.cleaned.rows + len(reasons)
    if rows is not None:
        assert outcome.rows == rows


def test_raw_rows_and_details_tell_what_is_wrong():
    outcome = run(
        b'a,Unit Price\n1,2\n2,"12\n$"\n\n3,\n4\n'
        + b"".join(b"%d,%d\n" % (n, 3 * n) for n in range(60)),
        wishes=NO_COLUMN_LEFT_OUT,
    )
    assert [(r["line"], r["detail"], r["row"]) for r in outcome.rejects] == [
        ("3", r"column 'Unit Price': '12\n$' is not a number", '2,"12\n$"'),
        ("6", "no value in column 'Unit Price'", "3,"),
        ("7", "1 field instead of 2", "4"),
    ]


def test_every_row_knows_its_line():
    outcome = run(b'\nn,t\r\n1,a\r\n2,"b\r\nc"\r\n\r\n3,d\r\nx\r\n4,e\r\n,f\r\n5,g', unit_rows=2)
    assert [row[0] for row in outcome.rows] == [1, 2, 3, 4, 5]
    assert outcome.lines == [3, 4, 7, 9, 11]
    whole = run(b"n\n" + b"1\n" * 200_000 + b"x\n" + b"1\n" * 200_000, piece_bytes=50_000)
    assert whole.lines == [*range(2, 200_002), *range(200_003, 400_003)]
    assert len(whole.lines_parquet) < 2000, "two runs"


def test_names_become_unique_snake_case():
    header = "id,,Prix (€),Prix (€),prix,userID,2024,温度,prix_2,naïve café\n"
    outcome = run((header + ",".join("1" * 10) + "\n" + ",".join("2" * 10) + "\n").encode())
    columns = outcome.cleaned.columns
    expected = [
        "id",
        "column_2",
        "prix",
        "prix_3",
        "prix_4",
        "user_id",
        "c_2024",
        "column_8",
        "prix_2",
        "naive_cafe",
    ]
    assert [column.name for column in columns] == expected
    assert [column.source_name for column in columns] == header.strip().split(",")


def test_incomplete_rows_are_kept_on_request():
    outcome = run(b"a,b,c\n1,2,x\n,3,?\n4,-,y\n5,1e999,z\n", incomplete_rows="keep")
    assert outcome.rows == [(1, 2, "x"), (None, 3, "?"), (4, None, "y"), (5, None, "z")]
    assert outcome.reasons == {}
    assert [column.missing for column in outcome.cleaned.columns] == [1, 2, 0]
    assert [
        (r.code, r.column) for r in outcome.cleaned.remarks if r.code == "cells-without-value"
    ] == [("cells-without-value", "b")]


def test_a_column_that_turns_to_text_at_row_900000():
    lines = [b"%d,%d.25" % (i, i) for i in range(1_000_000)]
    lines[899_999:] = [b"%d,unknown" % i for i in range(899_999, 1_000_000)]
    outcome = run(b"id,reading\n" + b"\n".join(lines))
    assert outcome.cleaned.rows == 899_999
    assert outcome.cleaned.rejected == {"not a number": 100_001}
    assert outcome.rejects[0] == {
        "line": "900001",
        "reason": "not a number",
        "detail": "column 'reading': 'unknown' is not a number",
        "row": "899999,unknown",
    }
    assert outcome.rejects[-1]["line"] == "1000001"
    assert math.isclose(outcome.table["reading"][-1].as_py(), 899_998.25, rel_tol=1e-7)
    outcome.cleaned.check(20)
    with pytest.raises(
        StageError,
        match=(
            r"100,001 of 1,000,000 rows \(10.0 %\).*allowed are 5 %.*mostly 'not a number'.*in line"
            r" 900001"
        ),
    ):
        outcome.cleaned.check(5)


@pytest.mark.parametrize("quote", [b"", b'"'])
def test_a_field_of_100_mb(quote):
    data = b"id,text\n" + b"1,a\n" * 9 + b"2," + quote + b"x" * 100_000_000 + quote + b"\n3,b\n"
    outcome = run(data)
    assert outcome.rows == [(1, "a")] * 9 + [(3, "b")]
    [reject] = outcome.rejects
    assert (reject["line"], reject["reason"]) == ("11", "row too long")
    assert len(reject["row"]) < 5000
    assert reject["row"].endswith(f"({len(data) - 8 - 36 - 4:,} bytes)")


def test_a_quote_that_is_never_closed_costs_one_row():
    rest = [b"%d,b" % i for i in range(3000)]
    for size in (
        1 << 20,
        4096,
    ):  # closed neither before the end of the file, nor within the longest row allowed
        outcome = run(b"id,text\n1,a\n" + b'2,"open\n' + b"\n".join(rest), max_record_bytes=size)
        assert outcome.reasons == {3: "quote never closed"}
        assert outcome.cleaned.rows == 3001


def test_gzip_under_a_csv_name_of_several_members():
    data = GOOD + b"x,y\n"
    outcome = run(gzip.compress(data[:50], mtime=0) + gzip.compress(data[50:], mtime=0))
    assert outcome.cleaned.compression == "gzip"
    assert outcome.cleaned.rows == 20
    assert outcome.reasons == {22: "not a number"}


def test_everything_rejected_is_an_error():
    outcome = run(b"a,b\n,1\n,2\n,3\n")
    assert outcome.cleaned.rows == 3, "an empty column is no number column"
    with pytest.raises(StageError, match=r"4 of 4 rows \(100.0 %\)"):
        run(b"a,b\n1,\n2,\n,3\n,4\n", wishes=NO_COLUMN_LEFT_OUT)

r"""Quotes, escapes and marks that stand after what the grammar is decided from: the rows are read as
they are meant, or told.
"""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.workloads.preprocess.cleaning import Outcome, run
from workloads.preprocess import detect, source

EARLY = 120
"""Rows that fill more than the sample."""
LOOK = 1 << 10
HEADER = ["id", "text", "note"]
ESCAPED: dict[str, Any] = {"doublequote": False, "escapechar": "\\"}
EVERY: dict[str, Any] = {"quoting": csv.QUOTE_ALL}


@pytest.fixture(autouse=True, scope="module")
def smaller():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "SAMPLE_BYTES", 2 * LOOK)
        patch.setattr(detect, "_LOOK_CHARACTERS", LOOK)
        patch.setattr(detect, "_SNIFF_CHARACTERS", LOOK)
        yield


def written(rows: list[list[str]], **dialect: Any) -> str:
    target = io.StringIO(newline="")
    csv.writer(target, **{"lineterminator": "\n", **dialect}).writerows(rows)
    return target.getvalue()


def plain_rows(count: int = EARLY, text: str = "word {}") -> list[list[str]]:
    return [[str(i), text.format(i % 7), "not, much" if i % 3 else "all"] for i in range(count)]


def read(
    late: str, *, early: list[list[str]] | None = None, piece_bytes: int = 1 << 20, **dialect: Any
) -> Outcome:
    """Rows whose grammar shows in the beginning, and others below them."""
    rows = plain_rows() if early is None else early
    text = written([HEADER, *rows], **dialect) + late
    return run(text.encode(), piece_bytes=piece_bytes)


def remarks(outcome: Outcome) -> dict[str, str]:
    return {remark.code: remark.sentence for remark in outcome.cleaned.remarks}


CELLS = [
    'he said "hi" there',
    'a", "b',
    'a","b',
    'x"',
    '"x',
    '"',
    'say "a, b" now',
    'C:\\dir\\ "q"',
    'two\n"lines"',
    '"two"\nlines',
]


@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
@pytest.mark.parametrize("cell", CELLS)
def test_an_escape_that_one_late_row_shows(cell, quoting, quote):
    row = [str(EARLY), cell.replace('"', quote), "z"]
    dialect = ESCAPED | {"quoting": quoting, "quotechar": quote}
    outcome = read(written([row, ["7", "w", "z"]], **dialect), **dialect)
    assert outcome.rows[EARLY:] == [(EARLY, row[1], "z"), (7, "w", "z")]
    assert not outcome.rejects
    assert outcome.cleaned.passes == 2
    assert "later ones make sense only so" in remarks(outcome)["escape"]


def test_an_escape_that_swallows_the_row_below_in_a_record_of_the_right_width():
    rows = [[str(EARLY), 'a, b"', "z"], ["7", 'c d"', "z"]]
    outcome = read(written(rows, **ESCAPED))
    assert [row[1] for row in outcome.rows[EARLY:]] == ['a, b"', 'c d"']


def test_an_escape_before_a_delimiter_where_no_quotes_are():
    outcome = read(
        f"{EARLY},a\\,b,z\n", early=[[str(i), f"word {i % 7}", "all"] for i in range(EARLY)]
    )
    assert outcome.rows[-1] == (EARLY, "a,b", "z")


def test_an_escape_in_rows_with_empty_fields_after_the_last_column():
    early = written([HEADER, *plain_rows()], **EVERY).replace("\n", ",\n")
    late = f'"{EARLY}","a \\"q\\" b","z",\n"7","w","z",\n'
    outcome = run((early + late).encode())
    assert outcome.rows[EARLY:] == [(EARLY, 'a "q" b', "z"), (7, "w", "z")]
    assert "rows-cut" not in remarks(outcome)


def test_late_types_and_a_late_escape():
    rows = [[str(i), f"{i}", "all"] for i in range(2 * EARLY)]
    late = [[str(2 * EARLY + i), f"{i}.5", f'"{i}"'] for i in range(EARLY)]
    outcome = read(written(late, **EVERY, **ESCAPED), early=rows, **EVERY, **ESCAPED)
    assert outcome.rows[-1] == (3 * EARLY - 1, EARLY - 0.5, f'"{EARLY - 1}"')
    assert outcome.cleaned.rows == 3 * EARLY
    assert outcome.cleaned.passes == 4, "one for the escape, and as many as types may take"


def test_the_first_reading_ends_where_a_thousand_rows_show_an_escape():
    kept = []
    rows = [[str(EARLY + i), f'say "{i}"', "z"] for i in range(3000)]
    text = written([HEADER, *plain_rows(), *rows], **EVERY, **ESCAPED)
    outcome = run(text.encode(), piece_bytes=4096, progress=lambda rows, _: kept.append(rows))
    assert [row[1] for row in outcome.rows[EARLY:]] == [row[1] for row in rows]
    assert outcome.cleaned.passes == 2
    assert max(kept[:-1]) < EARLY + 2000, "the second reading is one block"


DAMAGED = '"999","he said \\"hi\\" there","z"\n'


@pytest.mark.parametrize(
    ("early", "late"),
    [
        pytest.param("C:\\dir {}\\", "", id="in every row"),
        pytest.param("\\\\server\\share {}", "", id="no end, but pairs that would be halved"),
        pytest.param("word {}", '"998","C:\\dir\\","z"\n', id="as many rows for as against"),
        pytest.param("word {}", '"998","C:\\dir\\,x","z"\n', id="before a delimiter"),
    ],
)
def test_backslashes_that_escape_nothing_stay_and_a_damaged_row_is_told(early, late):
    rows = plain_rows(text=early)
    outcome = read(late + DAMAGED, early=rows, **EVERY)
    assert [list(map(str, row)) for row in outcome.rows[:EARLY]] == rows
    assert outcome.rows[-1] == (999, 'he said \\"hi\\" there', "z")
    assert outcome.cleaned.passes == 1
    line = EARLY + 2 + bool(late)
    assert (
        f"in 1 row quotes are not as in the rest of the file, first in line {line}"
        in (remarks(outcome)["odd-quotes"])
    )


def test_backslashes_at_the_end_of_late_fields_stay():
    late = [[str(EARLY + i), "C:\\dir\\", '"doubled"'] for i in range(9)]
    outcome = read(written(late, **EVERY), **EVERY)
    assert [list(map(str, row)) for row in outcome.rows[EARLY:]] == late
    assert "escape" not in remarks(outcome)


@pytest.mark.parametrize(
    "dialect",
    [{}, EVERY, {"delimiter": "§"}, {"delimiter": "§", **EVERY}, {"quotechar": "'"}, ESCAPED],
)
@pytest.mark.parametrize("field", ['"x"y', '"x" y', ' "x"', '"x "y" z"', '"a\nb"c'])
def test_odd_quotes_are_told_with_their_line(field, dialect):
    quote, delimiter = dialect.get("quotechar", '"'), dialect.get("delimiter", ",")
    texts = ["x", "Ann Lee", "p.q", "7b", "a-b"]
    early = [[str(i), texts[i % 5], "not, much" if i % 3 else "all"] for i in range(EARLY)]
    early[0][1] = 'a "quote", said'  # so that an escape shows
    late = delimiter.join([str(EARLY), field.replace('"', quote), "z"])
    outcome = read(f"{late}\n5{delimiter}x{delimiter}y\n", early=early, **dialect)
    told = f"first in line {EARLY + 2}" in remarks(outcome).get("odd-quotes", "")
    assert told or EARLY + 2 in outcome.reasons
    assert outcome.rows[-1] == (5, "x", "y")


def test_blanks_before_quotes():
    outcome = read(f'{EARLY}, "a, b", z\n{EARLY + 1}, "ab",z\n')
    assert outcome.rows[-1] == (EARLY + 1, "ab", "z")
    assert EARLY + 2 in outcome.reasons or outcome.rows[-2][1] == "a, b"
    assert "odd-quotes" in remarks(outcome)


def test_a_delimiter_of_two_characters_inside_of_quotes():
    early = written([HEADER, *plain_rows()], delimiter="|").replace("|", "||")
    outcome = run(f'{early}{EARLY}||"a||b"||z\n{EARLY + 1}||"a||b"c||z\n'.encode())
    assert [row[1] for row in outcome.rows[EARLY:]] == ["a||b", "a||bc"]
    assert f"first in line {EARLY + 3}" in remarks(outcome)["odd-quotes"]


def test_fields_in_apostrophes_are_told():
    outcome = read(f"{EARLY},'ab',z\n{EARLY + 1},it's,'t was\n{EARLY + 2},\"values ('a','b')\",z\n")
    assert outcome.rows[EARLY][1] == "'ab'"
    assert f"in 1 row, first in line {EARLY + 2}," in remarks(outcome)["apostrophes"]


@pytest.mark.parametrize("piece_bytes", [7, 1 << 20])
def test_joined_files(piece_bytes):
    second = [HEADER, *[[str(EARLY + i), f"word {i}", "all"] for i in range(3)]]
    joined = "".join("\ufeff" + written(second, **EVERY) for _ in range(2))
    outcome = read(joined, piece_bytes=piece_bytes, **EVERY)
    assert outcome.rows[EARLY:] == 2 * [(EARLY + i, f"word {i}", "all") for i in range(3)]
    assert set(outcome.reasons.values()) == {"repeated header"}
    assert remarks(outcome)["marks-within"].startswith("2 rows began with a byte order mark")


words = st.sampled_from(["north", "Ann Lee", "C:\\dir", "x", "7b"])
between = st.sampled_from(
    [" ", ", ", "; ", '"', '""', '", "', '","', '" ', "\\", "\\ ", "\n", '\n"', "'", "\t", "é"]
)
special = st.builds("{}{}{}{}".format, words, between, words, st.sampled_from(["", '"', "\\"]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    late=st.lists(special, min_size=1, max_size=4),
    doubled=st.booleans(),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    delimiter=st.sampled_from([",", ";", "\t"]),
    piece_bytes=st.sampled_from([500, 1 << 20]),
)
def test_what_a_writer_writes_late_is_read_back_or_told(
    late, doubled, quoting, delimiter, piece_bytes
):
    dialect: dict[str, Any] = {"quoting": quoting, "delimiter": delimiter}
    dialect |= {} if doubled else ESCAPED
    rows = [[str(EARLY + i), cell, "z"] for i, cell in enumerate(late)]
    outcome = read(written(rows, **dialect), piece_bytes=piece_bytes, **dialect)
    assume(doubled or any('"' in cell for cell in late))  # pairs of backslashes alone tell nothing
    found = {row[0]: row[1] for row in outcome.rows}
    wrong = [row for row in rows if found.get(int(row[0])) != row[1]]
    assert not wrong or outcome.rejects or {"odd-quotes"} & remarks(outcome).keys()

"""Small files of the kinds that people report against CSV readers (made up, in `cases/`): every
value, name, type and line is right.

What is right stands here as formulas of the row's number, so that a value that is read wrong cannot
agree with itself. What is not sure, and what was left out, is said.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.workloads.preprocess.cleaning import run

CASES = Path(__file__).parent / "cases"
TYPES = {
    "n": ("int64", "compare"),
    "x": ("double", "compare"),
    "g": ("int64", "describe"),
    "i": ("int64", "keep"),
    "t": ("string", "keep"),
    "d": ("date32[day]", "keep"),
    "s": ("timestamp[us]", "keep"),
}


@dataclass(frozen=True)
class Case:
    """What is right about one file.

    Args:
        columns: Names and letters of TYPES.
        row: The values of the row with a number, counted from 0 in the file; None where that row is
            rejected.
        remarks: Codes of the remarks about the file, in any order; `!` before those that are not
            sure.
        first: Line of row 0.
        count: Rows in the file.
        rejected: Line -> reason.
        blank: Lines without any value among the rows.
        encoding: Of the file.
        delimiter: Of the file.
    """

    columns: str
    row: Callable[[int], tuple[Any, ...] | None]
    remarks: str = ""
    first: int = 2
    count: int = 40
    rejected: dict[int, str] = field(default_factory=dict)
    blank: tuple[int, ...] = ()
    encoding: str = "utf-8"
    delimiter: str = ","


def every(step: int, reason: str, start: int = 0) -> dict[int, str]:
    """Line -> reason, of every so many rows of a file with one header line."""
    return {row + 2: reason for row in range(start, 40, step)}


def cycle(*values: Any) -> Callable[[int], Any]:
    return lambda i: values[i % len(values)]


def cell(name: str, line: int, place: int, delimiter: str = ",") -> str:
    """A cell of a file without quotes, for values that no formula gives."""
    return (CASES / name / "input.csv").read_text().splitlines()[line - 1].split(delimiter)[place]


DEPARTMENTS = cycle("01", "02", "13", "2A", "69", "2B", "75", "88")
CHANCES = cycle(3e-8, 2.5e-12, 1e-47, 4e-89, 1e-320, None, 0.02, 0.5)
FIVE_PAIRS = ((1, 2), (2, 1), (3, 3), (9, 9), (4, 4))
ESCAPED = (
    ("a1", 'text with " one quote', 1),
    ("b2", "plain", 2),
    ("c3", 'also " missing', 3),
    ("d4", "fourth", 4),
)
OFFSETS = cycle(4, 7, 13, 16)
GUESSED = "!no-header"


def near_thousand(i: int) -> tuple[float, ...]:
    return tuple(
        float(cell("n11-near-duplicates-far-from-zero", i + 2, place)) for place in range(3)
    )


RIGHT: dict[str, Case] = {
    "01-utf16-tsv-thousands": Case(
        "shop t visits n sales n",
        lambda i: (f"s{i}", 100 + 7 * i, 900 + 61 * i),
        "number-spelling",
        encoding="utf-16-le",
        delimiter="\t",
    ),
    "03-semicolon-mixed-decimals": Case(
        "plant t loss x weight x",
        lambda i: (f"p{i}", i / 4, 10 + i / 8),
        "number-spelling",
        delimiter=";",
    ),
    "05-european-thousands-integers": Case(
        "stadt t einwohner n flaeche x",
        lambda i: (f"s{i}", 12345 + 1371 * i, 20.5 + i),
        "number-spelling number-spelling",
        delimiter=";",
    ),
    "07-nbsp-thousands-unicode-minus": Case(
        "tag t betrag x saldo x",
        lambda i: (f"d{i}", 14800.5 + 213 * i, (-1) ** i * (i + 0.5)),
        "number-spelling number-spelling number-signs",
        delimiter=";",
    ),
    "08-currency-percent-parentheses": Case(
        "account t amount x margin x change x n n",
        lambda i: (f"a{i}", 1234.5 + 10 * i, 12.5 + i, -(98765 + 100 * i) / 100, i),
        "number-spelling number-signs number-signs number-signs",
    ),
    "09-thousands-from-999-on": Case(
        "month t index n", lambda i: (f"m{i}", 700 + 9 * i), "number-spelling"
    ),
    "12-years-as-header": Case(
        "region t c_2019 n c_2020 n c_2021 n", lambda i: (f"r{i}", 10 + i, 20 + 2 * i, 30 + 3 * i)
    ),
    "15-header-sodium": Case("sample t na x", lambda i: (f"s{i}", 1.5 + i / 4)),
    "17-sep-line-two-columns": Case(
        "name t value x", lambda i: (f"n{i}", 1.5 * i), "separator-line", first=3, delimiter=";"
    ),
    "18-sep-line-three-columns": Case(
        "name t value x k n",
        lambda i: (f"n{i}", 1.5 * i, i),
        "separator-line",
        first=3,
        delimiter=";",
    ),
    "20-units-row": Case(
        "year n temp x oxygen n",
        lambda i: (1980 + i, 20 + i / 8, 200 - i),
        "header-row-left-out",
        first=3,
        rejected={2: "units row"},
    ),
    "21-logger-preamble": Case(
        "timestamp s record n ux x co2 x",
        lambda i: (
            dt.datetime.fromisoformat(f"2012-06-07T13:{i:02d}:00"),
            i,
            0.5 + i / 8,
            659 + i / 4,
        ),
        "!preamble header-row-left-out header-row-left-out",
        first=5,
        rejected={3: "units row", 4: "further header row"},
    ),
    "22-comment-lines": Case(
        "time n co2 x", lambda i: (2000 + i, 370 + 1.5 * i), "!preamble", first=4
    ),
    "24-codes-corsica-double-header": Case(
        "com t nom t dep t tx x",
        lambda i: (f"{1001 + i:05d}", f"V{i}", DEPARTMENTS(i), 30 + i / 4),
        "header-row-left-out identifier !looks-like-numbers",
        first=3,
        rejected={2: "repeated header"},
        delimiter=";",
    ),
    "26-leading-zeros": Case(
        "zip t city t income n",
        lambda i: (f"{501 + 211 * i:05d}", f"C{i}", 40_000 + 100 * i),
        "identifier",
    ),
    "30-backslash-quotes": Case(
        "name t text t n n",
        lambda i: ESCAPED[i] if i < 4 else (f"e{i - 4}", f"x{i - 4}", i - 4),
        "escape",
        count=44,
    ),
    "39-cp1252-smart-quotes": Case(
        "name t comment t v n",
        lambda i: (f"Zo\u00eb{i}", f"\u201cquoted\u201d \u2013 caf\u00e9 \u20ac{i}", i),
        "!encoding",
        encoding="windows-1252",
    ),
    "45-long-ids": Case(
        "id i account i v n",
        lambda i: (1582218195625938945 + i, 16777217 + 2 * i, i),
        "identifier identifier",
    ),
    "46-yyyymmdd": Case("day i cases n", lambda i: (20240101 + i % 28, 3 * i), "identifier"),
    "47-epoch-milliseconds": Case(
        "id i time_ms n price x volume x",
        lambda i: (i, 1748736094501 + 1379 * i, (6850 + i) / 10_000, 100 + 2.5 * i),
        "identifier",
    ),
    "48-tiny-p-values": Case(
        "snp t beta x p x",
        lambda i: None if CHANCES(i) is None else (f"rs{i}", i / 100, CHANCES(i)),
        "!cells-without-value",
        rejected=every(8, "beyond the range of float64", 5),
    ),
    "51-sex-mostly-f": Case(
        "id t sex t mass x", lambda i: (f"m{i}", "F" if i % 6 else "M", 20 + i / 4)
    ),
    "53-wind-mostly-n": Case(
        "id t dir t speed x", lambda i: (f"w{i}", "N" if i % 7 else "S", 3 + i / 4)
    ),
    "55-day-first-dates": Case(
        "day d v n", lambda i: (dt.date(2024, 3, 1 + i % 28), i), "date-format"
    ),
    "56-quarter-missing": Case(
        "id i age g fare x",
        lambda i: (i, 20 + i if i % 4 else None, 7 + i / 4),
        "many-gaps identifier",
    ),
    "57-tsv-lists-beside-points": Case(
        "id i pairs t score x",
        lambda i: (i, f"{i % 9},{3 * i % 7}", 0.5 + i / 8),
        "identifier !looks-like-numbers",
        delimiter="\t",
    ),
    "59-excel-empty-rows": Case("a n b n c n", lambda i: (i, 2 * i, 3 * i), "blank-rows"),
    "60-dotdot-missing": Case(
        "country t y n gdp g", lambda i: (f"c{i}", i, 100 + i if i % 3 else None), "many-gaps"
    ),
    "61-backslash-n-missing": Case(
        "country t y n gdp n",
        lambda i: (f"c{i}", i, 100 + i) if i % 6 else None,
        rejected=every(6, "incomplete"),
    ),
    "64-date-or-unknown": Case(
        "id i when t v n",
        lambda i: (i, f"2024-03-{1 + i % 28:02d}" if i % 6 else "unknown", 2 * i),
        "identifier !looks-like-dates",
    ),
    "66-large-offset": Case("time n sensor n", lambda i: (i, 100_000_000 + i % 5)),
    "68-trailing-delimiter-in-rows-only": Case(
        "name t limit n value x",
        lambda i: (f"case{i}", 100 + i, 1.5 * i),
        "spare-fields",
        delimiter=";",
    ),
    "69-two-title-lines-then-header": Case(
        "id t label t score x", lambda i: (f"g{i}", f"text {i}", i / 4), "!preamble", first=4
    ),
    "70-title-empty-line-header": Case(
        "month t site t litres n", lambda i: (f"m{i}", f"s{i % 3}", 1000 + i), "!preamble", first=4
    ),
    "71-two-header-rows": Case(
        "control_x x control_y x treated_x x treated_y x",
        lambda i: (i / 7, i * 1.1, i / 3, i * 2.2),
        "!header-rows",
        first=3,
    ),
    "72-text-only": Case(
        "department t entity t note t",
        lambda i: (f"D{i % 4}", f"E{i}", f"spoke with {i}"),
        "!nothing-to-compare",
    ),
    "73-comma-and-blank": Case(
        "id i label t value x", lambda i: (i, f"name, {i}", i / 2), "blanks identifier"
    ),
    "74-apostrophe-quotes": Case(
        "id i label t value x", lambda i: (i, f"a, b {i}", i / 2), "quote identifier"
    ),
    "75-numbers-without-header": Case(
        "column_1 x column_2 n column_3 x",
        lambda i: (i / 3, 2 * i, float(cell("75-numbers-without-header", i + 1, 2))),
        GUESSED,
        first=1,
    ),
    "76-mixed-without-header": Case(
        "column_1 n column_2 n column_3 t column_4 t column_5 x",
        lambda i: (1, i, f"f{i}.wav", "di", float(cell("76-mixed-without-header", i + 1, 4))),
        GUESSED,
        first=1,
    ),
    "77-rows-longer-than-header": Case(
        "run n a n b n", lambda i: (i, i + 1, i + 2), "spare-fields"
    ),
    "78-header-with-one-delimiter-more": Case(
        "id i label t value x", lambda i: (i, f"x{i}", i / 2), "surplus-names identifier"
    ),
    "79-header-with-one-delimiter-less": Case(
        "id i labelvalue t column_3 x",
        lambda i: (i, f"x{i}", i / 2),
        "!columns-without-name identifier",
    ),
    "80-two-tables": Case("a n b n c n", lambda i: (i, i + 1, i + 2), "!second-table", count=20),
    "81-hash-before-header": Case("energy_me_v x n x", lambda i: (i / 10, i / 1000), "blanks"),
    "82-dot-among-numbers": Case(
        "site t v x", lambda i: (f"s{i}", i / 2) if i % 9 else None, rejected=every(9, "incomplete")
    ),
    "83-empty-rows-of-commas": Case(
        "a n b n c t", lambda i: (i, 2 * i, f"t{i}"), "blank-rows", blank=(12, 23, 34, 45, 46, 47)
    ),
    "84-spaces-in-columns": Case(
        "t n cp x s x",
        lambda i: (5 * i + 5, (35 * i + 35) / 100, (6 * i + 6) / 1000),
        "!delimiter",
        delimiter="blanks",
    ),
    "n01-variance-at-an-offset": Case("t n v n", lambda i: (i, 1_000_000_000 + OFFSETS(i))),
    "n06-five-rows": Case("x n y n", lambda i: FIVE_PAIRS[i], count=5),
    "n08-identical-rows": Case("x n y n", lambda _: (1, 2)),
    "n11-near-duplicates-far-from-zero": Case("a x b x c x", near_thousand, count=400),
}


def test_every_case_is_here():
    assert sorted(path.name for path in CASES.iterdir()) == sorted(RIGHT)


@pytest.mark.parametrize("name", RIGHT)
def test_case(name):
    right = RIGHT[name]
    outcome = run((CASES / name / "input.csv").read_bytes())
    cleaned = outcome.cleaned
    names, letters = right.columns.split()[::2], right.columns.split()[1::2]
    assert [column.name for column in cleaned.columns] == names
    assert [(column.type, column.use) for column in cleaned.columns] == [
        TYPES[letter] for letter in letters
    ]
    expected = [right.row(i) for i in range(right.count)]
    kept = [row for row in expected if row is not None]
    assert len(outcome.rows) == len(kept)
    for found, row in zip(outcome.rows, kept, strict=True):
        assert found == row
        assert [type(one) for one in found] == [
            float if letter == "x" else type(one) for one, letter in zip(row, letters, strict=True)
        ]
    lines = [
        line
        for line in range(right.first, right.first + right.count + len(right.blank))
        if line not in right.blank
    ]
    assert outcome.lines == [
        line for line, row in zip(lines, expected, strict=False) if row is not None
    ]
    assert outcome.reasons == right.rejected
    assert cleaned.rows_read == cleaned.rows + len(right.rejected)
    assert (cleaned.encoding, cleaned.dialect.delimiter) == (right.encoding, right.delimiter)
    told = [remark.code if remark.sure else f"!{remark.code}" for remark in cleaned.remarks]
    assert sorted(told) == sorted(right.remarks.split())
    missing = [sum(row[place] is None for row in kept) for place in range(len(names))]
    assert [column.missing for column in cleaned.columns] == missing


SENTENCES = {
    "20-units-row": "line 2 below the header was left out: units row",
    "21-logger-preamble": (
        "one line before the table was set aside, the first: 'LOGGER CR3000 6843 prog.CR3'"
    ),
    "48-tiny-p-values": (
        "5 cells with another content, such as '1e-434' (beyond the range of float64); their rows"
        " were rejected"
    ),
    "56-quarter-missing": (
        "has no value in 25.0 % of the rows; it is described and left out of the comparison"
    ),
    "68-trailing-delimiter-in-rows-only": "an empty field after the last column was left out",
    "75-numbers-without-header": (
        "no row of names was found; the columns are called column_1 to column_3"
    ),
    "77-rows-longer-than-header": "3 empty fields after the last column were left out",
    "79-header-with-one-delimiter-less": "the header has no name for column 3",
    "80-two-tables": "another table begins in line 23; only the first one was read, up to there",
}


@pytest.mark.parametrize("name", SENTENCES)
def test_the_word_says_what_and_where(name):
    outcome = run((CASES / name / "input.csv").read_bytes())
    assert any(SENTENCES[name] in remark.sentence for remark in outcome.cleaned.remarks)


def test_tiny_values_are_the_doubles_nearest_to_their_text():
    found: set[Any] = set(
        run((CASES / "48-tiny-p-values" / "input.csv").read_bytes()).table["p"].to_pylist()
    )
    assert {1e-47, 4e-89, 1e-320} <= found
    assert 0.0 not in found
    assert all(0 < value < 1 for value in found)

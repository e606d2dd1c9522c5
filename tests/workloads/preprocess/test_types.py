"""What columns are: each case is a small file as people write them, with the right values in it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pytest

from tests.workloads.preprocess.cleaning import Outcome, run

ROWS = 40


def column(
    cells: Sequence[str],
    *,
    delimiter: str = ",",
    name: str = "v",
    beside: Sequence[str] | None = None,
) -> Outcome:
    """A file of a column of names, the column in question and, if any, one beside it."""
    cells = [cells[i % len(cells)] for i in range(max(ROWS, len(cells)))]

    def cell(text: str) -> str:
        return f'"{text}"' if delimiter in text else text

    rows = [
        [f"n{i}", cell(text), *([cell(beside[i % len(beside)])] if beside else [])]
        for i, text in enumerate(cells)
    ]
    header = ["name", name, *(["beside"] if beside else [])]
    return run("\n".join(delimiter.join(row) for row in [header, *rows]).encode())


def decided(outcome: Outcome, place: int = 1) -> tuple[str, str, str]:
    found = outcome.cleaned.columns[place]
    return found.kind, found.type, found.use


def values(outcome: Outcome, count: int, place: int = 1) -> list[Any]:
    return [row[place] for row in outcome.rows[:count]]


def codes(outcome: Outcome) -> dict[str, bool]:
    return {remark.code: remark.sure for remark in outcome.cleaned.remarks}


FLOAT, WHOLE = ("number", "double", "compare"), ("number", "int64", "compare")
KEPT_WHOLE, TEXT = ("number", "int64", "keep"), ("text", "string", "keep")
DATE, TIME, TRUTH = (
    ("date", "date32[day]", "keep"),
    ("timestamp", "timestamp[us]", "keep"),
    ("boolean", "bool", "keep"),
)
NOON = dt.datetime.fromisoformat("2024-01-01T12:00:00")
HOLDS_ALL: dict[str, Any] = {
    # numbers in other spellings
    "thousands beside small ones": (["900", "961", "1,022", "3,279"], ",", WHOLE, [900, 961, 1022, 3279]),
    "thousands after a semicolon": (["900", "961", "1,022"], ";", WHOLE, [900, 961, 1022]),
    "millions": (["1,234,567", "12", "999"], ",", WHOLE, [1234567, 12, 999]),
    "Indian groups": (["12,34,567", "5,000"], ",", WHOLE, [1234567, 5000]),
    "thousands and decimals": (["1,234.50", "9.25"], ",", FLOAT, [1234.5, 9.25]),
    "European thousands and decimals": (["1.234,50", "9,25"], ";", FLOAT, [1234.5, 9.25]),
    "European thousands": (["1.234.567", "12.000", "7"], ";", WHOLE, [1234567, 12000, 7]),
    "Swiss apostrophes": (["1'234.5", "1\u2019000", "9"], ",", FLOAT, [1234.5, 1000, 9]),
    "no-break blanks": (["14\u00a0800,50", "1\u202f000", "3,5"], ";", FLOAT, [14800.5, 1000, 3.5]),
    "thin blanks": (["1\u2009234", "999"], ",", WHOLE, [1234, 999]),
    "another minus": (["\u22121.5", "2.5", "\u20133"], ",", FLOAT, [-1.5, 2.5, -3]),
    "minus behind": (["5-", "12.5-", "3"], ",", FLOAT, [-5, -12.5, 3]),
    "parentheses": (["(987.65)", "12.00", "(1,000)"], ",", FLOAT, [-987.65, 12, -1000]),
    "dollars": (["$1,234.50", "-$2.25", "($3)"], ",", FLOAT, [1234.5, -2.25, -3]),
    "euros behind": (["5,00 €", "1.200,50 €"], ";", FLOAT, [5, 1200.5]),
    "currency codes": (["EUR 5.50", "EUR 6"], ",", FLOAT, [5.5, 6]),
    "pounds": (["£3", "£4,500"], ",", WHOLE, [3, 4500]),
    "percent": (["12.5%", "13 %"], ",", FLOAT, [12.5, 13]),
    "one unit": (["5 kg", "6.5 kg", "1,200 kg"], ",", FLOAT, [5, 6.5, 1200]),
    "degrees": (["21.5°C", "-3°C"], ",", FLOAT, [21.5, -3]),
    "exponents": (["1e5", "2.5E-3", "-4e+2"], ",", FLOAT, [1e5, 2.5e-3, -400]),
    "bare points": ([".5", "6.", "-.25"], ",", FLOAT, [0.5, 6, -0.25]),
    "plus signs": (["+5", "-3", "0"], ",", WHOLE, [5, -3, 0]),
    "blanks around": ([" 5", "6 ", " 7 "], ",", WHOLE, [5, 6, 7]),
    # exact
    "17 digits of a float": (["0.30000000000000004", "1.7976931348623157e308"], ",", FLOAT, [0.30000000000000004, 1.7976931348623157e308]),
    "tiny": (["1e-47", "4e-89", "5e-324"], ",", FLOAT, [1e-47, 4e-89, 5e-324]),
    "beyond float32": (["16777217", "16777219"], ",", WHOLE, [16777217, 16777219]),
    "large offset": (["1000000004", "1000000007", "1000000013"], ",", WHOLE, [1000000004, 1000000007, 1000000013]),
    "milliseconds since 1970": (["1748736094501", "1748736095880"], ",", WHOLE, [1748736094501, 1748736095880]),
    "cents": (["5100038997.37", "5100038997.38"], ",", FLOAT, [5100038997.37, 5100038997.38]),
    "zero and one": (["0", "1"], ",", WHOLE, [0, 1]),
    # no quantities
    "leading zeros": (["00501", "12345"], ",", TEXT, ["00501", "12345"]),
    "months of two digits": (["01", "11"], ",", TEXT, ["01", "11"]),
    "19 digits": (["1582218195625938945", "1582218195625938946"], ",", KEPT_WHOLE, [1582218195625938945, 1582218195625938946]),
    "beyond int64": (["18446744073709551616", "18446744073709551617"], ",", TEXT, ["18446744073709551616", "18446744073709551617"]),
    "card numbers": (["4000000000000001", "4000000000000002"], ",", KEPT_WHOLE, [4000000000000001, 4000000000000002]),
    "days as digits": (["20240101", "20231231"], ",", KEPT_WHOLE, [20240101, 20231231]),
    "codes among numbers": (["13", "2A", "2B", "69"], ",", TEXT, ["13", "2A", "2B", "69"]),
    "codes among numbers with a point": (["250.0", "V45.1", "401.9", "276.5"], ",", TEXT, ["250.0", "V45.1", "401.9", "276.5"]),
    "codes that look like exponents": (["1E5", "3E2", "12E4"], ",", TEXT, ["1E5", "3E2", "12E4"]),
    "international telephone numbers": (["+4930123456", "+4930123457"], ",", TEXT, ["+4930123456", "+4930123457"]),
    "grouped telephone numbers": (["600 123 456", "600 123 457"], ",", TEXT, ["600 123 456", "600 123 457"]),
    "IP addresses": (["192.168.100.200", "192.168.100.201"], ",", TEXT, ["192.168.100.200", "192.168.100.201"]),
    "versions": (["1.2.3", "1.10.0"], ",", TEXT, ["1.2.3", "1.10.0"]),
    "times of day": (["10:30", "11:45"], ",", TEXT, ["10:30", "11:45"]),
    "hexadecimal": (["0x1F", "0x20"], ",", TEXT, ["0x1F", "0x20"]),
    "underscores": (["1_000", "2_000"], ",", TEXT, ["1_000", "2_000"]),
    "fractions": (["1/2", "3/4"], ",", TEXT, ["1/2", "3/4"]),
    "ranges": (["18-24", "25-34"], ",", TEXT, ["18-24", "25-34"]),
    "several currencies": (["$5", "€6"], ",", TEXT, ["$5", "€6"]),
    "several units": (["5 kg", "6 lb"], ",", TEXT, ["5 kg", "6 lb"]),
    "lists beside points": (["0,0", "1,3", "2,6"], "\t", TEXT, ["0,0", "1,3", "2,6"]),
    # truth
    "yes and no": (["Yes", "No"], ",", TRUTH, [True, False]),
    "true and false": (["TRUE", "False"], ",", TRUTH, [True, False]),
    "t and f": (["t", "f"], ",", TRUTH, [True, False]),
    "ja and nein": (["ja", "nein"], ",", TRUTH, [True, False]),
    "F alone": (["F"], ",", TEXT, ["F"]),
    "F and M": (["F", "M", "F"], ",", TEXT, ["F", "M", "F"]),
    "N and S": (["N", "N", "S"], ",", TEXT, ["N", "N", "S"]),
    "yes alone": (["yes"], ",", TEXT, ["yes"]),
    "yes and F": (["yes", "F"], ",", TEXT, ["yes", "F"]),
    "a third word": (["Yes", "No", "No phone service"], ",", TEXT, ["Yes", "No", "No phone service"]),
    "more": (["1", "2", "3", "more"], ",", TEXT, ["1", "2", "3", "more"]),
    # dates
    "ISO dates": (["2024-02-29", "2023-01-01"], ",", DATE, [dt.date(2024, 2, 29), dt.date(2023, 1, 1)]),
    "day first with points": (["01.03.2024", "2.3.2024"], ",", DATE, [dt.date(2024, 3, 1), dt.date(2024, 3, 2)]),
    "day first with slashes": (["13/03/2024", "02/03/2024"], ",", DATE, [dt.date(2024, 3, 13), dt.date(2024, 3, 2)]),
    "month first": (["03/13/2024", "03/02/2024"], ",", DATE, [dt.date(2024, 3, 13), dt.date(2024, 3, 2)]),
    "month names": (["5 Mar 2024", "15 Dec 2023"], ",", DATE, [dt.date(2024, 3, 5), dt.date(2023, 12, 15)]),
    "month names first": (["Jan 5, 2020", "Dec 31, 2020"], ",", DATE, [dt.date(2020, 1, 5), dt.date(2020, 12, 31)]),
    "either order": (["01/02/2024", "03/04/2024"], ",", TEXT, ["01/02/2024", "03/04/2024"]),
    "timestamps": (["2024-01-01 12:00:00", "2024-01-01T12:00"], ",", TIME, [NOON, NOON]),
    "nanoseconds": (["2024-01-01T10:11:12.123456789"], ",", TEXT, ["2024-01-01T10:11:12.123456789"]),
    "quarters": (["2024Q1", "2024Q2"], ",", TEXT, ["2024Q1", "2024Q2"]),
    # text
    "dashes among words": (["-", "a", "?"], ",", TEXT, ["-", "a", "?"]),
    "None among words": (["None", "Brick"], ",", TEXT, ["None", "Brick"]),
    "Namibia": (["NA", "DE", "FR", "US", "IT", "ES", "PT", "NL", "BE", "AT", "CH", "PL"], ",", TEXT, ["NA", "DE", "FR"]),
    "addresses": (["12 Main St", "7 Oak Ave"], ",", TEXT, ["12 Main St", "7 Oak Ave"]),
}  # fmt: skip


@pytest.mark.parametrize("case", HOLDS_ALL)
def test_a_column_is_what_a_person_would_say_and_keeps_every_value(case):
    cells, delimiter, kind, expected = HOLDS_ALL[case]
    outcome = column(cells, delimiter=delimiter, beside=["0.5", "2.25"])
    assert decided(outcome) == kind
    assert values(outcome, len(expected)) == expected
    assert outcome.cleaned.rows == outcome.cleaned.rows_read == ROWS
    assert outcome.cleaned.columns[1].missing == 0


@pytest.mark.parametrize(
    ("marker", "others"),
    [
        (marker, ["101", "102.5"])
        for marker in (
            "..",
            r"\N",
            ".",
            "NA",
            "-",
            "n/a",
            "null",
            "#N/A",
            "NaN",
            "?",
            "\u2014",
            "N.A.",
            "*",
            "",
        )
    ]
    + [
        ("NA", ["2024-01-01", "2024-01-02"]),
        ("-", ["yes", "no"]),
        ("NA", ["a", "b"]),
        ("", ["a", "b"]),
        (r"\N", ["a", "b"]),
    ],
)
def test_missing_by_column(marker, others):
    outcome = column([*others, *others, *others, *others, *others, marker], name="w")
    kept = values(outcome, outcome.cleaned.rows)
    missing = ROWS // 11 + (ROWS % 11 == 0)
    if decided(outcome)[2] == "compare":
        assert outcome.cleaned.rejected == {"incomplete": missing}
        assert None not in kept
    else:
        assert kept.count(None) == outcome.cleaned.columns[1].missing == missing
        assert outcome.cleaned.rows == ROWS


AMBIGUOUS: dict[str, Any] = {
    "1,234 alone": (["1,234", "5,678"], ",", None, [1234, 5678], False),
    "1,234 in a file of points": (["1,234", "5,678"], ",", ["0.5", "1.25"], [1234, 5678], True),
    "1,234 in a file of commas": (["1,234", "5,678"], ";", ["0,5", "1,25"], [1.234, 5.678], True),
    "12.345 alone": (["12.345", "67.891"], ",", None, [12.345, 67.891], False),
    "12.345 in a file of points": (
        ["12.345", "67.891"],
        ",",
        ["0.5", "1.25"],
        [12.345, 67.891],
        True,
    ),
    "12.345 in a file of commas": (
        ["12.345", "67.891"],
        ";",
        ["0,5", "1,25"],
        [12345, 67891],
        True,
    ),
    "12.345 beside wholes": (
        [*(f"{i}.{100 + i}" for i in range(12, 45)), "900"],
        ";",
        None,
        [12112, 13113],
        False,
    ),
    "1,234 beside 1234": (["1,234", "1234", "5,678"], ";", None, [1.234, 1234, 5.678], False),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_what_could_mean_two_numbers_is_decided_by_a_rule_and_said(case):
    cells, delimiter, beside, expected, sure = AMBIGUOUS[case]
    outcome = column(cells, delimiter=delimiter, beside=beside)
    assert values(outcome, len(expected)) == expected
    unsure = [
        remark for remark in outcome.cleaned.remarks if remark.column == "v" and not remark.sure
    ]
    assert bool(unsure) is not sure, outcome.cleaned.remarks


@pytest.mark.parametrize(
    ("cells", "delimiter", "code"),
    [
        (["1", "2", "3", "more"], ",", "looks-like-numbers"),
        (["13", "2A", "2B", "69", "5", "6", "7", "8", "9"], ",", "looks-like-numbers"),
        (["$5", "€6"], ",", "looks-like-numbers"),
        (["5 kg", "6 lb"], ",", "several-units"),
        (["0,0", "1,3", "2,6"], "\t", "looks-like-numbers"),
        (["01/02/2024", "03/04/2024"], ",", "ambiguous-date"),
        (["unknown", "2024-03-01", "2024-03-02", "2024-03-03"], ",", "looks-like-dates"),
        (["NA", *(f"{a}{b}" for a in "ABC" for b in "WXYZ")], ",", "na-is-a-code"),
    ],
)
def test_a_column_that_was_not_read_as_it_looks_is_told(cells, delimiter, code):
    outcome = column(cells, delimiter=delimiter, beside=["0.5", "2.25"])
    assert codes(outcome).get(code) is False
    assert outcome.cleaned.rows == ROWS


@pytest.mark.parametrize(
    ("name", "cells", "use"),
    [
        ("id", [str(i) for i in range(100, 140)], "keep"),
        ("customerID", [str(i * 7) for i in range(100, 140)], "keep"),
        ("rownames", [str(i) for i in range(1, 41)], "keep"),
        ("zip", ["10115", "80331"], "keep"),
        ("phone", ["5551234567", "5559876543"], "keep"),
        ("index", [str(700 + 9 * i) for i in range(40)], "compare"),
        ("width", [str(i) for i in range(1, 41)], "compare"),
        ("2019", [str(i) for i in range(1, 41)], "compare"),
        ("idle", [str(i) for i in range(1, 41)], "compare"),
        ("paid", [str(i) for i in range(1, 41)], "compare"),
        ("cell_count", ["12", "13"], "compare"),
        (
            "reading",
            [str(5_000_000_000 + (i * 7919 * 1234567) % 4_999_999_999) for i in range(40)],
            "keep",
        ),
    ],
)
def test_identifiers_are_kept_and_not_compared(name, cells, use):
    outcome = column(cells, name=name, beside=["0.5", "2.25"])
    assert decided(outcome) == ("number", "int64", use)
    assert [str(value) for value in values(outcome, len(cells))] == cells
    assert ("identifier" in codes(outcome)) is (use == "keep")


def test_out_of_range_is_told_at_both_ends():
    outcome = column(["1e-434", *["0.5"] * 8, "1e400", *["2.5"] * 10])
    assert decided(outcome) == FLOAT
    assert outcome.cleaned.rejected == {"beyond the range of float64": 4}
    assert 0.0 not in values(outcome, outcome.cleaned.rows)


def test_a_wrong_cell_costs_no_row_where_nobody_compares_the_column():
    outcome = column([*["2024-01-01"] * 39, "soon"], beside=["0.5", "2.25"])
    assert decided(outcome)[0] == "date"
    assert outcome.cleaned.rows == ROWS
    assert values(outcome, ROWS)[-1] is None
    [remark] = [one for one in outcome.cleaned.remarks if one.code == "cells-without-value"]
    assert remark.column == "v"
    assert "1 cell with another content, such as 'soon'" in remark.sentence


def test_sentences_hold_no_controls_and_no_values_where_these_are_not_to_be_shown():
    from workloads.preprocess.plan import Wishes

    data = "a\tb\n" + "1\t2.5\n" * 30 + "\x1b[31m\u202ex\t3.5\n"
    shown, hidden = run(data.encode()), run(data.encode(), wishes=Wishes(show_values=False))
    [(sentence,)] = [
        (r.sentence,) for r in shown.cleaned.remarks if r.code == "cells-without-value"
    ]
    assert r"'\x1b[31m\u202ex'" in sentence
    assert r"\x1b[31m\u202ex" in shown.rejects[0]["detail"]
    said = [*(r.sentence for r in hidden.cleaned.remarks), *hidden.cleaned.examples.values()]
    assert said
    assert not any("31m" in one for one in said)

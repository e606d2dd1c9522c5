"""Numbers for people: what is shown is near the number, and never a lie at the ends."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads import formats
from workloads.postprocess import figures


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, formats.DASH),
        (math.nan, formats.DASH),
        (math.inf, formats.DASH),
        (0.0, "0"),
        (-0.0, "0"),
        (1234567.8, "1,234,568"),
        (0.000123456, "0.0001235"),
        (12.3456, "12.35"),
        (-7.0, "-7"),
        (1e-40, "1e-40"),
        (3.2e38, "3.2e38"),
        (999.96, "1,000"),
        (0.1, "0.1"),
        (100.0, "100"),
    ],
)
def test_numbers(value, shown):
    assert figures.number(value) == shown


@pytest.mark.parametrize(
    ("value", "spread", "shown"),
    [
        (1_000_000.4, 0.1, "1,000,000.4"),
        (1_000_000.6, 0.1, "1,000,000.6"),
        (10_000_000.2, 0.1, "10,000,000.2"),
        (1e12 + 0.25, 0.1, "1,000,000,000,000.25"),
        (1e17, 1e3, "1e17"),
        (1234.5678, 1000.0, "1,235"),
        (0.000012345678, 1e-8, "1.23457e-5"),
        (5.0, 0.0, "5"),
        (5.0, math.nan, "5"),
        (None, 1.0, formats.DASH),
    ],
)
def test_numbers_that_lie_close_together_are_told_apart(value, spread, shown):
    assert figures.number(value, spread=spread) == shown


@given(st.floats(-1e15, 1e15), st.floats(1e-3, 1e15))
def test_two_values_a_spread_apart_never_look_the_same(value, spread):
    other = value + spread
    if abs(other - value) >= spread / 2:  # else float64 itself cannot tell them apart
        assert figures.number(value, spread=spread) != figures.number(other, spread=spread)


@pytest.mark.parametrize(
    ("value", "whole", "shown"),
    [
        (1_000_000_004.0, True, "1,000,000,004"),
        (2.5, True, "2.5"),
        (1_000_000_004.0, False, "1e9"),
        (math.inf, True, formats.DASH),
    ],
)
def test_whole_numbers_are_shown_to_the_last_digit(value, whole, shown):
    assert figures.quantity(value, whole=whole) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (100.04, "100.04"),
        (1048.36058, "1,048.36058"),
        (6.904679999999999, "6.905"),
        (-9.94, "-9.94"),
        (100.0, "100"),
        (0.0, "0"),
        (1e-40, "1e-40"),
        (123456789.5, "123,456,790"),
        (math.inf, formats.DASH),
        (None, formats.DASH),
    ],
)
def test_a_value_of_the_file_is_shown_with_all_its_digits_where_they_are_few(value, shown):
    assert figures.stored(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, formats.DASH),
        (math.nan, formats.DASH),
        (5_100_038_997, "5100038997"),
        (2013.0, "2013"),
        (0.1, "0.1"),
        (1e-47, "1e-47"),
        (1e300, "1e+300"),
        (True, "true"),
        ("00501", "00501"),
    ],
)
def test_a_cell_is_shown_as_it_is_stored(value, shown):
    assert figures.cell(value) == shown


@given(st.floats(-1e300, 1e300))
def test_a_number_is_shown_with_four_significant_digits(value):
    shown = float(figures.number(value).replace(",", ""))
    assert shown == pytest.approx(value, rel=6e-4, abs=0 if abs(value) > 1e-300 else 1e-300)
    assert len(figures.number(value)) <= 13


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 10, "0 %"),
        (10, 10, "100 %"),
        (1, 10**6, "< 0.01 %"),
        (10**6 - 1, 10**6, "> 99.99 %"),
        (1, 3, "33.33 %"),
        (0, 0, formats.DASH),
    ],
)
def test_a_share_is_never_rounded_to_nothing_or_all(part, whole, shown):
    assert figures.percent(part, whole) == shown


def test_units():
    assert [formats.duration(s) for s in (None, 0.25, 12.34, 72.4, 59.99, 7322)] == [
        formats.DASH,
        "250 ms",
        "12.3 s",
        "1 min 12 s",
        "60.0 s",
        "2 h 2 min",
    ]
    assert [formats.dollars(d) for d in (None, 0.0, 1e-6, 0.0123, 1234.5)] == [
        formats.DASH,
        "$0.00",
        "< $0.0001",
        "$0.0123",
        "$1,234.50",
    ]
    assert [figures.size(b) for b in (None, 1000, 1536, 5 << 30)] == [
        formats.DASH,
        "1,000 bytes",
        "1.5 KiB",
        "5 GiB",
    ]
    assert figures.date("20260131") == "2026-01-31"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *((1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (10, "10th"), (11, "11th"), (12, "12th")),
        *((13, "13th"), (21, "21st"), (22, "22nd"), (53, "53rd"), (101, "101st"), (111, "111th")),
        *((112, "112th"), (113, "113th"), (123, "123rd"), (151, "151st"), (200, "200th")),
        *((1_011, "1,011th"), (1_021, "1,021st")),
    ],
)
def test_places(value, shown):
    assert figures.ordinal(value) == shown


@pytest.mark.parametrize(
    ("value", "near", "far", "shown"),
    [
        (1_000_000.0, 12.0, 13.5, "1,000,000 beside 12"),
        (1_000_000.0, 1_000_000.0, 13.5, "1,000,000 beside 1,000,000 and 13.5"),
        (1_000_000.25, 1_000_000.5, 13.5, "1,000,000.25 beside 1,000,000.5 and 13.5"),
        (7.0, 7.0, 7.0, "7 beside 7"),
        (None, 7.0, 7.0, "\N{EN DASH} beside 7"),
        (7.0, None, None, "7 beside \N{EN DASH}"),
    ],
)
def test_a_value_stands_beside_the_nearest_rows_and_where_that_is_odd_too_beside_another(
    value, near, far, shown
):
    part = {"value": value, "neighbour_value": near, "kth_value": far}
    assert figures.pair(part) == shown

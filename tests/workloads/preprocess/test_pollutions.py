"""Polluted files come out as their source; scored as the Pollock benchmark does, by value."""

from __future__ import annotations

import pytest

from tests.workloads.preprocess.pollutions import (
    Polluted,
    one_per_cell,
    score,
    sensors,
    shop,
    whole_file,
)
from tests.workloads.preprocess.reading import read

TABLES = {"shop": shop, "sensors": sensors}


def points(polluted: Polluted) -> float:
    reading = read(polluted.text)
    header = reading.names if reading.dialect.header else []
    return score(polluted, header, reading.rows)


def test_the_score_knows_right_from_wrong():
    table = [["a", "b"], ["1", "2"], ["3", "4"]]
    polluted = Polluted("", "", table[0], table[1:])
    assert score(polluted, table[0], table[1:]) == 10
    assert score(polluted, table[0], [["1", "2"], ["4", "3"]]) == 1 + 3 + 1.5 + 3
    assert score(polluted, ["b", "c"], []) == 1 + 1.5


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("number", range(20))
def test_files_polluted_as_a_whole(name, number):
    table, how = TABLES[name]()
    polluted = list(whole_file(table, how))[number]
    got = points(polluted)
    if polluted.name == "two header rows":
        assert got == 7, "both rows give the names"
    elif polluted.name == "footnote":
        assert got > 9.9, "told as the last row, or as a row that is none"
    else:
        assert got == 10, polluted.name


@pytest.mark.parametrize("name", TABLES)
def test_files_polluted_in_one_row_lose_that_row_at_most(name):
    table, how = TABLES[name]()
    rows = {
        1,
        2,
        7,
        len(table) // 2,
        len(table) - 2,
        len(table) - 1,
    }  # all 2,267 files take minutes
    scores = {
        polluted.name: points(polluted)
        for polluted in one_per_cell(table, how)
        if int(polluted.name.split("-")[1]) in rows
    }
    assert sum(scores.values()) / len(scores) >= 9.97
    assert min(scores.values()) > 10 - 6.5 / len(table), "six points, by the share of one row"
    assert all(
        got == 10
        for polluted, got in scores.items()
        if polluted.startswith("more") and name == "shop" and polluted > "more-3"
    )


@pytest.mark.parametrize("name", TABLES)
def test_files_polluted_in_the_header_lose_no_row(name):
    table, how = TABLES[name]()
    for polluted in one_per_cell(table, how):
        if polluted.name.split("-")[1] == "0":
            reading = read(polluted.text)
            assert len(reading.rows) == len(table) - 1, polluted.name
            assert reading.rows[5][:3] == table[6][:3], polluted.name

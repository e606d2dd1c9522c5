"""The generator: same arguments, same bytes; the planted rows break the correlation; wrong
arguments are one sentence.
"""

from __future__ import annotations

import io

import numpy as np
import pytest

from workloads.samples.generate import CHUNK_ROWS, Table, main


def test_same_arguments_same_bytes_and_a_longer_table_begins_with_the_shorter(tmp_path):
    assert (
        main(
            [
                "--rows",
                "9000",
                "--columns",
                "4",
                "--seed",
                "2",
                "--dirty",
                "3",
                "--out",
                str(tmp_path / "a.csv"),
            ]
        )
        == 0
    )
    written = (tmp_path / "a.csv").read_bytes()
    assert written == b"".join(Table(rows=9000, columns=4, seed=2, dirty_percent=3).chunks())
    assert written.count(b"\n") == 9001
    assert b"".join(Table(rows=20_000, columns=4, seed=2, dirty_percent=3).chunks()).startswith(
        written
    )
    assert written != b"".join(Table(rows=9000, columns=4, seed=3, dirty_percent=3).chunks())


def test_planted_rows_are_far_from_the_others_together_though_not_column_by_column():
    table = Table(rows=2 * CHUNK_ROWS, columns=12, seed=4)
    text = b"".join(table.chunks()).replace(b'"Cork, Ireland"', b"Cork")
    numbers = np.loadtxt(io.BytesIO(text), delimiter=",", skiprows=1, usecols=range(4, 16))
    planted = table.anomalies()
    assert len(planted) == 4
    centred = numbers - numbers.mean(axis=0)
    distance = np.einsum("ij,jk,ik->i", centred, np.linalg.inv(np.cov(centred.T)), centred)
    assert set(np.argsort(distance)[-4:]) == set(planted)
    assert np.abs(centred / centred.std(axis=0))[planted].max() < 5


@pytest.mark.parametrize(
    "arguments", [["--rows", "0"], ["--rows", "x"], ["--rows", "5", "--dirty", "101"], []]
)
def test_wrong_arguments_are_one_sentence(arguments, capsys):
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2
    assert "error:" in capsys.readouterr().err.splitlines()[-1]

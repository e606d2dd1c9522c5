"""Rows found again: the right cells in the right order, the right lines, and no damaged object
read.
"""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workloads.postprocess import finished_analysis as fa
from tests.workloads.postprocess.conftest import RUN
from workloads.lines import Lines
from workloads.postprocess.rows import read_rows, source_rows
from workloads.records import Manifest
from workloads.runtime.errors import StageError

ROWS, UNIT_ROWS = 103, 10
FRAME = pd.DataFrame({"x": np.arange(ROWS) * 1.5, "word": [f"w{n}" for n in range(ROWS)]})
FRAME.loc[7, "x"] = np.nan


class Store:
    """The objects of one run."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        writer, data = fa.cleaned_table(self.put, RUN, FRAME, UNIT_ROWS)
        self.manifest = fa.manifest_of(RUN, FRAME, UNIT_ROWS, {}, writer, data)
        self.read: list[int] = []

    def put(self, _bucket: str, key: str, data: bytes) -> None:
        self.objects[key] = data

    def range(self, start: int, length: int) -> bytes:
        self.read.append(start)
        return self.objects[RUN.table_key][start : start + length]


STORE = Store()


@given(st.lists(st.integers(0, ROWS - 1), unique=True, max_size=20))
def test_rows_come_back_in_the_order_asked_for_with_every_cell(ids):
    cells = read_rows(STORE.manifest, STORE.range, ids)
    assert cells.to_pylist() == [
        {"x": None if row == 7 else row * 1.5, "word": f"w{row}"} for row in ids
    ]
    found = source_rows(
        STORE.manifest, Lines.from_parquet(STORE.objects[RUN.lines_key]), cells, ids
    )
    assert {row: found[row].line for row in ids} == {row: fa.line_of(row) for row in ids}
    assert {row: found[row].identifiers for row in ids} == {row: {"word": f"w{row}"} for row in ids}


def test_only_the_units_that_hold_them_are_read():
    store = Store()
    read_rows(store.manifest, store.range, [55, 3, 51])
    assert store.read == [
        store.manifest.footer_offset,
        *(store.manifest.units[index].byte_offset for index in (0, 5)),
    ]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=40))
def test_lines_of_any_file(gaps):
    """`gaps`: how far each row stands below the one before it."""
    lines = np.cumsum(gaps)
    starts = [0, *(row for row in range(1, len(gaps)) if gaps[row] != 1)]
    buffer = io.BytesIO()
    pq.write_table(pa.table({"row": starts, "line": lines[starts]}), buffer)
    found = Lines.from_parquet(buffer.getvalue())
    assert [found.of(row) for row in range(len(gaps))] == lines.tolist()


def _typed(values: list[object], kind: pa.DataType) -> object:
    manifest = replace(
        STORE.manifest,
        columns=(replace(STORE.manifest.columns[0], name="c", use="keep", kind="date"),),
    )
    cells = pa.table({"c": pa.array(values, kind)})
    lines = Lines(rows=np.zeros(1, np.int64), lines=np.ones(1, np.int64))
    return source_rows(manifest, lines, cells, [0])[0].identifiers["c"]


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        ("00501", pa.string(), "00501"),
        (5_100_038_997_000_000_123, pa.int64(), 5_100_038_997_000_000_123),
        (15_000, pa.date32(), "2011-01-26"),
        (1, pa.timestamp("us"), "1970-01-01T00:00:00.000001"),
        (0, pa.timestamp("us", "UTC"), "1970-01-01T00:00:00+00:00"),
        (None, pa.string(), None),
        (True, pa.bool_(), True),
    ],
)
def test_cells_of_every_type_are_json(value, kind, shown):
    assert _typed([value], kind) == shown


@pytest.mark.parametrize(
    "damage",
    ["a row beyond the table", "a flipped byte", "a damaged footer", "no lines", "other lines"],
)
def test_what_does_not_belong_together_is_a_sentence(damage):
    store = Store()
    ids, manifest = [3], store.manifest
    lines = store.objects[RUN.lines_key]
    if damage == "a row beyond the table":
        ids = [ROWS]
    elif damage == "a flipped byte":
        data = bytearray(store.objects[RUN.table_key])
        data[manifest.units[0].byte_offset + 5] ^= 1
        store.objects[RUN.table_key] = bytes(data)
    elif damage == "a damaged footer":
        store.objects[RUN.table_key] = store.objects[RUN.table_key][
            : manifest.footer_offset
        ] + bytes(manifest.table_bytes - manifest.footer_offset)
    elif damage == "no lines":
        lines = b""
    else:
        buffer = io.BytesIO()
        pq.write_table(pa.table({"row": [4], "line": [9]}), buffer)
        lines = buffer.getvalue()
    with pytest.raises(StageError) as raised:
        source_rows(manifest, Lines.from_parquet(lines), read_rows(manifest, store.range, ids), ids)
    assert "run the preprocess stage again" in raised.value.hint


def test_a_table_without_rows_has_none_to_read():
    empty = FRAME.head(0)
    writer, data = fa.cleaned_table(lambda *_: None, RUN, empty, UNIT_ROWS)
    manifest: Manifest = fa.manifest_of(RUN, empty, UNIT_ROWS, {}, writer, data)
    assert read_rows(manifest, lambda start, length: data[start : start + length], []).num_rows == 0

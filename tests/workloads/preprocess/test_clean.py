"""The core of the stage on generated tables: same bytes every time, right values, flat memory."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.workloads.preprocess.cleaning import run
from workloads.preprocess.units import UnitWriter
from workloads.runtime.errors import StageError
from workloads.samples.generate import Table

DIRTY = b"".join(Table(rows=30_000, columns=6, seed=3, dirty_percent=2).chunks())


def test_the_result_does_not_depend_on_how_the_bytes_arrive():
    outcomes = [run(DIRTY, unit_rows=4096, piece_bytes=size) for size in (40_001, 1 << 20, 8 << 20)]
    first = outcomes[0]
    assert first.cleaned.rows > 29_000
    assert len(first.cleaned.units) == -(-first.cleaned.rows // 4096)
    assert set(first.cleaned.rejected) == {
        "incomplete",
        "not a number",
        "beyond the range of float64",
        "wrong number of fields",
    }
    for other in outcomes[1:]:
        assert other.parquet == first.parquet
        assert other.rejected_csv == first.rejected_csv
        assert other.cleaned_csv == first.cleaned_csv
        assert (other.cleaned.units, other.cleaned.columns) == (
            first.cleaned.units,
            first.cleaned.columns,
        )


def test_rejected_rows_are_those_that_were_soiled():
    outcome = run(DIRTY)
    lines = DIRTY.decode().split("\n")
    rejected = {int(row["line"]) for row in outcome.rejects}
    clean = b"".join(Table(rows=30_000, columns=6, seed=3).chunks()).decode().split("\n")
    assert rejected == {
        number
        for number, (soiled, line) in enumerate(zip(lines, clean, strict=True), start=1)
        if soiled != line
    }
    assert len(rejected) > 500
    assert all(row["row"] == lines[int(row["line"]) - 1] for row in outcome.rejects)


def test_same_values_as_pandas():
    data = b"".join(Table(rows=20_000, columns=5, seed=9).chunks())
    outcome = run(data, unit_rows=3000)
    theirs = pd.read_csv(io.BytesIO(data), parse_dates=["hour"])
    table = outcome.table
    assert table.column_names == list(theirs.columns)
    assert {str(field.type) for field in table.schema if field.name.startswith("x")} == {"double"}
    for name in ("id", "x0", "x1", "x2", "x3", "x4"):
        np.testing.assert_array_equal(
            table[name].to_numpy(), theirs[name].to_numpy().astype(np.float64)
        )
    assert table["site"].to_pylist() == theirs["site"].tolist()
    assert table["checked"].to_pylist() == (theirs["checked"] == "yes").tolist()
    assert table["hour"].to_pylist() == theirs["hour"].dt.to_pydatetime().tolist()
    again = pd.read_csv(io.BytesIO(outcome.cleaned_csv))
    np.testing.assert_array_equal(again["x3"].to_numpy().astype(np.float64), table["x3"].to_numpy())
    assert len(again) == 20_000


def test_units_are_the_row_groups():
    outcome = run(DIRTY, unit_rows=4096)
    metadata = parquet.ParquetFile(io.BytesIO(outcome.parquet)).metadata
    units = outcome.cleaned.units
    assert metadata.num_row_groups == len(units) > 5
    position = 4
    for index, unit in enumerate(units):
        group = metadata.row_group(index)
        columns = [group.column(number) for number in range(group.num_columns)]
        starts = [
            min(filter(None, (column.dictionary_page_offset, column.data_page_offset)))
            for column in columns
        ]
        assert (unit.index, unit.rows, unit.byte_offset) == (index, group.num_rows, min(starts))
        assert unit.byte_length == sum(column.total_compressed_size for column in columns)
        assert unit.byte_offset == position
        assert unit.row_offset == sum(other.rows for other in units[:index])
        position += unit.byte_length
        assert (
            hashlib.sha256(outcome.parquet[unit.byte_offset : position]).hexdigest() == unit.sha256
        )
        numbers = [column for column in columns if column.physical_type == "DOUBLE"]
        assert {
            (column.compression, "PLAIN" in column.encodings, column.has_dictionary_page)
            for column in numbers
        } == {("UNCOMPRESSED", True, False)}
    assert outcome.cleaned.footer_offset == position
    assert outcome.cleaned.table_bytes == len(outcome.parquet)


def test_a_unit_has_to_fit_into_memory():
    writer = UnitWriter(io.BytesIO(), pa.schema([("t", pa.string())]), unit_rows=65_536)
    table = pa.table({"t": pa.array(["x" * (1 << 20)] * 100)})
    assert [writer.add(table) for _ in range(2)] == [[], []]
    with (
        pytest.raises(StageError, match="300 rows take 300 MiB; a unit of 65,536 may take 256"),
        writer,
    ):
        writer.add(table)


MEMORY = """
import contextlib, io, sys
from workloads.preprocess.clean import Settings, clean
from workloads.runtime.memory import peak_rss_mib
from workloads.samples.generate import Table
chunks = list(Table(rows=65_536, columns=8, seed=1, dirty_percent=1).chunks())
class Repeated(io.RawIOBase):
    left = int(sys.argv[1])
    data = b""
    header = chunks[0]
    body = b"".join(chunks[1:])
    def readable(self):
        return True
    def readinto(self, buffer):
        if not self.data:
            if self.left < 0:
                return 0
            self.data, self.header, self.left = (memoryview(self.header or self.body), b"", self.left - 1)
        count = min(len(buffer), len(self.data))
        buffer[:count] = self.data[:count]
        self.data = self.data[count:]
        return count
class Nowhere(io.RawIOBase):
    def writable(self):
        return True
    def write(self, data):
        return len(data)
class Outputs:
    table = lines = rejected = Nowhere()
    cleaned_csv = None
cleaned = clean(Repeated, lambda: contextlib.nullcontext(Outputs()), Settings())
print(cleaned.rows_read, peak_rss_mib())
"""


def test_memory_is_flat():
    def peak(times: int) -> int:
        output = subprocess.run(
            [sys.executable, "-c", MEMORY, str(times)], capture_output=True, text=True, check=True
        ).stdout
        rows, mib = map(int, output.split())
        assert rows == times * 65_536
        return mib

    small, large = peak(2), peak(20)
    assert large < 500, f"{large} MiB"
    assert large < small + 150, f"{small} -> {large} MiB for ten times the rows"

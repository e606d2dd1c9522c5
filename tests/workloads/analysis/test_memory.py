"""The plan's memory against the peak of real ranks, and tables ten times as large as what they may
keep.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.workloads.analysis.many import Job, analyse
from workloads.analysis.pipeline.success import Success


@dataclass(frozen=True, kw_only=True)
class Shape:
    mode: str
    rows: int
    columns: int
    unit_rows: int
    neighbours: int = 10
    ranks: int = 1


SHAPES = {
    "wide-units": Shape(mode="top", rows=80_000, columns=64, unit_rows=32_768),
    "many-columns": Shape(mode="full", rows=6_000, columns=128, unit_rows=1_024, ranks=2),
    "many-neighbours": Shape(mode="full", rows=8_000, columns=4, unit_rows=65_536, neighbours=200),
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_peak_is_as_planned_and_a_table_ten_times_the_limit_gives_the_same(
    store, tmp_path, name
):
    shape = SHAPES[name]
    values = (
        np.random.default_rng(0).standard_t(5, size=(shape.columns, shape.rows)).astype(np.float64)
    )
    run = store.put_table(name, values, unit_rows=shape.unit_rows)
    ample = Job(run=run, mode=shape.mode, ranks=shape.ranks, neighbours=shape.neighbours)
    found: list[Success] = []
    for job in (ample, replace(ample, block_memory_mib=values.nbytes / 2**20 / 10)):
        found += analyse(store, [job], folder=tmp_path)  # of a process that did nothing else
        planned = found[-1].plan[shape.mode]["memory_bytes"]
        assert planned is not None
        assert 0.5 * planned < found[-1].peak_memory_bytes < 1.5 * planned, (
            f"{found[-1].peak_memory_bytes:,} bytes of {planned:,}"
        )
    assert found[0].digest == found[1].digest
    if shape.rows > 2 * shape.unit_rows:
        assert found[1].bytes_read > found[0].bytes_read, "what did not fit has to be read again"

from __future__ import annotations

from dataclasses import replace

import pytest

from workloads.analysis.anomaly.kernels_numpy import NumpyKernels
from workloads.analysis.anomaly.pairs_half import HalfPairs
from workloads.analysis.anomaly.pairs_numpy import NumpyPairs
from workloads.analysis.plan import Machine, Shape, admit, calibrate, percent_of_limit, predict, slowest
from workloads.analysis.settings import AnomalySettings
from workloads.runtime.errors import StageError

SETTINGS = AnomalySettings(
    mode="full",
    neighbours=10,
    top=100,
    scaling="robust",
    metric="euclidean",
    max_dollars=None,
    usd_per_hour=220.0,
    block_memory_bytes=32 << 30,
    checkpoint_floor_seconds=60,
    node_mtbf_hours=720,
)
MACHINE = Machine(pairs_per_second=3e12, products_per_second=4e14, copy_bytes_per_second=3e12)
SHAPE = Shape(rows=100_000_000, columns=64, unit_rows=65_536, ranks=32, unit_bytes=65_536 * 64 * 4)


def test_full_grows_with_the_square_of_the_rows_and_top_with_the_rows():
    twice = replace(SHAPE, rows=2 * SHAPE.rows)
    full, top = (predict(mode, SHAPE, SETTINGS, MACHINE, 1 << 28) for mode in ("full", "top"))
    assert full.seconds == pytest.approx(1e16 / 32 / 3e12, rel=0.1)  # 104 s
    assert predict("full", twice, SETTINGS, MACHINE, 1 << 28).seconds == pytest.approx(4 * full.seconds, rel=0.1)
    assert predict("top", twice, SETTINGS, MACHINE, 1 << 28).seconds == pytest.approx(2 * top.seconds, rel=0.01)
    assert full.usd == pytest.approx(full.seconds / 3600 * 220)
    assert top.seconds < full.seconds / 100
    small = replace(SETTINGS, block_memory_bytes=1 << 30)
    limited = predict("full", SHAPE, small, MACHINE, 1 << 28)
    assert limited.memory_bytes < 2 << 30 < full.memory_bytes
    assert limited.seconds > full.seconds, "units are read again"


def test_the_limit_is_for_full_alone_and_closed_where_the_price_is_not_known():
    plan = predict("full", SHAPE, SETTINGS, MACHINE, 0)
    admit(SETTINGS, SHAPE, plan)
    admit(replace(SETTINGS, max_dollars=7.0), SHAPE, plan)
    admit(replace(SETTINGS, mode="top", max_dollars=0.0), SHAPE, plan)
    with pytest.raises(
        StageError, match=r"100,000,000 rows in about 10\d s on 32 ranks, which costs about \$6\.\d\d, and the limit is \$5\.00"
    ):
        admit(replace(SETTINGS, max_dollars=5.0), SHAPE, plan)
    with pytest.raises(StageError, match="price of the analysis's machines is not known"):
        admit(replace(SETTINGS, max_dollars=5.0), SHAPE, replace(plan, usd=None))


@pytest.mark.parametrize("pairs", [NumpyPairs(1), NumpyPairs(2), HalfPairs("twin", NumpyKernels(), 1 << 30)], ids=["one", "two", "half"])
def test_calibration_measures_something(pairs):
    machine = calibrate(pairs, 16)
    assert 1e5 < machine.pairs_per_second < 1e13
    assert 1e7 < machine.products_per_second < 1e15
    assert 1e8 < machine.copy_bytes_per_second < 1e12


def test_percent_of_limit():
    seconds = {"pairs": 3.0, "panels": 1.0, "profile": 2.0, "read": 9.0}
    assert percent_of_limit(MACHINE, seconds, 8e14, 3e12) == {"pairs": 50.0, "profile": 50.0}
    assert percent_of_limit(MACHINE, {"pairs": 4.0}, 8e14, 3e12) == {"pairs": 50.0}, "the profile came from a checkpoint"
    assert percent_of_limit(MACHINE, {**seconds, "pairs": 0.0, "panels": 0.0}, 0.0, 0) == {}
    faster = replace(MACHINE, pairs_per_second=9e12, copy_bytes_per_second=1e12)
    assert slowest([MACHINE, faster]) == replace(MACHINE, copy_bytes_per_second=1e12)

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from workloads.analysis.knn.kernels_numpy import NumpyKernels
from workloads.analysis.knn.pairs_half import HalfPairs
from workloads.analysis.knn.pairs_numpy import NumpyPairs
from workloads.analysis.pipeline.plan import Machine, Shape, admit, calibrate, predict, slowest
from workloads.analysis.pipeline.run_metrics import Figures
from workloads.analysis.settings import SearchMeans
from workloads.runtime.errors import StageError
from workloads.variables import ENV_MAX_DOLLARS, ENV_STAGE_PRICES

SETTINGS = SearchMeans(
    max_dollars=None,
    usd_per_hour=220.0,
    block_memory_bytes=48 << 30,
    checkpoint_floor_seconds=60,
    node_mtbf_hours=720,
)
MACHINE = Machine(
    pairs_per_second=3e12,
    shared_pairs_per_second=2e12,
    neighbours_per_second=1e9,
    products_per_second=4e14,
    copy_bytes_per_second=3e12,
)
SHAPE = Shape(
    rows=100_000_000,
    columns=64,
    unit_rows=65_536,
    ranks=32,
    shards=1,
    unit_bytes=65_536 * 64 * 8,
    neighbours=10,
    top=100,
)


def test_full_grows_with_the_square_of_the_rows_and_top_with_the_rows():
    twice = replace(SHAPE, rows=2 * SHAPE.rows)
    full, top = (predict(mode, SHAPE, SETTINGS, MACHINE, 1 << 28) for mode in ("full", "top"))
    assert full.evaluations == pytest.approx(1e16 / 2), "every pair of rows once"
    assert full.seconds == pytest.approx(1e16 / 2 / 32 / 2e12)  # 78 s
    assert predict(
        "full", replace(SHAPE, ranks=8), SETTINGS, MACHINE, 0
    ).evaluations == pytest.approx(1e16 / 2)
    assert predict("full", twice, SETTINGS, MACHINE, 1 << 28).seconds == pytest.approx(
        4 * full.seconds, rel=0.1
    )
    assert predict("top", twice, SETTINGS, MACHINE, 1 << 28).seconds == pytest.approx(
        2 * top.seconds, rel=0.01
    )
    assert full.usd == pytest.approx(full.seconds / 3600 * 220)
    assert top.seconds < full.seconds / 100
    small = replace(SETTINGS, block_memory_bytes=1 << 30)
    limited = predict("full", SHAPE, small, MACHINE, 1 << 28)
    assert limited.memory_bytes < 2 << 30 < full.memory_bytes
    groups = 10  # the 48 units of a rank, five at a time: each needs 100 MiB of the half GiB
    assert limited.evaluations == pytest.approx(1e16 / 2 * (2 - 1 / groups)), (
        "units of different groups are compared for each of the two"
    )
    assert limited.seconds > full.seconds


def test_the_limit_is_for_full_alone_and_closed_where_the_price_is_not_known(monkeypatch):
    plan = predict("full", SHAPE, SETTINGS, MACHINE, 0)
    admit(SETTINGS, SHAPE, plan)
    admit(replace(SETTINGS, max_dollars=7.0), SHAPE, plan)
    with pytest.raises(
        StageError,
        match=(
            r"100,000,000 rows in about 78 s on 32 ranks, which costs about \$4\.77, and the limit"
            r" is \$3\.00"
        ),
    ):
        admit(replace(SETTINGS, max_dollars=3.0), SHAPE, plan)
    monkeypatch.setenv(ENV_MAX_DOLLARS, "5")
    monkeypatch.delenv(ENV_STAGE_PRICES, raising=False)
    told = SearchMeans.read()
    assert (told.max_dollars, told.usd_per_hour) == (5.0, None)
    unpriced = replace(SETTINGS, max_dollars=5.0, usd_per_hour=None)
    with pytest.raises(StageError, match="price of the analysis's machines is not known"):
        admit(unpriced, SHAPE, predict("full", SHAPE, unpriced, MACHINE, 0))


@pytest.mark.parametrize("mode", ["top", "full"])
def test_many_neighbours_have_their_price_in_time_and_memory(mode):
    def plan(k: int, machine: Machine = MACHINE):
        ample = replace(SETTINGS, block_memory_bytes=1 << 40)
        return predict(mode, replace(SHAPE, neighbours=k), ample, machine, 1 << 28)

    few, many = plan(10), plan(200)
    assert plan(3).seconds == few.seconds, "comparing has the cost of few neighbours"
    assert plan(10, replace(MACHINE, neighbours_per_second=1.0)).seconds == few.seconds
    assert few.seconds < plan(100).seconds < many.seconds
    assert few.memory_bytes < many.memory_bytes
    slower = plan(200, replace(MACHINE, neighbours_per_second=1e8))
    assert slower.seconds > many.seconds
    if mode == "full":
        # 190 more for each of the 3,125,000 rows of a rank, and again as many when later units
        # replace them
        more = many.seconds - few.seconds
        assert more == pytest.approx(190 * 3_125_000 * (1 + math.log(1e8 / 65_536)) / 1e9, rel=0.01)


@pytest.mark.parametrize(
    "pairs",
    [NumpyPairs(1), NumpyPairs(2), HalfPairs("twin", NumpyKernels(), 1 << 30)],
    ids=["one", "two", "half"],
)
@pytest.mark.parametrize(("unit_rows", "neighbours"), [(0, 10), (5_000, 10), (5_000, 200)])
def test_calibration_measures_something(pairs, unit_rows, neighbours):
    machine = calibrate(pairs, 16, unit_rows, neighbours)
    assert 1e5 < machine.pairs_per_second < 1e13
    assert 1e7 < machine.products_per_second < 1e15
    assert 1e8 < machine.copy_bytes_per_second < 1e12


def test_what_the_limits_allow_and_how_much_of_it_was_reached():
    seconds = {"pairs": 3.0, "panels": 1.0, "profile": 2.0, "read": 9.0}
    assert MACHINE.possible(seconds) == {"pairs": 16e14, "profile": 6e12}
    none = Figures(
        ranks=1, nodes=1, seconds={}, bytes_moved={}, peak_memory_bytes=0, peak_device_bytes=0
    )
    reached = {"pairs": 8e14, "profile": 3e12}
    assert replace(none, reached=reached, possible=MACHINE.possible(seconds)).percent_of_limit == {
        "pairs": 50.0,
        "profile": 50.0,
    }
    from_checkpoint = MACHINE.possible({"pairs": 4.0})
    assert replace(none, reached=reached, possible=from_checkpoint).percent_of_limit == {
        "pairs": 50.0
    }
    assert none.percent_of_limit == {}
    faster = replace(MACHINE, pairs_per_second=9e12, copy_bytes_per_second=1e12)
    assert slowest([MACHINE, faster]) == replace(MACHINE, copy_bytes_per_second=1e12)

"""Advice by what runs used: the model that predicts better, the margin, Fargate's sizes, and a
stack file that keeps its comments.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cli.rightsize.edit import replaced
from cli.rightsize.past import Past, Point, _sensible
from cli.rightsize.quantiles import fit
from cli.rightsize.suggest import Advice, advise
from config.stack import StackConfig
from tests.config.stacks import Changes, changed, load, sections
from workloads.contract import STAGES
from workloads.records import StageRecord, Used

# ---- the model -----------------------------------------------------------------------------------


def test_a_need_that_grows_with_the_file_is_a_line() -> None:
    draw = np.random.default_rng(1)
    sizes = [draw.uniform(10, 1000) for _ in range(60)]
    values = [300 + 2.0 * size + draw.uniform(-20, 20) for size in sizes]
    found = fit(sizes, values)
    assert found.by_size
    assert found.slope == pytest.approx(2.0, rel=0.05)
    below = np.mean(
        [value <= found.at(size) + 1e-9 for size, value in zip(sizes, values, strict=True)]
    )
    assert 0.93 <= below <= 1.0
    assert found.at(2000) == pytest.approx(4300, rel=0.05)  # a file twice as large as any before


def test_a_need_that_does_not_is_a_constant() -> None:
    draw = np.random.default_rng(2)
    sizes = [draw.uniform(10, 1000) for _ in range(60)]
    found = fit(sizes, [500 + draw.uniform(-50, 50) for _ in sizes])
    assert not found.by_size
    assert 530 <= found.at(99_999) <= 550


def test_a_need_that_falls_is_no_line() -> None:
    sizes = list(range(1, 41))
    assert not fit(sizes, [1000 - size for size in sizes]).by_size


def test_the_line_is_the_best_of_all_lines() -> None:
    draw = np.random.default_rng(3)
    sizes = [draw.uniform(0, 10) for _ in range(25)]
    values = [draw.normal(5 * size, 8) for size in sizes]
    found = fit(sizes, values)

    def loss(intercept: float, slope: float) -> float:
        rests = [v - intercept - slope * s for s, v in zip(sizes, values, strict=True)]
        return sum(0.95 * r if r >= 0 else -0.05 * r for r in rests)

    best = loss(found.intercept, found.slope)
    for _ in range(3000):
        other = loss(
            found.intercept + draw.normal(0, 3), max(0.0, found.slope + draw.normal(0, 0.5))
        )
        assert best <= other + 1e-9


@pytest.mark.parametrize("count", [1, 2, 7])
def test_few_points_are_a_constant(count: int) -> None:
    found = fit(list(range(count)), [float(10 * i) for i in range(count)])
    assert (found.by_size, found.at(1e9)) == (False, 10.0 * (count - 1))


# ---- the advice ----------------------------------------------------------------------------------


def point(size: float, memory: int, cpus: float, **more: Any) -> Point:
    used = Used(
        **{
            "source": "cgroup",
            "memory_mib": memory,
            "cpu_seconds": 60.0,
            "mean_cpus": cpus / 2,
            "peak_cpus": cpus,
            "disk_mib": 0,
            "gpus": 0,
            "gpu_percent": None,
            "gpu_memory_mib": None,
            **more,
        }
    )
    return Point(run_id="r", input_mb=size, seconds=60.0, used=used)


def past(stage: str, points: list[Point], **more: Any) -> Past:
    empty: dict[Any, Any] = {each: [] for each in STAGES}
    zeros: dict[Any, Any] = dict.fromkeys(STAGES, 0)
    return Past(
        **{
            "points": {**empty, stage: points},
            "unmeasured": zeros,
            "without_memory": zeros,
            "runs_a_month": 30.0,
            **more,
        }
    )


def advice(stage: str, found: Past, config: StackConfig) -> Advice:
    return next(each for each in advise(config, found, margin=0.2) if each.stage == stage)


def local(edits: Changes | None = None) -> StackConfig:
    return load(changed(edits) if edits else sections("local"), "local")[0]


def test_less_is_asked_for_with_a_margin() -> None:
    found = advice("preprocess", past("preprocess", [point(10, 1000, 0.7)] * 6), local())
    assert found.changes == {"jobs.preprocess.memory_mib": 1280, "jobs.preprocess.vcpus": 1.0}


def test_more_is_asked_for_after_runs_without_memory() -> None:
    before = dict.fromkeys(STAGES, 0)
    found = advice(
        "preprocess",
        past("preprocess", [point(10, 1000, 1.9)] * 6, without_memory={**before, "preprocess": 2}),
        local(),
    )
    assert found.changes == {"jobs.preprocess.memory_mib": 6144, "jobs.preprocess.vcpus": 3.0}
    assert "2 runs ended here for want of memory" in found.notes


def test_few_runs_are_no_advice() -> None:
    found = advice("preprocess", past("preprocess", [point(10, 1000, 1)] * 4), local())
    assert found.changes == {}
    assert found.notes == ("4 runs were measured: 5 are needed for advice",)


def test_advice_is_never_below_what_a_run_used_and_the_margin() -> None:
    points = [point(10, 1000, 0.7)] * 60 + [point(10, 3000, 0.7)]
    found = advice("preprocess", past("preprocess", points), local())
    assert found.changes["jobs.preprocess.memory_mib"] == 3840  # 3600, in steps of 256


def test_a_line_does_not_ask_for_far_more_than_any_run_used() -> None:
    # a steep beginning, and one large file that needed little: no line knows that it bends
    points = [point(size, 100 * size, 1.0) for size in range(1, 21)] + [point(1000, 2000, 1.0)]
    found = advice("preprocess", past("preprocess", points), local())
    need = found.needs[0]
    assert need.suggests <= 2 * 2000 * 1.2 + 256
    assert any("1 to 1000 MB" in note for note in found.notes)


def test_a_size_that_is_not_known_bends_no_line() -> None:
    points = [point(size, 500 + size, 1.0) for size in range(100, 130)]
    unknown = [point(0, 4000, 1.0)] * 3
    found = advice("preprocess", past("preprocess", points + unknown), local())
    assert "whatever the size" in found.needs[0].model
    assert any("do not say how large" in note for note in found.notes)
    assert found.changes.get("jobs.preprocess.memory_mib", 4096) >= 4800


def test_the_model_says_why_it_was_chosen() -> None:
    line = [point(size, 300 + 2 * size, 1.0) for size in range(100, 160)]
    found = advice("preprocess", past("preprocess", line), local())
    assert "the line missed runs that it had not seen by" in found.needs[0].model
    few = advice("preprocess", past("preprocess", line[:6]), local())
    assert "too few runs or sizes to try a line" in few.needs[0].model
    assert any("6 runs say little" in note for note in few.notes)


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"memory_mib": float("nan")}, False),
        ({"memory_mib": float("inf")}, False),
        ({"memory_mib": 0}, False),
        ({"memory_mib": -5}, False),
        ({"peak_cpus": float("nan")}, False),
    ],
)
def test_figures_that_cannot_be_true_do_not_count(changes: dict[str, Any], counts: bool) -> None:
    used = point(10, 1000, 1.0).used
    record = StageRecord(
        stage="preprocess",
        run_id="r",
        started_at="",
        seconds=60.0,
        attempt=1,
        job_id="j",
        details={},
        used=replace(used, **changes),
    )
    assert _sensible(record, replace(used, **changes)) is counts


def test_a_multi_node_job_keeps_its_instances() -> None:
    found = advice("analysis", past("analysis", [point(10, 9000, 3.0)] * 6), local())
    assert found.changes == {"jobs.analysis.memory_mib": 11008}
    assert any("instances whole" in note for note in found.notes)


def test_idle_gpus_are_said() -> None:
    points = [point(10, 9000, 3.0, gpus=8, gpu_percent=12.0, gpu_memory_mib=900)] * 6
    assert any(
        "busy 12 %" in note for note in advice("analysis", past("analysis", points), local()).notes
    )


def test_fargate_gets_one_of_its_sizes() -> None:
    edits: Changes = {
        "environments.cheap": {"kind": "fargate", "max_vcpus": 16},
        "queues.cheap": {"environments": ["cheap"]},
        "jobs.postprocess": {
            "queue": "cheap",
            "vcpus": 4,
            "memory_mib": 16384,
            "timeout_minutes": 10,
        },
    }
    config = local(edits)
    found = advice("postprocess", past("postprocess", [point(10, 3000, 0.9)] * 6), config)
    # 3600 MiB and 1.08 vCPUs: the next size of Fargate has 2 vCPUs and 4 GiB
    assert found.changes == {"jobs.postprocess.memory_mib": 4096, "jobs.postprocess.vcpus": 2.0}


# ---- the file ------------------------------------------------------------------------------------

FILE = """# head
config:
  batch-reference:jobs:
    preprocess: { queue: main, vcpus: 2, memory_mib: 4096 }   # cheap
    analysis:
      vcpus: 36 # all of it
      memory_mib:   65_536
"""


def test_comments_order_and_layout_stay() -> None:
    text = replaced(
        FILE,
        {
            "jobs.preprocess.memory_mib": 1280,
            "jobs.preprocess.vcpus": 0.5,
            "jobs.analysis.memory_mib": 11008,
        },
    )
    assert text == FILE.replace("vcpus: 2,", "vcpus: 0.5,").replace("4096", "1280").replace(
        "65_536", "11008"
    )
    assert replaced(FILE, {}) == FILE


@pytest.mark.parametrize(
    "path", ["jobs.postprocess.vcpus", "jobs.analysis", "queues.main.priority"]
)
def test_what_the_file_does_not_hold_is_not_made_up(path: str) -> None:
    with pytest.raises(KeyError, match=path):
        replaced(FILE, {path: 1})

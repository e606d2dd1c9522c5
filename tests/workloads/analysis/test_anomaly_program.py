"""Remote rows by the whole stage: the same for any number of ranks and any memory, and equal to
scikit-learn.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn import datasets
from sklearn.neighbors import NearestNeighbors

from tests.workloads.analysis import many
from tests.workloads.analysis.conftest import RESULTS, Store
from tests.workloads.analysis.knn.tables import plain
from tests.workloads.analysis.tables import FIRST_LINE
from tests.workloads.analysis.test_program import run_stage
from workloads.analysis.outliers.result import decode_scores, load_anomalies
from workloads.analysis.profile.result import Profile
from workloads.analysis.space.scaling import scaling
from workloads.analysis.space.space import Space
from workloads.contract import ContractError, Run
from workloads.parameters import Metric, ScalingName
from workloads.variables import (
    ENV_ANOMALY_MODE,
    ENV_EXACT_QUANTILES,
    ENV_MAX_DOLLARS,
    ENV_STAGE_PRICES,
)

N = 20
ROWS = 5_000
MODES = ("top", "full")
TOO_DEAR = {ENV_MAX_DOLLARS: "0.00001", ENV_STAGE_PRICES: '{"analysis": 220.16}'}


def anomalies(store: Store, run: Run):
    record = store.success(run).anomaly
    assert record is not None
    return load_anomalies(lambda key: store.get(RESULTS, key), run, record, store.profile(run))


def scores(store: Store, run: Run) -> tuple[np.ndarray, np.ndarray]:
    record = store.success(run).anomaly
    assert record is not None
    objects = [store.get(RESULTS, run.scores_prefix + stored.name) for stored in record.scores]
    for data in objects:
        for row in pq.read_table(io.BytesIO(data)).slice(0, 50).to_pylist():
            neighbour = row["neighbour"]
            assert row["line"] == row["row"] + FIRST_LINE
            assert row["neighbour_line"] == (None if neighbour is None else neighbour + FIRST_LINE)
    parts = [decode_scores(data) for data in objects]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    rng = np.random.default_rng(21)
    values = (rng.standard_t(5, size=(12, ROWS)) * np.logspace(-3, 6, 12)[:, None] + 1e4).astype(
        np.float64
    )
    values[:, 2_500:2_520] = values[:, :20]  # equal rows in different units
    values[4] = 7.0  # constant
    values[2, rng.random(ROWS) < 0.02] = np.nan
    values[3, [0, ROWS - 1]] = np.inf
    return values


@dataclass(frozen=True, kw_only=True)
class Analysed:
    """A table, and what came of its analyses, one after the other."""

    run: Run
    values: np.ndarray
    found: list[Any]
    """Success of each."""


@pytest.fixture(scope="module")
def analysed(store, values, tmp_path_factory) -> dict[str, Analysed]:
    """By name: all that ranks do which are started once."""
    tables: dict[str, tuple[np.ndarray, int]] = {
        "breast-cancer": (datasets.load_breast_cancer().data.astype(np.float64).T.copy(), 100),
        "limited-top": (values, 750),
        "changed": (values[:, :1_000].copy(), 500),
    }
    for mode in MODES:
        tables |= {
            f"remote-{mode}": (values, 375),  # 14 units, the last one short
            f"auto-{mode}": (odd_pair(), 250),
            f"tiny-{mode}": (np.random.default_rng(1).normal(size=(2, 7)), 4),
            f"nothing-{mode}": (np.full((2, 5), np.nan, np.float64), 2),
        }
    runs = {name: store.put_table(name, *table) for name, table in tables.items()}
    jobs: dict[str, list[many.Job]] = {}
    for mode in MODES:
        remote, auto, tiny, nothing = (
            many.Job(run=runs[f"{name}-{mode}"], mode=mode, top=N)
            for name in ("remote", "auto", "tiny", "nothing")
        )
        jobs[f"remote-{mode}"] = [
            remote,
            replace(remote, ranks=2, threads=2),
            replace(remote, ranks=3, block_memory_mib=values.nbytes / 10 / 2**20),
            replace(remote, ranks=4),
        ]
        jobs[f"auto-{mode}"] = [
            replace(auto, ranks=ranks, neighbours=k)
            for ranks, k in ((1, "auto"), (2, 30), (3, "auto"))
        ]
        jobs[f"tiny-{mode}"] = [replace(tiny, ranks=4)]
        jobs[f"nothing-{mode}"] = [replace(nothing, ranks=2)]
    jobs["breast-cancer"] = [
        many.Job(
            run=runs["breast-cancer"],
            mode="full",
            top=N,
            ranks=2,
            scaling="standard",
            neighbours=5,
        )
    ]
    jobs["limited-top"] = [many.Job(run=runs["limited-top"], mode="top", top=N, more=TOO_DEAR)]
    jobs["changed"] = [many.Job(run=runs["changed"], mode="full", top=N)]
    done = iter(
        many.analyse(
            store,
            [job for some in jobs.values() for job in some],
            folder=tmp_path_factory.mktemp("jobs"),
        )
    )
    return {
        name: Analysed(run=runs[name], values=tables[name][0], found=[next(done) for _ in some])
        for name, some in jobs.items()
    }


def odd_pair() -> np.ndarray:
    """Two rows are odd in the same way: each is the other's nearest."""
    values = np.random.default_rng(5).normal(size=(3, 900))
    values[1, [17, 600]] += 40.0
    return values


def space_of(
    profile: Profile, scaling_name: ScalingName = "robust", metric: Metric = "euclidean"
) -> Space:
    return Space.of(profile, scaling(profile, scaling_name), metric)


def brute_force(store: Store, run: Run, values: np.ndarray) -> np.ndarray:
    """Scores by scikit-learn in float64, of the rows as the analysis has scaled them; NaN for rows
    that are not compared.
    """
    space = space_of(store.profile(run))
    complete = space.complete(values)
    scaled = space.rows(values[:, complete]).astype(np.float64)
    distance, _ = NearestNeighbors(n_neighbors=11, algorithm="brute").fit(scaled).kneighbors(scaled)
    found = np.full(values.shape[1], np.nan)
    found[complete] = distance[:, -1]
    return found


@pytest.mark.parametrize("mode", MODES)
def test_one_digest_for_any_number_of_ranks_threads_and_any_memory(store, values, analysed, mode):
    run, found = analysed[f"remote-{mode}"].run, analysed[f"remote-{mode}"].found
    table_bytes = values.nbytes
    assert len({success.digest for success in found}) == 1
    assert len({success.anomaly.digest for success in found}) == 1
    assert [success.ranks for success in found] == [1, 2, 3, 4]
    one, limited = found[0], found[2]
    if mode == "full":
        pairs = one.anomaly.complete_rows**2 / 2
        for success in (one, found[1], found[3]):  # all units are in a group at once
            assert success.anomaly.evaluations == pytest.approx(pairs, rel=0.01), (
                "a pair of units is compared once, for both"
            )
            assert success.anomaly.evaluations == pytest.approx(
                success.plan["full"]["evaluations"], rel=0.05
            )
        assert pairs < limited.anomaly.evaluations <= 2 * pairs
        assert limited.anomaly.evaluations == pytest.approx(
            limited.plan["full"]["evaluations"], rel=0.1
        )
    assert limited.bytes_read > 2 * one.bytes_read, (
        "with a tenth of the table in memory units have to be read again"
    )
    expected = brute_force(store, run, values)
    assert one.anomaly.complete_rows == np.isfinite(expected).sum() < ROWS - 2
    assert one.anomaly.incomplete_rows == ROWS - one.anomaly.complete_rows
    assert (one.anomaly.certified_fraction, one.anomaly.fallback_rows) == (1.0, 0)
    assert list(one.anomaly.excluded) == ["c4"]
    assert one.checkpoint["count"] >= 2
    assert one.bytes_moved["checkpoint"] == one.checkpoint["bytes"] > 0
    assert (found[3].bytes_moved["exchange"] > table_bytes) == (mode == "full")
    assert 0 < one.percent_of_limit["pairs"] < 200
    assert {"top", "full"} == one.plan.keys()
    assert one.peak_memory_bytes < 1.5 * one.plan[mode]["memory_bytes"]
    assert {"plan", "read", "scale", "pairs", "explain", "checkpoint"} <= one.seconds.keys()
    assert store.keys(run.checkpoints_prefix) == {}
    assert one.exchange == {"used": "host", "asked": "host", "refused": ""}

    rows = anomalies(store, run).rows
    order = np.argsort(-np.nan_to_num(expected, nan=-1.0), kind="stable")[:N]
    assert [row.row for row in rows] == order.tolist()
    np.testing.assert_allclose([row.score for row in rows], expected[order], rtol=1e-6)
    if mode == "full":
        ids, found_scores = scores(store, run)
        np.testing.assert_array_equal(ids, np.flatnonzero(np.isfinite(expected)))
        np.testing.assert_allclose(found_scores, expected[ids], rtol=1e-6)
    assert all(len(row.contributions) == 3 for row in rows)
    assert all(
        part.value == values[int(part.column[1:]), row.row]
        for row in rows
        for part in row.contributions
    )


def test_scores_equal_scikit_learn_on_a_real_table(store, analysed):
    run, raw = analysed["breast-cancer"].run, analysed["breast-cancer"].values
    (success,) = analysed["breast-cancer"].found
    space = space_of(store.profile(run), "standard")
    scaled = space.rows(raw).astype(np.float64)
    distance, neighbour = (
        NearestNeighbors(n_neighbors=6, algorithm="brute").fit(scaled).kneighbors(scaled)
    )
    ids, found = scores(store, run)
    assert ids.tolist() == list(range(569))
    np.testing.assert_allclose(found, distance[:, -1], rtol=1e-9)
    row = anomalies(store, run).rows[0]
    assert (row.row, row.neighbour) == (
        int(distance[:, -1].argmax()),
        int(neighbour[distance[:, -1].argmax(), 1]),
    )
    assert success.anomaly.columns == tuple(f"c{i}" for i in range(30))


def test_auto_is_the_number_that_it_comes_to_and_the_nearest_row_is_shown(store, analysed):
    for mode in MODES:
        auto = analysed[f"auto-{mode}"]
        run, values = auto.run, auto.values
        assert len({success.digest for success in auto.found}) == 1
        records = [success.anomaly for success in auto.found]
        assert [record.asked.anomaly_neighbours for record in records] == ["auto", 30, "auto"]
        assert [record.neighbours_used for record in records] == [30, 30, 30]
        assert {(record.certified_fraction, record.fallback_rows) for record in records} == {
            (1.0, 0)
        }
        space = space_of(store.profile(run))
        scaled = space.rows(values)
        distances, nearest = plain(scaled, 30)[0], plain(scaled, 1)[1]
        rows = anomalies(store, run).rows
        assert [row.row for row in rows] == np.lexsort((np.arange(900), -distances))[:N].tolist()
        assert [row.neighbour for row in rows] == nearest[[row.row for row in rows]].tolist()
        assert {rows[0].row, rows[1].row} == {17, 600}
        for row in rows[:2]:
            because = row.contributions[0]
            assert (because.column, because.value) == ("c1", values[1, row.row])
            assert because.neighbour_value == values[1, row.neighbour] > 30 > because.kth_value
            assert because.share > 0.9, "what makes both odd is named, though they are alike"


def test_fewer_rows_than_neighbours_and_more_ranks_than_units(store, analysed):
    for mode in MODES:
        tiny, empty = analysed[f"tiny-{mode}"], analysed[f"nothing-{mode}"]
        rows = anomalies(store, tiny.run).rows
        found, profile = store.success(tiny.run).anomaly, store.profile(tiny.run)
        space = Space.of(profile, scaling(profile), "euclidean")
        distances, _ = plain(space.rows(tiny.values), 6)
        assert found.neighbours_used == 6
        assert {row.row: row.score for row in rows} == pytest.approx(dict(enumerate(distances)))
        record = store.success(empty.run).anomaly
        assert record.nothing.startswith("no column that rows could be compared by is left")
        assert (
            record.complete_rows,
            record.incomplete_rows,
            anomalies(store, empty.run).rows,
        ) == (0, 5, ())


def test_the_plan_knows_the_memory_of_many_columns(store, tmp_path):
    values = np.random.default_rng(3).standard_t(4, (512, 3_000)).astype(np.float64)
    run = store.put_table("wide", values, unit_rows=1_000)
    job = many.Job(run=run, mode="top", top=N, more={ENV_EXACT_QUANTILES: "true"})
    # by a process that does nothing else
    found: list[Any] = many.analyse(store, [job], folder=tmp_path)
    (success,) = found
    assert (
        0.4 * success.plan["top"]["memory_bytes"]
        < success.peak_memory_bytes
        < 1.5 * success.plan["top"]["memory_bytes"]
    )


def test_full_is_refused_where_it_is_too_dear_before_anything_is_written(store, values, analysed):
    run = store.put_table("too-dear", values, unit_rows=750)
    done = run_stage(store, run, 2, **{ENV_ANOMALY_MODE: "full"}, **TOO_DEAR)
    assert done.returncode == 1, done.stdout + done.stderr
    error = json.loads(store.get(RESULTS, run.error_key("analysis")))
    assert "mode 'full' would compare " in error["error"]
    assert f"pairs of {ROWS:,} rows in about" in error["error"]
    assert error["error"].endswith("and the limit is $0.00")
    assert "use mode 'top'" in error["hint"]
    assert list(store.keys(run.results_prefix)) == [run.error_key("analysis")]
    (admitted,) = analysed["limited-top"].found
    assert admitted.plan["full"]["usd"] > 0.00001, "mode top has no such limit"


def test_a_changed_result_is_found_out(store, analysed):
    run, (success,) = analysed["changed"].run, analysed["changed"].found
    key = run.scores_prefix + success.anomaly.scores[1].name
    store.s3.put_object(
        Bucket=RESULTS,
        Key=key,
        Body=store.get(RESULTS, run.scores_prefix + success.anomaly.scores[0].name),
    )
    with pytest.raises(
        ContractError, match=r"scores/unit-000001.parquet is not the object that the analysis wrote"
    ):
        anomalies(store, run)

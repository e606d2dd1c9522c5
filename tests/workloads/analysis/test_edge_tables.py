"""Awkward tables through the whole stage: the definition in float64, one digest for any ranks and
threads, and what is said of odd rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pytest

from tests.workloads.analysis.knn.tables import plain
from tests.workloads.analysis.many import Found, Job, analyse, load
from workloads.analysis.pipeline.success import Success
from workloads.analysis.space.scaling import scaling
from workloads.analysis.space.space import METRICS, Space
from workloads.parameters import Metric
from workloads.variables import ENV_CHECKPOINTS_PATH

K, TOP = 5, 12
pytestmark = pytest.mark.timeout(
    300
)  # tables by the dozen in one fixture, on a machine that may be busy
Values = npt.NDArray[np.float64]


def _normal(n: int, d: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(n + d).standard_normal((d, n))


def _constant_columns() -> Values:
    values = _normal(500, 5)
    values[1], values[3] = 7.25, 0
    return values.astype(np.float64)


def _missing_and_infinite() -> Values:
    values = _normal(500, 4)
    values[0, ::7], values[2, [0, 13, 499]], values[3, 200] = np.nan, np.inf, -np.inf
    return values.astype(np.float64)


def _some_far() -> Values:
    values = _normal(500, 3)
    values[0, [3, 250]], values[1, 499] = 1e30, -3e38
    return values.astype(np.float64)


def _at_the_centre() -> Values:
    """Every value has its opposite, so that median and mean are 0, and ten rows are nothing but
    0.
    """
    half = _normal(250, 3)
    half[:, 40:45] = 0
    return np.concatenate((half, -half), axis=1).astype(np.float64)


TABLES: dict[str, Values] = {
    "ties": np.random.default_rng(0).integers(0, 4, (3, 500)).astype(np.float64),
    "duplicates": np.tile(_normal(50, 6), 10).astype(np.float64),
    "repeated-column": _normal(400, 3)[[0, 1, 2, 0, 1]].astype(np.float64),
    "constant-columns": _constant_columns(),
    "missing-and-infinite": _missing_and_infinite(),
    "fewer-rows-than-neighbours": _normal(4, 3).astype(np.float64),
    "as-many-rows-as-neighbours": _normal(5, 3).astype(np.float64),
    "one-row": _normal(1, 3).astype(np.float64),
    "two-rows": _normal(2, 2).astype(np.float64),
    "one-column": _normal(700, 1).astype(np.float64),
    "512-columns": _normal(300, 512).astype(np.float64),
    "1e30": (_normal(500, 4) * 1e30).astype(np.float64),
    "1e-30": (_normal(500, 4) * 1e-30).astype(np.float64),
    "1e30-beside-1e-30": (
        (_normal(500, 4) * np.array([[1e30], [1e-30], [1], [1e-38]])).astype(np.float64)
    ),
    "some-far": _some_far(),
    "offset": (_normal(700, 4) + 1e6).astype(np.float64),
    "at-the-centre": _at_the_centre(),
}
Case = tuple[str, str, Metric]
SPREAD: tuple[Case, ...] = (
    ("ties", "full", "euclidean"),
    ("ties", "top", "cosine"),
    ("missing-and-infinite", "full", "mahalanobis"),
    ("fewer-rows-than-neighbours", "top", "euclidean"),
    ("some-far", "top", "euclidean"),
    ("at-the-centre", "top", "cosine"),
    ("at-the-centre", "full", "cosine"),
)
"""Analysed by several ranks as well; those with mode `top` come on top of mode `full`, which all
tables go through with every metric.
"""


@dataclass(frozen=True, kw_only=True)
class Both:
    """The same jobs by one rank with one thread, then some of them by three ranks with two
    threads.
    """

    one: dict[Case, Success]
    many: dict[Case, Success]
    found: dict[Case, Found]
    spaces: dict[Case, Space]


@pytest.fixture(scope="module")
def both(store, tmp_path_factory) -> Both:
    jobs: dict[Case, Job] = {}
    kept = {ENV_CHECKPOINTS_PATH: str(tmp_path_factory.mktemp("checkpoints"))}
    for name, mode, metric in dict.fromkeys(
        [*((name, "full", metric) for name in TABLES for metric in METRICS), *SPREAD]
    ):
        run = store.put_table(f"{name}-{metric}-{mode}", TABLES[name], unit_rows=170)
        jobs[name, mode, metric] = Job(
            run=run, mode=mode, metric=metric, neighbours=K, top=TOP, more=kept
        )
    spread = [replace(jobs[case], ranks=3, threads=2) for case in SPREAD]
    ended = analyse(store, [*jobs.values(), *spread], folder=tmp_path_factory.mktemp("jobs"))
    one, many = ended[: len(jobs)], ended[len(jobs) :]
    found = {case: load(store, job) for case, job in jobs.items()}
    return Both(
        one=dict(zip(jobs, one, strict=True)),
        many=dict(zip(SPREAD, many, strict=True)),
        found=found,
        spaces={
            case: Space.of(one.profile, scaling(one.profile), case[2])
            for case, one in found.items()
        },
    )


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", TABLES)
def test_scores_are_those_of_the_definition(both, name, metric):
    values, found, space = (
        TABLES[name],
        both.found[name, "full", metric],
        both.spaces[name, "full", metric],
    )
    record = found.anomalies.record
    complete = np.flatnonzero(space.complete(values))
    rows = space.rows(values[:, complete])
    compared = np.flatnonzero(rows.any(axis=1)) if metric == "cosine" else np.arange(complete.size)
    assert record.neighbours_used == max(min(K, compared.size - 1), 1)
    distances, kth = plain(rows[compared], record.neighbours_used)
    expected = distances**2 / 2 if metric == "cosine" else distances
    np.testing.assert_array_equal(found.ids, complete[compared])
    np.testing.assert_allclose(found.scores, expected, rtol=1e-13)
    assert not np.isnan(found.scores).any()
    assert record.complete_rows == compared.size
    assert record.undirected_rows == complete.size - compared.size
    assert record.incomplete_rows == values.shape[1] - complete.size
    order = np.lexsort((found.ids, -found.scores))[:TOP]
    assert [row.row for row in found.anomalies.rows] == found.ids[order].tolist()
    assert [row.score for row in found.anomalies.rows] == found.scores[order].tolist()
    assert [row.neighbour is None for row in found.anomalies.rows] == (kth[order] < 0).tolist()
    if name in ("ties", "duplicates") and metric == "euclidean":
        nearest = plain(rows[compared], 1)[1]
        neighbours = [row.neighbour for row in found.anomalies.rows]
        assert neighbours == found.ids[nearest[order]].tolist()


@pytest.mark.parametrize("case", SPREAD, ids="-".join)
def test_any_ranks_any_threads_and_both_modes_agree(both, case):
    one, many = both.one[case], both.many[case]
    assert (one.ranks, many.ranks) == (1, 3)
    assert one.digest == many.digest
    name, _, metric = case
    full, found = (both.found[name, mode, metric].anomalies for mode in ("full", case[1]))
    assert full.rows == found.rows
    assert full.record.undirected_rows == found.record.undirected_rows


def test_what_is_said_of_odd_rows_and_columns(both):
    record = {
        (name, metric): both.found[name, "full", metric].anomalies.record
        for name in TABLES
        for metric in METRICS
    }
    assert set(record["constant-columns", "euclidean"].excluded) == {"c1", "c3"}
    assert (
        record["missing-and-infinite", "euclidean"].incomplete_rows == 72 + 3
    )  # row 0 lacks one value and has another that is infinite
    assert {metric: record["at-the-centre", metric].undirected_rows for metric in METRICS} == {
        "euclidean": 0,
        "mahalanobis": 0,
        "cosine": 10,
    }
    assert record["one-row", "euclidean"].complete_rows == 0, "with one row no column has a unit"
    assert (
        record["1e30", "euclidean"].fallback_rows == record["1e-30", "euclidean"].fallback_rows == 0
    ), "scaled they are as others"
    assert record["some-far", "euclidean"].fallback_rows == 3


@pytest.mark.parametrize("name", ["512-columns", "offset", "1e30", "1e-30"])
def test_random_rows_by_hand(both, name):
    """Median and interquartile range by NumPy, distances in float64 of raw values: nothing of the
    program but its answer.
    """
    raw = TABLES[name].astype(np.float64)
    space, found = both.spaces[name, "full", "euclidean"], both.found[name, "full", "euclidean"]
    scaled = ((raw - raw.mean(axis=1)[:, None]) / space.unit[:, None]).T
    some = np.random.default_rng().choice(raw.shape[1], 40, replace=False)
    expected = [np.sort(np.linalg.norm(scaled - scaled[row], axis=1))[K] for row in some]
    np.testing.assert_allclose(found.scores[some], expected, rtol=1e-5)
    lower, upper = np.quantile(raw, [0.25, 0.75], axis=1)
    np.testing.assert_allclose(
        space.unit, np.where(space.unit == 0, 1, (upper - lower) / 1.349), rtol=0.3
    )

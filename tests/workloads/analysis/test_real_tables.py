"""Real tables, metric by metric: scores of the whole stage equal those of scikit-learn and of PyOD
on data scaled without its help.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn import datasets
from sklearn.neighbors import NearestNeighbors

from tests.workloads.analysis.many import Found, Job, analyse, load
from workloads.analysis.space.space import METRICS
from workloads.variables import ENV_CHECKPOINTS_PATH

LOADERS: dict[str, Any] = {
    name: getattr(datasets, f"load_{name.replace('-', '_')}")
    for name in ("iris", "wine", "breast-cancer", "digits", "diabetes", "linnerud")
}
K, TOP = 5, 15
pytestmark = pytest.mark.timeout(
    300
)  # tables by the dozen in one fixture, on a machine that may be busy


def table(name: str) -> npt.NDArray[np.float64]:
    """(rows, columns) of measured values, the target left out."""
    found: npt.NDArray[np.float64] = LOADERS[name]().data.astype(np.float64)
    return found


def standardised(name: str) -> npt.NDArray[np.float64]:
    """Columns that vary, with mean 0 and standard deviation 1."""
    rows = table(name).astype(np.float64)
    rows = rows[:, np.ptp(rows, axis=0) > 0]
    found: npt.NDArray[np.float64] = (rows - rows.mean(axis=0)) / rows.std(axis=0, ddof=1)
    return found


def shrunk_inverse(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Inverse of the correlation with the shrinkage of Chen, Wiesel, Eldar and Hero (2010), eq. 23,
    written down from there.
    """
    n, p = rows.shape
    s = np.asarray(np.corrcoef(rows.T))
    tr_ss, tr_s = np.trace(s @ s), np.trace(s)
    rho = min(1.0, ((1 - 2 / p) * tr_ss + tr_s**2) / ((n + 1 - 2 / p) * (tr_ss - tr_s**2 / p)))
    found: npt.NDArray[np.float64] = np.linalg.inv((1 - rho) * s + rho * tr_s / p * np.eye(p))
    return found


@pytest.fixture(scope="module")
def found(store, tmp_path_factory) -> dict[tuple[str, str, str], Found]:
    """(table, metric, mode) -> what the stage has found."""
    jobs = {}
    kept = {ENV_CHECKPOINTS_PATH: str(tmp_path_factory.mktemp("checkpoints"))}
    for name in LOADERS:
        for metric in METRICS:
            for mode in ("full", "top"):
                run = store.put_table(
                    f"{name}-{metric}-{mode}", np.ascontiguousarray(table(name).T), unit_rows=250
                )
                jobs[name, metric, mode] = Job(
                    run=run,
                    mode=mode,
                    metric=metric,
                    scaling="standard",
                    neighbours=K,
                    top=TOP,
                    more=kept,
                )
    analyse(store, list(jobs.values()), folder=tmp_path_factory.mktemp("jobs"))
    return {case: load(store, job) for case, job in jobs.items()}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", LOADERS)
def test_scores_equal_those_of_the_peers(found, name, metric):
    # reads numba, for a second; here it is one worker that does, and not each that collects
    from pyod.models.knn import KNN

    rows = standardised(name)
    params = {"VI": shrunk_inverse(rows)} if metric == "mahalanobis" else None
    peer = NearestNeighbors(
        n_neighbors=K, algorithm="brute", metric=metric, metric_params=params
    ).fit(rows)
    expected = peer.kneighbors()[0][:, -1]  # without an argument a row is not its own neighbour
    full = found[name, metric, "full"]
    # scikit-learn loses half the digits of small distances
    assert_close = functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-6)
    np.testing.assert_array_equal(full.ids, np.arange(len(rows)))
    assert_close(full.scores, expected)
    if (
        metric != "mahalanobis"
    ):  # which would be the same call of scikit-learn once more, some seconds long
        assert_close(full.scores, KNN(n_neighbors=K, metric=metric).fit(rows).decision_scores_)
    top = found[name, metric, "top"]
    order = np.lexsort((full.ids, -full.scores))[:TOP]
    assert [row.row for row in top.anomalies.rows] == order.tolist()
    assert [row.score for row in top.anomalies.rows] == full.scores[order].tolist()
    assert top.anomalies.rows == full.anomalies.rows
    record = full.anomalies.record
    assert (record.asked.anomaly_metric, record.undirected_rows, record.certified_fraction) == (
        metric,
        0,
        1.0,
    )

"""Reported files whose figures were once wrong, from the file to profile and scores."""

from __future__ import annotations

import math
from statistics import stdev

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from tests.workloads.analysis.test_values import profile_of, scores_of, table_of
from tests.workloads.preprocess.cleaning import run
from tests.workloads.preprocess.test_cases import CASES, RIGHT
from workloads.analysis.space.scaling import scaling
from workloads.analysis.space.space import Space
from workloads.analysis.table import Table


def compared(name: str) -> tuple[Table, list[str]]:
    """What the analysis reads of a case, and the names of the columns that rows are compared by."""
    outcome = run((CASES / name / "input.csv").read_bytes())
    names = [column.name for column in outcome.cleaned.columns if column.use == "compare"]
    return table_of([outcome.table[one].to_numpy() for one in names]), names


@pytest.mark.parametrize(
    ("name", "column", "sd"),
    [
        ("66-large-offset", "sensor", 1.4322297480788657),
        ("n01-variance-at-an-offset", "v", 4.80384461415260),
        ("47-epoch-milliseconds", "time_ms", None),
        ("48-tiny-p-values", "p", None),
    ],
)
def test_mean_and_sd(name, column, sd):
    table, names = compared(name)
    profile, at = profile_of(table), names.index(column)
    place = RIGHT[name].columns.split()[::2].index(column)
    rows = [RIGHT[name].row(i) for i in range(40)]
    values = [row[place] for row in rows if row is not None]
    assert profile.mean[at] == pytest.approx(math.fsum(values) / len(values), rel=1e-15)
    assert profile.sd[at] == pytest.approx(stdev(values), rel=1e-14)
    assert sd is None or profile.sd[at] == pytest.approx(sd, rel=1e-12)
    assert not profile.constant[at]


def test_scores_of_near_duplicates_far_from_zero():
    table, _ = compared("n11-near-duplicates-far-from-zero")
    profile = profile_of(table)
    rows = np.array(
        [RIGHT["n11-near-duplicates-far-from-zero"].row(i) for i in range(400)], np.float64
    )
    found = scores_of(table, Space.of(profile, scaling(profile, "standard"), "euclidean"), 5)
    scaled = (rows - rows.mean(axis=0)) / rows.std(axis=0, ddof=1)
    theirs = NearestNeighbors(n_neighbors=5, algorithm="kd_tree").fit(scaled).kneighbors()[0][:, -1]
    np.testing.assert_allclose(found.scores, theirs, rtol=1e-6)


def test_identical_rows_leave_no_column_to_compare():
    table, _ = compared("n08-identical-rows")
    profile = profile_of(table)
    assert profile.constant.all()
    assert scaling(profile).columns == ()

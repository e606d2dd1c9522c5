"""Numbers as files hold them: large whole ones, tiny ones, offsets; and tables with little or
nothing to compare.
"""

from __future__ import annotations

import functools
import io
from fractions import Fraction
from statistics import stdev

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from sklearn.neighbors import NearestNeighbors

from tests.workloads.analysis.knn.tables import plain
from tests.workloads.analysis.many import Job, analyse, load
from tests.workloads.analysis.tables import run_of, write_table
from workloads.analysis.knn.block import prepare
from workloads.analysis.knn.contributions import Cells, contributions
from workloads.analysis.knn.full import Scores, all_pairs, finish
from workloads.analysis.knn.pairs_numpy import NumpyPairs
from workloads.analysis.profile.exact import ExactSearch
from workloads.analysis.profile.leaf_numpy import NumpyProfile
from workloads.analysis.profile.node import ProfileNode, merge
from workloads.analysis.profile.result import Profile
from workloads.analysis.space.scaling import scaling
from workloads.analysis.space.space import Space
from workloads.analysis.table import Table, UnitData
from workloads.analysis.tree import Forest, NodeId

PROBABILITIES = (0.25, 0.5, 0.75)
NANOSECONDS = 1_748_736_094_501_000_000 + np.random.default_rng(0).integers(0, 5_000, 400) * 7
BEYOND = 2**53 + np.arange(400, dtype=np.int64) % 5
EDGES = np.array([-(2**63), 2**63 - 1, 2**63 - 513, 0, -(2**53) - 1] * 80)


def table_of(
    columns: list[npt.NDArray[np.int64] | npt.NDArray[np.float64]], unit_rows: int = 150
) -> Table:
    """Through Parquet and back."""
    data, manifest = write_table(run_of("values"), columns, unit_rows, {})
    return Table(manifest, lambda start, length: data[start : start + length])


def units_of(table: Table) -> list[UnitData]:
    return list(table.units(range(len(table.manifest.units))))


def profile_of(table: Table) -> Profile:
    units = units_of(table)
    forest = Forest(len(units), merge)
    for unit in units:
        backend = NumpyProfile(2)
        backend.begin_counting(len(table.columns))
        moments = backend.unit(unit.values, unit.rests, table.compared)
        forest.add(
            NodeId(0, unit.unit.index), ProfileNode(moments=moments, sketch=backend.counted())
        )
    root = forest.root()
    return Profile(columns=table.columns, moments=root.moments, sketch=root.sketch)


def scores_of(table: Table, space: Space, k: int) -> Scores:
    blocks = {
        data.unit.index: prepare(space, data.unit.row_offset, data.values, data.rests).block
        for data in units_of(table)
    }
    return finish(all_pairs(NumpyPairs(), blocks, units=len(blocks), k=k))


@pytest.mark.parametrize(
    "numbers", [NANOSECONDS, BEYOND, EDGES], ids=["nanoseconds", "beyond 2^53", "edges of int64"]
)
def test_whole_numbers_beyond_float64_stay_apart(numbers):
    table = table_of([numbers, np.arange(400, dtype=np.float64)])
    profile = profile_of(table)
    values = [int(number) for number in numbers]
    m = profile.moments
    assert int(m.minimum[0]) + int(m.minimum_rest[0]) == min(values)
    assert int(m.maximum[0]) + int(m.maximum_rest[0]) == max(values)
    assert not profile.constant[0]
    mean = Fraction(sum(values), len(values))
    assert (
        abs(Fraction(float(m.mean[0])) + Fraction(float(m.mean_rest[0])) - mean)
        <= abs(mean) * Fraction(2) ** -100
    )
    assert profile.sd[0] == pytest.approx(stdev(Fraction(value) for value in values), rel=1e-15)
    assert profile.wide(table.whole) == [0]

    search = ExactSearch(profile.sketch, PROBABILITIES, 2, wide=[0])
    while not search.finished:
        counts = search.zeros()
        for unit in units_of(table):
            search.count(unit.values, counts, unit.rests)
        search.narrow(counts)
    exact = search.found()
    ordered = sorted(values)
    for place, probability in enumerate(PROBABILITIES):
        at = probability * 399
        low, high = ordered[int(at)], ordered[int(at) + 1]
        true = low + (high - low) * Fraction(at - int(at))
        assert abs(
            Fraction(float(exact.values[place, 0])) + Fraction(float(exact.rests[place, 0])) - true
        ) <= Fraction(2) ** -40 * (high - low) + Fraction(1, 2**30)
    assert not exact.rests[:, 1].any()

    chosen = scaling(profile, "standard")
    assert chosen.columns == ("c0", "c1")
    found = scores_of(table, Space.of(profile, chosen, "euclidean"), 3)
    scaled = np.array(
        [
            [float(Fraction(value) - mean) / profile.sd[0] for value in values],
            np.arange(400) / profile.sd[1],
        ]
    ).T
    np.testing.assert_allclose(found.scores, plain(scaled, 3)[0], rtol=1e-12)


def test_contributions_name_the_whole_numbers_themselves():
    table = table_of([NANOSECONDS])
    profile = profile_of(table)
    space = Space.of(profile, scaling(profile, "standard"), "euclidean")
    unit = units_of(table)[0]
    one, other = (Cells(values=unit.values[:, row], rests=unit.rests[0][[row]]) for row in (0, 1))
    (part,) = contributions(space, table.columns, one, other, other)
    assert (part.value, part.neighbour_value) == (int(NANOSECONDS[0]), int(NANOSECONDS[1]))
    assert part.kth_value == part.neighbour_value


@pytest.mark.parametrize(
    ("numbers", "sd"),
    [
        (1e6 + np.array([4.0, 7, 13, 16] * 10), 4.743416490252569),
        (1_000_000_000 + np.array([4, 7, 13, 16] * 10), 4.743416490252569),
        (100_000_000 + np.arange(40) % 5, 1.4142135623730951),
        (np.array([1e-47, 4e-89, 2e-47, 3e-47] * 10), None),
        (1_748_736_094_501 + 1_379 * np.arange(40), None),
        (np.array([1000000.2] + [1000000.1, 1000000.3] * 500), 0.1),  # NIST's NumAcc3
        (np.array([10000000.2] + [10000000.1, 10000000.3] * 500), 0.1),  # NIST's NumAcc4
    ],
)
def test_offsets_and_tiny_values_keep_their_digits(numbers, sd):
    profile = profile_of(table_of([numbers]))
    values = [Fraction(number) for number in numbers.tolist()]
    assert profile.sd[0] == pytest.approx(stdev(values), rel=1e-15)
    if sd is not None:
        population = sd if numbers.size > 1000 else sd * np.sqrt(numbers.size / (numbers.size - 1))
        assert profile.sd[0] == pytest.approx(population, rel=1e-8)
    assert profile.mean[0] == float(sum(values) / len(values))
    assert not profile.constant[0]
    assert scaling(profile).columns == ("c0",)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e9])
@pytest.mark.parametrize("metric", ["euclidean", "mahalanobis"])
def test_scores_are_those_of_scikit_learn_on_float64_numbers_far_from_zero(offset, metric):
    rng = np.random.default_rng(1)
    rows = offset + 1e-3 * rng.standard_normal((400, 3))
    rows[::4] = rows[1::4] + 1e-9 * max(offset, 1e-3) * rng.standard_normal(
        (100, 3)
    )  # near-duplicates
    table = table_of(list(np.ascontiguousarray(rows.T)))
    profile = profile_of(table)
    space = Space.of(profile, scaling(profile, "standard"), metric)
    scaled = (
        space.coordinates(np.ascontiguousarray(rows.T)).T
        if metric == "mahalanobis"
        else (rows - profile.mean) / profile.sd
    )
    found = scores_of(table, space, 1)
    theirs = NearestNeighbors(n_neighbors=1, algorithm="kd_tree").fit(scaled).kneighbors()[0][:, 0]
    np.testing.assert_allclose(found.scores, theirs, rtol=1e-6)


def test_a_table_without_anything_to_compare_is_analysed_with_a_reason(store, tmp_path):
    equal = [np.ones(40), np.full(40, 2, np.int64)]
    gappy = np.random.default_rng(2).standard_normal((2, 40))
    gappy[0, 5:] = np.nan
    cases = {
        "none": store.put_table("no-numbers", equal, 15, uses={0: "keep", 1: "keep"}),
        "described": store.put_table("described", equal, 15, uses={0: "describe", 1: "describe"}),
        "equal": store.put_table("equal-rows", equal, 15),
        "gaps": store.put_table("gaps-described", gappy, 15, uses={0: "describe"}),
    }
    analyse(
        store,
        [Job(run=run, mode=mode, ranks=2) for run in cases.values() for mode in ("top", "full")],
        folder=tmp_path,
    )
    found = {name: load(store, Job(run=run, mode="full", ranks=2)) for name, run in cases.items()}
    assert found["none"].profile.columns == ()
    assert found["none"].profile.rows == 40
    assert (
        found["none"].anomalies.record.nothing
        == "no column of the table holds quantities to compare rows by"
    )
    assert found["described"].profile.mean.tolist() == [1.0, 2.0]
    assert found["described"].anomalies.record.nothing == found["none"].anomalies.record.nothing
    assert found["equal"].anomalies.record.nothing.startswith(
        "no column that rows could be compared by is left"
    )
    assert found["gaps"].profile.complete_rows == 40, (
        "the gaps are in a column that rows are not compared by"
    )
    assert found["gaps"].anomalies.record.complete_rows == 40
    assert found["gaps"].anomalies.record.nothing == ""
    assert found["gaps"].profile.correlation.shape == (1, 1)


def test_reading_rejects_what_the_manifest_does_not_promise():
    data, manifest = write_table(run_of("values"), [np.arange(5.0)], 5, {})
    other = pa.table({"label": ["a"] * 5, "c0": pa.array([1.0] * 5, pa.float32())})
    buffer = io.BytesIO()
    pa.parquet.write_table(other, buffer)
    with pytest.raises(Exception, match="column 'c0' is float; the analysis reads double, int64"):
        Table(
            manifest, functools.partial(_footer_of, buffer.getvalue(), manifest.footer_offset, data)
        )


def _footer_of(data: bytes, footer: int, real: bytes, start: int, length: int) -> bytes:
    return data if start == footer else real[start : start + length]

"""The analysis as an array job: children that never meet, in any order, killed and run again, give
the one digest.
"""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tests.workloads.analysis.conftest import RESULTS, Store
from tests.workloads.analysis.killing import Attempts
from tests.workloads.analysis.many import Job, analyse_shards
from tests.workloads.analysis.tables import run_of
from tests.workloads.analysis.test_program import run_stage
from tests.workloads.analysis.watched_server import after, put
from workloads.analysis import first_writer
from workloads.analysis.pipeline.shard_store import ShardStore
from workloads.contract import Run
from workloads.records import StageRecord
from workloads.runtime import s3
from workloads.runtime.errors import StageError
from workloads.variables import (
    ENV_ANOMALY_MODE,
    ENV_ANOMALY_NEIGHBOURS,
    ENV_ANOMALY_TOP,
    ENV_SHARDS,
)

COLUMNS, ROWS, UNIT_ROWS = 6, 6_100, 1_000
TOP = {ENV_ANOMALY_TOP: "15", ENV_ANOMALY_NEIGHBOURS: "10"}


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    rng = np.random.default_rng(31)
    values = rng.standard_t(4, size=(COLUMNS, ROWS)).astype(np.float64)
    values[:, 4_000:4_010] = values[:, :10]  # equal rows in different shards
    values[2, rng.random(ROWS) < 0.02] = np.nan
    return values


def child(index: int, shards: int, *, launch: str = "job", attempt: int = 1) -> dict[str, str]:
    return {
        "AWS_BATCH_JOB_ID": f"{launch}:{index}",
        "AWS_BATCH_JOB_ARRAY_INDEX": str(index),
        "AWS_BATCH_JOB_ATTEMPT": str(attempt),
        ENV_SHARDS: str(shards),
    }


def run_child(
    store: Store, run: Run, mode: str, index: int, shards: int, ranks: int = 1, launch: str = "job"
) -> subprocess.CompletedProcess[str]:
    return run_stage(
        store,
        run,
        ranks,
        **{ENV_ANOMALY_MODE: mode, **TOP, **child(index, shards, launch=launch)},
    )


def job_of(
    run: Run, mode: str, index: int, shards: int, ranks: int = 1, launch: str = "job"
) -> Job:
    return Job(run=run, mode=mode, top=15, ranks=ranks, more=child(index, shards, launch=launch))


Launch = tuple[int, int, list[int]]
"""Shards; ranks of each; the order in which they come."""
LAUNCHES: dict[str, list[Launch]] = {
    "top": [(3, 2, [1, 2, 0])],
    "full": [(2, 2, [1, 0]), (3, 1, [1, 2, 0])],
}
FEW_UNITS = {"top": (0, 2, 1), "full": (15, 3, 2)}
"""By mode: rows of a table in units of ten; shards; those that have something to do."""


@dataclass(frozen=True, kw_only=True)
class Launched:
    """A table, and what came of the children, one after the other."""

    run: Run
    found: list[Any]
    """Success of each, or None where it concluded nothing."""
    log: str


@pytest.fixture(scope="module")
def launched(store, values, tmp_path_factory) -> dict[str, Launched]:
    """By the table's name: all children and whole runs for which ranks that are there already do,
    with what each test goes on from.
    """
    runs = {
        "killed-shard": store.put_table("killed-shard", values, unit_rows=400),
        "whole-shard": store.put_table("whole-shard", values, unit_rows=400),
        "damaged-part": store.put_table("damaged-part", values, unit_rows=UNIT_ROWS),
    }
    jobs = {
        "killed-shard": [job_of(runs["killed-shard"], "full", 2, 3)],
        "whole-shard": [Job(run=runs["whole-shard"], mode="full", top=15)],
        "damaged-part": [job_of(runs["damaged-part"], "full", 0, 2)],
    }
    for mode, launches in LAUNCHES.items():
        name = f"shards-{mode}"
        run = runs[name] = store.put_table(name, values, unit_rows=UNIT_ROWS)
        jobs[name] = [Job(run=run, mode=mode, top=15)]
        for shards, ranks, order in launches:
            jobs[name] += [
                job_of(run, mode, index, shards, ranks, f"{shards} shards") for index in order
            ]
        # the part of a launch that was given up is of other units, and no concern of the next one
        jobs[name].insert(-3, job_of(run, mode, 0, 2, launch="given up"))
        if mode == "full":  # what Batch starts once more, because its host went away too early
            jobs[name].append(jobs[name][-1])
        else:
            jobs[name].pop()
    for mode, (rows, shards, _) in FEW_UNITS.items():
        name = f"few-units-{mode}"
        few = np.arange(2 * rows, dtype=np.float64).reshape(2, rows)
        run = runs[name] = store.put_table(name, few, unit_rows=10)
        jobs[name] = [job_of(run, mode, index, shards) for index in range(shards)]
        jobs[name].append(Job(run=run, mode=mode, top=15))
    together = [job for some in jobs.values() for job in some]
    found, log = analyse_shards(store, together, folder=tmp_path_factory.mktemp("jobs"))
    done, lines = iter(found), log.splitlines(keepends=True)
    return {
        name: Launched(
            run=runs[name],
            found=[next(done) for _ in some],
            log="".join(line for line in lines if runs[name].run_id in line),
        )
        for name, some in jobs.items()
    }


@pytest.mark.parametrize("mode", LAUNCHES)
def test_any_number_of_shards_in_any_order_gives_the_digest_of_one_rank(store, launched, mode):
    """With mode `top` the last child runs as Batch would start it, all others in ranks that are
    there already.
    """
    run, launches = launched[f"shards-{mode}"].run, LAUNCHES[mode]
    (one, *found), log = launched[f"shards-{mode}"].found, launched[f"shards-{mode}"].log
    shards, ranks, _ = launches[-1]
    if mode == "top":
        ended = run_child(store, run, mode, 0, shards, ranks, launch="3 shards")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        found.append(store.success(run))
        # a child that Batch starts once more, because its host went away before its end was
        # counted, finds all done
        again = run_child(store, run, mode, 0, shards, launch="3 shards")
        assert again.returncode == 0, again.stdout + again.stderr
        record = StageRecord.from_json(store.get(RESULTS, run.stage_record_key("analysis")))
        assert record.job_id == "3 shards:0"
        assert record.details["shard_seconds"] == list(store.success(run).shard_seconds)
        once_more = again.stdout
    else:
        once_more = log
        assert found.pop() is None
    assert "the result of this launch is stored" in once_more
    assert found.pop(-4) is None
    for shards, ranks, _ in launches:
        *others, concluded = found[:shards]
        del found[:shards]
        assert others == [None] * (shards - 1), "a shard concluded before the last one"
        assert (concluded.digest, concluded.launch, len(concluded.shard_seconds)) == (
            one.digest,
            f"{shards} shards",
            shards,
        )
        assert (concluded.anomaly.complete_rows, concluded.anomaly.incomplete_rows) == (
            one.anomaly.complete_rows,
            one.anomaly.incomplete_rows,
        )
        assert (concluded.ranks, concluded.nodes) == (shards * ranks, shards)
    assert log.count("part stored; the last shard combines all parts") == 1 + sum(
        shards - 1 for shards, _, _ in launches
    )
    scores = store.keys(run.scores_prefix)
    assert len(scores) == (7 if mode == "full" else 0)
    assert all(len(store.watch.stored[f"/{RESULTS}/{key}"]) == 1 for key in scores), (
        "the scores of the same unit have other bytes"
    )
    assert store.keys(run.checkpoints_prefix) == {}


@pytest.mark.parametrize("mode", FEW_UNITS)
def test_more_shards_than_units(launched, mode):
    rows, shards, busy = FEW_UNITS[mode]
    *sharded, whole = launched[f"few-units-{mode}"].found
    (concluded,) = [one for one in sharded if one is not None]
    assert (concluded.rows, concluded.anomaly.complete_rows, len(concluded.shard_seconds)) == (
        rows,
        rows,
        busy,
    )
    log = launched[f"few-units-{mode}"].log
    assert log.count("nothing to do: there are more shards than units") == shards - busy
    assert whole.digest == concluded.digest


def test_a_killed_child_goes_on_by_itself_with_another_number_of_ranks_and_in_another_launch(
    store, launched, tmp_path
):
    run, (whole,) = launched["killed-shard"].run, launched["whole-shard"].found
    mode = {ENV_ANOMALY_MODE: "full", **TOP}
    attempts = Attempts(
        store, run, {**mode, **child(1, 3)}, prefix=f"{run.shards_prefix}units-000005-000010/"
    )
    attempts.end_at(2, after(put("/query-"), put("/checkpoint.json")))
    assert run.success_key not in store.keys(run.results_prefix)
    attempts.environ |= {"AWS_BATCH_JOB_ATTEMPT": "2"}
    attempts.complete(1)
    kept = [key for key in store.keys(run.shards_prefix) if "/part-" in key]
    assert len(kept) == 2
    # the run is begun again: what is there is taken, whatever job computed it
    last = job_of(run, "full", 0, 3, launch="again")
    ((found,), _) = analyse_shards(store, [last], folder=tmp_path)
    assert (found.digest, found.launch) == (whole.digest, "again")
    assert found.checkpoint["objects_resumed"] > 0
    assert store.keys(run.checkpoints_prefix) == {}


def part_of(store: Store, run: Run, units: str) -> tuple[str, bytes]:
    (key,) = [key for key in store.keys(run.shards_prefix) if key.endswith(f"/part-{units}.npz")]
    return key, store.get(RESULTS, key)


def test_a_damaged_part_is_named_and_computed_anew_and_two_last_shards_write_the_same(
    store, launched, tmp_path
):
    run = launched["damaged-part"].run
    key, good = part_of(store, run, "000000-000003")
    store.s3.put_object(
        Bucket=RESULTS, Key=key, Body=good[:-100] + bytes([good[-100] ^ 1]) + good[-99:]
    )
    done = run_child(store, run, "full", 1, 2)
    assert done.returncode == 1, done.stdout
    error = json.loads(store.get(RESULTS, run.error_key("analysis")))
    assert error["error"].startswith(
        f"shard 1 of 2: rank 0 of 1 on node 0: s3://{RESULTS}/{key}, a shard's part of the result,"
        " is damaged"
    )
    assert error["hint"].startswith("run the analysis again")
    other_key, other = part_of(store, run, "000003-000007")
    again = job_of(run, "full", 0, 2, launch="again")
    _, log = analyse_shards(store, [again], folder=tmp_path)
    assert "is damaged (its sha256 differs); what it holds is computed again" in log
    found = store.success(run)
    assert found.launch == "again"

    store.s3.delete_object(Bucket=RESULTS, Key=run.success_key)
    for name, data in ((key, good), (other_key, other)):
        store.s3.put_object(Bucket=RESULTS, Key=name, Body=data)

    def last(index: int) -> Any:
        folder = tmp_path / str(index)
        folder.mkdir()
        job = job_of(run, "full", index, 2, launch="third")
        return analyse_shards(store, [job], folder=folder)[0][0]

    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(last, (0, 1)))
    # each finds both parts, unless the other was faster
    assert any(one is not None for one in ended)
    third = store.success(run)
    assert (third.digest, third.launch) == (found.digest, "third")
    assert store.keys(run.checkpoints_prefix) == {}


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        (
            {ENV_SHARDS: "3"},
            "PIPELINE_SHARDS says 3, but this is no child of an array job",
        ),
        (
            {"AWS_BATCH_JOB_ARRAY_INDEX": "1"},
            "PIPELINE_SHARDS says 1, but this is child 1 of an array job",
        ),
        (
            {"AWS_BATCH_JOB_ARRAY_INDEX": "3", ENV_SHARDS: "3"},
            "PIPELINE_SHARDS says 3, but this is child 3 of an array job",
        ),
        (
            {**child(0, 2), "AWS_BATCH_JOB_ARRAY_SIZE": "3"},
            "PIPELINE_SHARDS says 2, but this is child 0 of an array job of size 3",
        ),
        (
            {**child(0, 2), ENV_ANOMALY_MODE: "off"},
            "PIPELINE_SHARDS says 2, but PIPELINE_ANOMALY_MODE is 'off'",
        ),
    ],
)
def test_an_array_that_does_not_fit_its_variable_is_refused(store, environ, sentence):
    refused = store.refused({ENV_ANOMALY_MODE: "top", **environ})
    assert sentence in refused.sentence
    assert refused.exit_code == 2


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({ENV_SHARDS: "3"}, "PIPELINE_SHARDS says 3, but this is no child of an array job"),
        (
            {**child(0, 2), ENV_ANOMALY_MODE: "off"},
            "PIPELINE_SHARDS says 2, but PIPELINE_ANOMALY_MODE is 'off'",
        ),
    ],
    ids=["by the launcher", "by the rank"],
)
def test_a_refused_array_ends_with_the_sentence(store, values, environ, sentence):
    run = store.put_table("refused-array", values[:, :100].copy(), unit_rows=50)
    done = run_stage(store, run, 1, **{ENV_ANOMALY_MODE: "top", **environ})
    assert done.returncode == 2, done.stdout + done.stderr
    assert sentence in json.loads(store.get(RESULTS, run.error_key("analysis")))["error"]
    assert run.success_key not in store.keys(run.results_prefix)


def test_two_shards_that_come_to_different_profiles_name_both_machines(store, monkeypatch):
    for name, value in store.environ.items():
        monkeypatch.setenv(name, value)
    s3.client.cache_clear()
    run = run_of("two-machines")
    shards = ShardStore(RESULTS, run, {"manifest_sha256": "0"})
    arrays = {"mean": np.array([1.0]), "facts": np.array([1], np.uint8)}
    monkeypatch.setattr(first_writer, "this_machine", lambda: "one (Zen)")
    assert shards.offer_profile(arrays)["mean"] == 1.0
    monkeypatch.setattr(first_writer, "this_machine", lambda: "other (Haswell)")
    other = {**arrays, "facts": np.array([2], np.uint8)}
    assert shards.offer_profile(other)["facts"] == 1, "who computed which part is no matter"
    assert shards.profile() == arrays
    with pytest.raises(
        StageError,
        match=(
            r"another result of the same table: one \(Zen\) found [0-9a-f]{12}, and other"
            r" \(Haswell\) found"
        ),
    ):
        shards.offer_profile({**arrays, "mean": np.array([1.0 + 2.0**-52])})
    s3.client.cache_clear()

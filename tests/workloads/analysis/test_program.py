"""The stage on one node: mpirun with real ranks against a real (in-memory) S3."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn import datasets

from localcloud.batch.container import HIDDEN
from tests.workloads.analysis.conftest import MIDDLE, RESULTS, Store
from tests.workloads.analysis.many import Job, analyse
from tests.workloads.analysis.profile.serial import profile_of
from workloads import contract
from workloads.analysis.arrays import pack, unpack
from workloads.analysis.launch.mpirun import ROOT
from workloads.analysis.pipeline.success import Success
from workloads.analysis.profile.exact import PROBABILITIES
from workloads.contract import ContractError, Run
from workloads.records import Manifest, StageRecord
from workloads.variables import (
    ENV_EXACT_QUANTILES,
    ENV_EXCHANGE,
    ENV_INGEST_BUCKET,
    ENV_INPUT_KEY,
    ENV_RANKS_PER_NODE,
    ENV_RUN_ID,
    ENV_UNIT_ROWS,
)


def run_stage(
    store: Store,
    run: Run,
    ranks: int,
    package: str = "analysis",
    python: str = sys.executable,
    **environ: str,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-m", f"workloads.{package}"],
        env={
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "PYTHONPATH": str(HIDDEN),
            **store.environ,
            ENV_RUN_ID: run.run_id,
            ENV_RANKS_PER_NODE: str(ranks),
            "OMPI_MCA_mpi_yield_when_idle": "1",  # there may be more ranks than processors
            **environ,
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,  # a ceiling for a busy machine, which a quiet one never comes near
        check=False,
    )


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    rng = np.random.default_rng(11)
    values = (rng.normal(size=(9, 7_300)) * np.logspace(-8, 8, 9)[:, None] + 1e3).astype(np.float64)
    values[2, rng.random(7_300) < 0.05] = np.nan
    values[3, [0, 999]] = np.inf
    return values


SHAPES = ((1, 1), (2, 2), (3, 1), (4, 1))
"""Ranks, and threads of each."""


@pytest.fixture(scope="module")
def analysed(store, values, tmp_path_factory) -> dict[str, list[tuple[Job, Success]]]:
    """By name: all that ranks do which are started once."""
    ranks = store.put_table("ranks", values, unit_rows=1_000)  # 8 units, the last one short
    few = store.put_table("few-units", values[:, :1_500].copy(), unit_rows=1_000)
    jobs = {
        "ranks": [
            Job(run=ranks, mode="off", ranks=count, threads=threads) for count, threads in SHAPES
        ],
        "few-units": [Job(run=few, mode="off", ranks=4)],
        "no-rows": [
            Job(run=store.put_table("no-rows", np.zeros((2, 0)), unit_rows=10), mode="off", ranks=2)
        ],
        "quantiles": [
            Job(
                run=store.put_table(f"quantiles-{count}", values, unit_rows=1_000),
                mode=mode,
                ranks=count,
                more={ENV_EXACT_QUANTILES: "true"},
            )
            for count, mode in ((1, "off"), (2, "off"), (3, "top"))
        ],
    }
    together = [job for some in jobs.values() for job in some]
    done = iter(analyse(store, together, folder=tmp_path_factory.mktemp("jobs")))
    return {name: [(job, next(done)) for job in some] for name, some in jobs.items()}


def test_one_digest_for_any_number_of_ranks_and_threads(store, values, analysed):
    run = analysed["ranks"][0][0].run
    expected = profile_of(values, unit_rows=1_000)
    for job, success in analysed["ranks"]:
        ranks = job.ranks
        assert success.digest == expected.digest
        assert (success.ranks, success.nodes, success.units, success.rows) == (ranks, 1, 8, 7_300)
        assert success.complete_rows == expected.complete_rows < 7_300
        assert success.bytes_read > 9 * 7_300
        assert success.peak_memory_bytes > 1 << 20
        assert {"read", "profile", "store", "merge", "total"} <= success.seconds.keys()
    assert store.profile(run).digest == expected.digest
    written = store.keys(run.partials_prefix)
    assert (
        len(written) == 9
    )  # the whole; its halves; units 0-1 | 2-3, 4 | 5, 6-7 of three ranks; units 4-5, the one new quarter of four
    assert {len(store.watch.stored[f"/{RESULTS}/{key}"]) for key in written} == {1}, (
        "a partial result of the same units has other bytes"
    )
    store.change_manifest(run)
    with pytest.raises(ContractError, match="run the analysis stage again"):
        store.success(run)


def test_more_ranks_than_units(store, values, analysed):
    ((job, success),) = analysed["few-units"]
    assert (success.ranks, success.units) == (4, 2)
    expected = profile_of(values[:, :1_500], unit_rows=1_000).digest
    assert store.profile(job.run).digest == success.digest == expected


def test_a_table_without_rows(store, analysed):
    ((job, _),) = analysed["no-rows"]
    profile = store.profile(job.run)
    assert (profile.rows, profile.complete_rows) == (0, 0)
    assert np.isnan(profile.mean).all()
    assert np.isnan(profile.quantiles([0.5]).values).all()


def test_a_failing_rank_ends_all_and_names_itself_and_the_unit(store, values):
    run = store.put_table("damaged", values, unit_rows=1_000, damaged_unit=6)
    done = run_stage(store, run, 2)
    assert done.returncode == 1, done.stdout + done.stderr
    error = json.loads(store.get(RESULTS, run.error_key("analysis")))
    assert error["error"].startswith("rank 1 of 2 on node 0, unit 6: unit 6 of data/20260131/")
    assert "sha256" in error["error"]
    assert "preprocess" in error["hint"]
    assert run.success_key not in store.keys(run.results_prefix)
    assert "Traceback" not in done.stderr


def test_cupy_demanded_where_there_is_none(store, values):
    run = store.put_table("no-gpu", values[:, :100].copy(), unit_rows=100)
    done = run_stage(store, run, 1, PIPELINE_ARRAY_BACKEND="cupy")
    assert done.returncode == 2, done.stdout + done.stderr
    error = json.loads(store.get(RESULTS, run.error_key("analysis")))
    assert "PIPELINE_ARRAY_BACKEND is 'cupy', but" in error["error"]
    assert "GPU" in error["hint"]


def test_an_exchange_between_gpus_is_refused_on_the_host(store):
    refused = store.refused({ENV_EXCHANGE: "nccl"})
    assert (
        "PIPELINE_EXCHANGE is 'nccl', which moves rows between GPUs, but PIPELINE_ARRAY_BACKEND is"
        " 'numpy'" in refused.sentence
    )
    assert refused.hint == "set PIPELINE_EXCHANGE to 'host', or PIPELINE_ARRAY_BACKEND to 'cupy'"
    assert refused.exit_code == 1


def test_a_csv_that_preprocess_cleaned(store):
    frame = datasets.load_wine(as_frame=True).frame
    csv = frame.to_csv(index=False).encode()
    key = "data/20260131/wine.csv"
    put = store.s3.put_object(Bucket=RESULTS, Key=key, Body=csv)
    run = Run(contract.Upload(bucket=RESULTS, key=key, etag=put["ETag"]).run_id)
    ingest = {
        ENV_INGEST_BUCKET: RESULTS,
        ENV_INPUT_KEY: key,
        ENV_UNIT_ROWS: "50",
    }
    cleaned = run_stage(store, run, 1, "preprocess", **ingest)
    assert cleaned.returncode == 0, cleaned.stdout + cleaned.stderr
    done = run_stage(store, run, 2)
    assert done.returncode == 0, done.stdout + done.stderr
    profile = store.profile(run)
    record = StageRecord.from_json(store.get(RESULTS, run.stage_record_key("analysis")))
    assert record.details["digest"] == profile.digest
    assert (profile.rows, store.success(run).units, len(profile.columns)) == (178, 4, 14)
    exact = frame.astype(np.float64).astype(np.float64)
    np.testing.assert_allclose(profile.mean, exact.mean(), rtol=1e-13)
    np.testing.assert_allclose(profile.sd, exact.std(), rtol=1e-12)
    np.testing.assert_allclose(profile.correlation, exact.corr(), rtol=1e-9, atol=1e-12)


def test_exact_quantiles_are_those_of_numpy_on_any_number_of_ranks(store, values, analysed):
    finite = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
    digests = set()
    for job, success in analysed["quantiles"]:
        run = job.run
        manifest = Manifest.from_json(store.get(MIDDLE, run.manifest_key))
        table_bytes = sum(unit.byte_length for unit in manifest.units)
        profile = store.profile(run)
        digests.add(profile.digest)
        found = profile.quantiles(PROBABILITIES)
        assert (found.bounds == 0).all()
        np.testing.assert_allclose(
            found.values, np.nanquantile(finite, PROBABILITIES, axis=1), rtol=1e-13
        )
        if job.mode == "off":
            assert success.bytes_read == 5 * table_bytes, (
                "the profile reads the table once, exact quantiles four times"
            )
    assert len(digests) == 1
    assert digests != {profile_of(values, unit_rows=1_000).digest}, (
        "exact quantiles are not part of the digest"
    )
    stored = store.success(run).quantiles
    assert stored is not None
    key = run.partials_prefix + stored.name
    changed = unpack(store.get(RESULTS, key))
    changed["quantile_values"][0, 0] += 1.0
    store.s3.put_object(Bucket=RESULTS, Key=key, Body=pack(changed))
    with pytest.raises(
        ContractError,
        match=r"profile/quantiles-[0-9a-f]{16}.npz is not the object that the analysis wrote",
    ):
        store.profile(run)

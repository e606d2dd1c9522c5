"""The stage as Batch runs it, against an in-memory S3: `python -m workloads.preprocess` and what it
leaves behind.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.workloads.analysis.watched_server import served
from workloads.contract import Run, Upload
from workloads.preprocess.stage import main
from workloads.records import Manifest, StageRecord
from workloads.runtime import s3
from workloads.runtime.stage import run_stage
from workloads.samples.generate import Table

ROOT = Path(__file__).parents[3]
OWN_MOUNTS = ROOT / "localcloud" / "batch" / "own_mounts.py"
"""Gives a program a disk of a size."""
SAMPLE = ROOT / "workloads" / "samples" / "nyc-weather-2013.csv"


class Rehearsal:
    """Buckets, and the stage as a process."""

    def __init__(self, endpoint: str) -> None:
        self.environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "PIPELINE_INGEST_BUCKET": "ingest",
            "PIPELINE_INTERMEDIATE_BUCKET": "intermediate",
            "PIPELINE_RESULTS_BUCKET": "results",
        }

    def upload(self, name: str, data: bytes) -> Run:
        key = f"data/20260131/{name}.csv"
        etag = s3.client().put_object(Bucket="ingest", Key=key, Body=data)["ETag"]
        self.environment["PIPELINE_INPUT_KEY"] = key
        return Run(Upload(bucket="ingest", key=key, etag=etag).run_id)

    def run(
        self, run: Run, program: Sequence[str] = (), **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*program, sys.executable, "-m", "workloads.preprocess"],
            env={**self.environment, "PIPELINE_RUN_ID": run.run_id, **variables},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )


def keys(bucket: str) -> set[str]:
    return {item["Key"] for item in s3.client().list_objects_v2(Bucket=bucket).get("Contents", [])}


@pytest.fixture(scope="module")
def endpoint():
    with served() as (address, _):
        yield address


@pytest.fixture
def rehearsal(endpoint, monkeypatch):
    found = Rehearsal(endpoint)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    s3.client.cache_clear()
    for bucket in ("ingest", "intermediate", "results"):
        s3.client().create_bucket(Bucket=bucket)
    yield found
    for bucket in ("ingest", "intermediate", "results"):
        for key in keys(bucket):
            s3.client().delete_object(Bucket=bucket, Key=key)
    s3.client.cache_clear()


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (512 << 10, "the disk is too small: cleaned tables of files as large as s3://"),
        (1200 << 10, "the disk is full: "),
    ],
)
def test_a_volume_that_is_too_small_is_told_with_what_is_free(rehearsal, tmp_path, left, said):
    run = rehearsal.upload("nyc-weather-2013", SAMPLE.read_bytes())
    asked = json.dumps({"shown": [], "disks": [[str(tmp_path), left]]})
    done = rehearsal.run(
        run,
        program=[sys.executable, "-I", "-S", str(OWN_MOUNTS), asked],
        PIPELINE_TABLES_PATH=str(tmp_path),
    )
    error = json.loads(s3.get_bytes("results", run.error_key("preprocess")))
    assert (done.returncode, said in error["error"]) == (74, True), error
    assert "MiB free" in error["error"]
    assert "storage.lustre" in error["hint"]
    assert run.manifest_key not in keys("intermediate")


def test_the_sample_table(rehearsal):
    run = rehearsal.upload("nyc-weather-2013", SAMPLE.read_bytes())
    done = rehearsal.run(
        run, PIPELINE_UNIT_ROWS="4096", PIPELINE_WRITE_CLEANED_CSV="true", AWS_BATCH_JOB_ATTEMPT="1"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert keys("intermediate") == {
        run.table_key,
        run.lines_key,
        run.rejected_key,
        run.cleaned_csv_key,
        run.manifest_key,
    }
    assert keys("results") == {run.stage_record_key("preprocess")}
    assert all(json.loads(line)["run_id"] == run.run_id for line in done.stdout.splitlines())

    first = s3.get_bytes("intermediate", run.manifest_key)
    manifest = Manifest.from_json(first)
    assert (manifest.rows_read, manifest.rows, manifest.rejected) == (
        26_115,
        23_007,
        {"incomplete": 3_108},
    )
    assert [column.kind for column in manifest.columns] == ["text", "timestamp"] + ["number"] * 8
    assert manifest.source["bytes"] == SAMPLE.stat().st_size
    assert manifest.source["dialect"]["encoding"] == "utf-8"

    # a reader needs the footer and the byte range of one unit, nothing else
    footer = s3.read_range(
        "intermediate",
        run.table_key,
        manifest.footer_offset,
        manifest.table_bytes - manifest.footer_offset,
    )
    unit = manifest.units[3]
    group = s3.read_range("intermediate", run.table_key, unit.byte_offset, unit.byte_length)
    assert hashlib.sha256(group).hexdigest() == unit.sha256
    sparse = bytearray(manifest.table_bytes)
    sparse[manifest.footer_offset :] = footer
    sparse[unit.byte_offset : unit.byte_offset + unit.byte_length] = group
    part = parquet.ParquetFile(pa.BufferReader(bytes(sparse))).read_row_group(3)
    whole = parquet.read_table(io.BytesIO(s3.get_bytes("intermediate", run.table_key)))
    assert part.equals(whole.slice(unit.row_offset, unit.rows))
    assert part.num_rows == 4096
    assert whole["wind_speed"].to_numpy().max() == pytest.approx(1048.36058)

    rejected = list(
        csv.DictReader(io.StringIO(s3.get_bytes("intermediate", run.rejected_key).decode()))
    )
    source = SAMPLE.read_text().split("\n")
    assert len(rejected) == 3_108
    assert all(
        row["row"] == source[int(row["line"]) - 1] and "NA" in row["row"] for row in rejected
    )
    assert s3.get_bytes("intermediate", run.cleaned_csv_key).count(b"\n") == 23_008

    record = StageRecord.from_json(s3.get_bytes("results", run.stage_record_key("preprocess")))
    assert record.details["rows"] == 23_007
    assert 0 < record.details["peak_rss_mib"] < 1024

    table = s3.get_bytes("intermediate", run.table_key)
    again = rehearsal.run(
        run, PIPELINE_UNIT_ROWS="4096", PIPELINE_WRITE_CLEANED_CSV="true", AWS_BATCH_JOB_ATTEMPT="2"
    )
    assert again.returncode == 0, again.stderr
    assert s3.get_bytes("intermediate", run.manifest_key) == first
    assert s3.get_bytes("intermediate", run.table_key) == table


def test_a_file_of_several_parts_in_gzip(rehearsal):
    data = b"".join(Table(rows=150_000, columns=20, seed=5, dirty_percent=1).chunks())
    packed = gzip.compress(data, 1)
    assert len(packed) > 8 << 20
    run = rehearsal.upload("large", packed)
    done = rehearsal.run(run)
    assert done.returncode == 0, done.stdout + done.stderr
    manifest = Manifest.from_json(s3.get_bytes("intermediate", run.manifest_key))
    assert manifest.rows_read == 150_000
    assert 0 < manifest.rows < 150_000
    assert [unit.rows for unit in manifest.units] == [65_536, 65_536, manifest.rows - 131_072]
    assert "-" in s3.head("intermediate", run.table_key).etag, "a multipart upload"
    whole = s3.get_bytes("intermediate", run.table_key)
    assert len(whole) == manifest.table_bytes
    for unit in manifest.units:
        assert (
            hashlib.sha256(
                whole[unit.byte_offset : unit.byte_offset + unit.byte_length]
            ).hexdigest()
            == unit.sha256
        )


@pytest.mark.parametrize(
    ("data", "variables", "code", "sentence", "left"),
    [
        (b"", {}, 1, "s3://ingest/data/20260131/bad.csv: the file is empty", set()),
        (
            b"a,b\n1,2\n3\n4\n5\n6,7\n",
            {},
            1,
            r"3 of 5 rows (60.0 %) were rejected, allowed are 20 %",
            {"rejected.csv"},
        ),
        (
            b"a,b\n1,2\n",
            {"PIPELINE_INCOMPLETE_ROWS": "drop"},
            2,
            "PIPELINE_INCOMPLETE_ROWS is 'drop'; expected 'reject' or 'keep'",
            set(),
        ),
        (
            b"a,b\n1,2\n",
            {"PIPELINE_UNIT_ROWS": "0"},
            2,
            "PIPELINE_UNIT_ROWS is '0'; expected a whole number from 1",
            set(),
        ),
        (
            b"a,b\n1,2\n",
            {"PIPELINE_INPUT_KEY": "data/20260131/other.csv"},
            1,
            "s3://ingest/data/20260131/other.csv with 404",
            set(),
        ),
        (b"a,b\n1,2\n", {"PIPELINE_INTERMEDIATE_BUCKET": "nowhere"}, 1, "nowhere", set()),
    ],
)
def test_a_refused_file_leaves_a_sentence_and_no_table(
    rehearsal, monkeypatch, capfd, data, variables, code, sentence, left
):
    """A file that is empty is refused to a process, what is refused besides to this one."""
    run = rehearsal.upload("bad", data)
    if data:
        named = {**rehearsal.environment, "PIPELINE_RUN_ID": run.run_id, **variables}
        for name, value in named.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        ended = run_stage("preprocess", main)
        stdout, stderr = capfd.readouterr()
    else:
        done = rehearsal.run(run, **variables)
        ended, stdout, stderr = done.returncode, done.stdout, done.stderr
    assert ended == code, stderr
    assert sentence in stderr
    assert len(stderr.splitlines()) == 1
    assert "Traceback" not in stdout
    assert {key.rsplit("/", 1)[1] for key in keys("intermediate")} == left
    error = json.loads(s3.get_bytes("results", run.error_key("preprocess")))
    assert sentence in error["error"]
    assert keys("results") == {run.error_key("preprocess")}

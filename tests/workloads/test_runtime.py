"""The stages' shared plumbing against an in-memory S3: records, exit codes, torn connections,
half-written objects.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from botocore.exceptions import ClientError, ResponseStreamingError

from tests.workloads.analysis.watched_server import served
from workloads.contract import Run
from workloads.records import StageRecord
from workloads.runtime import s3, s3_streams
from workloads.runtime.batch_env import BatchEnv
from workloads.runtime.errors import StageError
from workloads.runtime.stage import run_stage

RUN = Run("20260131-sales-0123456789ab")


@pytest.fixture(scope="module")
def endpoint():
    with served() as (address, _):
        yield address


@pytest.fixture
def bucket(endpoint, monkeypatch, request):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    name = f"results-{hashlib.sha256(request.node.name.encode()).hexdigest()[:8]}"
    settings = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "PIPELINE_RUN_ID": RUN.run_id,
        "PIPELINE_RESULTS_BUCKET": name,
    }
    for key, value in settings.items():
        monkeypatch.setenv(key, value)
    s3.client.cache_clear()
    s3.client().create_bucket(Bucket=name)
    handler = signal.getsignal(signal.SIGTERM)
    yield name
    signal.signal(signal.SIGTERM, handler)
    s3.client.cache_clear()


def keys(bucket: str) -> set[str]:
    return {item["Key"] for item in s3.client().list_objects_v2(Bucket=bucket).get("Contents", [])}


def test_success_leaves_a_record_and_json_logs(bucket, monkeypatch, capsys):
    monkeypatch.setenv("AWS_BATCH_JOB_ID", "1f0d#0")
    monkeypatch.setenv("AWS_BATCH_JOB_ATTEMPT", "2")
    assert run_stage("preprocess", lambda run: {"rows": 3, "dataset": run.dataset}) == 0
    record = StageRecord.from_json(s3.get_bytes(bucket, RUN.stage_record_key("preprocess")))
    assert (record.attempt, record.job_id, record.details) == (
        2,
        "1f0d",
        {"rows": 3, "dataset": "sales"},
    )
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["message"] for line in lines] == ["stage started", "stage succeeded"]
    assert all(line["run_id"] == RUN.run_id and line["stage"] == "preprocess" for line in lines)


def missing_object(run):
    return {"data": s3.get_bytes(os.environ["PIPELINE_RESULTS_BUCKET"], "no/such/key")}


def refusal(run):
    raise StageError("the file is empty", hint="upload it again")


def hostile(run):
    raise StageError("cell '\x1b]0;x\x07\u202e\n'", hint="see\x9b31m")


def bug(run):
    return {"node": run.node}


@pytest.mark.parametrize(
    ("main", "code", "sentence"),
    [
        (refusal, 1, "the file is empty"),
        (missing_object, 1, "no/such/key with NoSuchKey"),
        (hostile, 1, r"cell '\x1b]0;x\x07\u202e\n'"),
        (bug, 70, "internal error: AttributeError: 'Run' object has no attribute 'node'"),
    ],
)
def test_failure_is_one_sentence_and_an_error_record(bucket, capsys, main, code, sentence):
    assert run_stage("analysis", main) == code
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert len(captured.err.splitlines()) == 1, (
        "standard error is for the one sentence; the traceback belongs to the log"
    )
    assert ("traceback" in captured.out) == (code == 70)
    record = json.loads(s3.get_bytes(bucket, RUN.error_key("analysis")))
    assert sentence in record["error"]
    assert set(record) == {"stage", "error", "hint", "at"}
    assert keys(bucket) == {RUN.error_key("analysis")}


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("PIPELINE_RUN_ID", "", "PIPELINE_RUN_ID is not set"),
        ("PIPELINE_RUN_ID", "today", "'today' is not a run id"),
        ("AWS_BATCH_JOB_ATTEMPT", "0", "AWS_BATCH_JOB_ATTEMPT is '0'"),
    ],
)
def test_bad_environment_is_exit_code_2(bucket, monkeypatch, capsys, name, value, found):
    monkeypatch.setenv(name, value)
    assert run_stage("preprocess", bug) == 2
    assert found in capsys.readouterr().err
    assert keys(bucket) == set()


def test_only_the_main_node_writes_records(bucket, monkeypatch):
    for name, value in {
        "MAIN_NODE_INDEX": "1",
        "NODE_INDEX": "0",
        "NUM_NODES": "2",
        "MAIN_NODE_PRIVATE_IPV4_ADDRESS": "10.0.0.7",
    }.items():
        monkeypatch.setenv(f"AWS_BATCH_JOB_{name}", value)
    batch = BatchEnv.read()
    assert (batch.is_main_node, batch.num_nodes, batch.main_node_address) == (False, 2, "10.0.0.7")
    assert run_stage("analysis", lambda _: {}) == 0
    assert keys(bucket) == set()
    monkeypatch.setenv("AWS_BATCH_JOB_NODE_INDEX", "1")
    assert run_stage("analysis", lambda _: {}) == 0
    assert keys(bucket) == {RUN.stage_record_key("analysis")}


def test_sigterm_ends_the_stage_with_143_and_leaves_no_object(bucket):
    program = (
        "import sys, time\nfrom workloads.runtime import s3_streams\nfrom workloads.runtime.stage import"
        f" run_stage\ndef main(run):\n    with s3_streams.Writer({bucket!r}, 'half') as out:\n       "
        " out.write(bytes(20 << 20)); print('ready', flush=True);"
        # a signal that comes just before a sleep does not wake it
        " [time.sleep(0.05) for _ in range(1200)]\nsys.exit(run_stage('preprocess', main))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "ready":
                break
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 143
        assert time.monotonic() - asked < 15
    assert keys(bucket) == set()
    assert "Uploads" not in s3.client().list_multipart_uploads(Bucket=bucket)


class TestStreams:
    content = np.random.default_rng(1).bytes(25_000_001)

    def test_what_is_written_is_read_back(self, bucket):
        with s3_streams.Writer(bucket, "large") as out:
            for start in range(0, len(self.content), 3_000_017):
                out.write(self.content[start : start + 3_000_017])
            assert out.tell() == len(self.content)
        with s3_streams.Writer(bucket, "empty"):
            pass
        assert s3.head(bucket, "large").etag.endswith("-3"), "25 MB are three parts of 8 MiB"
        with s3_streams.open_read(bucket, "large") as source:
            assert (
                hashlib.sha256(source.readall()).digest() == hashlib.sha256(self.content).digest()
            )
        with s3_streams.open_read(bucket, "empty") as source:
            assert source.read() == b""
        assert s3.read_range(bucket, "large", 8_388_600, 20) == self.content[8_388_600:8_388_620]

    def test_an_error_leaves_nothing(self, bucket):
        def failing(size: int) -> None:
            with s3_streams.Writer(bucket, "half") as out:
                out.write(bytes(size))
                raise ZeroDivisionError

        for size in (10, 20 << 20):
            with pytest.raises(ZeroDivisionError):
                failing(size)
        assert keys(bucket) == set()
        assert "Uploads" not in s3.client().list_multipart_uploads(Bucket=bucket)

    def test_a_torn_connection_is_read_again(self, bucket, monkeypatch):
        s3.put_bytes(bucket, "large", self.content)
        info = s3.head(bucket, "large")
        torn: list[str] = []

        class Torn:
            def read(self):
                raise ResponseStreamingError(error="connection broken")

        def get_object(self, **request):
            reply = original(self, **request)
            if len(torn) < 3 and request["Range"] not in torn:
                torn.append(request["Range"])
                return {**reply, "Body": Torn()}
            return reply

        original = type(s3.client()).get_object
        monkeypatch.setattr(type(s3.client()), "get_object", get_object)
        monkeypatch.setattr(time, "sleep", lambda _: None)
        assert s3_streams.Reader(info).readall() == self.content
        assert len(torn) == 3

    def test_an_object_replaced_while_it_is_read_is_an_error(self, bucket):
        s3.put_bytes(bucket, "large", self.content)
        info = s3.head(bucket, "large")
        s3.put_bytes(bucket, "large", self.content[::-1])
        with pytest.raises(StageError, match="large with PreconditionFailed"):
            s3_streams.Reader(info).readall()


def test_a_denied_call_names_operation_and_object():
    denied = ClientError(
        {"Error": {"Code": "AccessDenied", "Message": "not authorized"}}, "GetObject"
    )
    sentence = s3.aws_error(denied, what="s3://data/secret")
    assert str(sentence) == "AWS denied GetObject of s3://data/secret: not authorized"
    assert sentence.exit_code == 69


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            MemoryError("Unable to allocate 9.31 GiB for an array"),
            72,
            "no more memory (Unable to allocate 9.31 GiB",
        ),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), 72, "no more memory"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/scratch/part"),
            74,
            "the disk is full: /scratch/part has ",
        ),
        (
            OSError(
                "IOError: [Errno 28] Error writing bytes to file. Detail: No space left on device"
            ),
            74,
            "the disk is full: /tmp has ",
        ),
    ],
)
def test_memory_and_disk_that_are_used_up_are_no_bugs(bucket, capsys, error, code, said):
    def main(_):
        raise error

    assert run_stage("analysis", main) == code
    assert said in capsys.readouterr().err
    record = json.loads(s3.get_bytes(bucket, RUN.error_key("analysis")))
    assert said in record["error"]
    assert record["hint"]

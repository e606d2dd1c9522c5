"""The rehearsal that stays: its endpoint file, signals of its jobs, what `kill -9` does to it, and
that its end leaves nothing.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest

from cli.paths import ROOT

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]

SERVE = """
import gc, sys
from pathlib import Path
from cli import service, serving
service.DIRECTORY = Path(sys.argv[1])
service.ENDPOINT = service.DIRECTORY / "endpoint.json"
gc.set_threshold(200_000, 50, 1000)  # as the command does
serving.serve("local", 0, "own", say=print)
"""
SAVES = """
import boto3, os, re, signal, sys, time
def stop(*_):
    boto3.client("s3").put_object(Bucket=sys.argv[1], Key="data/checkpoint", Body=b"saved")
    sys.exit(1)
signal.signal(signal.SIGTERM, stop)
status = open("/proc/self/status").read()
print("blocked", re.search(r"SigBlk:\\s+(\\w+)", status)[1], "ignored", re.search(r"SigIgn:\\s+(\\w+)", status)[1], flush=True)
print("pids", os.getpid(), os.getppid(), flush=True)
time.sleep(120)
"""


class Up:
    """A process as `make up` starts it."""

    def __init__(self, process: subprocess.Popen[bytes], file: Path) -> None:
        self.process = process
        self.file = file
        self.endpoint: dict[str, Any] = json.loads(file.read_bytes())
        self.outputs: dict[str, Any] = self.endpoint["outputs"]

    def client(self, service: str) -> Any:
        make: Any = boto3.client
        keys = {
            "aws_access_key_id": self.endpoint["access_key"],
            "aws_secret_access_key": self.endpoint["secret"],
        }
        return make(
            service, endpoint_url=self.endpoint["url"], region_name=self.outputs["region"], **keys
        )

    def begin(self, code: str) -> tuple[str, list[str]]:
        """A job of the first stage that runs this program in place of its own; its id, and its
        first two lines.
        """
        job = self.client("batch").submit_job(
            jobName="probe",
            jobQueue=self.outputs["stage_queues"]["preprocess"],
            jobDefinition=self.outputs["stage_job_definitions"]["preprocess"],
            containerOverrides={
                "command": ["python", "-c", code, self.outputs["intermediate_bucket"]]
            },
        )["jobId"]

        def lines() -> list[str]:
            found = (
                self.client("batch")
                .describe_jobs(jobs=[job])["jobs"][0]["container"]
                .get("logStreamName")
            )
            group = self.outputs["log_groups"]["preprocess"]
            events = (
                self.client("logs").get_log_events(logGroupName=group, logStreamName=found)[
                    "events"
                ]
                if found
                else []
            )
            return [each["message"] for each in events]

        return job, until(lambda: len(lines()) >= 2 and lines())

    def status(self, job: str) -> str:
        return str(self.client("batch").describe_jobs(jobs=[job])["jobs"][0]["status"])


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    directory = tmp_path_factory.mktemp("up")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            ["nohup", sys.executable, "-c", SERVE, str(directory / "files")],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        file = directory / "files" / "endpoint.json"
        try:
            until(lambda: file.exists() or process.poll() is not None, 120)
            assert process.poll() is None, (directory / "log").read_text()
            yield Up(process, file)
        finally:
            process.kill()
            process.wait()


def test_the_file_with_the_secret_is_its_owners(up: Up) -> None:
    assert stat.S_IMODE(up.file.stat().st_mode) == 0o600
    assert len(up.endpoint["secret"]) == 40


def test_a_job_has_no_signal_blocked_and_saves_its_checkpoint(up: Up) -> None:
    job, lines = up.begin(SAVES)
    _, blocked, _, ignored = lines[0].split()
    assert int(blocked, 16) == 0
    # Python ignores two itself; 32 and 33 are the C library's own, which no program can set
    expected = sum(1 << (number - 1) for number in (signal.SIGPIPE, signal.SIGXFSZ, 32, 33))
    assert int(ignored, 16) & ~expected == 0
    up.client("batch").terminate_job(jobId=job, reason="enough")
    until(lambda: up.status(job) == "FAILED")
    saved = up.client("s3").get_object(
        Bucket=up.outputs["intermediate_bucket"], Key="data/checkpoint"
    )
    assert saved["Body"].read() == b"saved"


@pytest.mark.parametrize("victim", ["job", "supervisor"])
def test_the_endpoint_survives_the_kill_of_a_job(up: Up, victim: str) -> None:
    job, lines = up.begin(SAVES)
    own, parent = map(int, lines[1].split()[1:])
    os.kill(own if victim == "job" else parent, signal.SIGKILL)
    until(lambda: up.status(job) == "FAILED")
    until(
        lambda: not psutil.pid_exists(own) or psutil.Process(own).status() == psutil.STATUS_ZOMBIE
    )


def test_the_endpoint_survives_the_kill_of_functions_and_clients(up: Up) -> None:
    lambdas, name = up.client("lambda"), up.outputs["submit_function"]
    lambdas.invoke(FunctionName=name, Payload=b"{}")
    workers = [
        each
        for each in psutil.Process(up.process.pid).children()
        if "function_worker.py" in " ".join(each.cmdline())
    ]
    assert workers
    for each in workers:
        each.kill()
    assert lambdas.invoke(FunctionName=name, Payload=b"{}")["StatusCode"] == 200
    port = int(up.endpoint["url"].rsplit(":", 1)[1])
    for _ in range(20):
        line = socket.create_connection(("127.0.0.1", port))
        line.sendall(
            b"PUT /a/b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 100000\r\n\r\nbroken"
            % port
        )
        line.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
        )  # closed with a reset, as when its process is killed
        line.close()
    assert up.client("s3").list_buckets()["Buckets"]


def test_the_end_leaves_no_process(up: Up) -> None:
    _, lines = up.begin(SAVES + "\n")
    own = int(lines[1].split()[1])
    children = psutil.Process(up.process.pid).children(recursive=True)
    assert own in {each.pid for each in children}
    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(60) == 0
    assert not up.file.exists()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]

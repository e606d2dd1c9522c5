"""Images of one's own in Docker and podman themselves: every engine that answers here is tried."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clients.engines import IMAGE, answering, make_image
from localcloud.cloud import LocalCloud
from tests.localcloud.conftest import Stage, on, until

pytestmark = pytest.mark.timeout(300)
ROOT = Path(__file__).resolve().parents[1]
HOST = """
import sys
from pathlib import Path
from localcloud.cloud import LocalCloud
from tests.localcloud.conftest import on
directory = Path(sys.argv[2])
with LocalCloud(directory / "cloud", images={}, containers=sys.argv[1]) as cloud:
    stage = on(cloud, directory)
    sleep = stage.definition(["-c", "import time; time.sleep(600)"], image=sys.argv[3])
    stage.wait(stage.submit(stage.queue(stage.environment()), sleep), "RUNNING")
    print("runs", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module", params=["docker", "podman"])
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("image")
    name: str = request.param
    there = answering(directory)
    assert there, "no container engine answers on this machine"
    # where one of the two is not installed, the other is tried twice
    name = name if name in there else there[0]
    make_image(name, directory)
    yield name
    subprocess.run([name, "rmi", "--force", IMAGE], check=True, capture_output=True)


@pytest.fixture
def stage(engine: str, tmp_path: Path) -> Iterator[Stage]:
    with LocalCloud(tmp_path / "cloud", images={}, containers=engine) as cloud:
        yield on(cloud, tmp_path)
    assert containers(engine, tmp_path / "cloud") == []


@pytest.fixture
def run(stage: Stage) -> Callable[..., dict[str, Any]]:
    queue = stage.queue(stage.environment())

    def of(code: str, **more: Any) -> dict[str, Any]:
        definition = stage.definition(["-c", code], **{"image": IMAGE, **more})
        return stage.wait(stage.submit(queue, definition))

    return of


def containers(engine: str, directory: Path) -> list[str]:
    label = f"label=batch-reference.cloud={directory.resolve()}"
    listed = subprocess.run(
        [engine, "ps", "--all", "--quiet", "--filter", label],
        capture_output=True,
        text=True,
        check=True,
    )
    return listed.stdout.split()


def test_output_exit_code_user_and_variables(stage: Stage, run: Callable[..., Any]) -> None:
    code = (
        "import os, sys, time; print(os.environ['IMAGE'], os.environ['A'], os.getuid(),"
        " os.getpid());print('err', file=sys.stderr); time.sleep(0.5); sys.stdout.write('no end');"
        " sys.exit(7)"
    )
    job = run(code, user="job", environment=[{"name": "A", "value": "x\ny"}])
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 7)
    lines = stage.log(job["container"]["logStreamName"])
    assert sorted(lines) == ["err", "no end", "own x", "y 1000 1"]


def test_every_line_comes(stage: Stage, run: Callable[..., Any]) -> None:
    job = run("for n in range(20000): print(n)")
    logs = stage.client("logs")
    pages: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = logs.get_log_events(
            logGroupName="/test/batch",
            logStreamName=job["container"]["logStreamName"],
            startFromHead=True,
            **token,
        )
        pages += [each["message"] for each in page["events"]]
        if token.get("nextToken") == page["nextForwardToken"]:
            break
        token = {"nextToken": page["nextForwardToken"]}
    assert pages == [str(n) for n in range(20000)]


def test_a_job_calls_aws_under_its_role(stage: Stage, run: Callable[..., Any]) -> None:
    stage.client("s3").create_bucket(Bucket="of-the-job")
    role = stage.role(
        "ecs-tasks.amazonaws.com",
        {"Action": "s3:PutObject", "Resource": "arn:aws:s3:::of-the-job/*"},
    )
    code = (
        "import sys; sys.path.append('/site'); import boto3; s3 = boto3.client('s3',"
        " region_name='us-east-1')\ns3.put_object(Bucket='of-the-job', Key='k', Body=b'from a"
        " container')\ns3.list_objects_v2(Bucket='of-the-job')"
    )
    job = run(code, jobRoleArn=role)
    body = stage.client("s3").get_object(Bucket="of-the-job", Key="k")["Body"].read()
    assert body == b"from a container"
    assert job["status"] == "FAILED"
    assert "AccessDenied" in stage.log(job["container"]["logStreamName"])[-1]


def test_what_ecr_holds_is_the_local_image_of_that_name(stage: Stage, engine: str) -> None:
    uri = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/{IMAGE}"
    role = stage.role("ecs-tasks.amazonaws.com", {"Action": ["logs:*", "ecr:*"], "Resource": "*"})
    queue = stage.queue(stage.environment())
    definition = stage.definition(["-c", "print(6 * 7)"], image=uri, executionRoleArn=role)
    job = stage.wait(stage.submit(queue, definition))
    assert stage.log(job["container"]["logStreamName"]) == ["42"]
    assert engine


def test_terminate_is_the_signal_that_a_container_can_catch(stage: Stage) -> None:
    code = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(5));"
        "print(signal.pthread_sigmask(signal.SIG_BLOCK, []), flush=True); time.sleep(600)"
    )
    # as `make up` has it
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        job = stage.submit(
            stage.queue(stage.environment()), stage.definition(["-c", code], image=IMAGE)
        )
        stream = stage.wait(job, "RUNNING")["container"]["logStreamName"]
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    until(lambda: stage.log(stream))
    stage.batch.terminate_job(jobId=job, reason="enough")
    found = stage.wait(job)
    assert (found["statusReason"], found["container"]["exitCode"]) == ("enough", 5)
    assert stage.log(stream) == ["set()"]


def test_memory_is_limited(stage: Stage, run: Callable[..., Any]) -> None:
    assert stage.cloud.engine is not None
    assert stage.cloud.engine.not_enforced == ()
    job = run("b = bytearray(400 << 20)", memory="64")
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 137)


def test_a_program_that_is_not_in_the_image(stage: Stage, engine: str) -> None:
    subprocess.run(
        [engine, "import", "--change", "ENTRYPOINT []", "-", "clients/empty:1"],
        input=bytes(10240),  # a tar archive of nothing
        check=True,
        capture_output=True,
    )
    job = stage.wait(
        stage.submit(
            stage.queue(stage.environment()), stage.definition(["nothing"], image="clients/empty:1")
        )
    )
    assert job["container"]["reason"].startswith("CannotStartContainerError: ")
    assert "not found" in job["container"]["reason"]
    assert job["statusReason"] == "Task failed to start"


def test_kill_of_the_cloud_leaves_no_container(engine: str, tmp_path: Path) -> None:
    host = subprocess.Popen(
        [sys.executable, "-c", HOST, engine, str(tmp_path), IMAGE],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert host.stdout is not None
    assert host.stdout.readline() == b"runs\n"
    assert len(containers(engine, tmp_path / "cloud")) == 1
    host.kill()
    host.wait()
    until(lambda: containers(engine, tmp_path / "cloud") == [], what="the container to be removed")

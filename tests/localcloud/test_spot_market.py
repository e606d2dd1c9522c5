"""Spot machines that EC2 takes back: the notice in the metadata service, what the machine makes of
it, and its end.
"""

from __future__ import annotations

import base64
import calendar
import json
import time
from typing import Any

import pytest

from components.user_data import user_data
from tests.localcloud.conftest import Stage, until
from tests.localcloud.test_instance_metadata import template
from workloads import contract
from workloads.variables import ENV_RECLAIM_SIGNAL

LISTENS = """
import signal, sys, time
def leave(*_):
    print("leaving", flush=True)
    sys.exit(75)
signal.signal(signal.SIGWINCH, leave)
signal.signal(signal.SIGTERM, lambda *_: (print("term", flush=True), sys.exit(143)))
print("listening", flush=True)
time.sleep(60)
"""
ASKS = """
import json, os, time, urllib.error, urllib.request
base = os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"]
def ask(path, method="GET", **headers):
    request = urllib.request.Request(f"{base}/latest/{path}", method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
_, token = ask("api/token", "PUT", **{"X-aws-ec2-metadata-token-ttl-seconds": "60"})
given = {"X-aws-ec2-metadata-token": token}
print("before", *ask("meta-data/spot/instance-action", **given), flush=True)
while ask("meta-data/spot/instance-action", **given)[0] != 200:
    time.sleep(0.02)
print("after", ask("meta-data/spot/instance-action", **given)[1], flush=True)
time.sleep(60)
"""
RETRY = {
    "retryStrategy": {
        "attempts": 2,
        "evaluateOnExit": [
            {"onStatusReason": "Host EC2*", "action": "RETRY"},
            {"onExitCode": "75", "action": "RETRY"},
            {"onReason": "*", "action": "EXIT"},
        ],
    }
}


@pytest.fixture(scope="module")
def spot(stage: Stage) -> str:
    """A queue on Spot machines as the program sets them up."""
    launch = template(stage, user_data(scratch=None, efa=False, spot=True))
    return stage.queue(stage.environment("SPOT", launchTemplate=launch, securityGroupIds=[]))


def _line(stage: Stage, job: str, attempt: int, beginning: str) -> str:
    def look() -> str | None:
        described = stage.job(job)
        streams = [each["container"]["logStreamName"] for each in described["attempts"]]
        streams.append(described.get("container", {}).get("logStreamName"))
        if len(streams) <= attempt or streams[attempt] is None:
            return None
        try:
            lines = stage.log(streams[attempt])
        except stage.client("logs").exceptions.ResourceNotFoundException:
            return None
        return next((line for line in lines if line.startswith(beginning)), None)

    return str(until(look, what=lambda: stage.job(job)))


def _listening(stage: Stage, queue: str, *, signal: str = "SIGWINCH") -> str:
    environment = [{"name": ENV_RECLAIM_SIGNAL, "value": signal}] if signal else []
    definition = stage.python(LISTENS, environment=environment, definition=RETRY)
    job = stage.submit(queue, definition)
    _line(stage, job, 0, "listening")
    return job


def test_who_asks_for_a_signal_leaves_in_time_and_goes_on_elsewhere(
    stage: Stage, spot: str
) -> None:
    job = _listening(stage, spot)
    first = stage.job(job)["container"]["containerInstanceArn"]
    stage.cloud.batch.reclaim(job, notice_seconds=30)
    _line(stage, job, 1, "listening")
    described = stage.job(job)
    (attempt,) = described["attempts"]
    assert attempt["container"]["exitCode"] == contract.RECLAIMED_EXIT
    assert attempt["statusReason"] == "Essential container in task exited"
    assert described["container"]["containerInstanceArn"] != first, "that one takes no new tasks"
    stage.batch.terminate_job(jobId=job, reason="enough")
    stage.wait(job)


def test_who_does_not_ask_runs_until_the_machine_goes(stage: Stage, spot: str) -> None:
    job = _listening(stage, spot, signal="")
    began = time.monotonic()
    machine = stage.cloud.batch.reclaim(job, notice_seconds=1.0)
    attempt = until(lambda: stage.job(job)["attempts"])[0]
    assert time.monotonic() - began >= 1.0
    assert attempt["statusReason"] == f"Host EC2 (instance {machine}) terminated."
    assert "exitCode" not in attempt["container"]
    stage.batch.terminate_job(jobId=job, reason="enough")
    stage.wait(job)


def test_the_notice_stands_in_the_metadata_service(stage: Stage) -> None:
    bare = stage.queue(stage.environment("SPOT"))
    job = stage.submit(bare, stage.python(ASKS))
    assert _line(stage, job, 0, "before").split() == ["before", "404"]
    now = stage.cloud.now()
    stage.cloud.batch.reclaim(job)
    notice: dict[str, Any] = json.loads(_line(stage, job, 0, "after").removeprefix("after"))
    assert notice["action"] == "terminate"
    at = time.strptime(notice["time"], "%Y-%m-%dT%H:%M:%SZ")
    assert now + 118 <= calendar.timegm(at) <= now + 122
    stage.batch.terminate_job(jobId=job, reason="enough")
    stage.wait(job)


def test_fargate_says_it_by_sigterm(stage: Stage) -> None:
    queue = stage.queue(stage.environment("FARGATE_SPOT"))
    role = stage.role(
        "ecs-tasks.amazonaws.com",
        {"Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "*"},
    )
    definition = stage.python(
        LISTENS,
        executionRoleArn=role,
        memory="2048",
        definition={"platformCapabilities": ["FARGATE"]},
    )
    job = stage.submit(queue, definition)
    _line(stage, job, 0, "listening")
    stage.cloud.batch.reclaim(job, notice_seconds=30)
    assert stage.wait(job)["statusReason"] == "Your Spot Task was interrupted."
    _line(stage, job, 0, "term")


def test_a_market_takes_each_machine_in_its_time(stage: Stage, spot: str) -> None:
    stage.cloud.batch.reclaim_every(1.0, notice_seconds=0.5)
    try:
        job = stage.submit(spot, stage.python("import time; time.sleep(60)", definition=RETRY))
        attempts = stage.wait(job)["attempts"]
    finally:
        stage.cloud.batch.reclaim_every(None)
    machines = {each["container"]["containerInstanceArn"] for each in attempts}
    assert len(attempts) == len(machines) == 2
    assert all(each["statusReason"].startswith("Host EC2") for each in attempts)


def test_only_what_runs_on_spot_is_reclaimed(stage: Stage, queue: str) -> None:
    job = stage.submit(queue, stage.python("import time; time.sleep(60)"))
    stage.wait(job, "RUNNING")
    with pytest.raises(LookupError, match="runs on no Spot machine"):
        stage.cloud.batch.reclaim(job)
    with pytest.raises(LookupError, match="does not run"):
        stage.cloud.batch.reclaim("no-such-job")
    stage.batch.terminate_job(jobId=job, reason="enough")
    stage.wait(job)


@pytest.mark.parametrize("missing", ["DRAINING", "docker kill"])
def test_each_part_of_the_boot_script_is_needed(stage: Stage, missing: str) -> None:
    text = base64.b64decode(user_data(scratch=None, efa=False, spot=True)).decode()
    script = "\n".join(line for line in text.splitlines() if missing not in line)
    launch = template(stage, base64.b64encode(script.encode()).decode())
    # kept though it is idle, so that a job could come back to it
    kept = stage.environment("SPOT", launchTemplate=launch, securityGroupIds=[], minvCpus=4)
    job = _listening(stage, stage.queue(kept))
    first = stage.job(job)["container"]["containerInstanceArn"]
    stage.cloud.batch.reclaim(job, notice_seconds=3.0)
    if missing == "DRAINING":  # the next attempt begins on a machine that is about to go
        _line(stage, job, 1, "listening")
        assert stage.job(job)["container"]["containerInstanceArn"] == first
    else:
        assert until(lambda: stage.job(job)["attempts"])[0]["statusReason"].startswith("Host EC2")
    stage.batch.terminate_job(jobId=job, reason="enough")
    stage.wait(job)

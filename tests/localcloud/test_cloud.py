"""Life of a LocalCloud: one at a time, each empty, nothing left behind, the port named in
errors.
"""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from localcloud.cloud import LocalCloud
from tests.localcloud.conftest import until

ROOT = Path(__file__).resolve().parents[2]


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_one_after_the_other_and_nothing_is_left(tmp_path: Path) -> None:
    before = children()
    for round_ in range(2):
        with LocalCloud(
            tmp_path / str(round_), images={"*": tmp_path}, region="eu-west-1"
        ) as cloud:
            assert cloud.client("s3").list_buckets()["Buckets"] == []
            cloud.client("s3").create_bucket(
                Bucket="kept", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
            )
            assert cloud.client("s3") is cloud.client("s3")
            batch, url = cloud.client("batch"), cloud.endpoint_url
            policy = batch.create_scheduling_policy(name="p")["arn"]
            assert policy.startswith("arn:aws:batch:eu-west-1:")
            with pytest.raises(RuntimeError, match="another LocalCloud"):
                LocalCloud(tmp_path / "second", images={}).start()
            assert len(batch.list_scheduling_policies()["schedulingPolicies"]) == 1
        port = int(url.rsplit(":", 1)[1])
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert children() == before
    cloud.stop()  # a second time does nothing


START = """
import sys
from pathlib import Path
from localcloud.cloud import LocalCloud
with LocalCloud(Path(sys.argv[1]), images={}) as cloud:
    cloud.client("batch").describe_job_queues()
"""


def test_it_answers_within_three_seconds_of_a_processor(tmp_path: Path) -> None:
    with LocalCloud(tmp_path / "warm", images={}) as cloud:  # what it imports is compiled
        cloud.client("batch").describe_job_queues()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", START, str(tmp_path / "cold")], cwd=ROOT, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds < 4.5, (
        f"start, one answer and the end take {seconds:.1f} s of a processor"
    )  # 3 on a quiet machine


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} of 127.0.0.1 is taken"):
            LocalCloud(tmp_path, images={}, port=port).start()
    with LocalCloud(tmp_path, images={}, port=port) as cloud:  # the failed start has left nothing
        assert cloud.port == port


SLOW = """
import time
from pathlib import Path
def handle(event, context):
    Path(event).touch()
    time.sleep(60)
"""


def test_what_ends_with_the_cloud_is_no_failure_of_a_function(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    code, begun = tmp_path / "code", tmp_path / "begun"
    code.mkdir()
    (code / "slow.py").write_text(SLOW)
    with LocalCloud(tmp_path / "cloud", images={"slow": code}) as cloud:
        trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}
        document = json.dumps({"Statement": [{**trust, "Action": "sts:AssumeRole"}]})
        role = cloud.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=document)
        for number in range(5):  # of several, some are met by the end in every place
            cloud.client("lambda").create_function(
                FunctionName=f"slow-{number}",
                Role=role["Role"]["Arn"],
                PackageType="Image",
                Code={"ImageUri": "slow"},
                ImageConfig={"Command": ["slow.handle"]},
                Timeout=90,
            )
            cloud.client("lambda").invoke(
                FunctionName=f"slow-{number}",
                InvocationType="Event",
                Payload=json.dumps(f"{begun}-{number}"),
            )
        until(lambda: len(list(tmp_path.glob("begun-*"))) == 5)
    assert [each.message for each in caplog.records if "slow" in each.message] == []

"""Life of a LocalCloud: one at a time, each empty, nothing left behind, the port named in errors."""

from __future__ import annotations

import socket
from pathlib import Path

import psutil
import pytest

from localcloud.cloud import LocalCloud


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_one_after_the_other_and_nothing_is_left(tmp_path: Path) -> None:
    before = children()
    for round_ in range(2):
        with LocalCloud(tmp_path / str(round_), images={"*": tmp_path}, region="eu-west-1") as cloud:
            assert cloud.client("s3").list_buckets()["Buckets"] == []
            cloud.client("s3").create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
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


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} of 127.0.0.1 is taken"):
            LocalCloud(tmp_path, images={}, port=port).start()
    with LocalCloud(tmp_path, images={}, port=port) as cloud:  # the failed start has left nothing
        assert cloud.port == port

"""The endpoint: keep-alive HTTP, the aws CLI, faults, placement groups, the Slack sink, the
metadata address.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from localcloud.iam.access import Principal
from localcloud.protocol.wire import Call, Reply, WireError
from tests.localcloud.conftest import Stage


def aws(stage: Stage, *arguments: str) -> str:
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": stage.cloud.endpoint_url,
        "AWS_ACCESS_KEY_ID": stage.cloud.deployer.access_key,
        "AWS_SECRET_ACCESS_KEY": stage.cloud.deployer.secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        "HOME": str(stage.directory),
    }
    done = subprocess.run(
        ["aws", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_aws_cli_copies_large_files_and_submits(stage: Stage, tmp_path: Path) -> None:
    stage.client("s3").create_bucket(Bucket="of-cli")
    source, copy = tmp_path / "big.bin", tmp_path / "copy.bin"
    source.write_bytes(os.urandom(1 << 20) * 9)  # above the CLI's multipart threshold
    aws(stage, "s3", "cp", "--only-show-errors", str(source), "s3://of-cli/big.bin")
    aws(stage, "s3", "cp", "--only-show-errors", "s3://of-cli/big.bin", str(copy))
    assert (
        hashlib.sha256(copy.read_bytes()).digest() == hashlib.sha256(source.read_bytes()).digest()
    )
    assert "-" in stage.client("s3").head_object(Bucket="of-cli", Key="big.bin")["ETag"]
    queue, definition = stage.queue(stage.environment()), stage.definition(["echo", "from the CLI"])
    submitted = json.loads(
        aws(
            stage,
            "batch",
            "submit-job",
            "--job-name",
            "cli",
            "--job-queue",
            queue,
            "--job-definition",
            definition,
        )
    )
    job = stage.wait(submitted["jobId"])
    arguments = (
        "--log-group-name",
        "/test/batch",
        "--log-stream-name",
        job["container"]["logStreamName"],
    )
    assert (
        json.loads(aws(stage, "logs", "get-log-events", *arguments))["events"][0]["message"]
        == "from the CLI"
    )


def test_connections_are_kept_and_unread_bodies_do_not_spoil_them(stage: Stage) -> None:
    refused = stage.cloud.role_client("s3", stage.role("ecs-tasks.amazonaws.com"))
    body = os.urandom(3 << 20)
    for _ in range(2):
        with pytest.raises(ClientError, match="AccessDenied"):
            refused.put_object(Bucket="nowhere", Key="x", Body=body)
    connection = http.client.HTTPConnection("127.0.0.1", stage.cloud.port, timeout=5)
    sockets = set()
    for _ in range(5):
        connection.request("POST", stage.cloud.slack.path, body=json.dumps({"text": "again"}))
        assert connection.getresponse().read() == b"ok"
        sockets.add(id(connection.sock))
    assert len(sockets) == 1
    connection.close()
    assert [message["text"] for message in stage.cloud.slack.messages[-5:]] == ["again"] * 5


def test_faults_come_between(stage: Stage) -> None:
    s3 = stage.client("s3")
    s3.create_bucket(Bucket="faulty")
    seen: list[str] = []

    def slow_down(call: Call, principal: Principal | None) -> Reply | None:
        seen.append(f"{call.service}:{call.operation}")
        if call.operation == "PutObject" and seen.count("s3:PutObject") == 1:
            raise WireError("SlowDown", "Please reduce your request rate.", status=503)
        if call.operation == "GetObject" and seen.count("s3:GetObject") == 1:
            raise ConnectionResetError
        return None

    stage.cloud.faults.append(slow_down)
    try:
        s3.put_object(Bucket="faulty", Key="x", Body=b"1")  # the SDK tries again
        assert s3.get_object(Bucket="faulty", Key="x")["Body"].read() == b"1"
    finally:
        stage.cloud.faults.remove(slow_down)
    assert seen == ["s3:PutObject"] * 2 + ["s3:GetObject"] * 2


def test_placement_groups(stage: Stage) -> None:
    ec2 = stage.client("ec2")
    tags = [{"ResourceType": "placement-group", "Tags": [{"Key": "a", "Value": "b"}]}]
    ec2.create_placement_group(GroupName="one", Strategy="cluster", TagSpecifications=tags)
    found = ec2.describe_placement_groups(GroupNames=["one"])["PlacementGroups"]
    assert [(each["Strategy"], each["State"], each["Tags"]) for each in found] == [
        ("cluster", "available", [{"Key": "a", "Value": "b"}])
    ]
    with pytest.raises(ClientError, match=r"InvalidPlacementGroup\.Duplicate"):
        ec2.create_placement_group(GroupName="one")
    ec2.delete_placement_group(GroupName="one")
    with pytest.raises(ClientError, match=r"InvalidPlacementGroup\.Unknown"):
        ec2.describe_placement_groups(GroupNames=["one"])


def test_slack_sink(stage: Stage) -> None:
    def post(data: bytes) -> tuple[int, dict[str, str]]:
        request = urllib.request.Request(stage.cloud.slack.url, data=data, method="POST")  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
                return answer.status, dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers)

    before = len(stage.cloud.slack.messages)
    stage.cloud.slack.fail_next(1, 429)
    stage.cloud.slack.fail_next(1, 500)
    first = post(b'{"text": "a"}')
    assert (first[0], first[1]["Retry-After"]) == (429, "1")
    assert post(b'{"text": "a"}')[0] == 500
    assert post(b"not json")[0] == 400
    assert post(b'{"text": "a"}')[0] == 200
    assert stage.cloud.slack.messages[before:] == [{"text": "a"}]


def test_unknown_operations_are_refused_loudly(stage: Stage) -> None:
    with pytest.raises(ClientError, match="has no operation CreateConsumableResource"):
        stage.batch.create_consumable_resource(consumableResourceName="licence", totalQuantity=1)
